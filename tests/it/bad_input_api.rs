//! What may be sent to the API: bodies that cannot be read, times that cannot be, tokens that may
//! not. Every error has the documented form, every hit one outcome.

use mayfly_core::Timestamp;
use serde_json::{Value, json};

use crate::bad_input::{raw, received, start};
use crate::http::{Answer, Http};

fn hit() -> Value {
    json!({
        "visitor": {"space": "crm", "id": "1"}, "site": "news",
        "url": "https://news.example/sport/1",
    })
}

fn now() -> Timestamp {
    Timestamp::from_secs(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64)
}

/// An error in the form that the documentation promises; its code stands in `docs/errors.md`.
fn check_error(answer: &Answer, status: u16, code: &str, about: &str) {
    assert_eq!(answer.status, status, "{about}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"), "{about}");
    let error = &answer.json()["error"];
    assert_eq!(error["code"], json!(code), "{about}: {error}");
    assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()), "{about}: {error}");
    assert_eq!(error["docs"], json!(format!("docs/errors.md#{code}")), "{about}");
    assert!(include_str!("../../docs/errors.md").contains(code), "{code} is not documented");
}

fn post(http: &Http, kind: &str, body: &[u8]) -> Answer {
    http.send("POST", "/api/v1/hits", &[("content-type".to_owned(), kind.to_owned())], body)
}

#[test]
fn a_body_that_cannot_be_read_is_refused_whole_and_counts_once() {
    let program = start();
    let admin = program.admin();
    let good = serde_json::to_vec(&json!([hit(), hit()])).unwrap();
    let ones = |n: usize| format!("[{}1]", "1,".repeat(n - 1)).into_bytes();
    let nested = |open: &str, n: usize| open.repeat(n).into_bytes();
    let (json_kind, pack) = ("application/json", "application/msgpack");
    let bodies: [(&str, &str, Vec<u8>); 14] = [
        ("half sent", json_kind, good[..good.len() / 2].to_vec()),
        ("empty", json_kind, Vec::new()),
        ("no json", json_kind, b"s=news&u=1".to_vec()),
        ("not utf-8", json_kind, b"[{\"site\":\"\xff\xfe\"}]".to_vec()),
        ("deep lists", json_kind, nested("[", 1_000_000)),
        ("deep maps", json_kind, nested("{\"a\":", 500_000)),
        ("a million items", json_kind, ones(1_000_000)),
        ("one above the limit", json_kind, ones(10_001)),
        ("a list said to be huge", pack, vec![0xdd, 0xff, 0xff, 0xff, 0xff, 0x80]),
        ("a map said to be huge", pack, vec![0x91, 0xdf, 0xff, 0xff, 0xff, 0xff]),
        ("a text said to be huge", pack, vec![0x91, 0x81, 0xdb, 0xff, 0xff, 0xff, 0xff, b'a']),
        ("deep lists, packed", pack, vec![0x91; 1_000_000]),
        ("deep maps, packed", pack, [0x81, 0xa1, b'a'].repeat(300_000)),
        ("never used byte", pack, vec![0xc1; 100]),
    ];
    for (about, kind, body) in bodies {
        let before = received(&admin);
        check_error(&post(&admin, kind, &body), 400, "bad_hits", about);
        assert_eq!(received(&admin), before + 1, "{about}");
        assert_eq!(admin.get("/health").status, 200, "{about}");
    }
    // A closed deep list is one item that is no hit.
    let deep = [nested("[", 100_000), nested("]", 100_000)].concat();
    assert!([200, 400].contains(&post(&admin, json_kind, &deep).status));
    let before = received(&admin);
    check_error(&post(&admin, json_kind, &vec![b' '; 5_000_000]), 413, "too_large", "5 MB");
    assert_eq!(received(&admin), before + 1, "5 MB");

    // Cut in the middle of the connection: no hit, no harm.
    let before = received(&admin);
    let token = std::fs::read_to_string(program.setup().data().join("admin.token")).unwrap();
    let head = format!(
        "POST /api/v1/hits HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-length: {}\r\n\r\n",
        token.trim(),
        good.len()
    );
    raw(&program.http, &[head.as_bytes(), &good[..good.len() / 2]].concat());
    assert_eq!(received(&admin), before);
    assert_eq!(post(&admin, json_kind, &good).json()["outcomes"], json!({"stored": 2}));
    program.stop();
}

