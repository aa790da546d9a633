//! What an operator watches: `/health`, `/ready`, `/metrics`.

use std::io::Write;
use std::process::{Command, Stdio};

use mayfly_store::contract::servers::RedisServer;

use crate::http::{Browser, Http};
use crate::program::{Setup, free_port};

#[test]
fn prometheus_takes_the_metrics_and_every_documented_one_is_there() {
    let program = Setup::new().start();
    assert_eq!(Browser::new(&program.http).hit("none", "https://a.example/").status, 200);
    let answer = program.http.get("/metrics");
    assert_eq!(answer.status, 200);
    let text = answer.text();

    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.expect("promtool; run deploy/install-test-tools.sh");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));

    let page = include_str!("../../docs/metrics.md");
    let rows = page.lines().filter_map(|l| l.strip_prefix("| `mayfly_")?.split('`').next());
    let mut names = 0;
    for name in rows {
        names += 1;
        // A counter by kind shows itself with its first failure.
        let is_there = text.contains(&format!("# TYPE mayfly_{name} "));
        assert!(is_there || name == "store_errors_total", "mayfly_{name} is not in /metrics");
    }
    assert!(names > 10, "docs/metrics.md has a table");
}

#[test]
fn the_sum_of_outcomes_is_the_number_of_hits() {
    let program = Setup::new().start();
    for n in 0..7 {
        let path = ["/p.gif", "/p.gif?s=none", "/p.gif?s=none&u=%ff", "/p.gif?%%%"][n % 4];
        let answer = Browser::new(&program.http).get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/gif")));
        assert!(!answer.outcome().is_empty(), "{path}");
    }
    let text = program.http.get("/metrics").text();
    let hits = text.lines().filter(|line| line.starts_with("mayfly_hits_total{"));
    let sum: u64 = hits.map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(sum, 7);
}

#[test]
fn a_private_listener_takes_the_api_and_the_metrics_away_from_the_public_one() {
    let private = format!("127.0.0.1:{}", free_port());
    let program = Setup::new().env("MAYFLY_HTTP__PRIVATE", &private).start();
    let inside = Http::new(&format!("http://{private}"));
    for path in ["/metrics", "/api/v1/status", "/api/v1/segments"] {
        assert_eq!(program.http.get(path).status, 404, "{path}");
        assert_ne!(inside.get(path).status, 404, "{path}");
    }
    for path in ["/health", "/ready", "/api/v1/me", "/p.gif"] {
        assert_ne!(program.http.get(path).status, 404, "{path}");
    }
    // Commands find the private listener.
    program.setup().ok(&["segment", "list"]);
}

/// Entries without hits go from collector to segment all the time, in each partition, and count
/// nowhere.
fn tell_the_way_without_hits(setup: Setup) {
    let program = setup.start();
    let of = |text: &str, name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in /metrics")).parse().unwrap()
    };
    let partitions = program.setup().json(&["status"])["partitions"].as_f64().unwrap();
    let begun = std::time::Instant::now();
    let text = loop {
        let text = program.http.get("/metrics").text();
        if of(&text, "mayfly_canary_seconds_count") >= partitions {
            break text;
        }
        assert!(begun.elapsed().as_secs() < 60, "nothing came in a minute");
        std::thread::sleep(std::time::Duration::from_millis(200));
    };
    assert!(of(&text, "mayfly_canary_age_seconds") < 45.0);
    assert_eq!(of(&text, "mayfly_folded_hits_total"), 0.0);
    assert_eq!(of(&text, "mayfly_hit_to_segment_seconds_count"), 0.0);
    let status = program.setup().json(&["status"]);
    assert_eq!((&status["visitors"], &status["changing_days"]), (&0.into(), &0.into()));
    let everybody = ["segment", "count", "--rule", "visited(\"*\", within 90d)"];
    assert_eq!(program.setup().json(&everybody)["held"], 0);
}

#[test]
fn the_way_without_hits_embedded() {
    tell_the_way_without_hits(Setup::new());
}

#[test]
fn the_way_without_hits_redis() {
    let server = RedisServer::start(&["--appendonly", "yes"]).unwrap();
    tell_the_way_without_hits(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}
