//! What only a cluster can get wrong: slots, many primaries, failovers.

use mayfly_core::{ConsentState, Page};

use super::people::{fold, own};
use super::*;
use crate::{Appended, Claim, DayCursor, EntryId, ForeignId, ToIntern};

/// The same hits in every partition.
fn group(number: u64, partitions: u16) -> Vec<Batch> {
    let of = |p: u16| {
        let hits: Vec<_> = (1..20u32)
            .map(|ordinal| {
                let new = with_id(ordinal, i64::from(p) * 1000 + i64::from(ordinal));
                let visitor = Visitor { partition: Partition(p), ordinal };
                let hit = Hit::restore(HitParts { visitor, ..(*new.hit).clone() });
                NewHit { hit, ..new }
            })
            .collect();
        Batch::encode(LANE, number, Partition(p), today(), &hits)
    };
    (0..partitions).map(of).collect()
}

#[tokio::test]
async fn every_primary_holds_its_share_and_a_failover_loses_no_step() {
    let cluster = RedisCluster::start(&[]).unwrap();
    let store = open(&cluster.url()).await.unwrap();
    let batches = group(1, 16);
    let refs: Vec<&Batch> = batches.iter().collect();
    assert_eq!(store.append(&refs, now()).await.unwrap(), vec![Appended::Stored; 16]);
    assert_eq!(store.append(&refs, now()).await.unwrap(), vec![Appended::Done; 16]);

    let pages: Vec<Page> = (0..200)
        .map(|i| Page { url: format!("https://a.example/{i}").into(), ..Page::default() })
        .collect();
    let state = ConsentState::default();
    let values = ToIntern {
        pages: pages.iter().map(|page| (page, today(), None)).collect(),
        consents: vec![(&state, today())],
    };
    let keys = store.intern(&values).await.unwrap();
    assert_eq!(store.intern(&values).await.unwrap(), keys);
    let read = store.pages(&keys.pages).await.unwrap();
    assert!(read.iter().flatten().eq(&pages));
    assert_eq!(store.consents(&keys.consents).await.unwrap(), [Some(state)]);

    let claim = |i: u32| Claim {
        id: ForeignId { space: "crm".into(), hash: u128::from(i) },
        visitor: Visitor { partition: Partition(i as u16 % 16), ordinal: i },
        takes_over: false,
        until: now().plus_secs(600),
    };
    let claims: Vec<Claim> = (1..100).map(claim).collect();
    let visitors: Vec<Visitor> = claims.iter().map(|claim| claim.visitor).collect();
    assert_eq!(store.claim_ids(&claims, now()).await.unwrap(), visitors);
    store.erase(&visitors[..50], now()).await.unwrap();
    let ids: Vec<ForeignId> = claims.into_iter().map(|claim| claim.id).collect();
    let found = store.lookup_ids(&ids).await.unwrap();
    assert_eq!(found.iter().flatten().count(), 49);

    let lease = own(&store).await;
    let cursor = fold(&store, &lease, EntryId::ZERO).await;
    let sealed = store.seal(&lease, today(), cursor).await.unwrap();
    assert_eq!(sealed.hits + sealed.dropped, 19);
    let day = store.read_day(P, today(), DayCursor::Start, 100).await.unwrap();
    assert_eq!(day.hits.len() as u64, sealed.hits);

    let audit = store.audit(now()).await.unwrap();
    assert_eq!(audit.findings, []);
    // The log that was sealed to its end is gone.
    assert_eq!((audit.seen["next"], audit.seen["hits"], audit.seen["page"]), (16, 15, 200));
    assert_eq!(store.health(now()).await.unwrap().generation, 0);

    let primary = cluster.primary_of(&store.keys().next(P)).unwrap();
    cluster.catch_up(primary).unwrap();
    cluster.take_over(primary).unwrap();
    let batches = group(2, 16);
    let refs: Vec<&Batch> = batches.iter().collect();
    let answers = loop {
        match store.append(&refs, now()).await {
            Err(error) if error.is_transient() => {}
            answers => break answers.unwrap(),
        }
    };
    assert!(answers.iter().all(|a| matches!(a, Appended::Duplicates(all) if all.len() == 19)));
    let health = loop {
        match store.health(now()).await {
            Err(error) if error.is_transient() => {}
            health => break health.unwrap(),
        }
    };
    assert_eq!(health.generation, 1);
}

