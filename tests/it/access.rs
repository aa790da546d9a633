//! Who may read what: pages of other sites, browsers that said no, tokens of little right, and
//! bodies of those who have none.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::http::{Answer, Browser};
use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]

[[site]]
key = "shop"
origins = ["https://shop.example"]

[[site]]
key = "campaign"
origins = ["*"]

[[segment]]
name = "everywhere"
rule = 'visited("*", within 90d)'
on_page = true

[[segment]]
name = "news-only"
rule = 'visited("*", within 90d)'
on_page = ["news"]

[[segment]]
name = "inside"
rule = 'visited("*", within 90d)'
"#;

/// A server, and a browser that was seen on it once.
fn start() -> (Program, Browser) {
    let setup = Setup::new();
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    let mut browser = Browser::new(&program.http);
    assert_eq!(browser.hit("news", "https://news.example/1").outcome(), "stored");
    let mine = cookie(&program, &browser, "");
    program.until("hold the visitor", |_| {
        let all = mine.get("/api/v1/me").json()["segments"].as_array().map_or(0, Vec::len);
        (all == 3).then_some(())
    });
    (program, browser)
}

fn cookie(program: &Program, browser: &Browser, more: &str) -> crate::http::Http {
    let value = format!("mf_id={}{more}", browser.cookies["mf_id"]);
    program.http.clone().with("cookie", &value)
}

fn may_read(answer: &Answer) -> bool {
    answer.header("access-control-allow-origin").is_some()
}

#[test]
fn a_page_reads_the_segments_meant_for_its_site_and_nothing_else() {
    let (program, browser) = start();
    let mine = cookie(&program, &browser, "");
    let from = |origin: &str| mine.clone().with("origin", origin).get("/api/v1/me/segments");
    let news = from("https://news.example");
    assert_eq!(news.json()["segments"], json!(["everywhere", "news-only"]));
    assert!(may_read(&news));
    let shop = from("https://shop.example");
    assert_eq!(shop.json()["segments"], json!(["everywhere"]));
    assert!(may_read(&shop));
    // A site that takes hits from everywhere lets nobody read.
    for origin in ["https://evil.example", "null"] {
        assert!(!may_read(&from(origin)), "{origin}");
    }
    // What is held about a browser is for itself, at our own address.
    for origin in ["https://news.example", "https://evil.example", "null"] {
        let mine = mine.clone().with("origin", origin);
        assert!(!may_read(&mine.get("/api/v1/me")), "{origin}");
        assert!(!may_read(&mine.send("OPTIONS", "/api/v1/me", &[], b"")), "{origin}");
    }
}

#[test]
fn who_said_no_is_in_no_segment_of_a_page() {
    let (program, browser) = start();
    let path = "/api/v1/me/segments";
    let said_no = cookie(&program, &browser, "; mf_optout=1").get(path);
    assert_eq!(said_no.json()["segments"], json!([]));
    let second_line = cookie(&program, &browser, "").with("cookie", "mf_optout=1").get(path);
    assert_eq!(second_line.json()["segments"], json!([]), "in a second header");
    let gpc = cookie(&program, &browser, "").with("sec-gpc", "1").get(path);
    assert_eq!(gpc.json()["segments"], json!([]));
}

#[test]
fn a_cookie_with_odd_bytes_spoils_no_other() {
    let (program, browser) = start();
    let head = format!(
        "GET /api/v1/me HTTP/1.0\r\nHost: x\r\nCookie: odd=caf\u{e9}; mf_id={}\r\n\r\n",
        browser.cookies["mf_id"]
    );
    let mut stream = connect(&program);
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("https://news.example/1"), "{answer}");
}

fn connect(program: &Program) -> TcpStream {
    let stream = TcpStream::connect(program.http.base().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

#[test]
fn a_token_for_hits_tells_nothing_of_people() {
    let (program, _) = start();
    let made = program.setup().json(&["token", "create", "partner", "--role", "partner"]);
    let token = made["secret"].as_str().unwrap();
    let partner = program.http.clone().with("authorization", &format!("Bearer {token}"));
    let hit = json!({"site": "news", "visitor": {"space": "crm", "id": "1"},
        "url": "https://news.example/1"});
    assert_eq!(partner.post("/api/v1/hits", &json!([hit])).status, 200);
    assert_eq!(partner.post("/api/v1/hits/try", &hit).status, 403);
    // Made once more, it would lock its user out.
    let again = program.setup().run(&["token", "create", "partner", "--role", "viewer"]);
    assert!(again.code == 1 && again.stderr.contains("token revoke partner"), "{again:?}");
    assert_eq!(partner.post("/api/v1/hits", &json!([hit])).status, 200);
}

/// The head of a large body; what a stranger sends of it is not waited for.
#[test]
fn a_body_is_read_only_from_who_has_a_token() {
    let (program, _) = start();
    for path in ["/api/v1/hits", "/api/v1/definitions/apply"] {
        let mut stream = connect(&program);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: 4000000\r\n\r\n["
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401", "{path}");
    }
}
