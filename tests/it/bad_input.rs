//! What a hostile client may send to the pixel: always an answer with the GIF or a clean refusal,
//! each hit counted once, and the server as well as before.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::http::{Answer, Browser, Http};
use crate::program::{Program, Setup};

/// One site that takes hits of one origin.
pub(crate) const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]

[[category]]
name = "Sports"
rule = 'path startswith "/sport/"'

[[segment]]
name = "fans"
rule = 'visited("Sports", within 30d)'
"#;

const PAGE: &str = "s=news&u=https%3A%2F%2Fnews.example%2Fsport%2F1";

/// A server with the site.
pub(crate) fn start() -> Program {
    let setup = Setup::new();
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    program
}

/// All hits received so far, by the metrics.
pub(crate) fn received(http: &Http) -> u64 {
    let text = http.get("/metrics").text();
    let counts = text.lines().filter(|line| line.starts_with("mayfly_hits_total{"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Bytes to a socket, and what came back within two seconds.
pub(crate) fn raw(http: &Http, bytes: &[u8]) -> String {
    let address = http.base().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    // The server may close before it has read all.
    let is_sent = stream.write_all(bytes).is_ok();
    if is_sent {
        stream.shutdown(Shutdown::Write).ok();
    }
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while let Ok(n) = stream.read(&mut part) {
        if n == 0 {
            break;
        }
        answer.extend_from_slice(&part[..n]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// A hit of the pixel: it gets the GIF, has this outcome and reason, and is counted once.
fn check(http: &Http, query: &str, headers: &[(&str, &str)], outcome: &str) {
    let before = received(http);
    let headers: Vec<(String, String)> =
        headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let answer: Answer = http.send("GET", &format!("/p.gif?{query}"), &headers, b"");
    let short: String = query.chars().take(60).collect();
    assert_eq!(answer.status, 200, "{short}");
    assert_eq!(answer.header("content-type"), Some("image/gif"), "{short}");
    assert_eq!(answer.header("x-mayfly-outcome"), Some(outcome), "{short}");
    assert_eq!(received(http), before + 1, "{short}");
}

#[test]
fn a_pixel_with_a_bad_query_gets_its_gif_and_one_outcome() {
    let program = start();
    let http = &program.http;
    let long = |n: usize| format!("{PAGE}&t={}", "a".repeat(n));
    let many = |n: usize| format!("{PAGE}{}", "&a.x=1".repeat(n));
    check(http, &long(60_000), &[], "over_limit; query_too_long");
    check(http, &many(200), &[], "over_limit; too_many_params");
    let url = format!("s=news&u=https%3A%2F%2Fnews.example%2F{}", "p".repeat(3000));
    check(http, &url, &[], "over_limit; url_too_long");
    for (bad, reason) in [
        ("s=news&u=%ff%fe", "not_utf8"),
        ("s=news&u=https%3A%2F%2Fnews.example%2F&t=%C3%28", "not_utf8"),
        ("s=news&u=%zz", "bad_escape"),
        ("s=news&u=https%3A%2F%2Fnews.example%2F&t=100%", "bad_escape"),
        ("s=news&u=%", "bad_escape"),
        ("s=news&u=javascript%3Aalert(1)", "bad_url"),
        ("s=news&u=https%3A%2F%2F", "bad_url"),
        ("s=news", "no_url"),
        (&format!("{PAGE}&e=no%20event"), "bad_event"),
        (&format!("{PAGE}&e=engagement&d=-5"), "bad_duration"),
        (&format!("{PAGE}&e=engagement&d=99999999999999999999"), "bad_duration"),
        (&format!("{PAGE}&a.%20=1"), "bad_attribute"),
        (&format!("{PAGE}&a.x={}", "v".repeat(300)), "bad_attribute"),
    ] {
        check(http, bad, &[], &format!("malformed; {reason}"));
    }
    check(http, "s=nobody&u=https%3A%2F%2Fnews.example%2F", &[], "unknown_site; unknown_site");
    check(http, "u=https%3A%2F%2Fnews.example%2F", &[], "unknown_site; unknown_site");
    check(http, "s=news&u=https%3A%2F%2Fevil.example%2F", &[], "wrong_origin");
    check(http, PAGE, &[("origin", "https://evil.example")], "wrong_origin");
    check(http, PAGE, &[("sec-gpc", "1")], "opted_out; gpc");
    check(http, PAGE, &[("cookie", "mf_optout=1")], "opted_out; opt_out");
    let cookies: Vec<String> = (0..10_000).map(|n| format!("c{n}=1")).collect();
    check(http, PAGE, &[("cookie", &cookies.join("; "))], "over_limit; cookies_too_long");
    assert_eq!(Browser::new(http).hit("news", "https://news.example/sport/1").outcome(), "stored");
    program.stop();
}

#[test]
fn a_cookie_that_is_not_ours_counts_as_none() {
    let program = start();
    let other = start();
    let http = &program.http;
    let cookie_of = |program: &Program| {
        let mut browser = Browser::new(&program.http);
        assert_eq!(browser.hit("news", "https://news.example/sport/1").outcome(), "stored");
        browser.cookies["mf_id"].clone()
    };
    let (own, foreign) = (cookie_of(&program), cookie_of(&other));
    let flipped = |at: usize| {
        let mut bytes = own.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let held = |program: &Program| {
        program.setup().json(&["segment", "count", "fans"])["held"].as_u64().unwrap()
    };
    let mut bad = vec![foreign, own[..own.len() - 1].to_owned(), own.clone() + "A"];
    bad.extend([String::new(), "A".repeat(4096), "%00%ff".to_owned(), "1.1".to_owned()]);
    bad.extend([1, 8, 20, 30, own.len() - 2].map(flipped));
    assert_eq!(held(&program), 1);
    for (n, value) in bad.iter().enumerate() {
        let mut browser = Browser::new(http);
        browser.cookies.insert("mf_id".to_owned(), value.clone());
        // Nobody's visitor: nothing is shown, nothing erased.
        for method in ["GET", "DELETE"] {
            let me = browser.clone().send(method, "/api/v1/me", &[]);
            assert_eq!(me.status, 200, "{}", me.text());
            let seen =
                [&me.json()["visitor"], &me.json()["erased"]].map(serde_json::Value::is_null);
            assert_eq!(seen, [true, true], "{value}");
        }
        let answer = browser.send("GET", &format!("/p.gif?{PAGE}"), &[]);
        assert_eq!(answer.status, 302, "{value}: asked as a new one");
        let answer = browser.get(&format!("/p.gif?{PAGE}"));
        assert_eq!((answer.status, answer.outcome()), (200, "stored"), "{value}");
        assert_ne!(browser.cookies["mf_id"], own);
        assert_eq!(held(&program), n as u64 + 2, "a visitor of its own");
    }
    let me = program.http.clone().with("cookie", &format!("mf_id={own}")).get("/api/v1/me").json();
    assert_eq!(me["hits"].as_array().unwrap().len(), 1, "the own cookie is as good as before");
}

#[test]
fn an_ordinal_that_was_never_issued_is_nobody() {
    let setup = Setup::new();
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    setup.ok(&["apply", &file]);
    // A copy of the store, as a backup is; what the store issues afterwards the copy never did.
    let copy = Setup::new();
    let (from, to) = (setup.data(), copy.data());
    let copied = std::process::Command::new("cp").arg("-r").args([&from, &to]).status().unwrap();
    assert!(copied.success());
    let mut setup = setup;
    for _ in 0..5 {
        setup = setup.start().stop();
    }
    let program = setup.start();
    let mut browser = Browser::new(&program.http);
    assert_eq!(browser.hit("news", "https://news.example/sport/1").outcome(), "stored");
    let cookie = browser.cookies["mf_id"].clone();

    let copy = copy.start();
    let mut browser = Browser::new(&copy.http);
    browser.cookies.insert("mf_id".to_owned(), cookie.clone());
    assert_eq!(browser.hit("news", "https://news.example/sport/1").outcome(), "stored");
    assert_ne!(browser.cookies["mf_id"], cookie, "signed, but of nobody: a new one");
    assert_eq!(copy.setup().run(&["visitor", "show", "3.4000000000"]).code, 0, "nothing is held");
    assert_eq!(copy.setup().run(&["visitor", "show", "99.1"]).code, 1, "no such partition");
}

#[test]
fn garbage_on_the_socket_leaves_the_server_well() {
    let program = start();
    let http = &program.http;
    let before = received(http);
    let head = "GET /p.gif?s=news HTTP/1.1\r\nhost: x\r\n";
    let many = |n: usize| -> String { (0..n).map(|n| format!("h{n}: v\r\n")).collect() };
    let garbage: Vec<Vec<u8>> = vec![
        b"\x00\x01\x02\xff\xfe\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET /p.gif HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /p.gif?\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        format!("GET /p.gif?s={} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000)).into_bytes(),
        format!("{head}x: {}\r\n\r\n", "y".repeat(1_000_000)).into_bytes(),
        format!("{head}{}\r\n", many(500)).into_bytes(),
        format!("{head}content-length: -1\r\n\r\n").into_bytes(),
        b"POST /api/v1/hits HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
            .to_vec(),
        b"POST /api/v1/hits HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n{".to_vec(),
        vec![b'\n'; 200_000],
        b"GET /p.gif?s=news HT".to_vec(),
    ];
    for bytes in &garbage {
        let answer = raw(http, bytes);
        let status = answer.split(' ').nth(1).unwrap_or("none");
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
        let refused = ["none", "400", "401", "408", "413", "414", "431"].contains(&status);
        assert!(refused, "{shown:?}: {answer}");
        assert_eq!(http.get("/health").status, 200, "{shown:?}");
    }
    assert_eq!(received(http), before, "none of it was a hit");
    assert_eq!(Browser::new(http).hit("news", "https://news.example/sport/1").outcome(), "stored");
    let log = program.log();
    assert!(!log.contains("panic"), "{log}");
    program.stop();
}
