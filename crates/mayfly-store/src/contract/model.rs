//! Random operations on a store and on a plain model of it, which must agree after each.

use std::collections::{BTreeMap, BTreeSet};

use mayfly_core::{Day, DayCells, Hit, Ordinal, Retention, Timestamp, Visitor};

use super::{Opener, PARTITION, batch, categories, cells, hit, sorted, whole_day};
use crate::{
    Appended, Batch, DayCheckpoint, DayHeader, EntryId, Lease, Leased, Store, StoreConfig,
    StoreError, StoreUrl,
};

/// Operations of one run.
const STEPS: u32 = 120;
/// Runs, each with its own seed.
const RUNS: u64 = 3;
/// Days kept, so that days go within a run.
const RETENTION_DAYS: u16 = 5;
/// Visitors that hits are made for.
const VISITORS: u32 = 40;

/// Several runs with seeds of their own.
pub async fn random_operations_agree_with_the_model(opener: &Opener) {
    let mut run = Run::start(opener, 0).await;
    for seed in 0..RUNS {
        run.random = Random(seed);
        for step in 0..STEPS {
            run.step().await;
            run.check(&format!("run {seed}, step {step}")).await;
        }
    }
}

/// Splitmix64: the same steps for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u32) -> u32 {
        (self.next() % u64::from(n)) as u32
    }
}

/// What a store must hold.
#[derive(Default)]
struct Model {
    hits: BTreeMap<Day, Vec<Hit>>,
    cells: BTreeMap<Day, (DayHeader, DayCells)>,
    erased: BTreeSet<Ordinal>,
    /// Batches taken, by lane.
    lanes: BTreeMap<u64, Vec<Batch>>,
}

struct Run {
    config: StoreConfig,
    store: Option<Store>,
    lease: Option<Lease>,
    random: Random,
    now: Timestamp,
    model: Model,
    /// A server's days go by its own clock, which does not move.
    time_moves: bool,
}

