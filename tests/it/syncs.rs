//! Id sync over HTTP, as Prebid Server and partners do it; match rates; what a visitor sees of it.

use mayfly_store::contract::servers::{RedisCluster, RedisServer};
use serde_json::{Value, json};

use crate::http::{Answer, Browser, encoded};
use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "shop"
origins = ["https://shop.example"]

[[category]]
name = "Cars"
rule = 'path startswith "/cars/"'

[[segment]]
name = "drivers"
rule = 'visited("Cars", within 30d)'

[[partner]]
key = "acme"
bidder = "acmeads"
vendor_id = 7
sync = "https://acme.example/get?to={{.RedirectURL}}&gdpr={{.GDPR}}"
hosts = ["cb.acme.example"]

[[partner]]
key = "google"
kind = "google"
network = "nid"

[[partner]]
key = "quiet"
processor = true
"#;

const PAGE: [(&str, &str); 1] = [("origin", "https://shop.example")];

fn start(setup: Setup) -> Program {
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    program
}

fn visitor(program: &Program, path: &str) -> Browser {
    let mut browser = Browser::new(&program.http);
    let hit = browser.hit("shop", &format!("https://shop.example{path}"));
    assert_eq!(hit.outcome(), "stored");
    browser
}

fn told(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.header("x-mayfly-sync").unwrap_or_default())
}

fn post(browser: &mut Browser, body: &Value) -> Answer {
    browser.post("/cookie_sync", &PAGE, body.to_string().as_bytes())
}

fn sync(setup: Setup) {
    let program = start(setup);
    let mut browser = visitor(&program, "/cars/1");
    as_prebid_does(&mut browser);
    with_partners(&program, &mut browser);
    what_is_refused(&program, &mut browser);
    let stranger = visitor(&program, "/");
    match_rates(&program);
    by_a_partners_id(&program);
    drop(stranger);
    the_visitor_sees_and_erases_it(&program, &mut browser);
    program.stop();
}

