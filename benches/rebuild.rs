//! Rebuilding one category from 1,000,000 hits of 90 days: the work alone, and with the reading
//! from the embedded store, before and after sealing. One core, one partition.

#![expect(clippy::unwrap_used, reason = "benches stop at the first thing that is wrong")]

use std::collections::{BTreeMap, BTreeSet};

use criterion::{Criterion, SamplingMode, Throughput};
use mayfly_benches::{PARTITION, TODAY, compiled, course_page, courses, day_of_views};
use mayfly_core::{CellId, Day, Hit, Page, PageKey};
use mayfly_segments::{CellsBuilder, Compiled};
use mayfly_store::contract::Opener;
use mayfly_store::{
    Batch, DayCheckpoint, DayCursor, DayHeader, EntryId, LaneId, Leased, NewHit, Store,
};
use tokio::runtime::Runtime;

const DAYS: u16 = 90;
const HITS_A_DAY: u32 = 11_112;
const VISITORS: u32 = 60_000;
const PAGES: u32 = 5000;
/// Hits of one batch, as a busy collector commits them.
const BATCH: usize = 256;
/// Hits read at a time, as the worker does.
const AT_ONCE: usize = 2000;

type Views = BTreeMap<Day, Vec<(Hit, u32)>>;

fn days() -> impl Iterator<Item = Day> {
    (0..DAYS).map(|ago| TODAY.minus(ago))
}

/// The builder's work on one category.
fn in_memory(compiled: &Compiled, cell: CellId, views: &Views, pages: &[Page]) -> usize {
    let mut builder = CellsBuilder::new(compiled, &BTreeSet::from([cell]));
    let mut entries = 0;
    for views in views.values() {
        for views in views.chunks(AT_ONCE) {
            let hits: Vec<_> = views.iter().map(|(hit, n)| (hit, &pages[*n as usize])).collect();
            builder.add(&hits);
        }
        entries += builder.finish().cells.values().map(|cell| cell.entries.len()).sum::<usize>();
    }
    entries
}

/// The same, reading every hit from the store. Pages are at hand, as in the worker's memory.
async fn from_store(compiled: &Compiled, cell: CellId, store: &Store, pages: &[Page]) -> usize {
    let mut builder = CellsBuilder::new(compiled, &BTreeSet::from([cell]));
    let mut entries = 0;
    for day in days() {
        let mut next = Some(DayCursor::Start);
        while let Some(cursor) = next {
            let piece = store.read_day(PARTITION, day, cursor, AT_ONCE).await.unwrap();
            let page = |key: Option<PageKey>| &pages[key.map_or(0, |key| key.0 as usize)];
            let hits: Vec<_> = piece.hits.iter().map(|hit| (hit, page(hit.page))).collect();
            builder.add(&hits);
            next = piece.next;
        }
        entries += builder.finish().cells.values().map(|cell| cell.entries.len()).sum::<usize>();
    }
    entries
}

async fn fill(store: &Store, views: &Views) {
    let now = TODAY.at_second(43_200);
    let mut number = 0;
    for views in views.values() {
        for views in views.chunks(BATCH) {
            number += 1;
            let new = |(hit, _): &(Hit, u32)| NewHit { hit: hit.clone(), id: None };
            let hits: Vec<NewHit> = views.iter().map(new).collect();
            let batch = Batch::encode(LaneId(1), number, PARTITION, TODAY, &hits);
            store.append(&[&batch], now).await.unwrap();
        }
    }
}

/// Seals every day; a checkpoint without cells names how far.
async fn seal(store: &Store) {
    let now = TODAY.at_second(43_200);
    let leased = store.lease(PARTITION, None, "bench", 600, now).await.unwrap();
    let Leased::Granted(lease) = leased else { return };
    let (cells, changed) = Default::default();
    for head in store.heads(&[PARTITION]).await.unwrap().concat() {
        let header = DayHeader { cursor: head.last, complete: 1 };
        let (day, from) = (head.day, EntryId::ZERO);
        let written = DayCheckpoint { day, from, header, cells: &cells, changed: &changed };
        store.checkpoint(&lease, &[written], &[], now).await.unwrap();
        store.seal(&lease, head.day, head.last).await.unwrap();
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let compiled = compiled(&courses());
    let cell = compiled.definitions().cell_named("m0 > a0").unwrap();
    let views: Views =
        days().map(|day| (day, day_of_views(day, HITS_A_DAY, VISITORS, PAGES))).collect();
    let pages: Vec<Page> = (0..PAGES).map(course_page).collect();
    let hits = views.values().map(Vec::len).sum::<usize>() as u64;

    let mut group = criterion.benchmark_group("rebuild");
    group.throughput(Throughput::Elements(hits)).sample_size(10).sampling_mode(SamplingMode::Flat);
    group.bench_function("hits at hand", |bench| {
        bench.iter(|| in_memory(&compiled, cell, &views, &pages));
    });
    let runtime = Runtime::new().unwrap();
    let opener = Opener::embedded();
    let store = runtime.block_on(opener.open());
    runtime.block_on(fill(&store, &views));
    group.bench_function("embedded store, log", |bench| {
        bench.iter(|| runtime.block_on(from_store(&compiled, cell, &store, &pages)));
    });
    runtime.block_on(seal(&store));
    group.bench_function("embedded store, sealed", |bench| {
        bench.iter(|| runtime.block_on(from_store(&compiled, cell, &store, &pages)));
    });
    group.finish();
    runtime.block_on(store.close()).unwrap();
    criterion.final_summary();
}
