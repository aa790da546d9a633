//! Pages that are never kept: the hit counts, and nothing at rest tells where it was.

use mayfly_store::contract::servers::RedisServer;
use serde_json::{Value, json};

use crate::http::{Browser, encoded};
use crate::program::Setup;
use crate::retention_erasure::holding;

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]
sensitive = ["/health/"]

[[category]]
name = "Health"
rule = 'path startswith "/health" or x.mood == "low"'

[[segment]]
name = "ill"
rule = 'visited("Health", within 30d)'

[[segment]]
name = "everyone"
rule = 'visited("*", within 30d)'
"#;

fn pixel(page: &str, title: &str) -> String {
    let url = encoded(&format!("https://news.example{page}"));
    format!("/p.gif?s=news&u={url}&t={title}&k={title}&c={title}&x.mood=low")
}

fn tell(setup: Setup, at_rest: impl Fn(&Setup, &str) -> bool) {
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    let tail = || program.admin().get("/api/v1/sites/news/tail?after=0").text();
    tail();
    let mut browser = Browser::new(&program.http);
    assert_eq!(browser.get(&pixel("/Health/anaemia", "anaemia")).outcome(), "stored");
    let hit = browser.get("/api/v1/me").json()["hits"][0].clone();
    assert_eq!((&hit["event"], &hit["url"]), (&json!("page_view"), &Value::Null), "{hit}");
    for (segment, held) in [("everyone", 1), ("ill", 0)] {
        let count = program.setup().json(&["segment", "count", segment])["held"].clone();
        assert_eq!(count, json!(held), "{segment}");
    }
    let unmapped = program.setup().json(&["site", "unmapped", "news"]).to_string();
    assert!(!(unmapped + &tail()).to_lowercase().contains("health"));
    assert_eq!(browser.get(&pixel("/sport/tennis", "tennis")).outcome(), "stored");
    assert!(at_rest(program.setup(), "tennis"), "it is there to be found");
    assert!(!at_rest(program.setup(), "anaemia"));
    assert!(!program.log().contains("anaemia"));
    program.stop();
}

#[test]
fn on_the_embedded_store() {
    tell(Setup::new(), |setup, word| !holding(&setup.data(), word).is_empty());
}

#[test]
fn on_redis() {
    let server = RedisServer::start(&["--appendonly", "yes", "--rdbcompression", "no"]).unwrap();
    let setup = Setup::new().env("MAYFLY_STORE__URL", &server.url());
    tell(setup, |setup, word| {
        server.cli(["SAVE"]).unwrap();
        !holding(server.dir(), word).is_empty() || !holding(&setup.data(), word).is_empty()
    });
}