/// A slot that moves to another primary, step by step, as `redis-cli --cluster reshard` does it.
struct Move<'a> {
    cluster: &'a RedisCluster,
    slot: String,
    from: usize,
    to: usize,
}

impl Move<'_> {
    fn on(&self, node: usize, arguments: &[&str]) -> String {
        self.cluster.nodes()[node].cli(arguments).unwrap()
    }

    fn begin(&self) {
        let (from, to) = (self.id(self.from), self.id(self.to));
        self.on(self.to, &["CLUSTER", "SETSLOT", &self.slot, "IMPORTING", &from]);
        self.on(self.from, &["CLUSTER", "SETSLOT", &self.slot, "MIGRATING", &to]);
    }

    fn keys(&self) {
        let url = self.cluster.nodes()[self.to].url();
        let (_, port) = url.rsplit_once(':').unwrap();
        let keys = self.on(self.from, &["CLUSTER", "GETKEYSINSLOT", &self.slot, "1000"]);
        assert_ne!(keys, "");
        let head = ["MIGRATE", "127.0.0.1", port, "", "0", "5000", "KEYS"];
        self.on(self.from, &head.into_iter().chain(keys.lines()).collect::<Vec<_>>());
    }

    fn end(&self) {
        let to = self.id(self.to);
        for node in self.cluster.primaries().unwrap() {
            self.on(node, &["CLUSTER", "SETSLOT", &self.slot, "NODE", &to]);
        }
    }

    fn id(&self, node: usize) -> String {
        self.on(node, &["CLUSTER", "MYID"])
    }
}

#[tokio::test]
async fn a_node_named_as_if_it_stood_alone_is_refused() {
    let cluster = RedisCluster::start(&[]).unwrap();
    let error = open(&cluster.nodes()[0].url()).await.unwrap_err();
    assert!(matches!(error, StoreError::ClusterNode { .. }), "{error:?}");
    let alone = RedisServer::start(&[]).unwrap();
    let as_cluster = alone.url().replace("redis://", "redis+cluster://");
    let error = open(&as_cluster).await.unwrap_err();
    assert!(error.to_string().contains("cluster support disabled"), "{error}");
}

#[tokio::test]
async fn a_slot_may_move_while_it_is_written_to() {
    let cluster = RedisCluster::start(&[]).unwrap();
    let store = open(&cluster.url()).await.unwrap();
    let append = async |number| {
        let batches = group(number, 16);
        store.append(&batches.iter().collect::<Vec<_>>(), now()).await
    };
    let read = async || {
        let entries = store.read_new(P, today(), EntryId::ZERO, 100).await.unwrap();
        entries.iter().map(|entry| entry.hits.len()).sum::<usize>()
    };
    assert_eq!(append(1).await.unwrap(), vec![Appended::Stored; 16]);

    let key = store.keys().next(P);
    let from = cluster.primary_of(&key).unwrap();
    let to = cluster.primaries().unwrap().into_iter().find(|node| *node != from).unwrap();
    let slot = super::super::cluster::slot(&key).to_string();
    let moved = Move { cluster: &cluster, slot, from, to };
    moved.begin();
    assert_eq!(read().await, 19, "the old primary has the keys");
    moved.keys();
    assert_eq!(read().await, 19, "the new one answers what it is asked for (ASK)");
    // A script is refused until the move ends, since not all of its keys are there (TRYAGAIN).
    assert!(append(2).await.unwrap_err().is_transient());
    moved.end();
    assert_eq!(read().await, 19, "the slot is another's (MOVED)");
    let answers = append(2).await.unwrap();
    let is_repeated = |a: &Appended| matches!(a, Appended::Duplicates(all) if all.len() == 19);
    assert!(answers.iter().all(|a| *a == Appended::Done || is_repeated(a)), "{answers:?}");
    assert!(is_repeated(&answers[usize::from(P.0)]), "{answers:?}");
    assert_eq!((read().await, cluster.primary_of(&key).unwrap()), (19, to));
}
