//! Why a visitor is in a segment, or is not: asked over HTTP and at the command line.

use mayfly_store::contract::servers::{RedisCluster, RedisServer};
use serde_json::{Value, json};

use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]

[[category]]
name = "Sports > Football"
rule = 'path startswith "/football/"'

[[category]]
name = "Betting"
rule = 'path startswith "/bets/"'

[[segment]]
name = "fans"
rule = 'visited("Sports", within 30d) >= 3 and not visited("Betting", within 7d)'

[[segment]]
name = "over"
rule = 'visited("Sports", within 30d)'
starts = 2020-01-01
ends = 2020-12-31

[[segment]]
name = "regulars"
rule = '"fans" or days("*", within 14d) >= 5'
"#;

const DAY_S: i64 = 86_400;

/// The UTC day, and a time in it.
fn days_ago(days: i64) -> (i64, i64) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let day = i64::try_from(now.as_secs()).unwrap() / DAY_S - days;
    (day, day * DAY_S + 1)
}

fn send(program: &Program, hits: &[(&str, i64)]) {
    let hit = |(n, (path, ago)): (usize, &(&str, i64))| {
        json!({
            "visitor": {"space": "crm", "id": "7"},
            "site": "news",
            "url": format!("https://news.example{path}{n}"),
            "time": days_ago(*ago).1 * 1000,
        })
    };
    let hits: Value = hits.iter().enumerate().map(hit).collect();
    let answer = program.admin().post("/api/v1/hits", &hits);
    assert_eq!(answer.json()["outcomes"]["stored"], json!(hits.as_array().unwrap().len()));
}

fn instant(day: i64) -> Value {
    json!(mayfly_core::Day(u16::try_from(day).unwrap()).to_string() + "T00:00:00Z")
}

fn tell(setup: Setup) {
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    let why = |segment| program.setup().json(&["segment", "why", segment, "--visitor", "crm:7"]);

    send(&program, &[("/football/", 20), ("/football/", 2), ("/bets/", 9)]);
    let fans = why("fans");
    assert_eq!((&fans["member"], &fans["holds"]), (&json!(false), &json!(false)), "{fans}");
    assert_eq!(fans["changes_at"], Value::Null);
    let football = "visited(\"Sports\", within 30d) >= 3";
    let nearest = json!({"condition": football, "missing": 1, "unit": "hits", "is_enough": true});
    assert_eq!(fans["nearest"], nearest);
    let sports = &fans["tree"]["parts"][0];
    assert_eq!((&sports["found"], &sports["hits_in_all"]), (&json!(2), &json!(2)));
    assert_eq!(sports["hits"][0]["url"], json!("https://news.example/football/1"));
    assert_eq!(fans["tree"]["parts"][1]["parts"][0]["found"], json!(0), "9 days ago is no bet");

    send(&program, &[("/football/", 0)]);
    let fans = why("fans");
    assert_eq!((&fans["member"], &fans["holds"]), (&json!(true), &json!(true)), "{fans}");
    assert_eq!(fans["changes_at"], instant(days_ago(20).0 + 30), "the oldest of three lapses");
    let text = program.setup().ok(&["segment", "why", "fans", "--visitor", "crm:7"]);
    for line in [
        " is in fans\n",
        "if no more hits come\n",
        "yes  all of\n",
        &format!("yes    {football}\n"),
        "3 hits from ",
        "no       visited(\"Betting\", within 7d)\n",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
    let regulars = why("regulars");
    assert_eq!(regulars["tree"]["parts"][0]["is"], json!("segment"));
    assert_eq!(regulars["tree"]["parts"][1]["found"], json!(3), "days with a hit: {regulars}");
    assert_eq!(regulars["changes_at"], fans["changes_at"]);

    let over = why("over");
    assert_eq!(
        (&over["member"], &over["holds"], &over["runs"]),
        (&json!(false), &json!(true), &json!(false))
    );
    let text = program.setup().ok(&["segment", "why", "over", "--visitor", "crm:7"]);
    assert!(text.contains("has members from 2020-01-01 to 2020-12-31, and none now"), "{text}");

    send(&program, &[("/bets/", 1)]);
    let fans = why("fans");
    assert_eq!(fans["changes_at"], instant(days_ago(1).0 + 7), "he comes back by himself");
    assert_eq!(fans["nearest"]["missing"], json!(-1));
    refused(&program);
    program.stop();
}

/// Who may not ask, and what cannot be answered.
fn refused(program: &Program) {
    let setup = program.setup();
    assert_eq!(program.log().matches("a visitor was read").count(), 7, "each reading is logged");
    let path = "/api/v1/segments/fans/why?visitor=crm%3A7";
    let secret = setup.ok(&["token", "create", "looker", "--role", "viewer"]);
    let viewer = program.http.clone().with("authorization", &format!("Bearer {}", secret.trim()));
    assert_eq!(viewer.get(path).status, 403);
    assert_eq!(program.http.get(path).status, 401);
    let none = setup.run(&["segment", "why", "fan", "--visitor", "crm:7"]);
    assert!(none.code == 1 && none.stderr.contains("there is no segment \"fan\""));
    setup.ok(&["visitor", "erase", "crm:7"]);
    assert_eq!(setup.run(&["segment", "why", "fans", "--visitor", "crm:7"]).code, 1);
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
