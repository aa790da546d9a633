//! `kill -9` of the server, and stopping it, in the middle of a load: nothing acknowledged is lost,
//! nothing is counted twice, and what is counted equals a rebuild.
//!
//! Rounds a store: `MAYFLY_CRASH_ROUNDS`, else 6.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mayfly_store::contract::servers::RedisServer;

use crate::http::{Browser, Http};
use crate::ledger::{self, Ledger, Load, scattered};
use crate::program::{Program, Setup};

/// Rounds when the environment says nothing.
const ROUNDS: u64 = 6;
/// Answers that promise the hit will be held (of these `queued` only when the server is stopped).
const TAKEN: [&str; 3] = ["stored", "spilled", "queued"];
/// The longest round.
const ROUND_MS: u64 = 1500;

fn rounds() -> u64 {
    std::env::var("MAYFLY_CRASH_ROUNDS").map_or(ROUNDS, |n| n.parse().expect("a number of rounds"))
}

/// Frequent checkpoints, so that crashes meet them.
fn busy(setup: Setup) -> Setup {
    setup.env("MAYFLY_WORKER__CHECKPOINT_S", "1")
}

/// What one browser did: one page view after the other, no ids.
struct Viewer {
    browser: Browser,
    acknowledged: BTreeSet<String>,
    sent: BTreeSet<String>,
}

impl Viewer {
    fn new(http: &Http) -> Self {
        let mut browser = Browser::new(http);
        let page = "/other/first".to_owned();
        let answer = browser.hit("news", &format!("https://news.example{page}"));
        assert!(TAKEN.contains(&answer.outcome()), "{answer:?}");
        let pages = BTreeSet::from([page]);
        Self { browser, acknowledged: pages.clone(), sent: pages }
    }

    /// Looks at pages until told to stop, or until the server is gone.
    fn view_until(mut self, stop: &AtomicBool, round: u64) -> Self {
        for n in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let page = format!("/other/seen-{round}-{n}");
            self.sent.insert(page.clone());
            let answer = self.browser.hit("news", &format!("https://news.example{page}"));
            if answer.status == 0 {
                break;
            }
            if TAKEN.contains(&answer.outcome()) {
                self.acknowledged.insert(page);
            }
        }
        self
    }

    /// What is held are pages that were sent, each once, and all that were acknowledged.
    fn check(&self, program: &Program) {
        let cookie = self.browser.cookies.values().next().expect("the visitor's cookie");
        let held = ledger::held(program, cookie);
        let pages: BTreeSet<String> = held.iter().cloned().collect();
        assert_eq!(pages.len(), held.len(), "a page view was counted twice");
        let lost: Vec<_> = self.acknowledged.difference(&pages).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        assert!(pages.is_subset(&self.sent));
    }
}

/// Kills the server again and again, and then looks.
fn is_killed(setup: Setup) {
    let mut program = busy(setup).start();
    ledger::define(&program);
    let mut viewer = Viewer::new(&program.http);
    let (mut all, mut last) = (Ledger::default(), Ledger::default());
    for round in 0..rounds() {
        let stop = Arc::new(AtomicBool::new(false));
        let load = Load::start(&program, &format!("r{round}"));
        let viewing = thread::spawn({
            let stop = Arc::clone(&stop);
            move || viewer.view_until(&stop, round)
        });
        // While new hits come, those of the round before are sent again.
        assert_eq!(last.send_again(&program), 0, "acknowledged and lost in round {round}");
        thread::sleep(Duration::from_millis(scattered(round) % ROUND_MS));
        let setup = program.kill();
        stop.store(true, Ordering::Relaxed);
        all.join(std::mem::replace(&mut last, load.stop()));
        viewer = viewing.join().unwrap();
        program = setup.start();
    }
    all.join(last);
    eprintln!("{} acknowledged, {} unsure", all.acknowledged.len(), all.unsure.len());
    all.check(&program);
    viewer.check(&program);
    let (setup, begun) = (program.stop(), Instant::now());
    let program = setup.start();
    eprintln!("stopped and started again in {:?}", begun.elapsed());
    all.check(&program);
}

#[test]
fn killed_on_the_embedded_store() {
    is_killed(Setup::new());
}

#[test]
fn killed_on_redis() {
    let server = RedisServer::start(&["--appendonly", "yes"]).unwrap();
    is_killed(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}

/// Stops the server (SIGTERM) in the middle of a load: what was answered is there.
fn is_stopped(setup: Setup) {
    let mut program = busy(setup).start();
    ledger::define(&program);
    let mut all = Ledger::default();
    let mut viewer = Viewer::new(&program.http);
    for round in 0..3 {
        let stop = Arc::new(AtomicBool::new(false));
        let load = Load::start(&program, &format!("s{round}"));
        let viewing = thread::spawn({
            let stop = Arc::clone(&stop);
            move || viewer.view_until(&stop, round)
        });
        thread::sleep(Duration::from_millis(300 + scattered(round) % 300));
        let setup = program.stop();
        stop.store(true, Ordering::Relaxed);
        all.join(load.stop());
        viewer = viewing.join().unwrap();
        program = setup.start();
    }
    all.check(&program);
    viewer.check(&program);
}

#[test]
fn stopped_on_the_embedded_store() {
    is_stopped(Setup::new());
}

#[test]
fn stopped_on_redis() {
    let server = RedisServer::start(&[]).unwrap();
    is_stopped(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}

#[test]
fn stopped_while_answers_do_not_wait_for_the_store() {
    is_stopped(Setup::new().env("MAYFLY_COLLECTOR__ACK", "queued"));
}
