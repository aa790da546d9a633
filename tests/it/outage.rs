//! Redis is away, hangs, or its replies are lost, in the middle of a load: nothing acknowledged is
//! lost, nothing is counted twice, the spill is drained, and the outcomes sum to the hits received.

use std::thread;
use std::time::Duration;

use mayfly_store::contract::servers::RedisServer;

use crate::http::Browser;
use crate::ledger::{self, Ledger, Load, metric};
use crate::outage_proxy::Proxy;
use crate::program::{Program, Setup};

/// How long Redis is away.
const AWAY: Duration = Duration::from_secs(4);
/// The load before and after.
const AROUND: Duration = Duration::from_millis(1500);

/// A server with a short deadline on this store, ready for a load.
fn start(url: &str) -> Program {
    let setup = Setup::new()
        .env("MAYFLY_STORE__URL", url)
        .env("MAYFLY_STORE__DEADLINE_MS", "300")
        .env("MAYFLY_WORKER__CHECKPOINT_S", "1");
    let program = setup.start();
    ledger::define(&program);
    program
}

/// Waits until nothing is in the spill, and checks that every hit received has one outcome.
fn is_drained_and_sums(program: &Program, loads: &Ledger) {
    program.wait_until_ready();
    program.until("drain the spill", |p| (metric(p, "mayfly_spill_bytes") == 0).then_some(()));
    assert_eq!(metric(program, "mayfly_hits_total"), loads.answered(), "{:?}", loads.outcomes);
}

/// A load around an outage: `goes` and `comes` end and begin Redis.
fn outage(
    program: &Program,
    server: &mut RedisServer,
    goes: impl Fn(&mut RedisServer),
    comes: impl Fn(&mut RedisServer),
) {
    let load = Load::start(program, "around");
    thread::sleep(AROUND);
    goes(server);
    thread::sleep(AWAY);
    assert_eq!(program.http.get("/ready").status, 503, "the store is away");
    comes(server);
    thread::sleep(AROUND);
    let load = load.stop();
    let (stored, spilled) = (load.count("stored"), load.count("spilled"));
    assert!(stored > 0 && spilled > 0, "{:?}", load.outcomes);
    assert_eq!(load.acknowledged.len() as u64, stored + spilled);
    assert_eq!(load.unsure.len(), 0, "nothing was refused: {:?}", load.outcomes);
    is_drained_and_sums(program, &load);
    load.check(program);
}

#[test]
fn redis_is_stopped_and_started() {
    let mut server = RedisServer::start(&["--appendonly", "yes"]).unwrap();
    let program = start(&server.url());
    outage(&program, &mut server, |s| s.stop().unwrap(), |s| s.run().unwrap());
    program.stop();
}

#[test]
fn redis_hangs_and_goes_on() {
    let mut server = RedisServer::start(&[]).unwrap();
    let program = start(&server.url());
    outage(&program, &mut server, |s| s.pause().unwrap(), |s| s.resume().unwrap());
    program.stop();
}

#[test]
fn what_is_spilled_outlives_a_crash_of_the_server() {
    let mut server = RedisServer::start(&["--appendonly", "yes"]).unwrap();
    let program = start(&server.url());
    let mut all = Load::run(&program, "before", AROUND);
    server.stop().unwrap();
    all.join(Load::run(&program, "away", AROUND));
    assert!(all.count("spilled") > 0, "{:?}", all.outcomes);
    let setup = program.kill();
    server.run().unwrap();
    let program = setup.start();
    program.until("drain the spill", |p| (metric(p, "mayfly_spill_bytes") == 0).then_some(()));
    all.check(&program);
}

#[test]
fn replies_are_lost_after_execution() {
    let server = RedisServer::start(&[]).unwrap();
    let proxy = Proxy::before(server.port());
    let program = start(&proxy.url());
    let mut browser = Browser::new(&program.http);
    let load = Load::start(&program, "cut");
    let mut views = 0;
    for _ in 0..12 {
        thread::sleep(Duration::from_millis(400));
        proxy.cut();
        let answer = browser.hit("news", &format!("https://news.example/other/view-{views}"));
        assert!(["stored", "spilled"].contains(&answer.outcome()), "{answer:?}");
        views += 1;
    }
    thread::sleep(AROUND);
    let load = load.stop();
    program.wait_until_ready();
    program.until("drain the spill", |p| (metric(p, "mayfly_spill_bytes") == 0).then_some(()));
    assert_eq!(metric(&program, "mayfly_hits_total"), load.answered() + views);
    assert!(metric(&program, "mayfly_store_errors_total") > 0, "cuts were noticed");
    let cookie = browser.cookies.values().next().expect("the visitor's cookie");
    assert_eq!(ledger::held(&program, cookie).len() as u64, views, "page views, each once");
    load.check(&program);
    program.stop();
}
