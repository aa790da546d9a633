//! What day cells cannot answer: windows of hours, filters on hits, sequences. While hits come,
//! after a change of definitions, after the program is killed, and asked without a segment.

use mayfly_store::contract::servers::{RedisCluster, RedisServer};
use serde_json::{Value, json};

use crate::program::{Program, Setup};

const CATEGORIES: &str = r#"
format = 1

[[site]]
key = "shop"
origins = ["https://shop.example"]
attributes = ["value"]

[[category]]
name = "Shop > Product"
rule = 'path startswith "/product/"'

[[category]]
name = "Shop > Cart"
rule = 'path startswith "/cart/"'
"#;

const SEGMENTS: [(&str, &str); 4] = [
    ("big baskets", r#"visited("Shop > Cart", within 7d, value >= 50)"#),
    ("last hours", r#"visited("Shop", within 3h) >= 2"#),
    ("deciders", r#"visited("Shop > Product", within 7d) then "Shop > Cart" within 2h"#),
    (
        "big deciders",
        r#"visited("Shop", within 48h) then visited("Shop > Cart", value >= 50) within 1d"#,
    ),
];

fn hit(visitor: &str, path: &str, minutes_ago: i64, value: Option<i64>) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let time = i64::try_from(now.as_secs()).unwrap() - minutes_ago * 60;
    json!({
        "visitor": {"space": "crm", "id": visitor},
        "site": "shop",
        "url": format!("https://shop.example{path}"),
        "time": time * 1000,
        "attributes": value.map_or(json!({}), |value| json!({"value": value})),
    })
}

fn send(program: &Program, hits: &[Value]) {
    let answer = program.admin().post("/api/v1/hits", &json!(hits));
    assert_eq!(answer.json()["outcomes"]["stored"], json!(hits.len()));
}

/// The sizes of the four segments, as they are and as their expressions by themselves.
fn sizes(program: &Program) -> [u64; 4] {
    SEGMENTS.map(|(name, rule)| {
        let held = |args: &[&str]| program.setup().json(args)["held"].as_u64().unwrap();
        let own = held(&["segment", "count", name]);
        assert_eq!(own, held(&["segment", "count", "--rule", rule]), "{name} by itself");
        own
    })
}

fn tell(setup: Setup) {
    let before = setup.write("before.toml", CATEGORIES).display().to_string();
    let segment = |(name, rule): &(&str, &str)| {
        format!("\n[[segment]]\nname = \"{name}\"\nrule = '{rule}'\n")
    };
    let segments: String = SEGMENTS.iter().map(segment).collect();
    let all = setup.write("mayfly.toml", &format!("{CATEGORIES}{segments}")).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &before]);
    send(
        &program,
        &[
            hit("a", "/product/1", 5 * 60, None),
            hit("a", "/cart/1", 4 * 60, Some(60)),
            hit("b", "/product/1", 30 * 60, None),
            hit("b", "/cart/2", 90, Some(10)),
            hit("c", "/product/1", 61, None),
            hit("c", "/product/2", 60, None),
        ],
    );
    let plan = program.setup().json(&["plan", &all]);
    let after: Vec<_> = plan["segments"].as_array().unwrap().iter().map(|s| &s["after"]).collect();
    assert_eq!(after, [1, 1, 1, 1], "{plan}");
    program.setup().ok(&["apply", &all]);
    assert_eq!(sizes(&program), [1, 1, 1, 1]);

    send(&program, &[hit("b", "/cart/3", 1, Some(90)), hit("c", "/cart/1", 0, Some(49))]);
    let now = [2, 2, 2, 2];
    assert_eq!(sizes(&program), now, "a and b, b and c, a and c, a and b");
    let why = program.setup().json(&["segment", "why", "deciders", "--visitor", "crm:c"]);
    let condition = &why["tree"];
    assert_eq!((&condition["found"], &condition["unit"]), (&json!(2), &json!("times")), "{why}");
    assert_eq!(condition["hits_in_all"], json!(3), "what began it and what followed");
    let why = program.setup().json(&["segment", "why", "last hours", "--visitor", "crm:c"]);
    let (from, to) = (&why["tree"]["from"], &why["tree"]["to"]);
    assert!(from.as_str().unwrap().ends_with(":00:00Z") && to != from, "hours by instants: {why}");
    let lapses = why["changes_at"].as_str().unwrap();
    assert!(lapses.ends_with(":00:00Z"), "{why}");
    let text = program.setup().ok(&["segment", "why", "big baskets", "--visitor", "crm:b"]);
    assert!(text.contains("/cart/3  value=90"), "{text}");

    let program = program.kill().start();
    assert_eq!(sizes(&program), now, "after a kill");
    send(&program, &[hit("d", "/product/1", 100, None), hit("d", "/cart/1", 0, Some(50))]);
    assert_eq!(sizes(&program), [3, 3, 3, 3]);
    program.setup().ok(&["visitor", "erase", "crm:d"]);
    assert_eq!(sizes(&program), now);
    let refused =
        program.setup().run(&["segment", "count", "--rule", r#"visited("Shop", within 73h)"#]);
    assert!(refused.stderr.contains("73 hours back"), "{}", refused.stderr);
    program.stop();
}

/// Days that are not in memory are kept decoded for the next question: a late hit must be in the
/// next answer all the same, while its day is in memory and when it is gone from there again.
fn late_hits_count(setup: Setup) {
    let file = setup.write("mayfly.toml", CATEGORIES).display().to_string();
    let program = setup.env("MAYFLY_WORKER__CHECKPOINT_S", "1").start();
    program.setup().ok(&["apply", &file]);
    let three_days = 3 * 24 * 60;
    let rule = r#"visited("Shop > Cart", within 30d) and not visited("Shop > Product", within 2d)"#;
    let held = || program.setup().json(&["segment", "count", "--rule", rule])["held"].clone();
    for round in 1..6 {
        let visitor = format!("late{round}");
        send(&program, &[hit(&visitor, "/cart/1", three_days, None)]);
        assert_eq!(held(), json!(round), "at once");
        // Longer than a checkpoint takes, after which the day leaves the memory.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        assert_eq!((held(), held()), (json!(round), json!(round)), "from the store, then kept");
    }
    program.setup().ok(&["visitor", "erase", "crm:late1"]);
    assert_eq!(held(), json!(4));
    program.stop();
}

#[test]
fn late_hits_count_embedded() {
    late_hits_count(Setup::new());
}

#[test]
fn late_hits_count_on_redis() {
    let server = RedisServer::start(&["--appendonly", "yes"]).unwrap();
    late_hits_count(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
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
