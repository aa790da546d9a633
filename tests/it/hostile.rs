//! What a hostile client may try on the open side of the server beyond single bad inputs: forged
//! addresses and forms, requests within requests.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::bad_input::{DEFINITIONS, raw, received, start};
use crate::http::{Answer, Browser, Http};
use crate::program::{Program, Setup};

/// What the raw requests say that they are.
const HEAD: &str = "host: x\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0\r\n";
/// A hit that is refused, and counted.
const HIT: &str = "/p.gif?s=nobody&u=https%3A%2F%2Fnews.example%2F";

/// A raw `GET` of the refused hit, with more headers.
fn get(headers: &str) -> String {
    format!("GET {HIT} HTTP/1.1\r\n{HEAD}{headers}\r\n")
}

/// The statuses of all answers in what came back.
fn statuses(answer: &str) -> Vec<&str> {
    answer.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)).collect()
}

/// A server with the site, under settings.
fn start_with(settings: &[(&str, &str)]) -> Program {
    let setup = settings.iter().fold(Setup::new(), |setup, (name, value)| setup.env(name, value));
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    program
}

/// The outcomes of so many hits that say where they come from, by outcome.
fn outcomes(http: &Http, addresses: impl Iterator<Item = Vec<u8>>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for address in addresses {
        let line = [b"x-forwarded-for: ", &address[..], b"\r\nconnection: close\r\n\r\n"].concat();
        let request = [format!("GET {HIT} HTTP/1.1\r\n{HEAD}").as_bytes(), &line[..]].concat();
        let answer = raw(http, &request);
        let said = answer.lines().find_map(|l| l.strip_prefix("x-mayfly-outcome: "));
        *counts.entry(said.unwrap_or("none").to_owned()).or_default() += 1;
    }
    counts
}

/// Whether bytes occur in a file or in any file below a folder.
fn occurs(path: &Path, bytes: &[u8]) -> bool {
    if path.is_dir() {
        let mut entries = fs::read_dir(path).unwrap();
        return entries.any(|entry| occurs(&entry.unwrap().path(), bytes));
    }
    fs::read(path).is_ok_and(|all| all.windows(bytes.len()).any(|part| part == bytes))
}

/// A form of the visitor's pages, sent by a browser with its visitor's cookie.
fn form(http: &Http, path: &str, body: &str, cookie: &str, headers: &[(&str, &str)]) -> Answer {
    let own = [("content-type", "application/x-www-form-urlencoded"), ("cookie", cookie)];
    let all = own.iter().chain(headers).map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    http.send("POST", path, &all.collect::<Vec<_>>(), body.as_bytes())
}

#[test]
fn bodies_of_two_lengths_are_refused_and_no_body_is_read_as_a_request() {
    let program = start();
    let http = &program.http;
    let (before, inner) = (received(http), get(""));
    let post = format!("POST /p.gif HTTP/1.1\r\n{HEAD}");
    for lengths in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "content-length: 0\r\ncontent-length: 5\r\n",
        "content-length: +5\r\n",
        "content-length: 5, 5\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: identity\r\ncontent-length: 5\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding : chunked\r\n",
        "x: a\r\n folded\r\ncontent-length: 5\r\n",
    ] {
        let answer = raw(http, format!("{post}{lengths}\r\n0\r\n\r\n{inner}").as_bytes());
        assert_eq!(statuses(&answer), ["400"], "{lengths}");
    }
    assert_eq!(received(http), before, "none of it was a hit");
    // A body that nobody wants: the hits in it are text.
    for (path, status, hits) in [("/nope", "404", 0), ("/api/v1/hits", "401", 0), (HIT, "200", 1)] {
        let before = received(http);
        for body in [
            format!("content-length: {}\r\n\r\n{inner}", inner.len()),
            format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len()),
        ] {
            let method = if path == HIT { "GET" } else { "POST" };
            let answer = raw(http, format!("{method} {path} HTTP/1.1\r\n{HEAD}{body}").as_bytes());
            assert_eq!(statuses(&answer), [status], "{path}");
        }
        assert_eq!(received(http), before + 2 * hits, "{path}");
    }
    let before = received(http);
    let answer = raw(http, (get("").repeat(999) + &get("connection: close\r\n")).as_bytes());
    assert_eq!((statuses(&answer).len(), received(http)), (1000, before + 1000), "pipelined");
    program.stop();
}