/// What Prebid.js sends, and the way back.
fn as_prebid_does(browser: &mut Browser) {
    let body = json!({
        "uuid": "7f6bd9c6", "bidders": ["acmeads", "rubicon", "google"], "account": "shop",
        "gdpr": 0, "gdpr_consent": "", "us_privacy": "", "gpp": "", "gpp_sid": "", "limit": 8,
        "filterSettings": {"image": {"bidders": "*", "filter": "include"},
            "iframe": {"bidders": ["acmeads"], "filter": "exclude"}},
        "coopSync": false, "debug": true,
    });
    let answer = post(browser, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    let answer = answer.json();
    assert_eq!(answer["status"], json!("no_cookie"));
    let rows = answer["bidder_status"].as_array().unwrap();
    let names: Vec<&Value> = rows.iter().map(|row| &row["bidder"]).collect();
    assert_eq!(names, [&json!("acmeads"), &json!("google")]);
    assert_eq!(rows[0]["no_cookie"], json!(true));
    assert_eq!(rows[0]["usersync"]["type"], json!("redirect"));
    let url = rows[0]["usersync"]["url"].as_str().unwrap();
    let back = encoded("/setuid?bidder=acmeads&account=shop&gdpr=0&f=i&uid=$UID");
    assert!(url.starts_with("https://acme.example/get?to=http%3A%2F%2F127.0.0.1%3A"), "{url}");
    assert!(url.ends_with(&format!("{back}&gdpr=0")), "{url}");
    let google = rows[1]["usersync"]["url"].as_str().unwrap();
    let start = "https://cm.g.doubleclick.net/pixel?google_nid=nid&google_cm&google_hm=";
    assert!(
        google.starts_with(start) && google.ends_with("&gdpr=0&gdpr_consent=&account=shop"),
        "{google}"
    );
    assert_eq!(answer["debug"], json!([{"bidder": "rubicon", "error": "unknown"}]));
    let set = browser.send("GET", "/setuid?bidder=acmeads&gdpr=0&f=i&uid=5912333222111000999", &[]);
    assert_eq!(told(&set), (200, "new"));
    assert_eq!(set.header("content-type"), Some("image/gif"));
    assert!(set.header("cache-control").unwrap().contains("no-store"));
    let answer = post(browser, &body).json();
    assert_eq!(answer["status"], json!("ok"));
    assert_eq!(answer["bidder_status"].as_array().unwrap().len(), 1, "acme's is known now");
    let ids = browser.send("GET", "/getuids", &PAGE);
    assert_eq!(ids.header("access-control-allow-origin"), None, "pages learn no ids");
    assert_eq!(ids.json(), json!({"buyeruids": {"acmeads": "5912333222111000999"}}));
    let size: usize = browser.cookies.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(size < 200, "ids live in the store, not in cookies: {size} bytes");
}

fn with_partners(program: &Program, browser: &mut Browser) {
    let pixel = "/setuid?p=google&google_gid=CAESEabc_-1&google_cver=1&google_push=tok%2Ben";
    let answer = browser.send("GET", pixel, &[]);
    assert_eq!(told(&answer), (302, "new"));
    let to = answer.header("location").unwrap();
    let start = "https://cm.g.doubleclick.net/pixel?google_nid=nid&google_push=tok%2Ben&google_hm=";
    assert!(to.starts_with(start), "{to}");
    let led = browser.send("GET", "/sync?p=acme,quiet", &[]);
    assert_eq!(told(&led), (200, "no_way"), "acme's is fresh, and quiet is asked nowhere");
    let r = encoded("https://cb.acme.example/match?us=${OUR_UID}&x=${US_PRIVACY}");
    let answer = browser.send("GET", &format!("/sync?p=acme&r={r}&us_privacy=1YNN"), &[]);
    assert_eq!(told(&answer), (302, "told"));
    let to = answer.header("location").unwrap();
    let name = to.strip_prefix("https://cb.acme.example/match?us=").unwrap();
    let name = name.strip_suffix("&x=1YNN").unwrap();
    assert_eq!(name.len(), 22, "{to}");
    // Whom the partner calls so is found by it.
    let shown = program.setup().json(&["visitor", "show", &format!("acme:{name}")]);
    assert_eq!(shown["partners"].as_array().unwrap().len(), 2, "{shown}");
    assert_eq!(told(&browser.send("GET", "/setuid?p=acme&uid=other", &[])), (200, "changed"));
    let frame = browser.send("GET", "/setuid?p=acme&uid=other&f=b", &[]);
    assert_eq!((told(&frame), frame.text().as_str()), ((200, "known"), ""));
    assert_eq!(frame.header("content-type"), Some("text/html; charset=utf-8"));
    let metrics = program.http.get("/metrics").text();
    for line in [
        "mayfly_sync_total{partner=\"acme\",result=\"new\"} 1",
        "mayfly_sync_total{partner=\"acme\",result=\"changed\"} 1",
        "mayfly_sync_total{partner=\"acme\",result=\"told\"} 1",
        "mayfly_sync_total{partner=\"google\",result=\"new\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
}

fn what_is_refused(program: &Program, browser: &mut Browser) {
    let code = |answer: &Answer| (answer.status, answer.json()["error"]["code"].clone());
    let mut get = |query: &str| browser.send("GET", query, &[]);
    for (path, status, expected) in [
        ("/setuid?uid=a", 400, "bad_sync"),
        ("/setuid?p=acme&uid=a&account=nosite", 400, "bad_sync"),
        ("/setuid?p=nobody&uid=a", 400, "bad_sync"),
        ("/setuid?p=acme&uid=a&gdpr=1", 400, "bad_sync"),
        ("/setuid?p=acme&uid=a&gdpr=1&gdpr_consent=nonsense", 400, "bad_sync"),
        ("/setuid?p=acme&uid=a&us_privacy=1YYN", 451, "sync_refused"),
        ("/sync?p=acme&r=https%3A%2F%2Fevil.example%2F%24%7BOUR_UID%7D", 400, "bad_sync"),
        ("/sync", 400, "bad_sync"),
    ] {
        assert_eq!(code(&get(path)), (status, json!(expected)), "{path}");
    }
    for (path, expected) in [
        ("/setuid?p=acme&uid=0", "bad_uid; nobody"),
        ("/setuid?p=acme&uid=%24%7BUID%7D", "bad_uid; macro"),
        ("/setuid?p=acme&uid=a%0Ab", "bad_uid; character"),
        ("/sync?p=acme&us_privacy=1YYN", "refused; refused"),
        ("/setuid?p=acme&userid=x", "bad_uid; no_uid"),
    ] {
        assert_eq!(told(&get(path)), (200, expected), "{path}");
    }
    let long = format!("/setuid?p=acme&uid={}", "x".repeat(10_000));
    assert_eq!(told(&get(&long)), (200, "bad_uid; too_long"));
    let gpc = browser.send("GET", "/setuid?p=acme&uid=a", &[("sec-gpc", "1")]);
    assert_eq!(told(&gpc), (451, "refused; gpc"));
    let mut out = Browser::new(&program.http);
    out.keep("mf_optout=1");
    assert_eq!(out.send("GET", "/setuid?p=acme&uid=a", &[]).status, 401);
    assert_eq!(post(&mut out, &json!({})).status, 401);
    assert_eq!(out.send("GET", "/getuids", &PAGE).json(), json!({"buyeruids": {}}));
    let mut nobody = Browser::new(&program.http);
    assert_eq!(told(&nobody.send("GET", "/setuid?p=acme&uid=a", &[])), (200, "no_visitor"));
    for (body, expected) in [
        ("{", "bad_body"),
        (r#"{"gdpr": 2}"#, "bad_body"),
        (r#"{"gdpr": 1}"#, "bad_sync"),
        (r#"{"filterSettings": {"image": {"bidders": "some", "filter": "include"}}}"#, "bad_body"),
    ] {
        let answer = browser.post("/cookie_sync", &PAGE, body.as_bytes());
        assert_eq!(code(&answer), (400, json!(expected)), "{body}");
    }
    let elsewhere = [("origin", "https://evil.example")];
    let answer = browser.post("/cookie_sync", &elsewhere, b"{}");
    assert_eq!(answer.header("access-control-allow-origin"), None, "nobody else's page reads it");
}

fn match_rates(program: &Program) {
    let list = program.setup().ok(&["partner", "list"]);
    assert!(list.contains("acme") && list.contains("vendor 755"), "{list}");
    let of = |arguments: &[&str]| {
        let shown = program.setup().json(&[&["partner", "show"], arguments].concat());
        (shown["held"].clone(), shown["active"]["matched"].clone())
    };
    let (held, active) = of(&["acme"]);
    assert_eq!(held, json!({"visitors": 2, "matched": 1, "percent": "50.0"}));
    assert_eq!(active, json!(1));
    let (held, _) = of(&["acme", "--segment", "drivers"]);
    assert_eq!(held, json!({"visitors": 1, "matched": 1, "percent": "100.0"}));
    let (held, _) = of(&["quiet"]);
    assert_eq!(held["matched"], json!(0));
    let wrong = program.setup().run(&["partner", "show", "acne"]);
    assert!(wrong.stderr.contains("the nearest is \"acme\""), "{}", wrong.stderr);
}

fn by_a_partners_id(program: &Program) {
    let body = json!({"visitors": [{"space": "acme", "id": "other"}, "acme:5912333222111000999"]});
    let answer = program.admin().post("/api/v1/lookup", &body).json();
    assert_eq!(answer["visitors"][0]["segments"], json!(["drivers"]), "{answer}");
    assert_eq!(answer["visitors"][1]["known"], json!(false), "it is his id no more: {answer}");
}

fn the_visitor_sees_and_erases_it(program: &Program, browser: &mut Browser) {
    let held = browser.send("GET", "/api/v1/me", &[]).json();
    let partners = held["partners"].as_array().unwrap();
    assert_eq!(partners[0]["partner"], json!("acme"));
    assert_eq!(partners[0]["uid"], json!("other"));
    let page = browser.send("GET", "/privacy?lang=en", &[]).text();
    assert!(page.contains("acme"), "{page}");
    browser.send("DELETE", "/api/v1/me", &[]);
    let gone = program.admin().post("/api/v1/lookup", &json!({"visitors": ["acme:other"]})).json();
    assert_eq!(gone["visitors"][0]["known"], json!(false));
    assert_eq!(program.setup().json(&["partner", "show", "acme"])["held"]["matched"], json!(0));
    let audit = program.setup().json(&["retention", "audit"]);
    assert_eq!(audit["findings"], json!([]), "{audit}");
}

#[test]
fn embedded() {
    sync(Setup::new());
}

#[test]
fn redis() {
    let server = RedisServer::start(&["--appendonly", "yes"]).unwrap();
    sync(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}

#[test]
fn redis_cluster() {
    let cluster = RedisCluster::start(&["--appendonly", "yes"]).unwrap();
    sync(Setup::new().env("MAYFLY_STORE__URL", &cluster.url()));
}
