//! What is kept and for how long: the day 89 back is there, the day 90 back is not; on Redis every
//! key that holds behaviour ends by itself; the audit finds what does not.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, UNIX_EPOCH};

use mayfly_core::{Day, Timestamp};
use mayfly_store::contract::servers::{RedisCluster, RedisServer};
use serde_json::{Value, json};

use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]

[[category]]
name = "Sports"
rule = 'path startswith "/sport/"'

[[segment]]
name = "all-four"
rule = 'visited("Sports", within 90d) >= 4'

[[segment]]
name = "oldest"
rule = 'visited("Sports", between 89d and 89d ago)'
"#;

fn now() -> Timestamp {
    Timestamp::from_secs(i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap())
}

/// The current day, with at least half a minute left: a test that counts days must not see two.
fn today() -> Day {
    while now().second_of_day() > 86_400 - 30 {
        sleep(Duration::from_secs(1));
    }
    now().day().unwrap()
}

/// A server with the definitions; its store may take its time.
fn start(setup: Setup) -> Program {
    let setup = setup.env("MAYFLY_STORE__DEADLINE_MS", "20000");
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    program
}

/// A hit at the last second of a day so many days back; today's is now.
fn hit(visitor: &str, today: Day, age: u16) -> Value {
    let time = if age == 0 { now() } else { today.minus(age).at_second(86_399) };
    json!({
        "id": format!("{visitor}-{age}"), "visitor": {"space": "crm", "id": visitor},
        "site": "news", "time": time.millis(), "url": format!("https://news.example/sport/{age}"),
    })
}

/// Sends hits around the edge and looks for them in every place that shows hits.
fn check_edge(program: &Program) {
    let today = today();
    let hits: Value = [0, 1, 88, 89, 90, 91, 300].map(|age| hit("1", today, age)).into();
    let answer = program.admin().post("/api/v1/hits", &hits).json();
    assert_eq!(answer["outcomes"], json!({"stored": 4, "too_old": 3}));
    let refused = answer["refused"].as_array().unwrap().iter();
    assert_eq!(refused.map(|r| r["index"].clone()).collect::<Vec<_>>(), [4, 5, 6]);

    let setup = program.setup();
    let shown = setup.json(&["visitor", "show", "crm:1"]);
    let days: Vec<String> = [89, 88, 1, 0].map(|age| today.minus(age).to_string()).into();
    let seen = shown["hits"].as_array().unwrap().iter();
    let seen: Vec<String> = seen.map(|h| h["time"].as_str().unwrap()[..10].to_owned()).collect();
    assert_eq!(seen, days);
    for segment in ["all-four", "oldest"] {
        assert_eq!(setup.json(&["segment", "count", segment])["held"], json!(1), "{segment}");
    }
    let folder = setup.data().join("out").display().to_string();
    let manifest = setup.json(&["export", "run", "oldest", "--to", &folder, "--format", "jsonl"]);
    assert_eq!(manifest["files"][0]["members"], json!(1));
    let audit = setup.json(&["retention", "audit", "--exports", &folder]);
    assert_eq!(audit["findings"], json!([]));
    assert_eq!(audit["oldest"], json!(days[0]));
}

#[test]
fn the_day_89_back_is_kept_and_the_day_90_back_refused() {
    let program = start(Setup::new());
    check_edge(&program);
    // All the same from what is stored.
    let program = program.stop().start();
    assert_eq!(program.setup().json(&["segment", "count", "oldest"])["held"], json!(1));
    program.setup().ok(&["retention", "audit"]);
}

/// The names and expiries of all keys of a server.
fn keys(server: &RedisServer) -> Vec<(String, i64)> {
    let names = server.cli(["--scan"]).unwrap();
    let expiry = |name: &str| server.cli(["EXPIRETIME", name]).unwrap().parse().unwrap();
    names.lines().filter(|name| !name.is_empty()).map(|n| (n.to_owned(), expiry(n))).collect()
}