#[test]
fn an_item_that_is_wrong_is_named_and_the_others_are_stored() {
    let program = start();
    let admin = program.admin();
    let with = |key: &str, value: Value| {
        let mut hit = hit();
        hit[key] = value;
        hit
    };
    let day = 86_400_000;
    let midnight = now().day().unwrap().start().millis();
    let cases: Vec<(Value, &str, Value)> = vec![
        (hit(), "stored", json!(null)),
        (with("time", json!(now().millis() + 200_000)), "stored", json!(null)),
        (with("time", json!(now().millis() + 400_000)), "from_future", json!(null)),
        (with("time", json!("2999-01-01T00:00:00Z")), "from_future", json!(null)),
        (with("time", json!(i64::MAX)), "from_future", json!(null)),
        (with("time", json!(midnight - 88 * day)), "stored", json!(null)),
        (with("time", json!(midnight - 91 * day)), "too_old", json!(null)),
        (with("time", json!("1969-12-31T23:59:59Z")), "too_old", json!(null)),
        (with("time", json!(-1)), "too_old", json!(null)),
        (with("time", json!(i64::MIN)), "too_old", json!(null)),
        (with("time", json!(u64::MAX)), "malformed", json!("bad_time")),
        (with("time", json!("yesterday")), "malformed", json!("bad_time")),
        (with("time", json!({"at": 1})), "malformed", json!("bad_json")),
        (with("url", json!("ftp://news.example/1")), "malformed", json!("bad_url")),
        (with("url", json!("https://evil.example/1")), "wrong_origin", json!(null)),
        (with("url", json!(null)), "malformed", json!("no_url")),
        (with("site", json!("nobody")), "unknown_site", json!("unknown_site")),
        (with("visitor", json!({})), "malformed", json!("bad_visitor")),
        (with("visitor", json!({"cookie": "AAAA"})), "malformed", json!("bad_visitor")),
        (with("visitor", json!({"space": "a b", "id": "1"})), "malformed", json!("bad_visitor")),
        (with("event", json!("no event")), "malformed", json!("bad_event")),
        (with("attributes", json!({"a": [1]})), "malformed", json!("bad_json")),
        (with("attributes", json!({"a": "v".repeat(300)})), "malformed", json!("bad_attribute")),
        (with("id", json!("")), "malformed", json!("bad_hit_id")),
        (json!([]), "malformed", json!("bad_visitor")),
        (json!(7), "malformed", json!("bad_json")),
    ];
    let before = received(&admin);
    let body: Value = cases.iter().map(|(hit, _, _)| hit.clone()).collect();
    let answer = admin.post("/api/v1/hits", &body).json();
    let refused = answer["refused"].as_array().unwrap();
    let mut named = refused.iter();
    for (index, (hit, outcome, reason)) in cases.iter().enumerate() {
        if *outcome != "stored" {
            let told = named.next().unwrap_or(&Value::Null);
            assert_eq!(
                *told,
                json!({"index": index, "outcome": outcome, "reason": reason}),
                "{hit}"
            );
        }
    }
    assert_eq!(named.next(), None);
    let sum: u64 = answer["outcomes"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(sum, cases.len() as u64);
    assert_eq!(received(&admin), before + sum);
    let shown = program.setup().json(&["visitor", "show", "crm:1"]);
    assert_eq!(shown["hits"].as_array().unwrap().len(), 3);
}

#[test]
fn only_the_right_token_opens_and_every_error_has_the_documented_form() {
    let program = start();
    let (http, admin) = (&program.http, program.admin());
    let of_role = |role: &str| {
        let new = json!({"name": role, "role": role});
        let secret = admin.post("/api/v1/tokens", &new).json()["secret"].clone();
        http.clone().with("authorization", &format!("Bearer {}", secret.as_str().unwrap()))
    };
    let (viewer, partner, privacy) = (of_role("viewer"), of_role("partner"), of_role("privacy"));
    let wrong = http.clone().with("authorization", &format!("Bearer {}", "0".repeat(64)));
    let basic = http.clone().with("authorization", "Basic YWRtaW46YWRtaW4=");
    let long = http.clone().with("authorization", &format!("Bearer {}", "x".repeat(50_000)));
    for nobody in [http, &wrong, &basic, &long] {
        for path in ["/segments", "/definitions", "/visitors/crm:1", "/tokens", "/status"] {
            let answer = nobody.get(&format!("/api/v1{path}"));
            check_error(&answer, 401, "unauthorized", path);
        }
        let before = received(http);
        check_error(&nobody.post("/api/v1/hits", &hit()), 401, "unauthorized", "hits");
        assert_eq!(received(http), before, "not a hit");
    }
    let new = json!({"name": "mine", "role": "admin"});
    check_error(&viewer.post("/api/v1/tokens", &new), 403, "forbidden", "a token by a viewer");
    check_error(&viewer.post("/api/v1/hits", &hit()), 403, "forbidden", "a hit by a viewer");
    check_error(&viewer.get("/api/v1/segments/fans/members"), 403, "forbidden", "members");
    check_error(&partner.get("/api/v1/segments"), 403, "forbidden", "sizes by a partner");
    check_error(&partner.get("/api/v1/visitors/crm:1"), 403, "forbidden", "a person by a partner");
    check_error(&privacy.post("/api/v1/definitions/apply", &new), 403, "forbidden", "apply");
    assert_eq!(partner.post("/api/v1/hits", &hit()).json()["outcomes"], json!({"stored": 1}));
    assert_eq!(viewer.get("/api/v1/segments").json()["exact"], json!(false));
    assert_eq!(privacy.get("/api/v1/visitors/crm:1").status, 200);

    let send = |path: &str, body: &[u8]| {
        let kind = ("content-type".to_owned(), "application/json".to_owned());
        admin.send("POST", &format!("/api/v1{path}"), &[kind], body)
    };
    let name = "n".repeat(60_000);
    check_error(&admin.get("/api/v1/none"), 404, "route_not_found", "route");
    check_error(&http.get("/none"), 404, "route_not_found", "route of a browser");
    check_error(&admin.get("/api/v1/segments/none"), 404, "segment_not_found", "segment");
    check_error(&admin.get(&format!("/api/v1/segments/{name}")), 404, "segment_not_found", "long");
    check_error(&admin.get("/api/v1/sites/none"), 404, "site_not_found", "site");
    check_error(&admin.get("/api/v1/visitors/crm:none"), 404, "visitor_not_found", "visitor");
    check_error(&admin.get("/api/v1/visitors/zzz"), 404, "visitor_not_found", "visitor");
    check_error(&admin.delete("/api/v1/tokens/none"), 404, "token_not_found", "token");
    check_error(&send("/insights/count", b"{"), 400, "bad_body", "half a question");
    check_error(
        &send("/insights/count", b"{\"rule\":\"x\",\"y\":1}"),
        400,
        "bad_body",
        "unknown key",
    );
    check_error(
        &send("/insights/count", b"{\"rule\":\"visited(\"}"),
        422,
        "bad_definitions",
        "rule",
    );
    let deep = format!("{{\"rule\":\"{}\"}}", "(".repeat(60_000));
    check_error(&send("/insights/count", deep.as_bytes()), 422, "bad_definitions", "deep rule");
    check_error(&send("/tokens", b"{\"name\":\"a\",\"role\":\"god\"}"), 400, "bad_body", "role");
    check_error(&send("/files/check", b"{"), 400, "bad_body", "half a file");
    check_error(&send("/definitions/apply", b"\xff\xfe"), 400, "not_utf8", "definitions");
    check_error(&send("/definitions/apply", &vec![b'#'; 9_000_000]), 413, "too_large", "9 MB");
    check_error(&send("/definitions/apply?prune=maybe", b""), 400, "bad_query", "query");
    check_error(&admin.get("/api/v1/segments/%ff"), 404, "segment_not_found", "not UTF-8");
    check_error(&admin.delete("/api/v1/segments"), 405, "wrong_method", "method");
    check_error(&http.send("PUT", "/p.gif", &[], b""), 404, "route_not_found", "method");
    assert_eq!(admin.get("/health").status, 200);
}
