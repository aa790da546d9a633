use mayfly_core::Day;
use proptest::prelude::*;

use super::*;
use crate::definitions::DefinitionsFile;
use crate::problem::ProblemKind;

fn definitions(extra: &str) -> Definitions {
    let text = format!(
        "format = 1\n[[category]]\nname = 'Sports > Football'\nrule = 'path startswith \"/f\"'\n\
         [[category]]\nname = 'Betting'\n{extra}"
    );
    let file = DefinitionsFile::parse(&text).unwrap();
    Definitions::default().apply(&file, false, Retention::default()).unwrap().definitions
}

fn parse(text: &str) -> Result<Expression, Problem> {
    Expression::parse(text, &definitions(""), Retention::default())
}

/// An expression, its message (a part), its column and its help (a part).
fn refused(text: &str, message: &str, column: usize, help: &str) {
    let problem = parse(text).unwrap_err();
    let shown = problem.to_string();
    assert!(problem.message().contains(message), "{text}: {shown}");
    assert_eq!((problem.line, problem.column), (1, column), "{shown}");
    assert!(problem.help().unwrap_or_default().contains(help), "{shown}");
}

#[test]
fn windows_are_those_of_the_design() {
    for (window, days) in [
        ("within 30d", 971..=1000),
        ("within 1d", 1000..=1000),
        ("within 90d", 911..=1000),
        ("between 30d and 7d ago", 970..=993),
        ("between 7d and 30d ago", 970..=993),
        ("earlier than 30d", 911..=970),
    ] {
        let expression = parse(&format!("visited(\"Betting\", {window})")).unwrap();
        let needs = expression.needs(Day(1000));
        assert_eq!(needs[0].1, Day(*days.start())..=Day(*days.end()), "{window}");
    }
}

#[test]
fn comparisons_come_down_to_thresholds() {
    let leaves = |comparison: &str| {
        let expression = parse(&format!(
            "visited('*', within 1d) > 0 and visited('Betting', within 7d) {comparison}"
        ));
        let expression = expression.unwrap_or_else(|p| panic!("{p}"));
        expression.plan().leaves()[1..].iter().map(|leaf| leaf.least).collect::<Vec<_>>()
    };
    assert_eq!(leaves(""), [1]);
    assert_eq!(leaves("> 2"), [3]);
    assert_eq!(leaves("== 2"), [3, 2]);
    assert_eq!(leaves("== 0"), [1]);
    assert_eq!(leaves("<= 2"), [3]);
    assert_eq!(leaves("!= 0"), [1]);
    let seconds = parse("engaged('Betting', within 7d) >= 2m").unwrap();
    assert_eq!(seconds.plan().leaves()[0].least, 120);
}

#[test]
fn what_cells_cannot_answer_is_traced() {
    for (text, oldest) in [
        ("visited('Betting', within 24h)", 999),
        ("visited('Betting', within 72h)", 997),
        ("days('Betting', between 48h and 24h ago)", 998),
        ("visited('Betting', within 7d, value >= 50 and device == 'phone')", 994),
        ("visited('Betting', between 7d and 3d ago) then 'Sports' within 90m >= 2", 993),
        ("visited('*', within 2d) then visited('*', v exists) within 2d then '*' within 1s", 999),
    ] {
        let expression = parse(text).unwrap_or_else(|p| panic!("{p}"));
        assert!(expression.needs(Day(1000)).is_empty(), "{text}");
        assert_eq!(expression.recalls(Day(1000)), Some(Day(oldest)..=Day(1000)), "{text}");
    }
    assert_eq!(parse("visited('Betting', within 2d)").unwrap().recalls(Day(1000)), None);
}

