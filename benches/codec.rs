//! The codec: bytes a hit, and hits a second in and out, for entries of the log by their size and
//! for sealed blocks; bytes of cells a hit.

#![expect(clippy::unwrap_used, reason = "benches stop at the first thing that is wrong")]
#![expect(clippy::print_stdout, reason = "sizes are no times: criterion has no place for them")]

use criterion::{Criterion, Throughput};
use mayfly_benches::{PARTITION, TODAY, compiled, course_page, courses, day_of_views};
use mayfly_core::{Hit, Page};
use mayfly_segments::CellsBuilder;
use mayfly_store::contract::bytes;

const HITS: u32 = 20_000;
const VISITORS: u32 = 4000;
const PAGES: u32 = 900;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let views = day_of_views(TODAY, HITS, VISITORS, PAGES);
    let by_time: Vec<&Hit> = views.iter().map(|(hit, _)| hit).collect();
    let mut by_visitor = by_time.clone();
    by_visitor.sort_by_key(|hit| (hit.visitor.ordinal, hit.time));
    println!("codec: {}", cells(&views));

    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(u64::from(HITS)));
    let forms = [
        ("log, 1 hit an entry", &by_time, 1),
        ("log, 32 hits an entry", &by_time, 32),
        ("log, 256 hits an entry", &by_time, 256),
        ("sealed, 1000 hits a block", &by_visitor, 1000),
    ];
    for (name, hits, at_once) in forms {
        let encode = || hits.chunks(at_once).map(bytes::of_hits).collect::<Vec<_>>();
        let entries = encode();
        let all: usize = entries.iter().map(Vec::len).sum();
        println!("codec: {name}: {:.2} B a hit", all as f64 / f64::from(HITS));
        group.bench_function(format!("{name}: encode"), |bench| bench.iter(encode));
        group.bench_function(format!("{name}: decode"), |bench| {
            let decode = |entry: &Vec<u8>| bytes::hits_of(entry, PARTITION, TODAY).unwrap().len();
            bench.iter(|| entries.iter().map(decode).sum::<usize>());
        });
    }
    group.finish();
    criterion.final_summary();
}

/// The size of the cells of all categories of the day.
fn cells(views: &[(Hit, u32)]) -> String {
    let compiled = compiled(&courses());
    let pages: Vec<Page> = (0..PAGES).map(course_page).collect();
    let mut builder = CellsBuilder::new(&compiled, &compiled.cells());
    let hits: Vec<_> = views.iter().map(|(hit, n)| (hit, &pages[*n as usize])).collect();
    builder.add(&hits);
    let cells = builder.finish().cells;
    let all = bytes::of_cells(&cells);
    let entries: usize = cells.values().map(|cell| cell.entries.len()).sum();
    format!(
        "cells of a day: {:.2} B a hit, {:.2} B an entry ({} categories)",
        all as f64 / views.len() as f64,
        all as f64 / entries as f64,
        cells.len(),
    )
}
