//! Whole evaluation of `3 of A in 30 d and any of B, C, D in 90 d and not E in 7 d` over 20 million
//! hits of 0.9 million visitors, 500 categories, 90 days, 16 partitions; on one core.
//!
//! Against it a naive way on the same days: chained ORs of roaring bitmaps, with a bitmap for
//! "at least 1", "2", "3 hits" of each day and category made beforehand, which is its best case.
//! Both must find the same members. Only the cells of A to E are kept: no other is read.

#![expect(clippy::unwrap_used, reason = "benches stop at the first thing that is wrong")]
#![expect(clippy::print_stdout, reason = "the ratio is what this bench is for")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use mayfly_benches::{PARTITION, Random, TODAY, compiled};
use mayfly_core::{Cell, CellEntry, CellId, Day, DayCells, Ordinal, Retention};
use mayfly_segments::{Definitions, Evaluation, Expression};
use roaring::RoaringBitmap;

const HITS: u32 = 20_000_000;
const VISITORS: u32 = 900_000;
const CATEGORIES: u32 = 500;
const DAYS: u32 = 90;
const PARTITIONS: u32 = 16;
/// The categories asked for, by popularity: the first of 500, and some further down.
const ASKED: [(&str, u32); 5] = [("A", 0), ("B", 5), ("C", 20), ("D", 60), ("E", 2)];
const EXPRESSION: &str = r#"visited("A", within 30d) >= 3
    and (visited("B", within 90d) or visited("C", within 90d) or visited("D", within 90d))
    and not visited("E", within 7d)"#;

/// Today's cells first, then each day before.
type Days = Vec<DayCells>;

fn definitions() -> Definitions {
    let category =
        |(name, _)| format!("[[category]]\nname = \"{name}\"\nrule = 'path == \"/{name}\"'\n");
    let file: String = ASKED.into_iter().map(category).collect();
    compiled(&format!("format = 1\n{file}")).definitions().clone()
}

/// The cells of each partition's days.
fn partitions(definitions: &Definitions) -> Vec<Days> {
    let mut random = Random::new(11);
    let mut counts: BTreeMap<(u32, u32, u32), BTreeMap<Ordinal, u8>> = BTreeMap::new();
    for _ in 0..HITS {
        // Visitors first, so that each has its own habit: many hits, or few.
        let (visitor, ago) = (random.skewed(VISITORS), random.below(DAYS));
        let rank = random.skewed(CATEGORIES);
        let Some(asked) = ASKED.iter().position(|(_, at)| *at == rank) else { continue };
        let at = (visitor % PARTITIONS, ago, asked as u32);
        let count = counts.entry(at).or_default().entry(1 + visitor / PARTITIONS).or_default();
        *count = count.saturating_add(1);
    }
    let mut all = vec![vec![DayCells::new(); DAYS as usize]; PARTITIONS as usize];
    for ((partition, ago, asked), visitors) in counts {
        let entry = |(&ordinal, &count): (&u32, &u8)| CellEntry { ordinal, count, seconds: 0 };
        let cell = Cell { entries: visitors.iter().map(entry).collect() };
        let id = definitions.cell_named(ASKED[asked as usize].0).unwrap();
        all[partition as usize][ago as usize].insert(id, cell);
    }
    all
}

fn dense(expression: &Expression, partitions: &[Days]) -> Vec<RoaringBitmap> {
    let members = |days: &Days| {
        let mut evaluation = Evaluation::new(expression, PARTITION, TODAY.first_hour());
        for (ago, cells) in (0u16..).zip(days) {
            evaluation.add_day(Day(TODAY.0 - ago), cells);
        }
        evaluation.finish()
    };
    partitions.iter().map(members).collect()
}

/// For one day and category: who had at least 1, 2, 3 hits.
type AtLeast = [RoaringBitmap; 3];

/// What the naive way is given.
fn bitmaps(partitions: &[Days], ids: &[CellId]) -> Vec<Vec<Vec<AtLeast>>> {
    let at_least = |cell: &Cell, least: u8| {
        let those = cell.entries.iter().filter(|e| e.count >= least);
        those.map(|e| e.ordinal).collect::<RoaringBitmap>()
    };
    let of_cell = |cell: Option<&Cell>| match cell {
        Some(cell) => [1, 2, 3].map(|least| at_least(cell, least)),
        None => AtLeast::default(),
    };
    let of_day = |day: &DayCells| ids.iter().map(|id| of_cell(day.get(id))).collect();
    partitions.iter().map(|days| days.iter().map(of_day).collect()).collect()
}

fn naive(partitions: &[Vec<Vec<AtLeast>>]) -> Vec<RoaringBitmap> {
    let any = |days: &[Vec<AtLeast>], at: usize| {
        days.iter().fold(RoaringBitmap::new(), |all, day| all | &day[at][0])
    };
    let three = |days: &[Vec<AtLeast>], at: usize| {
        let mut sums = AtLeast::default();
        for day in days {
            let [one, two, three] = &day[at];
            let [had1, had2, had3] = sums;
            let now3 = had3 | three | (&had2 & one) | (&had1 & two);
            let now2 = had2 | two | (&had1 & one);
            sums = [had1 | one, now2, now3];
        }
        let [_, _, three] = sums;
        three
    };
    let members = |days: &Vec<Vec<AtLeast>>| {
        let others = any(days, 1) | any(days, 2) | any(days, 3);
        (three(&days[..30], 0) & others) - any(&days[..7], 4)
    };
    partitions.iter().map(members).collect()
}

/// The median of some runs.
fn median<R>(mut run: impl FnMut() -> R) -> Duration {
    let mut times: Vec<Duration> = (0..15)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(run());
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let definitions = definitions();
    let expression = Expression::parse(EXPRESSION, &definitions, Retention::default()).unwrap();
    let partitions = partitions(&definitions);
    let ids: Vec<CellId> =
        ASKED.iter().map(|(name, _)| definitions.cell_named(name).unwrap()).collect();
    let bitmaps = bitmaps(&partitions, &ids);
    let members = dense(&expression, &partitions);
    assert_eq!(members, naive(&bitmaps), "both ways find the same members");

    let mut group = criterion.benchmark_group("evaluation");
    group.sample_size(20).sampling_mode(SamplingMode::Flat);
    group.bench_function("dense", |bench| bench.iter(|| dense(&expression, &partitions)));
    group.bench_function("chained roaring ORs", |bench| bench.iter(|| naive(&bitmaps)));
    group.finish();
    let (ours, theirs) = (median(|| dense(&expression, &partitions)), median(|| naive(&bitmaps)));
    let entries: usize =
        partitions.iter().flatten().flat_map(DayCells::values).map(|c| c.entries.len()).sum();
    println!(
        "evaluation: {} members; {entries} entries of A to E; dense {ours:.1?}, chained ORs \
         {theirs:.1?}: {:.1} times as long",
        members.iter().map(RoaringBitmap::len).sum::<u64>(),
        theirs.as_secs_f64() / ours.as_secs_f64(),
    );
    criterion.final_summary();
}
