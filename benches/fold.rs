//! Folding: hits a second into one partition's memory (cells, tallies, memberships), on one core.
//!
//! `courses` has the shape of the OULAD set: 84 categories in two levels, 12 segments, visitors
//! that come again. `random` spreads its hits evenly over 200,000 visitors and 50,000 pages.

#![expect(clippy::unwrap_used, reason = "benches stop at the first thing that is wrong")]

use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput};
use mayfly_benches::{
    PARTITION, Random, TODAY, compiled, course_page, courses, day_of_views, view,
};
use mayfly_core::{DayCells, Hit, Page};
use mayfly_segments::{CellsBuilder, Compiled, Index};

/// Hits folded in one round.
const HITS: u32 = 50_000;
/// Hits in one call, as the worker gives them.
const AT_ONCE: usize = 2000;

/// An index that has 89 days behind it, and today open.
fn index(compiled: &Arc<Compiled>, visitors: u32, pages: &[Page]) -> Index {
    let mut index = Index::new(Arc::clone(compiled), PARTITION, TODAY.first_hour());
    let mut builder = CellsBuilder::new(compiled, &compiled.cells());
    for ago in 1..90 {
        let day = TODAY.minus(ago);
        let views = day_of_views(day, HITS / 10, visitors, pages.len() as u32);
        builder.add(&with_pages(&views, pages));
        index.load_day(day, &builder.finish().cells);
    }
    index.put_day(TODAY, DayCells::new());
    index.evaluate();
    index
}

fn with_pages<'a>(views: &'a [(Hit, u32)], pages: &'a [Page]) -> Vec<(&'a Hit, &'a Page)> {
    views.iter().map(|(hit, page)| (hit, &pages[*page as usize])).collect()
}

fn evenly(visitors: u32, pages: u32) -> Vec<(Hit, u32)> {
    let mut random = Random::new(5);
    let mut one = |n| {
        let page = random.below(pages);
        (view(1 + random.below(visitors), TODAY, n, page), page)
    };
    (0..HITS).map(&mut one).collect()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let compiled = compiled(&courses());
    let mut group = criterion.benchmark_group("fold");
    group.throughput(Throughput::Elements(u64::from(HITS))).sample_size(10);
    let shapes = [
        ("courses", 4000, 900, day_of_views(TODAY, HITS, 4000, 900)),
        ("random", 200_000, 50_000, evenly(200_000, 50_000)),
    ];
    for (name, visitors, number, views) in shapes {
        let pages: Vec<Page> = (0..number).map(course_page).collect();
        let index = index(&compiled, visitors, &pages);
        let hits = with_pages(&views, &pages);
        group.bench_function(name, |bench| {
            let fold = |index: &mut Index| {
                for hits in hits.chunks(AT_ONCE) {
                    index.fold(TODAY, hits).unwrap();
                }
            };
            bench.iter_batched_ref(|| index.clone(), fold, BatchSize::PerIteration);
        });
    }
    group.finish();
    criterion.final_summary();
}
