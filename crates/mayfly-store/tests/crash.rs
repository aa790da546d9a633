//! Killed at any moment of a load, the embedded store has every hit it acknowledged, once.
//!
//! The test starts itself anew as the process that is killed.

#![expect(clippy::unwrap_used, reason = "all of it is a test")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use mayfly_core::{Day, Hit};
use mayfly_store::contract::{batch, hit, whole_day};
use mayfly_store::{Appended, Store, StoreConfig, StoreUrl};

/// Where the process that is killed finds the store.
const FOLDER: &str = "MAYFLY_CRASH_FOLDER";
/// Times it is killed.
const ROUNDS: u32 = 8;
/// Hits of a batch.
const HITS: u32 = 50;
const LANE: u64 = 1;
const DAY: Day = Day(20_778);

async fn open(folder: &Path) -> Store {
    let config = StoreConfig::new(StoreUrl::File(folder.into()));
    Store::open(&config, DAY.at_second(1)).await.unwrap()
}

/// The hits of a batch: two days, ordinals that name the batch.
fn hits(number: u64) -> Vec<Hit> {
    let day = |i: u32| if i.is_multiple_of(2) { DAY } else { DAY.minus(1) };
    (0..HITS).map(|i| hit(day(i), number as u32, i)).collect()
}

/// Appends and says so, until it is killed.
#[tokio::test]
#[ignore = "is started by the test below, and killed"]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = open(Path::new(&folder)).await;
    let now = DAY.at_second(2);
    let probe = batch(LANE, u64::MAX, DAY, &[]);
    let Appended::Gap { last } = store.append(&[&probe], now).await.unwrap()[0] else {
        panic!("there are no so many batches")
    };
    for number in last + 1.. {
        let next = batch(LANE, number, DAY, &hits(number));
        assert_eq!(store.append(&[&next], now).await.unwrap(), [Appended::Stored]);
        println!("stored {number}");
    }
}

/// Lets the process run for this many answers, kills it, and tells the last it gave.
fn run_and_kill(folder: &Path, answers: u32) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answered = lines.filter_map(|line| {
        line.unwrap().rsplit_once("stored ").and_then(|(_, number)| number.parse::<u64>().ok())
    });
    let mut last = answered.by_ref().take(answers as usize).last().unwrap();
    child.kill().unwrap();
    // Answers that were on their way when it was killed.
    if let Some(later) = answered.last() {
        last = last.max(later);
    }
    child.wait().unwrap();
    last
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("store");
    for round in 0..ROUNDS {
        let acknowledged = run_and_kill(&folder, 1 + round * 37 % 90);
        let store = open(&folder).await;
        let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
        for day in [DAY, DAY.minus(1)] {
            for hit in whole_day(&store, day, 10_000).await {
                *seen.entry(u64::from(hit.visitor.ordinal)).or_default() += 1;
            }
        }
        assert!(seen.values().all(|&hits| hits == HITS as usize), "whole batches, once");
        let numbers: Vec<u64> = seen.keys().copied().collect();
        let last = *numbers.last().unwrap();
        assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
        assert!(last >= acknowledged, "{acknowledged} was acknowledged, {last} is stored");
        assert!(last <= acknowledged + 1, "one batch was on its way");
        store.close().await.unwrap();
    }
}
