//! No ordinal is issued twice, whatever becomes of the servers.

use std::collections::HashSet;

use mayfly_core::limits;

use super::*;

/// Leases, and fails when any ordinal was seen before.
async fn lease(store: &RedisStore, seen: &mut HashSet<Ordinal>) {
    let block = loop {
        match store.lease_ordinals(P, 0).await {
            Err(error) if error.is_transient() => {}
            block => break block.unwrap(),
        }
    };
    assert!(!block.contains(&0));
    for ordinal in block {
        assert!(seen.insert(ordinal), "{ordinal} was issued twice");
    }
}

#[tokio::test]
async fn blocks_begin_above_what_the_collector_knows() {
    let (_server, store) = fresh().await;
    assert_eq!(store.lease_ordinals(P, 0).await.unwrap(), 1..1 + limits::ORDINAL_BLOCK);
    let above = store.lease_ordinals(P, 1_000_000).await.unwrap();
    assert_eq!(above.start, 1_000_000);
    let error = store.lease_ordinals(P, Ordinal::MAX - 5).await.unwrap_err();
    assert!(matches!(error, StoreError::OrdinalsUsedUp { .. }), "{error:?}");
    assert_eq!(store.lease_ordinals(P, 0).await.unwrap().start, above.end, "nothing was spent");
}

#[tokio::test]
async fn a_server_that_comes_back_with_an_old_dump_jumps() {
    let mut server = RedisServer::start(&[]).unwrap();
    let store = open(&server.url()).await.unwrap();
    let mut seen = HashSet::new();
    lease(&store, &mut seen).await;
    server.cli(["SAVE"]).unwrap();
    for _ in 0..3 {
        lease(&store, &mut seen).await;
    }
    server.kill().unwrap();
    server.run().unwrap();
    for _ in 0..3 {
        lease(&store, &mut seen).await;
    }
    assert!(seen.contains(&(limits::ORDINAL_JUMP + limits::ORDINAL_BLOCK + 1)));
}

#[tokio::test]
async fn a_failover_to_a_replica_that_lags_issues_nothing_twice() {
    let mut cluster = RedisCluster::start(&[]).unwrap();
    let store = open(&cluster.url()).await.unwrap();
    let mut seen = HashSet::new();
    lease(&store, &mut seen).await;
    let primary = cluster.primary_of(&store.keys().next(P)).unwrap();
    let replica = cluster.replica_of(primary).unwrap();
    cluster.catch_up(primary).unwrap();
    // From here on the replica hears nothing; a paused one alone would still find what was sent
    // in its socket.
    cluster.nodes()[replica].pause().unwrap();
    cluster.nodes()[primary].cli(["CLIENT", "KILL", "TYPE", "replica"]).unwrap();
    for _ in 0..3 {
        lease(&store, &mut seen).await;
    }
    cluster.nodes_mut()[primary].kill().unwrap();
    let replica = &cluster.nodes()[replica];
    replica.resume().unwrap();
    replica.cli(["CLUSTER", "FAILOVER", "TAKEOVER"]).unwrap();
    let counter = ["HGET", &store.keys().next(P), "next"];
    let stale: Ordinal = replica.cli(counter).unwrap().parse().unwrap();
    assert!(seen.contains(&stale), "the replica would issue it again");
    for _ in 0..3 {
        lease(&store, &mut seen).await;
    }
}
