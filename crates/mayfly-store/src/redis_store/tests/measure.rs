//! Figures for `docs/performance.md`:
//! `cargo test -p mayfly-store --lib measure -- --ignored --nocapture --test-threads 1`.

use std::time::Instant;

use mayfly_core::limits;

use super::people::{fold, own};
use super::*;
use crate::redis_store::conn::Command;
use crate::{DayCursor, EntryId};

/// Hits as a learning site has them: ascending in time, 2,000 visitors and 1,000 pages at random.
fn typical(n: u32) -> NewHit {
    let random = xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes());
    let page = xxhash_rust::xxh3::xxh3_64(&(random >> 32).rem_euclid(1000).to_le_bytes());
    let new = hit(1 + (random % 2000) as u32, today());
    let parts = HitParts {
        time: today().at_second((n * 10) % 86_400),
        page: Some(PageKey(page)),
        consent: ConsentKey(0x1234_5678_9abc_def0),
        ..(*new.hit).clone()
    };
    NewHit { hit: Hit::restore(parts), id: None }
}

/// `usec` of all EVALSHA calls, from `INFO commandstats`.
fn script_usec(server: &RedisServer) -> u64 {
    let text = server.cli(["INFO", "commandstats"]).unwrap();
    let line = text.lines().find(|l| l.starts_with("cmdstat_evalsha:")).unwrap();
    let usec = line.split("usec=").nth(1).unwrap();
    usec.split(',').next().unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn append_costs_of_the_server() {
    for size in [1u32, 10, 100, 500] {
        let (server, store) = fresh().await;
        let total = 20_000 / size * size;
        store.append(&[&batch(1, &[typical(0)])], now()).await.unwrap();
        server.cli(["CONFIG", "RESETSTAT"]).unwrap();
        let begin = Instant::now();
        for b in 0..total / size {
            let hits: Vec<_> = (0..size).map(|i| typical(b * size + i)).collect();
            store.append(&[&batch(u64::from(b) + 2, &hits)], now()).await.unwrap();
        }
        let per_hit = script_usec(&server) as f64 / f64::from(total);
        println!(
            "{size} hits an entry: {per_hit:.2} us of the server a hit, {:?}",
            begin.elapsed()
        );
    }
}

#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn rate_of_groups_over_sixteen_partitions() {
    let (_server, store) = fresh().await;
    let (groups, per) = (400u64, 500 / 16);
    let mut all = Vec::new();
    for group in 0..groups {
        let of_partition = |p: u16| {
            let hits: Vec<_> = (0..per)
                .map(|i| {
                    let mut new = typical(group as u32 * 31 + i);
                    let visitor = Visitor { partition: Partition(p), ..new.hit.visitor };
                    new.hit = Hit::restore(HitParts { visitor, ..(*new.hit).clone() });
                    new
                })
                .collect();
            Batch::encode(LANE, group + 1, Partition(p), today(), &hits)
        };
        all.push((0..16).map(of_partition).collect::<Vec<_>>());
    }
    let begin = Instant::now();
    for group in &all {
        let group: Vec<&Batch> = group.iter().collect();
        store.append(&group, now()).await.unwrap();
    }
    let hits = groups as f64 * f64::from(per) * 16.0;
    println!(
        "{:.0} hits/s, groups of {} over 16 partitions",
        hits / begin.elapsed().as_secs_f64(),
        per * 16
    );
}

#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn bytes_a_hit() {
    // A partition's day of ten million hits in ninety days over sixteen partitions.
    for size in [1u32, 32, 100, 500] {
        let (_server, store) = fresh().await;
        let total = 8600 / size * size;
        for b in 0..total / size {
            let hits: Vec<_> = (0..size).map(|i| typical(b * size + i)).collect();
            store.append(&[&batch(u64::from(b) + 1, &hits)], now()).await.unwrap();
        }
        let usage = async |key: String| {
            let bytes: u64 = store
                .conn()
                .one(
                    Command::routed("MEMORY", &key)
                        .text("USAGE")
                        .text(&key)
                        .text("SAMPLES")
                        .number(0),
                )
                .await
                .unwrap();
            bytes as f64 / f64::from(total)
        };
        let log = usage(store.keys().hits(P, today())).await;
        let lease = own(&store).await;
        let cursor = fold(&store, &lease, EntryId::ZERO).await;
        let begin = Instant::now();
        let sealed = store.seal(&lease, today(), cursor).await.unwrap();
        assert_eq!(sealed.hits, u64::from(total));
        let took = begin.elapsed();
        let past = usage(store.keys().past(P, today())).await;
        println!("{size} hits an entry: log {log:.2} B a hit, sealed {past:.2} B ({took:?})");
        let page = store.read_day(P, today(), DayCursor::Start, limits::BLOCK_HITS).await.unwrap();
        assert!(!page.hits.is_empty());
        let begin = Instant::now();
        let visitor = page.hits[0].visitor;
        let read = store.read_visitor(visitor, today().minus(89)..today().plus(1)).await.unwrap();
        println!("  one visitor, {} hits: {:?}", read.len(), begin.elapsed());
    }
}
