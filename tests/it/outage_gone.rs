//! Redis loses all its data under a running system, with old cookies in the wild: nothing is
//! pretended, and nobody meets another's segments.

use std::thread;
use std::time::Duration;

use mayfly_store::contract::servers::RedisServer;
use serde_json::json;

use crate::http::{Answer, Browser};
use crate::ledger::{self, Load, metric};
use crate::program::{Program, Setup};

/// A browser that is a member of `fans`.
fn fan(program: &Program) -> Browser {
    let mut browser = Browser::new(&program.http);
    for n in 0..3 {
        assert_eq!(hit(&mut browser, &format!("/sport/{n}")).outcome(), "stored");
    }
    program.until("count the fan", |_| {
        (me(&mut browser).json()["segments"] == json!(["fans"])).then_some(())
    });
    browser
}

fn hit(browser: &mut Browser, page: &str) -> Answer {
    browser.hit("news", &format!("https://news.example{page}"))
}

fn me(browser: &mut Browser) -> Answer {
    browser.send("GET", "/api/v1/me", &[])
}

/// `/ready` is red, and says that the data is gone.
fn is_gone(program: &Program) {
    program.until("notice that the data is gone", |p| {
        let answer = p.http.get("/ready");
        (answer.status == 503 && answer.text().contains("is gone")).then_some(())
    });
}

#[test]
fn emptied_under_a_running_server() {
    let server = RedisServer::start(&[]).unwrap();
    let program = Setup::new().env("MAYFLY_STORE__URL", &server.url()).start();
    ledger::define(&program);
    let (mut old, mut other) = (fan(&program), fan(&program));
    Load::run(&program, "before", Duration::from_millis(300));
    server.cli(["FLUSHALL"]).unwrap();
    is_gone(&program);

    // Nothing is taken, nothing is served from memory, and it stays so.
    let mut stranger = Browser::new(&program.http);
    for _ in 0..3 {
        let answers = [hit(&mut old, "/sport/late"), hit(&mut stranger, "/sport/late")];
        assert!(answers.iter().all(|a| a.outcome() == "store_failed"), "{answers:?}");
        for browser in [&mut old, &mut other, &mut stranger] {
            let held = me(browser);
            assert!(!held.text().contains("fans"), "{}", held.text());
            let segments = browser.send("GET", "/api/v1/me/segments", &[]);
            assert!(!segments.text().contains("fans"), "{}", segments.text());
        }
        for path in ["/api/v1/segments/fans", "/api/v1/segments/fans/members"] {
            let answer = program.admin().get(path);
            assert!(answer.status >= 500 && answer.text().contains("gone"), "{}", answer.text());
        }
        thread::sleep(Duration::from_millis(700));
    }
    let keys = server.cli(["--scan"]).unwrap();
    assert!(keys.lines().all(|key| key.starts_with("mf:page:")), "nothing is made anew: {keys}");
    is_gone(&program);

    // A new store: the old cookies are nobody's, and get numbers of their own.
    let program = program.kill().start();
    ledger::define(&program);
    let fans: Vec<Browser> = (0..5).map(|_| fan(&program)).collect();
    for browser in [&mut old, &mut other] {
        let nobody = json!({"visitor": null, "segments": [], "partners": [], "hits": []});
        assert_eq!(me(browser).json(), nobody);
        assert_eq!(hit(browser, "/other/again").outcome(), "stored");
        let held = me(browser).json();
        assert_eq!(held["hits"].as_array().map(Vec::len), Some(1), "{held}");
        assert_eq!(held["segments"], json!([]), "{held}");
    }
    assert_eq!(ledger::count(&program, "visited(\"Sports\", within 30d) >= 1"), fans.len() as u64);
    assert_eq!(metric(&program, "mayfly_spill_bytes"), 0);
    program.stop();
}

#[test]
fn emptied_while_the_server_is_down_and_hits_are_in_the_spill() {
    let mut server = RedisServer::start(&[]).unwrap();
    let setup = Setup::new()
        .env("MAYFLY_STORE__URL", &server.url())
        .env("MAYFLY_STORE__DEADLINE_MS", "300");
    let program = setup.start();
    ledger::define(&program);
    let mut old = fan(&program);
    server.stop().unwrap();
    program.until("spill", |_| (hit(&mut old, "/sport/late").outcome() == "spilled").then_some(()));
    let setup = program.kill();
    server.run().unwrap();

    let program = setup.start();
    ledger::define(&program);
    let mut first = fan(&program);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(me(&mut first).json()["hits"].as_array().map(Vec::len), Some(3), "its own only");
    assert_eq!(ledger::count(&program, "visited(\"Sports\", within 30d) >= 1"), 1);
    assert!(program.log().contains("a spill of another store was left alone"), "it is said");
    program.stop();
}
