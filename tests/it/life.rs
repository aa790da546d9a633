//! Start, stop, crash, start again; and the documentation's own command lines.

use serde_json::json;

use crate::http::Browser;
use crate::program::Setup;

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]
consent = "none"

[[category]]
name = "Sports"
rule = 'path startswith "/sport/"'

[[segment]]
name = "sports-fans"
rule = 'visited("Sports", within 30d) >= 2'
"#;

#[test]
fn a_visitor_enters_a_segment_and_is_still_there_after_stop_and_crash() {
    let setup = Setup::new();
    let file = setup.write("mayfly.toml", DEFINITIONS);
    let program = setup.start();
    program.setup().ok(&["apply", &file.display().to_string()]);

    let mut browser = Browser::new(&program.http);
    for page in ["https://news.example/sport/1", "https://news.example/sport/2"] {
        let answer = browser.hit("news", page);
        assert_eq!((answer.status, answer.outcome()), (200, "stored"), "{page}");
    }
    let held = |setup: &Setup| setup.json(&["segment", "count", "sports-fans"])["held"].clone();
    program.until("count the visitor", |p| (held(p.setup()) == json!(1)).then_some(()));

    let setup = program.stop();
    assert_eq!(held(&setup), json!(1), "after a stop, with no server running");
    let setup = setup.start().kill();
    let program = setup.start();
    assert_eq!(held(program.setup()), json!(1), "after a crash");
}

#[test]
fn reading_commands_never_make_a_store() {
    let setup = Setup::new();
    let done = setup.run(&["segment", "list"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("there is no store"), "{done:?}");
    assert!(!setup.data().join("store").exists());
}

#[test]
fn a_token_reaches_as_far_as_its_role_and_no_further_when_taken_back() {
    let program = Setup::new().start();
    let made = program.setup().json(&["token", "create", "glance", "--role", "viewer"]);
    let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
    let viewer = program.http.clone().with("authorization", &bearer);
    assert_eq!(viewer.get("/api/v1/segments").status, 200);
    assert_eq!(viewer.get("/api/v1/visitors/0.1").status, 403);
    assert_eq!(viewer.post("/api/v1/hits", &json!([])).status, 403);
    assert_eq!(program.http.get("/api/v1/segments").status, 401);
    assert_eq!(program.admin().delete("/api/v1/tokens/glance").status, 200);
    assert_eq!(viewer.get("/api/v1/segments").status, 401);
}