#[test]
fn another_time_zone_makes_another_test_of_hours() {
    let of_zone = |zone: &str, text: &str| {
        let site = format!("[[site]]\nkey = 'a'\norigins = ['*']\ntime_zone = '{zone}'\n");
        let parsed = Expression::parse(text, &definitions(&site), Retention::default()).unwrap();
        parsed.plan().tallies()[0].clone()
    };
    let by_hour = "visited('*', within 7d, hour >= 18)";
    assert_ne!(of_zone("UTC", by_hour), of_zone("Europe/Amsterdam", by_hour));
    assert_eq!(of_zone("UTC", by_hour), of_zone("UTC", by_hour));
    let by_value = "visited('*', within 7d, value >= 18)";
    assert_eq!(of_zone("UTC", by_value), of_zone("Europe/Amsterdam", by_value));
}

#[test]
fn what_holds_for_nobody_with_no_hits_is_refused_and_named() {
    let a = "visited('Betting', within 7d)";
    refused(&format!("{a} or not {a}"), "`not visited('Betting', within 7d)`", 34, "and");
    refused(&format!("{a} < 3"), "matches everyone", 1, "");
    refused(&format!("({a} >= 2) or ({a} and {a} or {a} == 0)"), "== 0`", 109, "");
    refused(&format!("at least 1 of ({a}, {a} <= 5)"), "<= 5`", 47, "");
    refused(&format!("at least 2 of ({a} < 5, {a} <= 5)"), "at least 2 of", 1, "");
    for some in ["sample(10%)", "not sample(10%)"] {
        refused(some, "matches everyone", 1, "");
        refused(&format!("{a} or {some}"), "matches everyone", 34, "");
        assert!(parse(&format!("{a} and {some}")).is_ok());
    }
    refused(&format!("at least 1 of ({a}, sample(1%))"), "matches everyone", 47, "");
    assert!(parse(&format!("at least 2 of ({a}, sample(1%), sample(2%, 'b'))")).is_err());
    assert!(parse(&format!("at least 3 of ({a}, sample(1%), sample(2%, 'b'))")).is_ok());
    assert!(parse(&format!("{a} and not visited('Sports', within 7d)")).is_ok());
    assert!(parse(&format!("{a} and {a} < 5")).is_ok());
}

#[test]
fn messages_say_where_and_what_would_be_right() {
    refused("visited('Sports > Fotball', within 7d)", "no category", 9, "\"Sports > Football\"");
    refused("visted('Betting', within 7d)", "found `visted`", 1, "`visited`");
    refused("sample(10)", "a share such as", 8, "");
    refused("sample(100%)", "a share is more than 0", 8, "");
    refused("sample(10%, b)", "name in quotes", 13, "");
    refused("visited('Betting')", "found `)`", 18, "");
    refused("visited('Betting', wihtin 7d)", "found `wihtin`", 20, "`within`");
    refused("visited('Betting', within 7)", "a number of days", 27, "");
    refused("visited('Betting', within 73h)", "73 hours back", 20, "within 7d");
    refused("visited('Betting', between 2d and 3h ago)", "mixes hours and days", 20, "both ends");
    refused("visited('Betting', earlier than 3h)", "mixes hours and days", 20, "takes days");
    refused("visited('Betting', within 7d, )", "a field", 31, "");
    refused(
        "visited('Betting', within 7d, devise == 'x')",
        "may be the field `device`",
        31,
        "a.NAME",
    );
    refused("visited('Betting', within 7d, x.v == 1)", "never stored", 31, "a rule");
    refused("visited('Betting', within 7d, site == 'x')", "no site \"x\"", 31, "");
    refused("visited('Betting', within 7d, value >= 50", "found the end", 42, "");
    refused("visited('Betting', within 7d) then 'Fotball' within 2d", "no category", 36, "");
    refused("visited('Betting', within 7d) then 'Sports'", "found the end", 44, "");
    refused("visited('Betting', within 7d) then 'Sports' within 0s", "1s to 90d", 45, "");
    refused("visited('Betting', within 7d) then 'Sports' within 91d", "1s to 90d", 45, "");
    refused("engaged('Betting', within 7d) then 'Sports' within 1d", "begins with visited", 36, "");
    let long = "visited('*', within 7d)".to_owned() + &" then '*' within 1d".repeat(5);
    refused(&long, "at most 5 categories", 106, "");
    refused("visited('Betting', within 91d)", "91 days back", 20, "");
    refused("visited('Betting', between 90d and 7d ago)", "91 days back", 20, "");
    refused("visited('Betting', earlier than 90d)", "91 days back", 20, "");
    refused("visited('Betting', within 0d)", "no day", 20, "within 1d");
    refused("visited('Betting', within 7d) >= 256", "above 255", 31, "");
    refused("visited('Betting', within 7d) > 255", "above 255", 31, "");
    refused("engaged('Betting', within 7d) >= 19h", "above 65535", 31, "");
    refused("visited('Betting', within 7d) >= 1.5", "not a number", 34, "");
    refused(
        "visited('*', within 1d) and visited('Betting', within 7d) < 0",
        "always false",
        59,
        "",
    );
    refused("at least 3 of (\"x\", \"y\")", "at least 3 of 2", 10, "");
    refused("\"no-such\"", "no segment \"no-such\"", 1, "");
    refused("visited('Betting', within 7d) and", "found the end", 34, "");
}

