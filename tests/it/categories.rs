//! What a category may say besides its rules, as ad ops and the privacy officer use it.

use mayfly_store::contract::servers::RedisServer;
use serde_json::{Value, json};

use crate::http::{Browser, encoded};
use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]
declared = "content-3.1"

[[word_list]]
name = "clubs"
words = ["Ajax", "Fútbol Club Barcelona", "1. FC Köln"]

[[word_list]]
name = "paid"
words = ["sponsored by"]

[[category]]
name = "Sports > Football"
rule = 'title mentions list "clubs"'
except = 'title mentions list "paid"'
implies = "Men's interests"

[[category]]
name = "Men's interests"

[[category]]
name = "Cars"
iab = "content-3.1:2"

[[category]]
name = "Device"
form = "device"

[[category]]
name = "Old rubric"
rule = 'path startswith "/"'
retired = 2020-01-01

[[category]]
name = "Health"
sensitive = true
rule = 'path startswith "/clinic/" or categories has "286"'

[[segment]]
name = "football"
rule = 'visited("Sports", within 30d)'

[[test]]
hit = { url = "https://news.example/clinic/1", title = "Ajax" }
in = ["Health"]
not_in = ["Sports"]

[[test]]
hit = { url = "https://news.example/1", title = "FC Koln wins", site = "news", categories = ["2"] }
in = ["Cars"]
not_in = ["Sports", "Old rubric"]
"#;

fn pixel(path: &str, title: &str, declared: &str) -> String {
    let url = encoded(&format!("https://news.example{path}"));
    format!("/p.gif?s=news&u={url}&t={}&c={declared}", encoded(title))
}

fn held(program: &Program, rule: &str) -> Value {
    program.setup().json(&["segment", "count", "--rule", rule])["held"].clone()
}

fn of(category: &str) -> String {
    format!("visited(\"{category}\", within 30d) >= 1")
}

fn tell(setup: Setup) {
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    assert!(setup.ok(&["test", &file]).contains("2 passed, 0 failed"));
    let elsewhere =
        DEFINITIONS.replace("site = \"news\", categories", "site = \"nws\", categories");
    let elsewhere = setup.write("elsewhere.toml", &elsewhere).display().to_string();
    let told = setup.run(&["test", &elsewhere]);
    assert!(told.code == 1 && told.stdout.contains("no site \"nws\""), "{told:?}");
    let elsewhere =
        DEFINITIONS.replace("url = \"https://news.example/c", "url = \"https://nws.example/c");
    let elsewhere = setup.write("elsewhere.toml", &elsewhere).display().to_string();
    let told = setup.run(&["test", &elsewhere]);
    assert!(told.code == 1 && told.stdout.contains("no site takes hits from there"), "{told:?}");
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    let visit = |path: &str, title: &str, declared: &str| {
        let mut browser = Browser::new(&program.http);
        assert_eq!(browser.get(&pixel(path, title, declared)).outcome(), "stored");
        browser
    };
    visit("/1", "FUTBOL CLUB BARCELONA - Ajax 2:1", "");
    visit("/2", "Ajax, sponsored by a bank", "");
    visit("/3", "Traffic", "2");
    let mut patient = visit("/clinic/4", "Ajax", "2");
    for (category, expected) in
        [("*", 4), ("Sports", 1), ("Men's interests", 1), ("Cars", 1), ("Old rubric", 0)]
    {
        assert_eq!(held(&program, &of(category)), json!(expected), "{category}");
    }
    assert_eq!(patient.get("/api/v1/me").json()["hits"][0]["url"], Value::Null);
    let unmapped = program.setup().json(&["site", "unmapped", "news"]);
    let paths = unmapped["unmapped"].as_array().unwrap().iter().filter(|row| row["kind"] == "path");
    let paths: Vec<_> = paths.map(|row| row["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(paths, ["/2"], "what only a form catches is told of, what is sensitive is not");
    explained(&program);
    in_the_hands_of_the_privacy_role(&program);
    words_change(&program);
    program.stop();
}

fn explained(program: &Program) {
    let why = |url: &str, title: &str| {
        program.setup().ok(&["page", "why", url, "--site", "news", "--title", title])
    };
    let found = why("https://news.example/9", "The 1. FC Köln fans");
    assert!(found.contains("Sports > Football") && found.contains("1 fc koln"), "{found}");
    let sensitive = why("https://news.example/clinic/", "x");
    assert!(sensitive.contains("sensitive  Health"), "{sensitive}");
    assert!(sensitive.starts_with("https://news.example/clinic/"), "what was asked: {sensitive}");
    let unknown = ["segment", "count", "--rule", "visited(\"Health\", within 7d)"];
    let refused = program.setup().run(&unknown);
    assert!(refused.code == 1 && refused.stderr.contains("--basis"), "{refused:?}");
}

/// Ad ops may not; the privacy role may, and says why.
fn in_the_hands_of_the_privacy_role(program: &Program) {
    let setup = program.setup();
    let token = |role: &str| {
        let made = setup.json(&["token", "create", role, "--role", role]);
        let secret = format!("Bearer {}", made["secret"].as_str().unwrap());
        program.http.clone().with("authorization", &secret)
    };
    let id = program.admin().get("/api/v1/categories").json()["categories"]
        .as_array()
        .and_then(|all| all.iter().find(|row| row["path"] == "Health").cloned())
        .unwrap();
    assert_eq!((&id["sensitive"], &id["basis"]), (&json!(true), &Value::Null));
    let route = format!("/api/v1/categories/{}/basis", id["id"]);
    let body = br#"{"basis": "explicit consent, assessment of 2026-11"}"#;
    let put = |role: &str| token(role).send("PUT", &route, &[], body).status;
    assert_eq!((put("ad_ops"), put("privacy")), (403, 200));
    let mut browser = Browser::new(&program.http);
    assert_eq!(browser.get(&pixel("/clinic/5", "x", "")).outcome(), "stored");
    program.until("count whom the category holds", |program| {
        (held(program, &of("Health")) == json!(1)).then_some(())
    });
    assert!(setup.ok(&["definitions", "history"]).contains("assessment of 2026-11"));
    let again = setup.ok(&["taxonomy", "disable", "Health"]);
    assert!(again.contains("nothing falls in it"), "{again}");
    assert!(setup.run(&["taxonomy", "enable", "Helth", "--basis", "x"]).code == 1);
}

/// A word more: the past is looked at with it, too.
fn words_change(program: &Program) {
    let setup = program.setup();
    let text = DEFINITIONS.replace("\"Ajax\",", "\"Ajax\", \"traffic\",");
    let file = setup.write("more.toml", &text).display().to_string();
    let plan = setup.ok(&["plan", &file]);
    assert!(plan.contains("word list clubs") && plan.contains("Sports > Football"), "{plan}");
    setup.ok(&["apply", &file]);
    assert_eq!(held(program, &of("Sports")), json!(2));
}

#[test]
fn on_the_embedded_store() {
    tell(Setup::new());
}

#[test]
fn on_redis() {
    let server = RedisServer::start(&["--appendonly", "yes"]).unwrap();
    tell(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}