#[test]
fn an_address_has_its_share_whatever_stands_before_it() {
    let program = start_with(&[("MAYFLY_HTTP__ADDRESS_REQUESTS_PER_S", "2")]);
    let http = &program.http;
    let before = received(http);
    let refused = |address: &[u8]| {
        let counts = outcomes(http, (0..40).map(|_| address.to_vec()));
        counts.get("over_limit; too_many_requests").copied().unwrap_or(0)
    };
    let least = |address: &[u8]| assert!(refused(address) >= 15, "{address:?}");
    least(b"203.0.113.7");
    assert!(refused(b"203.0.113.8") <= 25, "another one has his own share");
    least(b"198.51.100.1, 203.0.113.7");
    least(b"203.0.113.7, 127.0.0.1");
    least(b"::ffff:203.0.113.7");
    let many = (0..40).map(|n| format!("2001:db8::{n:x}").into_bytes());
    assert!(outcomes(http, many).contains_key("over_limit; too_many_requests"), "one /64");
    // what the client itself put before the proxy's word must not hide that word, and
    // what cannot be read is no licence.
    least(b"\xff, 203.0.113.7");
    least(b"203.0.113.7:4711");
    least(b"unknown");
    assert_eq!(received(http), before + 40 * 9);
    assert!(!occurs(&program.setup().data(), b"203.0.113"), "no address is kept");
    assert!(!program.log().contains("203.0.113"));
    program.stop();
}

#[test]
fn a_site_has_its_share_and_a_click_over_it_still_leads_on() {
    let program = start_with(&[("MAYFLY_HTTP__SITE_REQUESTS_PER_S", "2")]);
    let http = &program.http;
    let hit = |site: &str| format!("/p.gif?s={site}&u=https%3A%2F%2Fnews.example%2F");
    let over = |path: &str| -> Vec<Answer> {
        let mut answers: Vec<Answer> = (0..40).map(|_| http.get(path)).collect();
        let is_over =
            |a: &Answer| a.header("x-mayfly-outcome") == Some("over_limit; too_many_requests");
        answers.retain(is_over);
        answers
    };
    assert!(over(&hit("news")).len() >= 15);
    assert!(over(&hit("&s=news")).len() >= 15, "an empty site is none");
    assert!(over(&hit("nobody")).is_empty(), "what is no site has no share to take");
    let click = format!("{}&e=ad_click&to=https%3A%2F%2Fnews.example%2Fbuy", hit("news"));
    let clicks = over(&click);
    let led = clicks.iter().all(|a| a.header("location") == Some("https://news.example/buy"));
    assert!(led && clicks.len() >= 15);
    program.stop();
}

