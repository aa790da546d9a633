//! What the contract suite cannot ask of every store: servers that refuse, vanish, hang, fail
//! over; keys and files as they are. The day is the real one: Redis expires keys by its own clock.

use std::time::{Duration, SystemTime};

use mayfly_core::{
    ConsentKey, Day, Event, Hit, HitParts, Ordinal, PageKey, Partition, Referrer, SiteId,
    Timestamp, Visitor,
};

use super::RedisStore;
use crate::contract::servers::{RedisCluster, RedisServer};
use crate::{Batch, LaneId, NewHit, Result, StoreConfig, StoreError, StoreUrl};

mod cluster;
mod contract;
mod faults;
mod measure;
mod ordinals;
mod people;
mod retention;

const P: Partition = Partition(3);
const LANE: LaneId = LaneId(77);

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(since.as_millis().try_into().unwrap())
}

fn today() -> Day {
    now().day().unwrap()
}

fn config(url: &str) -> StoreConfig {
    StoreConfig::new(StoreUrl::parse(url).unwrap())
}

async fn open(url: &str) -> Result<RedisStore> {
    RedisStore::open(&config(url), now()).await
}

async fn fresh() -> (RedisServer, RedisStore) {
    let server = RedisServer::start(&[]).unwrap();
    let store = open(&server.url()).await.unwrap();
    (server, store)
}

fn hit_of(event: Event, ordinal: Ordinal, day: Day) -> Hit {
    Hit::restore(HitParts {
        visitor: Visitor { partition: P, ordinal },
        time: day.at_second(ordinal % 86_400),
        site: SiteId(1),
        page: Some(PageKey(u64::from(ordinal % 100))),
        event,
        engaged_s: 0,
        referrer: Referrer::default(),
        context: Default::default(),
        attributes: Vec::new(),
        consent: ConsentKey(5),
        fired: Vec::new(),
    })
}

fn hit(ordinal: Ordinal, day: Day) -> NewHit {
    NewHit { hit: hit_of(Event::PageView, ordinal, day), id: None }
}

fn with_id(ordinal: Ordinal, id: i64) -> NewHit {
    NewHit { id: Some(id), ..hit(ordinal, today()) }
}

fn batch(number: u64, hits: &[NewHit]) -> Batch {
    Batch::encode(LANE, number, P, today(), hits)
}

/// All ordinals in the log of today, in order.
async fn logged(store: &RedisStore) -> Vec<Ordinal> {
    let entries = loop {
        match store.read_new(P, today(), crate::EntryId::ZERO, usize::MAX).await {
            Err(error) if error.is_transient() => {}
            entries => break entries.unwrap(),
        }
    };
    entries.iter().flat_map(|e| &e.hits).map(|h| h.visitor.ordinal).collect()
}
