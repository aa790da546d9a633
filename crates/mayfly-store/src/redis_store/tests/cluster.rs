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
        pages: pages.iter().map(|page| (page, today())).collect(),
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
    assert_eq!((audit.seen["next"], audit.seen["hits"], audit.seen["page"]), (16, 16, 200));
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
