//! Network tokens: off unless switched on; then they tell networks of one day apart, and no byte at
//! rest tells which they were.

use serde_json::{Value, json};

use crate::bad_input::DEFINITIONS;
use crate::http::{Browser, encoded};
use crate::program::{Program, Setup};
use crate::retention_erasure::holding;

/// Of the range for documentation: in no file by chance.
const ADDRESSES: [&str; 2] = ["203.0.113.77", "2001:db8:4a5b:6c7d::1"];

fn start(switch: &str) -> Program {
    let setup = Setup::new().env("MAYFLY_PRIVACY__NETWORK_TOKEN", switch);
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    program
}

/// The token of a new visitor's hit from an address.
fn token(program: &Program, address: &str) -> Value {
    let mut browser = Browser::new(&program.http);
    let pixel = format!("/p.gif?s=news&u={}", encoded("https://news.example/sport/1"));
    let from = [("x-forwarded-for", address)];
    let probe = browser.send("GET", &pixel, &from);
    let again = format!("/p.gif{}", probe.header("location").unwrap());
    assert_eq!(browser.send("GET", &again, &from).outcome(), "stored");
    browser.get("/api/v1/me").json()["hits"][0]["network"].clone()
}

#[test]
fn a_token_tells_networks_apart_and_no_byte_at_rest_tells_an_address() {
    let program = start("true");
    let [one, other] = ADDRESSES.map(|address| token(&program, address));
    assert!(one.is_string() && other.is_string() && one != other, "{one} {other}");
    assert_eq!(token(&program, ADDRESSES[0]), one);
    assert_eq!(token(&program, "2001:db8:4a5b:6c7d::2"), other, "one client's 64 bits");
    // A server says it of its visitors, too.
    let hit = json!([{"visitor": {"space": "crm", "id": "1"}, "site": "news",
        "url": "https://news.example/sport/2", "ip": ADDRESSES[0]}]);
    assert_eq!(program.admin().post("/api/v1/hits", &hit).status, 200);
    let shown = program.setup().json(&["visitor", "show", "crm:1"]);
    assert_eq!(shown["hits"][0]["network"], one);

    let log = program.log();
    let setup = program.stop();
    for secret in ["203.0.113", "2001:db8", "4a5b:6c7d"] {
        assert_eq!(holding(&setup.data(), secret), [""; 0], "{secret}");
        assert!(!log.contains(secret), "{secret}");
    }
    // Nor is there a key: another start tells the same address by another token.
    let program = setup.start();
    assert_ne!(token(&program, ADDRESSES[0]), one);
    program.stop();
}

#[test]
fn without_the_switch_there_is_none() {
    let program = start("false");
    assert!(token(&program, ADDRESSES[0]).is_null());
    program.stop();
}
