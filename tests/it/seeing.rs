//! Seeing what happens to a pixel: explained, followed, what no rule uses; and where clicks go.

use serde_json::{Value, json};

use crate::bad_input::received;
use crate::http::{Browser, encoded};
use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]
consent = "tcf"
role = "publisher"
attributes = ["plan"]
redirect_hosts = ["shop.example"]

[[category]]
name = "Sports > Football"
rule = 'path startswith "/sport" and title contains "derby"'

[[category]]
name = "Mood"
rule = 'x.mood == "good"'
"#;

fn start() -> Program {
    let setup = Setup::new();
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    program
}

fn pixel(page: &str, more: &str) -> String {
    format!("/p.gif?s=news&u={}{more}", encoded(&format!("https://news.example{page}")))
}

#[test]
fn a_token_on_the_pixel_has_it_explained() {
    let program = start();
    let secret = program.setup().ok(&["token", "create", "debug", "--role", "site_owner"]);
    let debug = format!("&debug={}", secret.trim());
    let mut browser = Browser::new(&program.http);
    let page = "/sport/jan@site.example?id=7&who=me";
    let told = browser.get(&pixel(page, &format!("&a.plan=gold&a.name=Jan{debug}"))).json();
    assert_eq!(told["hit"]["url"], json!("https://news.example/sport/*?id=7"), "{told}");
    assert_eq!(told["stripped"]["query"], json!(["who"]));
    assert_eq!(told["stripped"]["attributes"], json!(["name"]));
    assert_eq!(told["hit"]["nearly_in"], json!(["Sports > Football"]));
    assert_eq!((&told["outcome"], &told["reason"]), (&json!("no_consent"), &json!("absent")));
    assert_eq!(told["consent"]["allowed"], json!(false));
    assert!(told["consent"]["advice"].as_str().is_some_and(|a| a.contains("gdpr_consent")));
    let more = format!("&gdpr=0&t=The+derby{debug}");
    let told = browser.get(&pixel("/sport/1", &more)).json();
    assert_eq!(
        (&told["outcome"], &told["hit"]["falls_in"]),
        (&Value::Null, &json!(["Sports", "Sports > Football"]))
    );
    assert!(told["cookie"].as_str().is_some_and(|c| c.contains("a probe is sent")), "{told}");
    let told = browser.get(&pixel("/sport/1", &more)).json();
    assert_eq!(told["outcome"], json!("stored"));
    let other = browser.get(&pixel("/sport/2", "&gdpr=0&debug=guessed"));
    assert_eq!(other.header("content-type"), Some("image/gif"), "nobody else is told");
    program.stop();
}

