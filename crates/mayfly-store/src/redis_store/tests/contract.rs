//! The contract suite on a server of its own each, and on one cluster, one promise at a time.

mod single {
    use crate::contract::Opener;
    use crate::contract::servers::RedisServer;
    use crate::redis_store::tests::{config, today};

    fn opener() -> Opener {
        let server = RedisServer::start(&[]).unwrap();
        Opener::new(config(&server.url()), today(), server)
    }

    crate::contract_tests!(opener());
}

mod cluster {
    use std::sync::{Arc, Mutex, PoisonError, Weak};

    use crate::contract::Opener;
    use crate::contract::servers::RedisCluster;
    use crate::redis_store::tests::{config, today};

    /// Lives while any test waits for it: the last one ends it.
    static SHARED: Mutex<Weak<RedisCluster>> = Mutex::new(Weak::new());
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    fn shared() -> Arc<RedisCluster> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(RedisCluster::start(&[]).unwrap());
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    }

    async fn opener() -> Opener {
        let cluster = shared();
        let turn = TURN.lock().await;
        for primary in cluster.primaries().unwrap() {
            cluster.nodes()[primary].cli(["FLUSHALL"]).unwrap();
        }
        Opener::new(config(&cluster.url()), today(), (turn, cluster))
    }

    crate::contract_tests!(opener().await);
}