/// Opens a connection, says something, and tells when it is closed.
fn closed_after(http: &Http, say: impl FnOnce(&mut TcpStream)) -> Duration {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(http.base().strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    say(&mut stream);
    let mut all = Vec::new();
    // Reset is closed, too.
    drop(stream.read_to_end(&mut all));
    begin.elapsed()
}

#[test]
fn connections_that_get_nowhere_are_closed() {
    let program = start_with(&[("MAYFLY_HTTP__STUCK_S", "2")]);
    let http = &program.http;
    let drip = |stream: &mut TcpStream| {
        stream.write_all(get("").as_bytes()).unwrap();
        stream.write_all(b"GET /p.gif?s=").unwrap();
        for _ in 0..40 {
            std::thread::sleep(Duration::from_millis(200));
            if stream.write_all(b"x").is_err() {
                return;
            }
        }
        panic!("a head may drip for ever");
    };
    let chunks = |stream: &mut TcpStream| {
        let head = get("transfer-encoding: chunked\r\n");
        stream.write_all(format!("{head}5\r\nhello\r\n").as_bytes()).unwrap();
    };
    for say in [&drip as &dyn Fn(&mut TcpStream), &chunks] {
        let after = closed_after(http, |stream| say(stream));
        assert!(after < Duration::from_secs(8), "{after:?}");
    }
    // Who is answered now and then stays.
    let mut stream = TcpStream::connect(http.base().strip_prefix("http://").unwrap()).unwrap();
    for _ in 0..5 {
        stream.write_all(get("").as_bytes()).unwrap();
        let mut part = [0; 4096];
        assert!(stream.read(&mut part).unwrap() > 0);
        std::thread::sleep(Duration::from_secs(1));
    }
    program.stop();
}

#[test]
fn a_form_that_another_site_sends_neither_erases_nor_opts_in() {
    let program = start();
    let http = &program.http;
    let mut browser = Browser::new(http);
    assert_eq!(browser.hit("news", "https://news.example/sport/1").outcome(), "stored");
    let cookie = format!("mf_id={}", browser.cookies["mf_id"]);
    let foreign: [&[_]; 5] = [
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-site"), ("origin", "https://evil.news.example")],
        &[("sec-fetch-site", "none")],
        &[("origin", "null")],
        &[],
    ];
    for headers in foreign {
        for (path, body) in [("/privacy", "action=erase"), ("/optout", "action=in")] {
            assert_eq!(form(http, path, body, &cookie, headers).status, 403, "{path} {headers:?}");
        }
        // `json=1` is for the tag's opt-out alone.
        let answer = form(http, "/privacy", "action=erase&json=1", &cookie, headers);
        assert_eq!(answer.status, 403, "{headers:?}");
        let answer = form(http, "/optout", "action=in&json=1", &cookie, headers);
        let set = answer.header("set-cookie").unwrap_or("");
        assert!(!set.starts_with("mf_optout=;"), "never back in: {set}");
    }
    let me = http.clone().with("cookie", &cookie).get("/api/v1/me").json();
    assert_eq!(me["hits"].as_array().unwrap().len(), 1, "nothing was erased");
    program.stop();
}

#[test]
fn no_other_origin_may_read_and_no_header_is_ours_to_write() {
    let program = start();
    let http = &program.http;
    let mut browser = Browser::new(http);
    assert_eq!(browser.hit("news", "https://news.example/sport/1").outcome(), "stored");
    for origin in ["https://evil.example", "null", "https://news.example.evil.example"] {
        for (method, path) in [
            ("GET", "/api/v1/me"),
            ("GET", "/api/v1/me/segments"),
            ("OPTIONS", "/api/v1/me"),
            ("OPTIONS", "/api/v1/me/segments"),
            ("OPTIONS", "/api/v1/hits"),
        ] {
            let answer = browser.clone().send(method, path, &[("origin", origin)]);
            assert_eq!(answer.header("access-control-allow-origin"), None, "{origin} {path}");
        }
    }
    for query in
        ["//evil.example&", "\\\\evil.example&", "?x&", "@evil.example&", "z=%0d%0aset-cookie:x&"]
    {
        let query = format!("{query}s=news&u=https%3A%2F%2Fnews.example%2F");
        let first = format!("GET http://evil.example/p.gif?{query} HTTP/1.1\r\n{HEAD}\r\n");
        let answer = raw(http, first.as_bytes());
        let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
        assert_eq!(location, Some(&*format!("?{query}&mf_probe=1")), "{answer}");
        assert!(!answer.contains("\nset-cookie:x"), "{answer}");
    }
    // who is asked is told by `Host`, not by what a client makes of it; the answer is
    // kept by caches for a day.
    for (name, value) in [("x-forwarded-host", "e.vil"), ("forwarded", "host=e.vil")] {
        let evil = http.clone().with(name, value);
        assert!(!evil.get("/device-storage.json").text().contains("e.vil"), "{name}");
    }
    program.stop();
}

#[test]
fn a_cookie_header_that_is_too_long_hides_no_opt_out() {
    let program = start();
    let definitions = DEFINITIONS.replace("name = \"fans\"", "name = \"fans\"\non_page = true");
    let file = program.setup().write("on-page.toml", &definitions).display().to_string();
    program.setup().ok(&["apply", &file]);
    let http = program.http.clone().with("origin", "https://news.example");
    let tag = |fp: &str| {
        let page = "s=news&u=https%3A%2F%2Fnews.example%2Fsport%2F1&j=1&fp=";
        http.send("POST", "/p.gif", &[], format!("{page}{fp}").as_bytes()).json()
    };
    let probe = tag("")["probe"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/me/segments?s=news&fp={}", tag(&probe)["id"].as_str().unwrap());
    program.until("show the segment", |_| http.get(&path).text().contains("fans").then_some(()));
    let no = http.clone().with("cookie", "mf_optout=1");
    assert_eq!(no.get(&path).text(), r#"{"segments":[]}"#);
    // such a header may hide an opt-out, so it counts as one.
    let long = http.clone().with("cookie", &format!("mf_optout=1; x={}", "a".repeat(17_000)));
    assert_eq!(long.get(&path).text(), r#"{"segments":[]}"#);
    program.stop();
}

#[test]
fn a_body_bomb_is_one_refusal() {
    let program = start();
    let (http, admin) = (&program.http, program.admin());
    let deep = |open: &str, n: usize| open.repeat(n).into_bytes();
    for (kind, body) in [
        ("json", deep("[", 4_000_000)),
        ("json", deep(r#"{"attributes":"#, 100_000)),
        ("msgpack", vec![0x91; 4_000_000]),
        ("msgpack", b"\xdd\xff\xff\xff\xff".to_vec()),
        ("msgpack", b"\x81\xa8keywords\xdd\xff\xff\xff\xff".to_vec()),
        ("msgpack", b"\x81\xaaattributes\xdf\xff\xff\xff\xff".to_vec()),
        ("msgpack", b"\x81\xa5title\xdb\xff\xff\xff\xff".to_vec()),
    ] {
        let before = received(http);
        let kind = ("content-type".to_owned(), format!("application/{kind}"));
        let answer = admin.send("POST", "/api/v1/hits", &[kind], &body);
        assert_eq!(answer.json()["error"]["code"], "bad_hits", "{:?}", &body[..body.len().min(12)]);
        assert_eq!(received(http), before + 1);
    }
    // without a token no body is read, and the refusal has the documented form.
    let body = "a".repeat(300_000);
    let head = format!("{HEAD}connection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let answer = raw(http, format!("POST /api/v1/partitions HTTP/1.1\r\n{head}{body}").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("\"unauthorized\""), "{answer}");
    assert!(!program.log().contains("panic"));
    program.stop();
}
