//! How large a segment was, day by day: worked out from what is kept, rounded for the lesser roles.

use mayfly_store::contract::servers::RedisServer;
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
name = "fans"
rule = 'visited("Sports", within 3d) >= 2'

[[segment]]
name = "paused"
rule = 'visited("Sports", within 3d)'
paused = true

[[segment]]
name = "over"
rule = 'visited("Sports", within 3d)'
ends = 2020-01-01

[[segment]]
name = "by the hour"
rule = 'visited("Sports", within 12h)'
"#;

const DAY_MS: i64 = 86_400_000;

/// Hits of one visitor so many days ago.
fn hits(visitor: &str, days_ago: &[i64]) -> Vec<Value> {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let now = i64::try_from(now).unwrap();
    let hit = |(nth, ago): (usize, &i64)| {
        json!({"site": "news", "visitor": {"space": "crm", "id": visitor},
            "id": format!("{visitor}-{nth}"), "time": now - ago * DAY_MS,
            "url": "https://news.example/sport/1"})
    };
    days_ago.iter().enumerate().map(hit).collect()
}

fn sizes(program: &Program, of: &str, days: u16) -> Vec<Value> {
    let answer = program.admin().post("/api/v1/insights/sizes", &json!({"of": of, "days": days}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let rows = answer.json()["sizes"].as_array().cloned().unwrap();
    rows.iter().rev().map(|row| row["held"].clone()).collect()
}

/// The same question again and again, while hits come to days that are in memory and to others.
fn asked_again(program: &Program) {
    let held =
        |rule: &str| program.setup().json(&["segment", "count", "--rule", rule])["held"].clone();
    let (known, new) =
        ("visited(\"Sports\", within 3d) >= 2", "visited(\"Sports\", within 60d) >= 2");
    for (nth, ages) in
        [&[0, 0][..], &[40, 40], &[0, 41], &[41, 42], &[0, 2]].into_iter().enumerate()
    {
        let before = [known, new].map(held);
        assert_eq!(before, [known, new].map(held), "nothing came");
        let hits = hits(&format!("again-{nth}"), ages);
        assert_eq!(program.admin().post("/api/v1/hits", &json!(hits)).status, 200);
        let lately = u64::from(ages.iter().all(|age| *age < 3));
        let expected = [(&before[0], lately), (&before[1], 1)];
        let expected = expected.map(|(before, more)| json!(before.as_u64().unwrap() + more));
        assert_eq!([known, new].map(held), expected, "{ages:?}");
        // Long enough for the days to be written, and to leave the memory.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        assert_eq!([known, new].map(held), expected, "{ages:?}, later");
    }
}

fn tell(setup: Setup) {
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.env("MAYFLY_WORKER__CHECKPOINT_S", "1").start();
    program.setup().ok(&["apply", &file]);
    let all = [hits("a", &[6, 6, 5, 1]), hits("b", &[5, 4, 3, 0]), hits("c", &[80, 80])].concat();
    assert_eq!(program.admin().post("/api/v1/hits", &json!(all)).status, 200);
    // a has two within reach until four days ago, b from four to two days ago.
    let expected = json!([0, 0, 1, 1, 2, 1, 1, 0]);
    assert_eq!(json!(sizes(&program, "fans", 8)), expected);
    assert_eq!(json!(sizes(&program, "visited(\"Sports\", within 3d) >= 2", 8)), expected);
    let long = sizes(&program, "fans", 100);
    assert_eq!(
        (&long[80], &long[77], &long[87], &long[88]),
        (&json!(1), &json!(0), &json!(0), &Value::Null)
    );
    assert_eq!(json!(sizes(&program, "over", 3)), json!([0, 0, 0]));
    // What members hang on besides their hits is not worked out.
    for of in ["paused", "by the hour"] {
        let rows = sizes(&program, of, 3);
        assert!(rows[0].is_number() && rows[1].is_null(), "{of}: {rows:?}");
    }
    let shown = program.setup().ok(&["segment", "sizes", "fans", "--days", "7"]);
    assert!(shown.contains('█'), "{shown}");
    let wrong =
        program.admin().post("/api/v1/insights/sizes", &json!({"of": "visited(", "days": 3}));
    assert_eq!(wrong.json()["error"]["code"], json!("bad_definitions"));
    let wrong = program.admin().post("/api/v1/insights/sizes", &json!({"of": "fans", "days": 500}));
    assert_eq!(wrong.status, 400);
    asked_again(&program);
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
