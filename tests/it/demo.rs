//! The demo that `make run` shows: its pages, its definitions, its live view.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::http::Browser;
use crate::program::{Program, Setup};

fn start() -> Program {
    let program = Setup::new().spawn(&["--demo"]);
    program.wait_until_ready();
    program
}

#[test]
fn every_link_of_the_demo_leads_to_a_page() {
    let program = start();
    let (mut seen, mut open) = (BTreeSet::new(), vec!["/demo/".to_owned()]);
    while let Some(path) = open.pop() {
        let answer = program.http.get(&path);
        assert_eq!(answer.status, 200, "{path}");
        let text = answer.text();
        let targets = ["href=\"", "src=\""].map(|mark| text.split(mark).skip(1));
        for target in targets.into_iter().flatten().filter_map(|rest| rest.split('"').next()) {
            if target.starts_with("/demo/") && seen.insert(target.to_owned()) {
                open.push(target.to_owned());
            }
        }
    }
    assert!(seen.len() >= 8, "{seen:?}");
}

#[test]
fn a_few_clicks_lead_into_a_segment_and_forgetting_out_of_it() {
    let program = start();
    let mut browser = Browser::new(&program.http);
    let page = format!("{}/demo/football.html", program.http.base());
    assert_eq!(browser.hit("demo", &page).outcome(), "stored");
    assert_eq!(browser.hit("demo", &page).outcome(), "duplicate", "within a second");
    assert_eq!(browser.hit("demo", &format!("{page}?page=2")).outcome(), "stored");
    let held = |program: &Program| {
        let state = program.http.get("/demo/state").json();
        let segments = state["segments"].as_array().cloned().unwrap_or_default();
        let found = segments.iter().find(|s| s["name"] == "football-only").cloned();
        found.map_or(Value::Null, |s| s["held"].clone())
    };
    assert_eq!(held(&program), json!(1));
    // The partner that the server plays hears of it.
    let knows = |program: &Program| {
        let state = program.http.get("/demo/state").json();
        let rows = state["partner"]["segments"].as_array().cloned().unwrap_or_default();
        let own = rows.iter().find(|own| own["segment"] == "football-only").cloned();
        own.map_or(Value::Null, |own| own["users"].clone())
    };
    program.until("tell the partner", |program| (knows(program) == json!(1)).then_some(()));
    let me = browser.get("/api/v1/me").json();
    assert_eq!(me["segments"], json!(["football-only"]));
    assert_eq!(me["hits"].as_array().map(Vec::len), Some(2));
    assert_eq!(me["hits"][0]["url"], json!(page));

    assert_eq!(browser.send("DELETE", "/api/v1/me", &[]).status, 200);
    assert_eq!(held(&program), json!(0), "at once");
    program.until("tell the partner", |program| (knows(program) == json!(0)).then_some(()));
    let me = browser.get("/api/v1/me").json();
    assert_eq!((&me["visitor"], me["hits"].as_array().map(Vec::len)), (&Value::Null, Some(0)));
}

#[test]
fn the_fixtures_of_the_demo_pass() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/mayfly/src/http/demo/demo.toml");
    let passed = Setup::new().json(&["test", file]);
    assert_eq!((&passed["passed"], &passed["failed"]), (&json!(3), &json!([])));
}
