//! Classification of a new page (its rules run) and of a remembered one, by 10 to 10,000 rules.
//!
//! Rules are mixed: paths, words in titles, keywords, hosts, and a regular expression in twenty.

use criterion::{BatchSize, Criterion, Throughput};
use mayfly_benches::{Random, TODAY, compiled, view};
use mayfly_core::{Hit, Page};
use mayfly_segments::PageMemo;

/// Pages classified in one round.
const PAGES: u32 = 1000;

fn definitions(rules: u32) -> String {
    let rule = |n: u32| match n % 20 {
        0 => format!("url matches \"/archive{n}/[0-9]+\""),
        1..=9 => format!("path startswith \"/section{n}/\""),
        10..=14 => format!("title contains any (\"word{n} \", \"topic{n} \")"),
        15..=17 => format!("keywords has \"key{n}\""),
        _ => format!("host == \"h{n}.example\""),
    };
    let category =
        |n| format!("[[category]]\nname = \"c{} > r{n}\"\nrule = '{}'\n", n % 10, rule(n));
    (0..rules).fold(String::from("format = 1\n"), |file, n| file + &category(n))
}

/// Pages of which about every second meets some rule, by each kind of rule in turn.
fn pages(rules: u32) -> Vec<(Hit, Page)> {
    let mut random = Random::new(1);
    (0..PAGES)
        .map(|page| {
            let n = random.below(rules * 2);
            let word = random.below(rules * 2);
            let found = Page {
                url: format!("https://h{word}.example/section{n}/{page}?q={word}").into(),
                title: format!("What word{n} means for everyone, and why: part {page}").into(),
                keywords: vec![format!("key{word}").into(), "news".into()],
                ..Page::default()
            };
            (view(1 + page, TODAY, page, page), found)
        })
        .collect()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("classification");
    group.throughput(Throughput::Elements(u64::from(PAGES)));
    for rules in [10, 1000, 10_000] {
        let compiled = compiled(&definitions(rules));
        let classifier = compiled.classifier();
        let pages = pages(rules);
        let mut categories = Vec::new();
        let mut classify = |memo: &mut PageMemo| {
            let mut given = 0;
            for (hit, page) in &pages {
                classifier.classify(memo, hit, page, &mut categories);
                given += categories.len();
            }
            given
        };
        group.bench_function(format!("new page, {rules} rules"), |bench| {
            bench.iter_batched_ref(PageMemo::default, &mut classify, BatchSize::LargeInput);
        });
        let mut memo = PageMemo::default();
        classify(&mut memo);
        group.bench_function(format!("remembered page, {rules} rules"), |bench| {
            bench.iter(|| classify(&mut memo));
        });
    }
    group.finish();
    criterion.final_summary();
}
