//! `mayfly lint`: what is odd by itself, and beside what came.

use mayfly_store::contract::servers::RedisServer;
use serde_json::{Value, json};

use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]

[[site]]
key = "shop"
origins = ["https://shop.example"]

[[category]]
name = "Sport"
rule = 'host == "news.example" and path startswith "/Sport/"'

[[category]]
name = "Small sport"
rule = 'host == "news.example" and path startswith "/sport/"'

[[category]]
name = "All news"
rule = 'host endswith "news.example"'

[[category]]
name = "Big"
rule = 'site == "news" and a.size >= 3'

[[category]]
name = "Anywhere"
rule = 'path contains "1"'

[[segment]]
name = "none"
rule = 'visited("Sport", within 7d) and not visited("Sport", within 30d)'

[[segment]]
name = "idle"
rule = 'visited("*", within 30d) and visited("Sport", within 7d)'
"#;

fn kinds(answer: &Value) -> Vec<(String, String)> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let rows = answer["lints"].as_array().unwrap();
    let mut all: Vec<_> = rows.iter().map(|row| (text(row, "of"), text(row, "kind"))).collect();
    all.sort();
    all
}

fn expect(answer: &Value, expected: &[(&str, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(of, kind)| ((*of).to_owned(), (*kind).to_owned())).collect();
    assert_eq!(kinds(answer), expected, "{answer}");
}

fn tell(setup: Setup) {
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    let by_itself = [
        ("category Anywhere", "bare_path"),
        ("segment idle", "no_effect"),
        ("segment none", "contradiction"),
    ];
    expect(&program.setup().json(&["lint", &file]), &by_itself);
    assert_eq!(program.setup().json(&["definitions", "history"])["versions"], json!([]));
    program.setup().ok(&["apply", &file]);
    beside_hits(&program);
    let wrong = program.setup().write("wrong.toml", "format = 1\n[[segment]]\nname = 'x'\n");
    let wrong = program.setup().run(&["lint", &wrong.display().to_string()]);
    assert!(wrong.code == 1 && wrong.stderr.contains("line 2"), "{}", wrong.stderr);
    program.stop();
}

fn beside_hits(program: &Program) {
    let hits: Value = (0..120)
        .map(|n| {
            json!({
                "visitor": {"space": "crm", "id": (n % 40).to_string()},
                "site": "news",
                "url": format!("https://news.example/sport/{n}"),
            })
        })
        .collect();
    let answer = program.admin().post("/api/v1/hits", &hits).json();
    assert_eq!(answer["outcomes"], json!({"stored": 120}));
    let found = program.setup().json(&["lint"]);
    expect(
        &found,
        &[
            ("category All news", "same_visitors"),
            ("category Anywhere", "bare_path"),
            ("category Big", "never_seen"),
            ("category Big", "quiet"),
            ("category Sport", "other_case"),
            ("category Sport", "quiet"),
            ("segment idle", "no_effect"),
            ("segment none", "contradiction"),
        ],
    );
    assert_eq!(found["hits"], json!(120));
    let text = program.setup().ok(&["lint"]);
    for line in [
        "pages have \"/sport/",
        "no hit of today or yesterday has `a.size`",
        "without `visited(\"*\", within 30d)` this means the same",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
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
