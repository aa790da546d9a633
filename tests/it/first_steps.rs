//! The README, taken literally: its commands are real, and lead to a first segment.

use std::fs;

use serde_json::json;

use crate::program::Setup;

/// Three visitors of a blog: one with four pages, one with two, one with one and a style sheet.
const LOG: &str = r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /blog/one HTTP/1.1" 200 203 "-" "Mozilla/5.0 (A) Firefox/1"
192.0.2.1 - - [17/May/2015:10:06:03 +0000] "GET /blog/two HTTP/1.1" 200 203 "-" "Mozilla/5.0 (A) Firefox/1"
192.0.2.1 - - [18/May/2015:10:05:03 +0000] "GET /software/three HTTP/1.1" 200 203 "-" "Mozilla/5.0 (A) Firefox/1"
192.0.2.1 - - [18/May/2015:10:06:03 +0000] "GET /about HTTP/1.1" 304 0 "-" "Mozilla/5.0 (A) Firefox/1"
192.0.2.2 - - [18/May/2015:11:00:00 +0000] "GET /blog/one HTTP/1.1" 200 203 "-" "Mozilla/5.0 (B) Firefox/2"
192.0.2.2 - - [18/May/2015:11:00:09 +0000] "GET /blog/two HTTP/1.1" 200 203 "-" "Mozilla/5.0 (B) Firefox/2"
192.0.2.3 - - [18/May/2015:12:00:00 +0000] "GET /blog/one HTTP/1.1" 200 203 "-" "Mozilla/5.0 (C) Firefox/3"
192.0.2.3 - - [18/May/2015:12:00:01 +0000] "GET /style.css HTTP/1.1" 200 203 "-" "Mozilla/5.0 (C) Firefox/3"
192.0.2.3 - - [18/May/2015:12:00:02 +0000] "POST /comment HTTP/1.1" 200 203 "-" "Mozilla/5.0 (C) Firefox/3"
not a line of any log
"#;

#[test]
fn an_access_log_becomes_a_segment_and_a_file() {
    let setup = Setup::new();
    let log = setup.write("access.log", LOG).display().to_string();
    setup.ok(&["init", "--origin", "https://www.example.org"]);
    assert!(setup.ok(&["test", "mayfly.toml"]).contains("2 passed, 0 failed"));
    let plan = setup.ok(&["plan", "mayfly.toml"]);
    assert!(plan.contains("nothing was changed") && !plan.contains("odd"), "{plan}");
    setup.ok(&["apply", "mayfly.toml"]);
    let replay =
        ["replay", &log, "--site", "example-org", "--format", "combined", "--shift-to-now"];
    let replayed = setup.json(&replay);
    assert_eq!(
        replayed["outcomes"],
        json!({"stored": 7, "not_a_page": 2, "malformed": 1}),
        "{replayed}"
    );
    let again = setup.run(&replay);
    assert_eq!(again.code, 1, "the same file twice: {again:?}");

    let size = setup.json(&["segment", "count", "returning-readers"]);
    assert_eq!((&size["held"], &size["exact"]), (&json!(1), &json!(true)), "{size}");
    let rule = r#"visited("Writing > Blog", within 7d) >= 2"#;
    assert_eq!(setup.json(&["segment", "count", "--rule", rule])["held"], json!(2));

    let manifest = setup.json(&["export", "run", "returning-readers", "--to", "out"]);
    let file =
        setup.data().with_file_name("out").join(manifest["files"][0]["name"].as_str().unwrap());
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(text.lines().count(), 2, "a header and one member: {text}");
}

/// Long lines: what one request would hold by their number is more than it may by its bytes.
#[test]
fn long_lines_are_replayed_in_shorter_requests() {
    let setup = Setup::new();
    setup.ok(&["init", "--origin", "https://www.example.org"]);
    setup.ok(&["apply", "mayfly.toml"]);
    let line = |n: u32| {
        let url = format!("https://www.example.org/{n}/{}", "a".repeat(1900));
        let title = "t".repeat(500);
        json!({"visitor": {"space": "crm", "id": n.to_string()}, "url": url, "title": title,
            "time": 1_431_857_103_000_u64 + u64::from(n)})
    };
    let lines: Vec<String> = (0..2000).map(|n| line(n).to_string()).collect();
    let file = setup.write("hits.jsonl", &lines.join("\n")).display().to_string();
    let replay = ["replay", &file, "--site", "example-org", "--format", "jsonl", "--shift-to-now"];
    assert_eq!(setup.json(&replay)["outcomes"], json!({"stored": 2000}));
}

/// The words of a command line, without its comment; quotes as a shell reads them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            ('#', None) if word.is_empty() => break,
            (' ', None) if word.is_empty() => {}
            (' ', None) => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[test]
fn every_command_line_in_the_documentation_is_one() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut pages = vec![format!("{root}/README.md")];
    pages.extend(
        fs::read_dir(format!("{root}/docs"))
            .unwrap()
            .map(|e| e.unwrap().path().display().to_string()),
    );
    let setup = Setup::new();
    let mut tried = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for line in text.lines() {
            // Settings may stand before the command.
            let Some(at) = line.find("mayfly ").filter(|at| {
                let before = &line[..*at];
                before.is_empty() || before.starts_with("MAYFLY_") && before.ends_with(' ')
            }) else {
                continue;
            };
            let mut words = words(&line[at..]);
            words.push("--help".to_owned());
            let arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
            let done = setup.run(&arguments);
            assert_eq!(done.code, 0, "{page}: {line}\n{}", done.stderr);
            tried += 1;
        }
    }
    assert!(tried > 10, "{tried} command lines found");
}