/// Every key that holds behaviour ends when it must; answers the kinds that were seen.
fn check_expiries(keys: &[(String, i64)], today: Day) -> BTreeSet<&str> {
    let end = |day: Day| day.plus(90).start().secs();
    let mut kinds = BTreeSet::new();
    for (name, expiry) in keys {
        let parts: Vec<&str> = name.split(':').collect();
        assert_eq!(parts[0], "mf", "{name}");
        let kind = if parts[1].starts_with('{') { parts[2] } else { parts[1] };
        kinds.insert(kind);
        let lives_until = |latest: i64| {
            assert!((now().secs()..=latest).contains(expiry), "{name}: until {expiry}");
        };
        match kind {
            "hits" | "past" | "cells" => {
                let day = Day(parts[3].parse().unwrap());
                assert_eq!(*expiry, end(day), "{name}: start of its day + 90 days, to the second");
            }
            "page" | "consent" | "ids" | "names" => lives_until(end(today)),
            "lane" => lives_until(end(today.plus(2))),
            "hitids" | "segments" => lives_until(today.plus(2).start().secs()),
            "lease" => lives_until(now().secs() + 600),
            "past-aside" => lives_until(now().secs() + 3600),
            "erased" | "next" | "dirty" | "identity" | "clock" | "entry" => assert_eq!(*expiry, -1),
            other => panic!("{other}: a kind of key that no page describes"),
        }
    }
    kinds
}

const BEHAVIOUR: [&str; 6] = ["hits", "cells", "page", "ids", "hitids", "segments"];

#[test]
fn on_redis_every_key_of_behaviour_ends_by_itself() {
    let server = RedisServer::start(&[]).unwrap();
    let program = start(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
    check_edge(&program);
    let today = today();
    // Cells and memberships are written when it stops; then nobody of ours is alive.
    let setup = program.stop();
    let keys = keys(&server);
    let kinds = check_expiries(&keys, today);
    assert!(BEHAVIOUR.iter().all(|kind| kinds.contains(kind) || *kind == "hits"), "{kinds:?}");
    assert!(kinds.contains("hits") || kinds.contains("past"), "{kinds:?}");

    let audit = |setup: &Setup| {
        let done = setup.run(&["retention", "audit", "--json"]);
        let answer: Value = serde_json::from_str(&done.stdout).unwrap();
        (done.code, answer["findings"].clone())
    };
    assert_eq!(audit(&setup), (0, json!([])));
    // Broken on purpose, one after the other.
    let (key, end) = keys.iter().find(|(name, _)| name.contains(":cells:")).unwrap();
    server.cli(["PERSIST", key]).unwrap();
    assert_eq!(audit(&setup), (1, json!([format!("{key}: never expires")])));
    server.cli(["EXPIREAT", key, &(end + 86_400).to_string()]).unwrap();
    assert_eq!(audit(&setup), (1, json!([format!("{key}: lives longer than allowed")])));
    server.cli(["EXPIREAT", key, &end.to_string()]).unwrap();
    let (page, end) = keys.iter().find(|(name, _)| name.starts_with("mf:page:")).unwrap();
    server.cli(["PERSIST", page]).unwrap();
    assert_eq!(audit(&setup), (1, json!([format!("{page}: never expires")])));
    server.cli(["EXPIREAT", page, &end.to_string()]).unwrap();
    server.cli(["SET", "mf:stranger", "1"]).unwrap();
    assert_eq!(audit(&setup), (1, json!(["mf:stranger: not one of ours"])));
    server.cli(["DEL", "mf:stranger"]).unwrap();
    assert_eq!(audit(&setup), (0, json!([])));
}

#[test]
fn on_a_cluster_the_same_after_a_crash() {
    let cluster = RedisCluster::start(&[]).unwrap();
    let program = start(Setup::new().env("MAYFLY_STORE__URL", &cluster.url()));
    check_edge(&program);
    let today = today();
    let setup = program.kill();
    let primaries = cluster.primaries().unwrap();
    let keys: Vec<_> = primaries.iter().flat_map(|&at| keys(&cluster.nodes()[at])).collect();
    let kinds = check_expiries(&keys, today);
    assert!(kinds.contains("hits") && kinds.contains("ids"), "{kinds:?}");
    setup.ok(&["retention", "audit"]);
}
