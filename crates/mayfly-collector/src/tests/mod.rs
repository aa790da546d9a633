//! The collector on the real embedded store.

mod fuzz;
mod pixel;
mod redis;
mod server;
mod spill;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use mayfly_core::{Day, Hit, Outcome, Partition, Site, SiteId, Timestamp, site::Origin};
use mayfly_store::{EntryId, Store, StoreConfig, StoreUrl};

use crate::client::Hints;
use crate::collector::{Collector, CollectorConfig};
use crate::keys::KeyRing;
use crate::metrics::CollectorMetrics;
use crate::pixel::{PixelAnswer, PixelRequest};
use crate::refusal::Verdict;

pub(super) const TODAY: Day = Day(20_778);

pub(super) fn noon() -> Timestamp {
    TODAY.at_second(43_200)
}

/// A request of a browser.
pub(super) fn a_request() -> PixelRequest<'static> {
    let hints = Hints { user_agent: Some(BROWSER), ..Hints::default() };
    PixelRequest { hints, now: noon(), ..PixelRequest::default() }
}

/// A browser's user agent.
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// A store in a folder, and a collector on it.
pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) keys: KeyRing,
    pub(super) collector: Collector,
    pub(super) metrics: CollectorMetrics,
    requests: AtomicI64,
}

pub(super) fn site() -> Site {
    Site::new(SiteId(1), "news", vec![Origin::parse("https://n.example").unwrap()])
}

/// A collector on a store; `config` may change its settings, `deadline` the batcher's patience.
pub(super) async fn collector_on(
    folder: &std::path::Path,
    store: &Store,
    keys: &KeyRing,
    change: impl FnOnce(&mut CollectorConfig),
    patience: Option<Duration>,
) -> (Collector, CollectorMetrics) {
    let metrics = CollectorMetrics::new().unwrap();
    let mut config = CollectorConfig::new(folder.join("spill"), || Duration::ZERO);
    change(&mut config);
    let collector = Collector::new(config, metrics.clone());
    collector.set_sites([site()].into_iter().collect());
    let mut attached = collector.attach(store.clone(), keys.clone(), &[], noon()).await.unwrap();
    if let Some(patience) = patience {
        attached.runner.batcher.deadline = patience;
    }
    tokio::spawn(attached.runner.run());
    (collector, metrics)
}

impl World {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::File(folder.path().join("store"));
        Self::on(url, folder).await
    }

    /// A collector on a new store at this place.
    pub(super) async fn on(url: StoreUrl, folder: tempfile::TempDir) -> Self {
        let store = Store::open(&StoreConfig::new(url), noon()).await.unwrap();
        let keys = KeyRing::generate().unwrap();
        let (collector, metrics) = collector_on(folder.path(), &store, &keys, |_| {}, None).await;
        Self { folder, store, keys, collector, metrics, requests: AtomicI64::new(0) }
    }

    /// Every stored hit.
    pub(super) async fn stored(&self) -> Vec<Hit> {
        stored_in(&self.store).await
    }

    /// All hits counted so far.
    pub(super) fn counted(&self) -> u64 {
        Outcome::ALL.into_iter().map(|o| self.metrics.hits(o)).sum()
    }

    /// A pixel request, two seconds after the one before: the same hit within a second is one.
    pub(super) async fn pixel(&self, query: &str, cookie: &str) -> PixelAnswer {
        let now = noon().plus_secs(2 * self.requests.fetch_add(1, Ordering::Relaxed));
        let request = PixelRequest { query, cookie: Some(cookie), now, ..a_request() };
        self.collector.pixel(&request).await
    }

    /// A new visitor's cookie pair, by the probe's round trip.
    pub(super) async fn browser(&self) -> String {
        let PixelAnswer::Probe { location, set_cookie } = self.pixel(PAGE, "").await else {
            panic!("a stranger is asked for its cookies")
        };
        let answer = self.pixel(&location[1..], pair(&set_cookie)).await;
        pair(&cookie_of(&answer)).to_owned()
    }
}

/// Every hit in a store.
pub(super) async fn stored_in(store: &Store) -> Vec<Hit> {
    let mut hits = Vec::new();
    for p in (0..store.identity().partitions).map(Partition) {
        for head in store.heads(&[p]).await.unwrap().remove(0) {
            let entries = store.read_new(p, head.day, EntryId::ZERO, usize::MAX).await;
            hits.extend(entries.unwrap().into_iter().flat_map(|entry| entry.hits));
        }
    }
    hits
}

pub(super) const PAGE: &str = "s=news&u=https%3A%2F%2Fn.example%2Fa";

/// `name=value` of a `Set-Cookie` value.
pub(super) fn pair(set_cookie: &str) -> &str {
    set_cookie.split(';').next().unwrap()
}

pub(super) fn cookie_of(answer: &PixelAnswer) -> String {
    let PixelAnswer::Gif { set_cookies, .. } = answer else { panic!("no image: {answer:?}") };
    let [cookie] = &set_cookies[..] else { panic!("no cookie in {answer:?}") };
    cookie.clone()
}

pub(super) fn verdict(answer: &PixelAnswer) -> Verdict {
    let PixelAnswer::Gif { verdict: Some(verdict), .. } = answer else {
        panic!("no verdict in {answer:?}")
    };
    *verdict
}

pub(super) fn outcome(answer: &PixelAnswer) -> Outcome {
    verdict(answer).outcome
}