#[test]
fn what_no_rule_uses_is_listed_with_counts() {
    let program = start();
    let mut browser = Browser::new(&program.http);
    for n in 0..3 {
        browser
            .get(&pixel(&format!("/recipes/{n}?q=x&ref=mail"), "&gdpr=0&a.sort=hot&x.mood=good"));
        browser.get(&pixel(&format!("/sport/{n}"), "&gdpr=0&t=derby"));
    }
    let listed = program.setup().json(&["site", "unmapped", "news"]);
    let rows: Vec<(String, u64)> = listed["unmapped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["name"].as_str().unwrap().to_owned(), row["hits"].as_u64().unwrap()))
        .collect();
    let has = |name: &str| rows.iter().find(|(own, _)| own == name).map(|(_, hits)| *hits);
    assert!(
        has("/recipes") >= Some(3) && has("sort") >= Some(3) && has("ref") >= Some(3),
        "{rows:?}"
    );
    assert_eq!(has("/sport"), None, "a rule uses it");
    // The value for a rule that is never stored has fired, and is gone.
    let me = browser.get("/api/v1/me").json();
    assert!(!me.to_string().contains("mood"), "{me}");
    let rule = r#"visited("Mood", within 1d) >= 3"#;
    assert_eq!(program.setup().json(&["segment", "count", "--rule", rule])["held"], json!(1));
    program.stop();
}

#[test]
fn pixels_can_be_followed_as_they_pass() {
    let program = start();
    let admin = program.admin();
    assert_eq!(admin.get("/api/v1/sites/nobody/tail").status, 404);
    assert_eq!(program.http.get("/api/v1/sites/news/tail").status, 401);
    let first = admin.get("/api/v1/sites/news/tail").json();
    assert_eq!(first["pixels"], json!([]));
    let mut browser = Browser::new(&program.http);
    browser.get(&pixel("/a?token=secret", ""));
    browser.get(&pixel("/b", "&gdpr=0"));
    let passed = admin.get("/api/v1/sites/news/tail").json();
    let shown: Vec<_> = passed["pixels"].as_array().unwrap().iter().collect();
    assert_eq!(shown.len(), 3, "the second one came twice: {passed}");
    assert_eq!(
        (&shown[0]["outcome"], &shown[0]["reason"]),
        (&json!("no_consent"), &json!("absent"))
    );
    assert_eq!(shown[0]["url"], json!("https://news.example/a"));
    assert_eq!((&shown[1]["outcome"], &shown[2]["outcome"]), (&Value::Null, &json!("stored")));
    let after = format!("/api/v1/sites/news/tail?after={}", passed["last"]);
    assert_eq!(admin.get(&after).json()["pixels"], json!([]));
    let followed = program.setup().ok(&["tail", "--site", "news", "--seconds", "1"]);
    assert_eq!(followed, "", "what passed before is not followed");
    program.stop();
}

#[test]
fn a_click_goes_on_to_registered_hosts_and_to_no_other() {
    let program = start();
    let click = |browser: &mut Browser, to: &str| {
        let query = format!("&gdpr=0&e=ad_click&to={}", encoded(to));
        browser.send("GET", &pixel("/ad", &query), &[])
    };
    let mut browser = Browser::new(&program.http);
    browser.get(&pixel("/first", "&gdpr=0"));
    let answer = click(&mut browser, "https://shop.example/shoes?x=1");
    assert_eq!((answer.status, answer.outcome()), (302, "stored"));
    assert_eq!(answer.header("location"), Some("https://shop.example/shoes?x=1"));
    for bad in [
        "https://evil.example/",
        "//evil.example",
        "javascript:alert(1)",
        "https://shop.example@evil.example/",
    ] {
        let answer = click(&mut browser, bad);
        assert_eq!((answer.status, answer.header("location")), (200, None), "{bad}");
    }
    // Who keeps no cookies still arrives.
    let answer = program
        .http
        .get(&pixel("/ad", "&mf_probe=1&gdpr=0&e=ad_click&to=https%3A%2F%2Fshop.example%2F"));
    assert_eq!((answer.status, answer.header("location")), (302, Some("https://shop.example/")));
    program.stop();
}

/// Bodies come in clear or packed; a packed one is bounded by what comes out.
#[test]
fn bodies_may_be_packed_and_a_bomb_is_refused() {
    let program = start();
    let pack = |body: &[u8]| {
        use std::io::Write;
        let mut child = std::process::Command::new("gzip")
            .arg("-c")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let body = body.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&body).unwrap());
        let packed = child.wait_with_output().unwrap().stdout;
        writer.join().unwrap();
        packed
    };
    let send = |body: &[u8], encoding: &str| {
        let headers = [("content-encoding".to_owned(), encoding.to_owned())];
        program.admin().send("POST", "/api/v1/hits", &headers, body)
    };
    let hit = json!([{"site": "news", "visitor": {"space": "crm", "id": "1"},
        "url": "https://news.example/1", "consent": {"gdpr": false}}]);
    let packed = pack(hit.to_string().as_bytes());
    let answer = send(&packed, "gzip");
    assert_eq!(answer.json()["outcomes"], json!({"stored": 1}), "{}", answer.text());
    let before = received(&program.http);
    assert_eq!(send(&packed[..packed.len() - 9], "gzip").status, 400);
    assert_eq!(send(&pack(&vec![b' '; 100_000_000]), "gzip").status, 413);
    assert_eq!(received(&program.http), before + 2, "each is one refused hit");
    assert_eq!(send(&packed, "br").status, 415);
    program.stop();
}

/// A store that was restored from a backup brings an erased visitor back: the journal sees to it
/// that nobody sees him.
#[test]
fn the_journal_erases_again_what_a_backup_brings_back() {
    let program = start();
    let mut browser = Browser::new(&program.http);
    assert_eq!(browser.get(&pixel("/a", "&gdpr=0")).outcome(), "stored");
    let me = browser.get("/api/v1/me").json()["visitor"].as_str().unwrap().to_owned();
    let setup = program.stop();
    back_up(&setup);
    let program = setup.start();
    assert_eq!(browser.send("DELETE", "/api/v1/me", &[]).status, 200);
    let program = restore(program.stop()).start();
    let shown = program.admin().get(&format!("/api/v1/visitors/{me}")).json();
    assert_eq!(shown["hits"], json!([]), "{shown}");
    assert!(program.log().contains("erased again by the journal"), "{}", program.log());
    program.stop();
}

fn back_up(setup: &Setup) {
    let (store, backup) = (setup.data().join("store"), setup.data().join("backup"));
    let done = std::process::Command::new("cp").arg("-a").args([store, backup]).status().unwrap();
    assert!(done.success());
}

fn restore(setup: Setup) -> Setup {
    let (store, backup) = (setup.data().join("store"), setup.data().join("backup"));
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(&backup, &store).unwrap();
    setup
}

/// Whoever came after the backup keeps a cookie whose number the restored store has not issued yet:
/// nobody else may become him.
#[test]
fn after_a_restore_no_number_is_issued_again() {
    let setup = Setup::new().env("MAYFLY_STORE__PARTITIONS", "1");
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    let visit = |program: &Program| {
        let mut browser = Browser::new(&program.http);
        assert_eq!(browser.get(&pixel("/a", "&gdpr=0")).outcome(), "stored");
        browser.get("/api/v1/me").json()["visitor"].as_str().unwrap().to_owned()
    };
    let setup = program.stop();
    back_up(&setup);
    let program = setup.start();
    let late: Vec<String> = (0..20).map(|_| visit(&program)).collect();
    // The numbers are kept within a second.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let program = restore(program.stop()).start();
    let next: Vec<String> = (0..20).map(|_| visit(&program)).collect();
    assert!(next.iter().all(|visitor| !late.contains(visitor)), "{late:?} {next:?}");
    program.stop();
}
