//! The number of partitions is raised while everything runs: old cookies stay good, new visitors
//! go to the new partitions too, and everyone is counted.

use std::collections::BTreeSet;
use std::time::Duration;

use mayfly_store::contract::servers::RedisServer;
use serde_json::json;

use crate::http::Browser;
use crate::ledger::{self, Load};
use crate::program::{Program, Setup};

/// A browser with one hit in `Sports`, and whom it is taken for.
fn visit(program: &Program) -> (Browser, String) {
    let mut browser = Browser::new(&program.http);
    let answer = browser.hit("news", "https://news.example/sport/1");
    assert_eq!(answer.outcome(), "stored");
    let visitor = who(&mut browser);
    (browser, visitor)
}

fn who(browser: &mut Browser) -> String {
    let me = browser.send("GET", "/api/v1/me", &[]).json();
    me["visitor"].as_str().unwrap_or_else(|| panic!("nobody: {me}")).to_owned()
}

fn partitions(visitors: &[(Browser, String)]) -> BTreeSet<&str> {
    visitors.iter().map(|(_, visitor)| visitor.split('.').next().unwrap()).collect()
}

/// Everyone is who he was, and all are counted.
fn all_are_there(program: &Program, visitors: &mut [(Browser, String)], loaded: u64) {
    for (browser, visitor) in visitors.iter_mut() {
        assert_eq!(who(browser), *visitor);
    }
    let all = visitors.len() as u64 + loaded;
    assert_eq!(ledger::count(program, "visited(\"Sports\", within 30d) >= 1"), all);
}

fn is_raised(setup: Setup) -> (Program, Vec<(Browser, String)>, u64) {
    let program = setup.env("MAYFLY_STORE__PARTITIONS", "2").start();
    ledger::define(&program);
    let mut all: Vec<_> = (0..10).map(|_| visit(&program)).collect();
    assert_eq!(partitions(&all), BTreeSet::from(["0", "1"]));

    let load = Load::start(&program, "raise");
    program.setup().ok(&["raise-partitions", "8"]);
    assert_eq!(program.setup().run(&["raise-partitions", "4"]).code, 1, "never lowered");
    let spread = program.until("use the new partitions", |p| {
        all.push(visit(p));
        (partitions(&all).len() == 8).then_some(all.len())
    });
    assert!(spread < 200, "{spread} visitors until each partition had one");
    std::thread::sleep(Duration::from_millis(300));
    let load = load.stop();
    assert_eq!(load.send_again(&program), 0, "acknowledged and lost");

    let ids: BTreeSet<&String> = all.iter().map(|(_, visitor)| visitor).collect();
    assert_eq!(ids.len(), all.len(), "each has a number of its own");
    let loaded = load.visitors_of_sport();
    all_are_there(&program, &mut all, loaded);
    let program = program.kill().start();
    all_are_there(&program, &mut all, loaded);
    (program, all, loaded)
}

#[test]
fn raised_on_the_embedded_store() {
    is_raised(Setup::new()).0.stop();
}

#[test]
fn raised_on_redis_under_another_server() {
    let server = RedisServer::start(&[]).unwrap();
    let setup = || Setup::new().env("MAYFLY_STORE__URL", &server.url());
    // Made with two partitions, and there before the raise.
    let setup_of_other = setup().env("MAYFLY_STORE__PARTITIONS", "2");
    let other = setup_of_other.start();
    let (program, all, loaded) = is_raised(setup());
    let mut there: Vec<_> = all
        .iter()
        .map(|(browser, visitor)| {
            let mut same = Browser::new(&other.http);
            same.cookies = browser.cookies.clone();
            (same, visitor.clone())
        })
        .collect();
    other.until("follow the raise", |p| {
        let status = p.admin().get("/api/v1/status").json();
        (status["partitions"] == json!(8) && status["ready"] == json!(true)).then_some(())
    });
    all_are_there(&other, &mut there, loaded);
    let answer = other.admin().post("/api/v1/partitions", &json!({"partitions": 8}));
    assert_eq!(answer.json()["error"]["code"], "conflict", "{}", answer.text());
    program.stop();
    other.stop();
}
