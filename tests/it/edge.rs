//! What stands between a browser and the collector: TLS, hops, fair shares, countries.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::http::Browser;
use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1
[[site]]
key = "news"
origins = ["https://news.example"]
"#;

fn start(setup: Setup) -> Program {
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    program
}

/// A certificate for `localhost` with this name in it; answers its fingerprint.
fn certificate(setup: &Setup, name: &str) -> String {
    let file = |name: &str| setup.write(name, "").display().to_string();
    let (chain, key) = (file("chain.pem"), file("key.pem"));
    let subject = format!("/CN={name}");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args([
            "-nodes",
            "-days",
            "2",
            "-subj",
            &subject,
            "-addext",
            "subjectAltName=DNS:localhost",
        ])
        .args(["-keyout", &key, "-out", &chain])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    name.to_owned()
}

/// Asks by https; answers status, protocol and the certificate's subject.
fn https(port: &str, path: &str) -> String {
    let url = format!("https://localhost:{port}{path}");
    let asked = Command::new("curl")
        .args(["--silent", "--insecure", "--verbose", "--output", "/dev/null"])
        .args(["--resolve", &format!("localhost:{port}:127.0.0.1")])
        .args(["--write-out", "%{http_code} HTTP/%{http_version}\n", &url])
        .output()
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&asked.stdout), String::from_utf8_lossy(&asked.stderr));
    let subject = err.lines().find(|line| line.contains("subject:")).unwrap_or_default();
    format!("{} {subject}", out.trim())
}

#[test]
fn tls_with_http_2_and_a_certificate_that_is_changed_while_it_runs() {
    let setup = Setup::new();
    certificate(&setup, "first");
    let chain = setup.write("none", "").with_file_name("chain.pem");
    let setup = setup
        .env("MAYFLY_HTTP__TLS_CERTIFICATE", &chain.display().to_string())
        .env("MAYFLY_HTTP__TLS_KEY", &chain.with_file_name("key.pem").display().to_string());
    let port = setup.port().to_string();
    let program = setup.spawn_without_waiting();
    program.until("answer by https", |_| https(&port, "/ready").starts_with("200").then_some(()));
    let told = https(&port, "/tag.js");
    assert!(told.starts_with("200 HTTP/2") && told.contains("first"), "{told}");
    // Commands of the same machine need no certificate.
    let status = program.setup().json(&["status"]);
    assert_eq!(status["partitions"], json!(16));
    certificate(program.setup(), "second");
    program.until("take the new one", |_| https(&port, "/tag.js").contains("second").then_some(()));
    program.setup().write("chain.pem", "rubbish");
    program.until("say so", |program| {
        program.log().contains("the changed certificate is not used").then_some(())
    });
    assert!(https(&port, "/tag.js").contains("second"), "the old one goes on");
}

#[test]
fn each_address_has_its_share_and_hops_are_believed_only_where_they_are_ours() {
    let program = start(Setup::new().env("MAYFLY_HTTP__ADDRESS_REQUESTS_PER_S", "1"));
    let from = |address: &str, n: u32| {
        let http = program.http.clone().with("x-forwarded-for", address);
        Browser::new(&http).hit("news", &format!("https://news.example/{n}")).outcome().to_owned()
    };
    let outcomes: Vec<String> = (0..30).map(|n| from("203.0.113.7", n)).collect();
    assert_eq!(outcomes[0], "stored");
    assert!(outcomes.iter().filter(|o| **o == "over_limit").count() >= 15, "{outcomes:?}");
    assert_eq!(from("203.0.113.8", 1), "stored", "another address");
    assert_eq!(from("203.0.113.7, 203.0.113.9", 1), "stored", "the last hop is the client");
    // What asks from the machine itself is not limited.
    let mut own = Browser::new(&program.http);
    for n in 0..30 {
        assert_eq!(own.hit("news", &format!("https://news.example/own/{n}")).outcome(), "stored");
    }
    program.stop();
}

#[test]
fn countries_come_from_the_operators_file_and_the_address_stays_nowhere() {
    let data = std::env::var("MAYFLY_DATA").unwrap_or_else(|_| "../../shared/data".into());
    let source = Path::new(&data).join("maxmind-testdata/test-data/GeoIP2-City-Test.mmdb");
    if !source.is_file() {
        println!("skipped: {} is not there", source.display());
        return;
    }
    let setup = Setup::new();
    let file = setup.write("networks.mmdb", "rubbish");
    let program = start(setup.env("MAYFLY_COLLECTOR__GEO_FILE", &file.display().to_string()));
    let visit = |program: &Program, address: &str| {
        let language = "nl-BE,nl;q=0.9";
        let http = program.http.clone().with("x-forwarded-for", address);
        let mut browser = Browser::new(&http.with("accept-language", language));
        let page = "https://news.example/?utm_source=Mail&utm_campaign=May";
        assert_eq!(browser.hit("news", page).outcome(), "stored");
        browser.get("/api/v1/me").json()["hits"][0].clone()
    };
    let hit = visit(&program, "81.2.69.142");
    assert_eq!((&hit["country"], &hit["language"]), (&json!(null), &json!("nl-be")), "unknown");
    std::fs::copy(&source, &file).unwrap();
    program.until("read the file", |p| p.log().contains("countries are told").then_some(()));
    let hit = visit(&program, "81.2.69.142");
    assert_eq!((&hit["country"], &hit["region"]), (&json!("gb"), &json!("eng")), "{hit}");
    assert_eq!(hit["campaign"]["source"], json!("mail"));
    assert_eq!((&hit["browser"], &hit["os"]), (&json!("firefox"), &json!("linux")));
    let log = program.log();
    let setup = program.stop();
    assert!(!log.contains("81.2.69.142"));
    let found =
        Command::new("grep").args(["-ra", "81.2.69.142"]).arg(setup.data()).output().unwrap();
    assert!(found.stdout.is_empty(), "the address is in the store");
}