#[test]
fn retention_bounds_windows() {
    let short = Retention::new(7).unwrap();
    let problem =
        Expression::parse("visited('*', within 8d)", &definitions(""), short).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::WindowTooLong { days: 8, retention: 7 });
    let earlier = Expression::parse("visited('*', earlier than 3d)", &definitions(""), short);
    assert_eq!(earlier.unwrap().needs(Day(100))[0].1, Day(94)..=Day(97));
}

#[test]
fn other_segments_are_put_in_and_bounded() {
    let a = "visited(\"Betting\", within 7d)";
    let some = definitions(&format!(
        "[[segment]]\nname = 'one'\nrule = '{a} >= 2'\n\
         [[segment]]\nname = 'two two'\nrule = '\"one\" or {a} >= 9'\n"
    ));
    let parsed = Expression::parse("one and not \"two two\" or 'one'", &some, Retention::default());
    assert_eq!(parsed.unwrap().plan().leaves().len(), 2);

    // Each segment names the one before it twice: 2^n leaves.
    let mut chain = format!("[[segment]]\nname = 's0'\nrule = '{a}'\n");
    for n in 1..12 {
        chain += &format!("[[segment]]\nname = 's{n}'\nrule = 's{} or s{}'\n", n - 1, n - 1);
    }
    let text = format!("format = 1\n[[category]]\nname = 'Betting'\n{chain}");
    let file = DefinitionsFile::parse(&text).unwrap();
    let problems = Definitions::default().apply(&file, false, Retention::default()).unwrap_err();
    assert_eq!(problems[0].kind, ProblemKind::TooManyLeaves);
}

#[test]
fn circles_are_named() {
    let text = "format = 1\n[[segment]]\nname = 'a'\nrule = 'b'\n\
                [[segment]]\nname = 'b'\nrule = 'visited(\"*\", within 1d) and a'\n";
    let file = DefinitionsFile::parse(text).unwrap();
    let problems = Definitions::default().apply(&file, false, Retention::default()).unwrap_err();
    assert_eq!(problems[0].message(), "segments go round in a circle: a needs b needs a");
    assert_eq!((problems[0].line, problems[0].column), (4, 9));
    assert_eq!(problems.len(), 2);
}

proptest! {
    #[test]
    fn parsing_never_panics(text in ".{0,80}") {
        if let Err(problem) = parse(&text) {
            prop_assert!(!problem.to_string().is_empty());
        }
    }

    #[test]
    fn parsing_what_looks_like_expressions_never_panics(
        words in prop::collection::vec(prop::sample::select(vec![
            "visited", "engaged", "(", ")", ",", "'Betting'", "'*'", "within", "between", "and",
            "ago", "earlier", "than", "7d", "3h", "0", "4294967296", "or", "not", "at", "least",
            "of", "2", ">=", "<", "==", "one", "then", "value", "exists",
        ]), 0..16),
    ) {
        if let Err(problem) = parse(&words.join(" ")) {
            prop_assert!(!problem.to_string().is_empty());
        }
    }
}
