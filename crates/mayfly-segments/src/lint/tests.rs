use mayfly_core::Retention;

use super::*;
use crate::definitions::DefinitionsFile;

/// The kinds found in definitions of one rule and one segment.
fn kinds(rule: &str, expression: &str) -> Vec<String> {
    let text = format!(
        "format = 1\n[[site]]\nkey = 'one'\norigins = ['https://a.example']\n\
         [[category]]\nname = 'A > B'\nrule = '''{rule}'''\n\
         [[category]]\nname = 'C'\nrule = 'host == \"c\"'\n[[category]]\nname = 'Empty'\n\
         [[segment]]\nname = 's'\nrule = '''{expression}'''\n"
    );
    let file = DefinitionsFile::parse(&text).unwrap_or_else(|p| panic!("{}", p[0]));
    let applied = Definitions::default().apply(&file, false, Retention::default());
    let definitions = applied.unwrap_or_else(|p| panic!("{}", p[0])).definitions;
    let compiled = Compiled::new(&definitions, Retention::default()).unwrap();
    let found = lint(&compiled);
    found.iter().for_each(|lint| assert!(!lint.kind.words().is_empty()));
    let shown = |kind: LintKind| {
        let part =
            if let LintKind::NoEffect { part } = &kind { format!(" {part}") } else { "".into() };
        kind.label().to_owned() + &part
    };
    found.into_iter().map(|lint| shown(lint.kind)).collect()
}

fn of_rule(rule: &str) -> Vec<String> {
    kinds(rule, "visited('C', within 7d)")
}

fn of_segment(expression: &str) -> Vec<String> {
    kinds("host == \"a\"", expression)
}

#[test]
fn odd_rules_are_found_and_good_ones_are_not() {
    for good in [
        r#"path startswith "/a" or title contains any ("goal", "derby")"#,
        r#"path startswith "/a" and not path startswith "/a/b""#,
        r#"host == "x" and (title contains "a" or keywords has "b")"#,
        r#"keywords has "a" and keywords has "b" and host endswith "x""#,
        r#"host == "x" and a.price >= 10 and a.price < 20"#,
        r#"title contains all ("a", "b") and host == "x""#,
        r#"event == "add_to_cart" and a.value exists"#,
        r#"host == "x" and path matches "^/a.*z$""#,
        r#"path endswith "/x" and path startswith "/y""#,
        r#"host == "x" and title matches "(grand|petit).* prix \d{4}""#,
    ] {
        assert_eq!(of_rule(good), Vec::<String>::new(), "{good}");
    }
    for (rule, expected) in [
        (r#"host == "x" and host == "y""#, "contradiction"),
        (r#"host == "x" and host != "x""#, "contradiction"),
        (r#"host == "x" and a.price > 20 and a.price < 10"#, "contradiction"),
        (r#"host == "x" and path startswith "/b" and path == "/a""#, "contradiction"),
        (r#"path exists or not path exists"#, "tautology"),
        (r#"host == "x" and path matches "^/\w{1,20}$""#, "costly_pattern"),
        (r#"host == "x" or host contains "x""#, r#"no_effect host == "x""#),
        (r#"host == "x" and host contains "x""#, r#"no_effect host contains "x""#),
        (r#"host == "x" and (path == "/a" or path startswith "/")"#, r#"no_effect path == "/a""#),
        (r#"host == "x" and title != "y""#, "absent_differs"),
        (r#"not title contains "x""#, "tried_everywhere"),
    ] {
        assert!(of_rule(rule).iter().any(|kind| kind == expected), "{rule}: {:?}", of_rule(rule));
    }
}

#[test]
fn odd_segments_are_found_and_good_ones_are_not() {
    for good in [
        "visited('A', within 30d) >= 3 and not visited('C', within 7d)",
        "visited('A', within 30d) >= 3 or visited('A', within 7d)",
        "engaged('A', within 30d) >= 60s and visited('A', within 30d)",
        "visited('A', within 30d) >= 2 and not visited('A > B', within 30d)",
        "visited('A', within 7d, v == 1) and visited('A', within 7d) >= 2",
        "visited('A', within 30d) and sample(10%)",
        "days('A', within 30d) >= 2 and visited('A', within 30d) >= 5",
        "at least 2 of (visited('A', within 7d), visited('C', within 7d), days('*', within 9d) >= 3)",
        "visited('A', between 30d and 7d ago) and visited('A', within 30d) >= 2",
    ] {
        assert_eq!(of_segment(good), Vec::<String>::new(), "{good}");
    }
    for (expression, expected) in [
        ("visited('A', within 7d) >= 3 and visited('A', within 7d) < 2", "contradiction"),
        ("visited('A', within 7d) and not visited('A', within 30d)", "contradiction"),
        ("visited('A > B', within 7d) and not visited('A', within 7d)", "contradiction"),
        ("days('A', within 7d) >= 3 and visited('A', within 7d) < 3", "contradiction"),
        ("visited('A', within 7d, v == 1) and not visited('A', within 7d)", "contradiction"),
        (
            "visited('A', within 30d) or visited('A', within 7d)",
            "no_effect visited('A', within 7d)",
        ),
        (
            "visited('A', within 30d) and visited('A', within 7d)",
            "no_effect visited('A', within 30d)",
        ),
        ("visited('A', within 2d)", "few_days"),
        ("visited('Empty', within 7d) or visited('A', within 7d)", "no_rules"),
    ] {
        let found = of_segment(expression);
        assert!(found.iter().any(|kind| kind == expected), "{expression}: {found:?}");
    }
}

#[test]
fn a_bare_path_is_odd_where_there_are_two_sites() {
    let text = "format = 1\n[[site]]\nkey = 'one'\norigins = ['https://a.example']\n\
                [[site]]\nkey = 'two'\norigins = ['https://b.example']\n\
                [[category]]\nname = 'A'\nrule = 'path startswith \"/a\"'\n\
                [[category]]\nname = 'B'\nrule = 'site == \"one\" and path startswith \"/a\"'\n";
    let file = DefinitionsFile::parse(text).unwrap();
    let applied = Definitions::default().apply(&file, false, Retention::default()).unwrap();
    let compiled = Compiled::new(&applied.definitions, Retention::default()).unwrap();
    let found = lint(&compiled);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&*found[0].of, &found[0].kind), ("category A", &LintKind::BarePath));
}
