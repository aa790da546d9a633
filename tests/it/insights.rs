//! Overlaps, composition, samples: against counting by hand.

use std::collections::BTreeSet;

use mayfly_store::contract::servers::RedisServer;
use serde_json::{Value, json};

use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]

[[category]]
name = "Even"
rule = 'query.id in (0, 2, 4, 6, 8)'

[[category]]
name = "Small"
rule = 'query.id < 3'

[[category]]
name = "Device"
form = "device"

[[segment]]
name = "even"
rule = 'visited("Even", within 7d)'

[[segment]]
name = "small ones"
rule = 'visited("Small", within 7d)'
"#;

/// Visitor n reads page n mod 10: 60 even ones of 120, 36 small ones, 24 both. Each fourth has a
/// phone.
const VISITORS: u32 = 120;

fn tell(setup: Setup) {
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    let setup = program.setup();
    setup.ok(&["apply", &file]);
    let hits: Value = (0..VISITORS)
        .map(|n| {
            let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari/604.1";
            let desktop = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0";
            json!({
                "user_agent": if n % 4 == 0 { phone } else { desktop },
                "visitor": {"space": "crm", "id": n.to_string()},
                "site": "news",
                "url": format!("https://news.example/?id={}", n % 10),
            })
        })
        .collect();
    let answer = program.admin().post("/api/v1/hits", &hits);
    assert_eq!(answer.json()["outcomes"], json!({"stored": VISITORS}));

    let small = r#"visited("Small", within 7d)"#;
    let with = |names: &[&str]| -> Vec<Value> {
        let overlap = setup.json(&[&["segment", "overlap"], names].concat());
        let rows = overlap["segments"].as_array().unwrap().clone();
        rows.iter().map(|row| row["with"].clone()).collect()
    };
    let expected = [json!([60, 24, 24]), json!([24, 36, 36]), json!([24, 36, 36])];
    assert_eq!(with(&["even", "small ones", small]), expected);
    let table = setup.ok(&["segment", "overlap", "even", "small ones"]);
    let small_row = table.lines().find(|line| line.starts_with("small ones")).unwrap();
    let words: Vec<_> = small_row.split_whitespace().collect();
    assert_eq!(words, ["small", "ones", "36", "24", "36"], "{table}");

    let of_even = setup.json(&["segment", "composition", "even", "--days", "7"]);
    assert_eq!((&of_even["members"], &of_even["everybody"]), (&json!(60), &json!(120)));
    let rows = of_even["categories"].as_array().unwrap();
    let row = |name| rows.iter().find(|row| row["category"] == json!(name)).unwrap();
    assert_eq!((&row("Even")["share"], &row("Even")["index"]), (&json!(1.0), &json!(200.0)));
    assert_eq!((&row("Small")["members"], &row("Small")["share"]), (&json!(24), &json!(0.4)));
    assert_eq!(row("Small")["index"], json!(133.0), "0.4 against 36 of 120");
    let phone = row("Device > phone");
    assert_eq!((&phone["members"], &phone["index"]), (&json!(30), &json!(200.0)));
    broken_down(setup, phone);

    let sample = |number| setup.json(&["segment", "sample", "small ones", "--number", number]);
    let names = |of: &Value| -> BTreeSet<String> {
        of.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let members = names(&setup.json(&["segment", "members", "small ones"])["members"]);
    let five = names(&sample("5")["sample"]);
    assert!(five.len() == 5 && five.is_subset(&members), "{five:?}");
    assert_eq!(names(&sample("5")["sample"]), five, "the same until the membership changes");
    assert_eq!(names(&sample("1000")["sample"]), members);

    let half = |rule: &str| {
        let rule = format!(r#"visited("Even", within 7d) and {rule}"#);
        setup.json(&["segment", "count", "--rule", &rule])["held"].as_u64().unwrap()
    };
    let (is_in, is_out) = (half("sample(50%)"), half("not sample(50%)"));
    assert!(is_in + is_out == 60 && is_in.min(is_out) > 10, "{is_in} {is_out}");

    setup.ok(&["visitor", "erase", "crm:0"]);
    assert_eq!(with(&["even", "small ones"]), [json!([59, 23]), json!([23, 35])]);
    refused(&program);
    program.stop();
}

/// What hits say of a fact, whether or not categories are made of it.
fn broken_down(setup: &Setup, phone: &Value) {
    let by = |fact| setup.json(&["segment", "composition", "even", "--days", "7", "--by", fact]);
    let devices = by("device");
    assert_eq!((&devices["members"], &devices["everybody"]), (&json!(60), &json!(120)));
    let find = |of: &Value, value: &str| {
        let rows = of["values"].as_array().unwrap();
        rows.iter().find(|row| row["value"] == json!(value)).cloned().unwrap_or_default()
    };
    for column in ["members", "everybody", "share", "share_of_everybody", "index"] {
        assert_eq!(find(&devices, "phone")[column], phone[column], "{column} as of the form");
    }
    assert_eq!(find(&by("site"), "news")["members"], json!(60));
    let hours = by("hour");
    let hours = hours["values"].as_array().unwrap();
    assert!(hours.iter().all(|row| row["value"].as_str().is_some_and(|hour| hour.len() == 2)));
    let sum: u64 = hours.iter().map(|row| row["members"].as_u64().unwrap()).sum();
    assert_eq!(sum, 60, "each has one hit");
}

/// What the lesser roles see, and what is too much.
fn refused(program: &Program) {
    let setup = program.setup();
    let many: Vec<&str> = std::iter::once("segment")
        .chain(std::iter::once("overlap"))
        .chain(std::iter::repeat_n("even", 21))
        .collect();
    for (arguments, error) in [
        (&many[..], "more segments than the limit of 20"),
        (&["segment", "sample", "even", "--number", "1001"], "`number` is from 0 to 1000"),
        (&["segment", "overlap", "evn"], "the nearest name is"),
        (&["segment", "count", "evn"], "there is no segment \"evn\"; the nearest is \"even\""),
        (&["site", "unmapped", "nws"], "there is no site \"nws\"; the nearest is \"news\""),
        (&["segment", "composition", "not even"], "everyone"),
        (
            &["segment", "composition", "even", "--by", "age"],
            "is no fact of hits; there are device",
        ),
    ] {
        let done = setup.run(arguments);
        assert!(done.code == 1 && done.stderr.contains(error), "{arguments:?}: {done:?}");
    }
    let more: String = (0..230)
        .map(|n| format!("[[category]]\nname = \"C{n}\"\nrule = 'path == \"/c{n}\"'\n"))
        .collect();
    let more = setup.write("more.toml", &format!("format = 1\n{more}")).display().to_string();
    setup.ok(&["apply", &more]);
    let windows: Vec<String> = (0..230).map(|n| format!("visited(\"C{n}\", within 90d)")).collect();
    let done = setup.run(&["segment", "count", "--rule", &windows.join(" or ")]);
    assert!(done.code == 1 && done.stderr.contains("asks for 20700 cells"), "{}", done.stderr);
    let secret = setup.ok(&["token", "create", "looker", "--role", "viewer"]);
    let viewer = program.http.clone().with("authorization", &format!("Bearer {}", secret.trim()));
    let body = json!({"segments": ["even", "small ones"]});
    let seen = viewer.post("/api/v1/insights/overlap", &body).json();
    assert_eq!(seen["segments"][0]["with"], json!([59, null]), "nothing under the floor");
    assert_eq!(viewer.get("/api/v1/segments/even/sample").status, 403);
    let dial = json!({"rule": r#"visited("Even", within 7d) and sample(50%)"#});
    assert_eq!(viewer.post("/api/v1/insights/count", &dial).status, 403, "undoes the rounding");
    let rows = viewer.post("/api/v1/insights/composition", &json!({"of": "even"})).json();
    let told = rows["categories"].as_array().unwrap().iter().map(|row| row["category"].clone());
    assert!(!told.collect::<Vec<_>>().contains(&json!("Small")), "36 visitors: {rows}");
    let rough = viewer.post("/api/v1/insights/composition", &json!({"of": "even", "by": "device"}));
    let told = rough.json()["values"].as_array().unwrap().len();
    assert_eq!(told, 1, "no row of a phone: 30 visitors; {}", rough.text());
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
