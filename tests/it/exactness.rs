//! On a real clickstream, every member list equals plain counting: while hits come, after each was
//! sent twice, after a stop, a crash, and a rebuild; on all three stores.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use mayfly_core::Day;
use mayfly_store::contract::servers::{RedisCluster, RedisServer};
use serde_json::{Value, json};

use crate::exactness_oulad::{Clicks, View};
use crate::exactness_segments::{FORUM, SEGMENTS, definitions};
use crate::program::{Program, Setup};

/// Hits in one body.
const BODY: usize = 8000;
/// Questions asked at once.
const ASKING: usize = 2;

/// Who is in a segment, by the visitors' own ids.
type Members = BTreeSet<String>;

/// Visitors (`partition.ordinal`) and their own ids.
type Names = BTreeMap<String, String>;

fn apply(program: &Program, text: &str) {
    let file = program.setup().write("mayfly.toml", text).display().to_string();
    program.setup().ok(&["apply", &file]);
}

fn send(program: &Program, hits: &[Value], outcome: &str) {
    for body in hits.chunks(BODY) {
        let answer = program.admin().post("/api/v1/hits", &json!(body)).json();
        assert_eq!(answer["outcomes"], json!({outcome: body.len()}));
    }
}

/// Asks for every visitor by its own id; its hits and segments must be those of the rows.
fn names(program: &Program, clicks: &Clicks) -> Names {
    let all: Vec<_> = clicks.visitors.iter().collect();
    let admin = program.admin();
    let part = |part: &[(&String, &crate::exactness_oulad::History)]| -> Vec<(String, String)> {
        let ask = |(id, history): &(&String, &_)| {
            let path = format!("/api/v1/visitors/oulad:{}", crate::http::encoded(id));
            let shown = admin.get(&path).json();
            let hits = shown["hits"].as_array().unwrap_or_else(|| panic!("{id}: {shown}"));
            let view = View { history, today: clicks.today };
            assert_eq!(hits.len(), view.hits(), "hits of {id}");
            (shown["visitor"].as_str().unwrap().to_owned(), (*id).clone())
        };
        part.iter().map(ask).collect()
    };
    let size = all.len().div_ceil(ASKING);
    let pairs: Vec<_> = thread::scope(|scope| {
        let parts: Vec<_> = all.chunks(size).map(|p| scope.spawn(|| part(p))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    let names: Names = pairs.into_iter().collect();
    assert_eq!(names.len(), all.len(), "each has an ordinal of its own");
    names
}

fn members(setup: &Setup, names: &Names, segment: &str) -> (Members, String) {
    let answer = setup.json(&["segment", "members", segment]);
    let listed = answer["members"].as_array().unwrap().iter();
    let named = listed.map(|visitor| names[visitor.as_str().unwrap()].clone()).collect();
    (named, answer["as_of"].as_str().unwrap().to_owned())
}

/// Every list equals the counted one.
fn check(setup: &Setup, clicks: &Clicks, names: &Names, when: &str) {
    for (name, rule, holds) in SEGMENTS {
        let (found, as_of) = members(setup, names, name);
        // Seen from the day of the answer: a midnight may have passed since the hits were made.
        let days = [clicks.today, clicks.today.plus(1)];
        let today: Day = *days.iter().find(|d| as_of.starts_with(&d.to_string())).unwrap();
        let counted: Members = clicks
            .visitors
            .iter()
            .filter(|(_, history)| holds(&View { history, today }))
            .map(|(id, _)| id.clone())
            .collect();
        let more: Vec<_> = found.difference(&counted).take(5).collect();
        let less: Vec<_> = counted.difference(&found).take(5).collect();
        assert!(
            found == counted,
            "{when}, {name} ({rule}): {} listed, {} counted; too many {more:?}, missing {less:?}",
            found.len(),
            counted.len(),
        );
        let few = counted.is_empty() || counted.len() == clicks.visitors.len();
        assert!(!few, "{name} tells nobody apart: {} members", counted.len());
    }
}

/// How large each segment was on earlier days equals what is counted as seen from then.
fn sizes(program: &Program, clicks: &Clicks) {
    let mut compared = 0;
    for (name, rule, holds) in SEGMENTS {
        for of in [name, rule] {
            let answer =
                program.admin().post("/api/v1/insights/sizes", &json!({"of": of, "days": 80}));
            let rows = answer.json()["sizes"].as_array().cloned().unwrap();
            assert_eq!(rows.len(), 80);
            for row in
                rows.iter().rev().skip(1).step_by(9).filter(|row| row["known"] == json!(true))
            {
                let ago = |ago: &u16| row["day"] == json!(clicks.today.minus(*ago).to_string());
                let ago = (0..90).find(ago).unwrap();
                let view = |history| View { history, today: clicks.today.minus(ago) };
                let counted = clicks.visitors.values().filter(|own| holds(&view(own))).count();
                assert_eq!(row["held"], json!(counted), "{name}, {ago} days ago: {rule}");
                compared += 1;
            }
        }
    }
    assert!(compared > 60, "{compared} sizes were known");
}

/// The whole story on one store.
fn tell(setup: Setup) {
    let Some(clicks) = Clicks::read() else { return };
    // A slow machine stores late; that is no reason to spill here.
    let setup = setup.env("MAYFLY_STORE__DEADLINE_MS", "30000");
    let (half, some) = (clicks.hits.len() / 2, SEGMENTS.len() / 2);
    let program = setup.start();
    // The first half is folded before most segments exist, the second while they do.
    apply(&program, &definitions(clicks, some, FORUM));
    send(&program, &clicks.hits[..half], "stored");
    apply(&program, &definitions(clicks, SEGMENTS.len(), FORUM));
    send(&program, &clicks.hits[half..], "stored");
    send(&program, &clicks.hits[..BODY], "duplicate");
    send(&program, &clicks.hits[half..half + BODY], "duplicate");
    send(&program, &clicks.old, "too_old");

    let names = names(&program, clicks);
    check(program.setup(), clicks, &names, "while running");
    sizes(&program, clicks);
    let setup = program.stop();
    let program = setup.start();
    check(program.setup(), clicks, &names, "after a stop");
    let program = program.kill().start();
    check(program.setup(), clicks, &names, "after a crash");

    // A rule that holds for nothing, and back: what comes is built from the hits alone.
    apply(&program, &definitions(clicks, SEGMENTS.len(), r#"path == "/nothing""#));
    assert_eq!(members(program.setup(), &names, "forum-often").0, Members::new());
    apply(&program, &definitions(clicks, SEGMENTS.len(), FORUM));
    check(program.setup(), clicks, &names, "after a rebuild");
    program.stop();
}

#[test]
fn embedded() {
    tell(Setup::new());
}

#[test]
fn redis() {
    let server = RedisServer::start(&["--appendonly", "yes"]).unwrap();
    tell(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}

#[test]
fn redis_cluster() {
    let cluster = RedisCluster::start(&["--appendonly", "yes"]).unwrap();
    tell(Setup::new().env("MAYFLY_STORE__URL", &cluster.url()));
}
