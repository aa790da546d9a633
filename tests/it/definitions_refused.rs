//! A definitions file with one fault changes nothing, and says what is wrong, where, and what would
//! be right.

use serde_json::json;

use crate::program::{Done, Setup};

const GOOD: &str = r#"format = 1

[[site]]
key = "news"
origins = ["https://news.example"]

[[category]]
name = "Sports > Football"
rule = 'path startswith "/football/"'

[[segment]]
name = "fans"
rule = 'visited("Sports > Football", within 30d) >= 2'
"#;

/// A file that begins as the good one with another rule, adds a category, and then has a fault:
/// the fault's text, where it is (line counted from the fault's first), and what is said.
const FAULTS: [(&str, usize, usize, &str, &str); 14] = [
    (
        "[[category]]\nname = 'Bad'\nrule = 'path startwith \"/x\"'",
        3,
        14,
        "expected",
        "the nearest name is `startswith`",
    ),
    (
        "[[category]]\nname = 'Bad'\nrule = 'hots == \"x\"'",
        3,
        9,
        "there is no field `hots`",
        "the nearest name is `host`",
    ),
    (
        "[[category]]\nname = 'Bad'\nrule = 'path matches \"(\"'",
        3,
        22,
        "this regular expression cannot be used",
        "",
    ),
    (
        "[[segment]]\nname = 'bad'\nrule = 'visited(\"Sports > Fotball\", within 7d)'",
        3,
        17,
        "there is no category \"Sports > Fotball\"",
        "the nearest name is \"Sports > Football\"",
    ),
    (
        "[[segment]]\nname = 'bad'\nrule = '\"fens\" and visited(\"Sports\", within 7d)'",
        3,
        9,
        "there is no segment \"fens\"",
        "the nearest name is \"fans\"",
    ),
    (
        "[[segment]]\nname = 'bad'\nrule = 'visited(\"Sports\", within 91d)'",
        3,
        27,
        "the window goes 91 days back; hits are kept for 90 days",
        "",
    ),
    (
        "[[segment]]\nname = 'bad'\nrule = '\"fans\" or not visited(\"Sports\", within 7d)'",
        3,
        19,
        "the expression matches everyone",
        "visited(\"*\", within 30d)",
    ),
    (
        "[[segment]]\nname = 'bad'\nrule = 'visited(\"Sports\", within 7d) < 3'",
        3,
        9,
        "the expression matches everyone",
        "",
    ),
    (
        "[[segment]]\nname = 'bad'\nrule = 'visited(\"Sports\", within 7d) >= 300'",
        3,
        38,
        "the threshold is above 255",
        "",
    ),
    ("[[segment]]\nname = 'bad'\nrule = 'visited(\"Sports\", within 7d'", 3, 36, "expected", ""),
    (
        "[[segment]]\nname = 'one'\nrule = '\"two\"'\n[[segment]]\nname = 'two'\nrule = '\"one\"'",
        3,
        9,
        "segments go round in a circle: one needs two needs one",
        "",
    ),
    (
        "[[segment]]\nname = 'bad'\nrul = 'visited(\"Sports\", within 7d)'",
        3,
        1,
        "[[segment]] has no key `rul`",
        "the nearest name is `rule`",
    ),
    ("[[segment]]\nname = 'bad\nrule = 1", 2, 12, "expected `'`", ""),
    ("[[site]]\nkey = 'shop'\norigins = ['shop.example']", 3, 12, "is not an origin", ""),
];

/// The good file, changed in one rule and with a category more, and then the fault.
fn faulty(fault: &str) -> (String, usize) {
    let changed = GOOD.replace(">= 2", ">= 1");
    let head = changed + "\n[[category]]\nname = \"New\"\nrule = 'path startswith \"/new/\"'\n\n";
    let first = head.lines().count() + 1;
    (head + fault + "\n", first)
}

fn check(done: &Done, at: (usize, usize), message: &str, help: &str) {
    let said = &done.stderr;
    assert_eq!(done.code, 1, "{said}");
    let place = format!("--> line {}, column {}\n", at.0, at.1);
    assert!(said.contains(&place), "{place} in {said}");
    assert!(said.contains(message) && said.contains(help), "{message:?}, {help:?} in {said}");
    let caret = said.lines().rfind(|line| line.contains('^')).unwrap_or_default();
    let column = caret.find('^').unwrap_or(0) - caret.find('|').unwrap_or(0) - 1;
    assert_eq!(column, at.1, "the caret stands under the fault:\n{said}");
}

#[test]
fn a_faulty_file_changes_nothing_and_says_where_it_is_wrong() {
    let setup = Setup::new();
    let good = setup.write("mayfly.toml", GOOD).display().to_string();
    let program = setup.start();
    let setup = program.setup();
    setup.ok(&["apply", &good]);
    let hit = json!({
        "visitor": {"space": "crm", "id": "1"}, "site": "news",
        "url": "https://news.example/football/1",
    });
    assert_eq!(program.admin().post("/api/v1/hits", &hit).status, 200);
    let state = || {
        let count = setup.json(&["segment", "count", "fans"])["held"].clone();
        (
            setup.ok(&["definitions", "export"]),
            count,
            setup.json(&["status"])["definitions"].clone(),
        )
    };
    let before = state();
    assert_eq!(before.1, json!(0), "one hit is not enough");

    for (fault, line, column, message, help) in FAULTS {
        let (text, first) = faulty(fault);
        let bad = setup.write("bad.toml", &text).display().to_string();
        for verb in ["plan", "apply"] {
            check(&setup.run(&[verb, &bad]), (first + line - 1, column), message, help);
        }
        assert_eq!(state(), before, "{fault}");
    }
    // Over HTTP: the same text under its code.
    let answer = program.admin().send(
        "POST",
        "/api/v1/definitions/apply",
        &[],
        faulty(FAULTS[0].0).0.as_bytes(),
    );
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (422, &json!("bad_definitions")));
    assert_eq!(state(), before);
}