impl Run {
    async fn start(opener: &Opener, seed: u64) -> Self {
        let mut config = opener.config.clone();
        config.retention = Retention::new(RETENTION_DAYS).unwrap();
        let time_moves = matches!(config.url, StoreUrl::File(_));
        let mut run = Self {
            config,
            store: None,
            lease: None,
            random: Random(seed),
            now: opener.noon(),
            model: Model::default(),
            time_moves,
        };
        run.open().await;
        run
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    async fn open(&mut self) {
        let store = Store::open(&self.config, self.now).await.unwrap();
        let held = self.lease.as_ref();
        let leased = store.lease(PARTITION, held, "model", 60, self.now).await.unwrap();
        let Leased::Granted(lease) = leased else { panic!("{leased:?}") };
        self.lease = Some(lease);
        self.store = Some(store);
    }

    fn today(&self) -> Day {
        self.now.day().unwrap()
    }

    /// A day that is kept.
    fn a_day(&mut self) -> Day {
        self.today().minus(self.random.below(u32::from(RETENTION_DAYS)) as u16)
    }

    async fn step(&mut self) {
        match self.random.below(20) {
            0..=7 => self.append().await,
            8..=9 => self.resend().await,
            10..=12 => self.checkpoint().await,
            13..=15 => self.seal().await,
            16 => self.erase().await,
            17 => self.expire().await,
            18 => {
                self.store().close().await.unwrap();
                self.store = None;
                self.open().await;
            }
            _ => {
                // A crash: nothing is told to the store.
                self.store = None;
                self.open().await;
            }
        }
    }

    async fn append(&mut self) {
        let lane = u64::from(self.random.below(3));
        let hits: Vec<Hit> = (0..self.random.below(9))
            .map(|_| {
                let day = self.a_day();
                hit(day, 1 + self.random.below(VISITORS), self.random.below(43_200))
            })
            .collect();
        let taken = self.model.lanes.entry(lane).or_default();
        let batch = batch(lane, taken.len() as u64 + 1, self.now.day().unwrap(), &hits);
        taken.push(batch.clone());
        let answer = self.store().append(&[&batch], self.now).await.unwrap();
        assert_eq!(answer, [Appended::Stored]);
        for hit in hits {
            self.model.hits.entry(hit.day()).or_default().push(hit);
        }
    }

    async fn resend(&mut self) {
        let lane = u64::from(self.random.below(3));
        let taken = self.model.lanes.get(&lane).map_or(0, Vec::len);
        if taken > 0 {
            let again = self.model.lanes[&lane][self.random.below(taken as u32) as usize].clone();
            let answer = self.store().append(&[&again], self.now).await.unwrap();
            assert_eq!(answer, [Appended::Done]);
        }
    }

    async fn checkpoint(&mut self) {
        let day = self.a_day();
        let Some(head) = self.head(day).await else { return };
        let entries: Vec<_> = (0..self.random.below(5))
            .map(|i| (1 + i * 2 + self.random.below(2), self.random.below(255) as u8 + 1, 3))
            .collect();
        let written = cells(&[0, self.random.below(40)], &entries);
        let (before, old) = self.model.cells.get(&day).cloned().unwrap_or_default();
        let changed = &categories(&written) | &categories(&old);
        let header = DayHeader { cursor: head, complete: self.random.below(9) };
        let new =
            DayCheckpoint { day, from: before.cursor, header, cells: &written, changed: &changed };
        let lease = self.lease.clone().unwrap();
        self.store().checkpoint(&lease, &[new], &[], self.now).await.unwrap();
        self.model.cells.insert(day, (header, written));
    }

    async fn head(&self, day: Day) -> Option<EntryId> {
        let heads = self.store().heads(&[PARTITION]).await.unwrap();
        heads[0].iter().find(|head| head.day == day).map(|head| head.last)
    }

    async fn seal(&mut self) {
        let day = self.a_day();
        let Some(head) = self.head(day).await else { return };
        let lease = self.lease.clone().unwrap();
        let cursor = self.model.cells.get(&day).map(|(header, _)| header.cursor);
        let sealed = self.store().seal(&lease, day, head).await;
        if cursor == Some(head) {
            let erased = |hit: &Hit| self.model.erased.contains(&hit.visitor.ordinal);
            let left = self.model.hits[&day].iter().filter(|hit| !erased(hit)).count();
            assert_eq!(sealed.unwrap().hits, left as u64);
        } else {
            assert!(matches!(sealed, Err(StoreError::CursorMoved { .. })), "{sealed:?}");
        }
    }

    async fn erase(&mut self) {
        let ordinal = 1 + self.random.below(VISITORS);
        let visitor = Visitor { partition: PARTITION, ordinal };
        self.store().erase(&[visitor], self.now).await.unwrap();
        self.model.erased.insert(ordinal);
    }

    async fn expire(&mut self) {
        if self.time_moves {
            self.now = self.now.plus_secs(i64::from(self.random.below(86_400)));
        }
        let gone = self.store().expire(self.now).await.unwrap();
        let (retention, today) = (self.config.retention, self.today());
        for day in gone {
            assert!(!retention.keeps(day, today), "{day} is kept on {today}");
        }
        self.model.hits.retain(|&day, _| retention.keeps(day, today));
        self.model.cells.retain(|&day, _| retention.keeps(day, today));
    }

    async fn check(&self, place: &str) {
        let erased = |ordinal: Ordinal| self.model.erased.contains(&ordinal);
        for back in 0..=RETENTION_DAYS {
            let day = self.today().minus(back);
            let mut hits = self.model.hits.get(&day).cloned().unwrap_or_default();
            hits.retain(|hit| !erased(hit.visitor.ordinal));
            let read = whole_day(self.store(), day, 7).await;
            assert_eq!(sorted(read), sorted(hits), "{place}: hits of {day}");
            let (header, mut cells) = self.model.cells.get(&day).cloned().unwrap_or_default();
            cells.values_mut().for_each(|cell| cell.entries.retain(|e| !erased(e.ordinal)));
            cells.retain(|_, cell| !cell.entries.is_empty());
            let stored = self.store().cells(PARTITION, day, None).await.unwrap();
            assert_eq!((stored.header, stored.cells), (header, cells), "{place}: cells of {day}");
        }
        let visitor = Visitor { partition: PARTITION, ordinal: 1 };
        let days = self.today().minus(RETENTION_DAYS)..self.today().plus(1);
        let read = self.store().read_visitor(visitor, days).await.unwrap();
        let mut own: Vec<Hit> = self.model.hits.values().flatten().cloned().collect();
        own.retain(|hit| hit.visitor == visitor && !erased(1));
        assert_eq!(sorted(read), sorted(own), "{place}: visitor 1");
    }
}
