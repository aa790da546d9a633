use mayfly_core::{Retention, limits};
use proptest::prelude::*;

use super::*;
use crate::problem::{Problem, ProblemKind, Subject};

const SITE: &str = "[[site]]\nkey = 'news'\norigins = ['https://news.example']\nconsent = 'none'\n";

fn file(text: &str) -> DefinitionsFile {
    DefinitionsFile::parse(&format!("format = 1\n{text}")).unwrap_or_else(|p| panic!("{}", p[0]))
}

fn try_apply(old: &Definitions, text: &str, prune: bool) -> Result<Applied, Vec<Problem>> {
    old.apply(&file(text), prune, Retention::default())
}

fn apply(old: &Definitions, text: &str, prune: bool) -> (Definitions, Vec<String>) {
    let applied = try_apply(old, text, prune).unwrap_or_else(|p| panic!("{}", p[0]));
    (applied.definitions, applied.changes.iter().map(Change::to_string).collect())
}

fn category(name: &str, rule: &str) -> String {
    format!("[[category]]\nname = '{name}'\nrule = '{rule}'\n")
}

fn segment(name: &str, rule: &str) -> String {
    format!("[[segment]]\nname = '{name}'\nrule = '{rule}'\n")
}

fn id(definitions: &Definitions, path: &str) -> CategoryId {
    definitions.category_named(path).unwrap_or_else(|| panic!("{path}")).id
}

fn since(definitions: &Definitions, path: &str) -> u32 {
    definitions.category_named(path).unwrap().since
}

#[test]
fn parents_come_by_themselves_and_since_follows_the_effective_rule() {
    let (one, changes) = apply(
        &Definitions::default(),
        &(category("A > B > C", "path exists") + &category("D", "title exists")),
        false,
    );
    assert_eq!(
        changes,
        ["+ category A", "+ category A > B", "+ category A > B > C", "+ category D"]
    );
    assert_eq!((one.version(), since(&one, "A")), (1, 1));

    let (two, changes) = apply(&one, &category("A > B > C", "host exists"), false);
    let path = ["A", "A > B", "A > B > C", "D"];
    assert_eq!(path.map(|p| since(&two, p)), [2, 2, 2, 1]);
    assert_eq!(changes.len(), 3, "{changes:?}");

    let (same, changes) = apply(&two, &category("A > B > C", "host exists"), false);
    assert_eq!((same.version(), changes.len()), (2, 0));
    assert_eq!(same, two);

    // A child with a rule that the parent had already leaves the parent as it is.
    let (three, _) = apply(&two, &category("A > B > E", "host exists"), false);
    assert_eq!((since(&three, "A"), since(&three, "A > B > E")), (2, 3));
}

#[test]
fn ids_are_never_used_again() {
    let (one, _) = apply(
        &Definitions::default(),
        &(category("A", "path exists") + &segment("s", "visited(\"A\", within 1d)")),
        false,
    );
    let (gone, changes) = apply(&one, "", true);
    assert_eq!(changes, ["- category A", "- segment s"]);
    let (back, _) = apply(
        &gone,
        &(category("A", "path exists") + &segment("s", "visited(\"A\", within 1d)")),
        false,
    );
    assert!(id(&back, "A") > id(&one, "A"));
    assert!(back.segment_named("s").unwrap().id > one.segment_named("s").unwrap().id);
}

#[test]
fn renaming_and_moving_keep_id_cells_and_old_names() {
    let text = category("Sports > Football", "path exists")
        + &segment("fans", "visited(\"Sports > Football\", within 7d)");
    let (one, _) = apply(&Definitions::default(), &text, false);
    // The child is named first; the rename above it comes first all the same.
    let renamed = "[[category]]\nname = 'Play > Sport > Football'\nrule = 'path exists'\n\
                   [[category]]\nname = 'Play > Sport'\nwas = ['Sports']\n";
    let (two, changes) = apply(&one, renamed, false);
    assert_eq!(id(&one, "Sports > Football"), id(&two, "Play > Sport > Football"));
    assert_eq!(id(&two, "Sports > Football"), id(&two, "Play > Sport > Football"));
    assert_eq!(since(&two, "Play > Sport > Football"), 1);
    assert!(changes.contains(&"~ category Play > Sport (was Sports)".to_owned()), "{changes:?}");
    let (three, _) = apply(
        &two,
        "[[segment]]\nname = 'friends'\nwas = ['fans']\n\
         rule = 'visited(\"Sports > Football\", within 7d)'\n",
        false,
    );
    assert_eq!(three.segment_named("fans").unwrap().id, one.segment_named("fans").unwrap().id);
}

#[test]
fn merging_moves_children_and_tells_where_it_went() {
    let text = category("A > X", "path exists")
        + &category("B > X", "host exists")
        + &category("B > Y", "title exists");
    let (one, _) = apply(&Definitions::default(), &text, false);
    let (two, changes) = apply(&one, "[[category]]\nname = 'A'\nwas = ['B']\n", false);
    assert_eq!((id(&two, "B"), id(&two, "B > X")), (id(&one, "A"), id(&one, "A > X")));
    assert_eq!(id(&two, "A > Y"), id(&one, "B > Y"));
    assert_eq!(id(&two, "B > Y"), id(&one, "B > Y"));
    assert!(changes.contains(&"- category B (merged into A)".to_owned()), "{changes:?}");
}

#[test]
fn a_category_cannot_come_to_lie_under_itself() {
    let (one, _) = apply(&Definitions::default(), &category("A", "path exists"), false);
    let problems =
        try_apply(&one, "[[category]]\nname = 'A > B'\nwas = ['A']\n", false).unwrap_err();
    assert_eq!(problems[0].kind, ProblemKind::UnderItself { name: "A > B".into() });
}

#[test]
fn a_removed_site_keeps_its_number_and_its_key() {
    let text = SITE.to_owned()
        + "[[category]]\nname = 'N'\nrules = [{ rule = 'site == \"news\"', sites = ['news'] }]\n";
    let (one, _) = apply(&Definitions::default(), &text, false);
    let number = one.site("news").unwrap().id;
    let (two, changes) = apply(&one, "[[category]]\nname = 'N'\nrule = 'site == \"news\"'\n", true);
    assert!(changes.contains(&"- site news".to_owned()));
    assert_eq!((two.site("news"), two.site_key(number)), (None, Some("news")));
    let (three, _) = apply(&two, SITE, false);
    assert_eq!(three.site("news").unwrap().id, number);
}

/// A file, and for each problem its line, column and a part of its text.
fn refused(text: &str, expected: &[(usize, usize, &str)]) {
    let text = format!("format = 1\n{text}");
    let problems = DefinitionsFile::parse(&text)
        .and_then(|file| Definitions::default().apply(&file, false, Retention::default()))
        .unwrap_err();
    for (problem, (line, column, part)) in problems.iter().zip(expected) {
        assert_eq!((problem.line, problem.column), (*line, *column), "{problem}");
        assert!(problem.to_string().contains(part), "{problem}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
}

#[test]
fn every_problem_is_told_at_its_place_in_the_file() {
    refused(
        "[[category]]\nname = 'A'\nrule = 'paht exists'\n\
         [[segment]]\nname = 's'\nrule = 'visited(\"B\", within 1d)'\n",
        &[(4, 9, "`path`"), (7, 17, "no category \"B\"")],
    );
    refused("[[category]]\nname = 'A'\nrulez = 'x'\n", &[(4, 1, "the nearest name is `rule`")]);
    refused("[[category]]\nrule = 'path exists'\n", &[(2, 1, "needs `name`")]);
    refused("[[categroy]]\nname = 'A'\n", &[(2, 3, "`category`")]);
    refused("[[segment]]\nname = 5\nrule = 'x'\n", &[(3, 8, "must be a text")]);
    refused(
        "[[site]]\nkey = 'n'\norigins = ['n.example']\nconsent = 'tcf'\n",
        &[(4, 12, "is not an origin"), (5, 11, "reading TC strings needs a role")],
    );
    refused(
        "[[site]]\nkey = 'n'\norigins = ['*']\nconsent = 'all'\nrole = 'vendor'\n\
         audience = 'kids'\ntime_zone = 'Mars'\nquery = ['']\npages_per_day = 0\n\
         redirect_hosts = ['a/b']\n",
        &[
            (5, 11, "none, tcf, gpp, any"),
            (6, 8, "needs a role"),
            (7, 12, "\"kids\" is none of"),
            (8, 13, "no time zone"),
            (9, 10, "cannot be the name"),
            (10, 17, "from 1 to"),
            (11, 19, "cannot be the name"),
        ],
    );
    refused("[[category]]\nname = 'A >'\n", &[(3, 8, "cannot be the name")]);
    refused("[[category]]\nname = 'A'\n[[category]]\nname = 'A'\n", &[(5, 8, "defined twice")]);
    refused(
        "[[category]]\nname = 'A'\nrules = [{ rule = 'path exists', sites = ['x'] }]\n",
        &[(4, 43, "no site \"x\"")],
    );
    refused("[[category]]\nname = 'A'\nrule = 'site == \"x\"'\n", &[(4, 18, "no site \"x\"")]);
    refused(
        "[[category]]\nname = 'A'\nrule = \"\"\"\npath exists\nand tilte exists\"\"\"\n",
        &[(6, 5, "`title`")],
    );
    refused("[[category\n", &[(2, 11, "")]);
    let problems = DefinitionsFile::parse("[[category]]\nname = 'A'\n").unwrap_err();
    assert_eq!(problems[0].kind, ProblemKind::Format);
    assert!(DefinitionsFile::parse("format = 2\n").is_err());
}

#[test]
fn what_is_stored_is_checked_too_and_a_failing_file_changes_nothing() {
    let (one, _) = apply(
        &Definitions::default(),
        &(category("A", "path exists")
            + &category("B", "host exists")
            + &segment("s", "visited(\"A\", within 1d)")),
        false,
    );
    let problems = try_apply(
        &one,
        &(category("B", "host exists") + &segment("t", "visited(\"A\", within 1d)")),
        true,
    )
    .unwrap_err();
    assert!(matches!(problems[0].kind, ProblemKind::UnknownCategory { .. }), "{}", problems[0]);
    let kept = Definitions {
        segments: one.segments.clone(),
        categories: Default::default(),
        ..one.clone()
    };
    let problems = try_apply(&kept, "", false).unwrap_err();
    assert_eq!(problems[0].subject, Subject::StoredSegment("s".into()));
    assert!(problems[0].to_string().contains("the rule of segment \"s\", line 1, column 9"));
}

#[test]
fn many_problems_are_cut_off() {
    let text: String = (0..300).map(|n| category(&format!("c{n}"), "paht exists")).collect();
    let problems = try_apply(&Definitions::default(), &text, false).unwrap_err();
    assert_eq!(problems.len(), mayfly_core::limits::PROBLEMS + 1);
    assert_eq!(problems.last().unwrap().kind, ProblemKind::AndMore);
}

#[test]
fn the_example_of_the_documentation_works() {
    let text = SITE.to_owned()
        + r#"
[[category]]
name = "Sports > Football"
iab = "content-3.1:533"
rule = 'path startswith "/sport/football" or title contains any ("goal", "derby")'

[[category]]
name = "Betting"

[[segment]]
name = "football-fans"
rule = 'visited("Sports > Football", within 30d) >= 3 and not visited("Betting", within 7d)'
on_page = ["news"]
notes = "for the \"derby\" week"

[[test]]
hit = { url = "https://news.example/sport/football/1", attributes = { a = 1, b = "x" } }
in = ["Sports > Football", "Sports"]
not_in = ["Betting"]
"#;
    let (definitions, _) = apply(&Definitions::default(), &text, false);
    let fixture = &file(&text).fixtures[0];
    assert_eq!((fixture.line, fixture.within.len(), fixture.attributes.len()), (21, 2, 2));
    round_trips(&definitions);
}

/// Through bytes, and through a file.
fn round_trips(definitions: &Definitions) {
    let bytes = definitions.to_bytes().unwrap();
    assert_eq!(Definitions::from_bytes(&bytes).unwrap(), *definitions);
    let text = definitions.export();
    let exported = DefinitionsFile::parse(&text).unwrap_or_else(|p| panic!("{}\n{text}", p[0]));
    let again = definitions.apply(&exported, true, Retention::default()).unwrap();
    assert_eq!(again.definitions, *definitions, "{:?}\n{text}", again.changes);
    let anew = Definitions::default().apply(&exported, true, Retention::default()).unwrap();
    assert_eq!(anew.definitions.export(), text);
}

#[test]
fn foreign_documents_are_refused() {
    for bytes in ["", "{}", "{\"format\":2}", "{\"format\":1}", "[1]"] {
        assert!(Definitions::from_bytes(bytes.as_bytes()).is_err(), "{bytes}");
    }
}

proptest! {
    #[test]
    fn reading_a_file_never_panics(text in ".{0,200}") {
        if let Err(problems) = DefinitionsFile::parse(&text) {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn export_gives_back_what_was_applied(
        names in prop::collection::btree_set("[a-zA-Zü' .\\-]{0,5}[a-z]( > [a-z]{1,3})?", 1..6),
        note in "[^\\r]{0,20}",
    ) {
        let mut definitions = Definitions::default();
        for name in names {
            let name = name.trim();
            let toml = name.replace(['\\', '"'], "");
            let text = format!("format = 1\n[[category]]\nname = \"{toml}\"\n\
                 rule = 'title == \"{toml}\"'\n");
            if let Ok(file) = DefinitionsFile::parse(&text)
                && let Ok(applied) = definitions.apply(&file, false, Retention::default())
            {
                definitions = applied.definitions;
            }
        }
        definitions.segments.insert(SegmentId(1), Segment {
            id: SegmentId(1),
            name: "s".into(),
            rule: "visited('*', within 1d)".into(),
            on_page: OnPage::Everywhere,
            paused: true,
            notes: note.clone().into(),
            owner: note.into(),
            labels: vec!["summer".into(), "b 2".into()],
            iab: vec!["audience-1.1:150".into()],
            period: Period {
                starts: "2026-11-21".parse().ok(),
                ends: "2027-01-31".parse().ok(),
                time_zone: "Asia/Kolkata".into(),
            },
            was: Vec::new(),
        });
        definitions.next_segment = 2;
        round_trips(&definitions);
    }
}

#[test]
fn another_time_zone_renews_what_hangs_on_hours() {
    let parts = category("When > Night", "hour < 6") + &category("Sport", "path exists");
    let (one, _) = apply(&Definitions::default(), &(SITE.to_owned() + &parts), false);
    let (two, _) = apply(&one, &format!("{SITE}time_zone = 'Europe/Amsterdam'\n"), false);
    let all = ["When", "When > Night", "Sport"];
    assert_eq!(all.map(|path| since(&two, path)), [2, 2, 1]);
    let (three, _) = apply(&two, &format!("{SITE}time_zone = 'Europe/Amsterdam'\n"), false);
    assert_eq!(three, two);
}

#[test]
fn what_a_segment_says_besides_its_rule_is_kept_and_checked() {
    let rule = "visited(\"*\", within 1d)";
    let more = "owner = 'ann'\nlabels = ['summer']\niab = 'audience-1.1:150'\n\
                starts = 2026-11-21\nends = '2026-11-30'\ntime_zone = 'Europe/Amsterdam'\n";
    let (one, _) = apply(&Definitions::default(), &(segment("s", rule) + more), false);
    round_trips(&one);
    let own = one.segment_named("s").unwrap();
    assert_eq!((&*own.owner, own.labels.len(), &*own.iab[0]), ("ann", 1, "audience-1.1:150"));
    assert_eq!(own.period.hours().end.0 - own.period.hours().start.0, 240);
    let (two, changes) = apply(&one, &segment("s", rule), false);
    assert_eq!((changes, two.version()), (vec!["~ segment s".to_owned()], 2));
    for (more, message) in [
        ("starts = 'soon'\n", "no date"),
        ("starts = 2026-02-02\nends = 2026-02-01\n", "the last day is before the first"),
        ("time_zone = 'Mars'\n", "Mars"),
        ("labels = ['a\"b']\n", "cannot be the name of a label"),
    ] {
        let text = format!("format = 1\n{}{more}", segment("s", rule));
        let problems = DefinitionsFile::parse(&text).unwrap_err();
        assert!(problems[0].message().contains(message), "{}", problems[0]);
    }
}

#[test]
fn a_child_takes_the_place_of_a_parent_of_its_name() {
    let text = category("A > B > B > C", "path exists");
    let (one, _) = apply(&Definitions::default(), &text, false);
    let (two, _) = apply(&one, "[[category]]\nname = 'A'\nwas = ['A > B']\n", false);
    assert_eq!(id(&two, "A > B > C"), id(&one, "A > B > B > C"));
    let at_present: Vec<String> = two.categories().map(|c| two.path(c.id)).collect();
    assert_eq!(at_present, ["A", "A > B", "A > B > C"]);
}

#[test]
fn a_tree_of_the_most_nodes_is_applied_moved_and_exported() {
    let name = |n: usize| format!("{} > {} > node {n}", n / 2500, n / 50);
    // 40 and 1,960 parents come with them.
    let nodes = limits::CATEGORIES - 2000;
    let text: String =
        (0..nodes).map(|n| format!("[[category]]\nname = '{}'\n", name(n))).collect();
    let (before, _) = apply(&Definitions::default(), &text, false);
    assert_eq!(before.categories().count(), limits::CATEGORIES);
    let (after, changes) = apply(&before, "[[category]]\nname = 'Moved'\nwas = ['0']\n", false);
    assert_eq!(after.categories().count(), limits::CATEGORIES);
    assert_eq!(changes.len(), 1 + 50 + 2500, "all below it have another path");
    assert_eq!(id(&after, "Moved > 49 > node 2499"), id(&before, &name(2499)));
    assert_eq!(after.export().matches("[[category]]").count(), nodes);
    let more = try_apply(&before, "[[category]]\nname = 'one more'\n", false).unwrap_err();
    assert!(matches!(more[0].kind, ProblemKind::TooMany { .. }), "{}", more[0]);
}

#[test]
fn forms_bring_a_category_for_each_value() {
    let text = SITE.to_owned()
        + "[[category]]\nname = 'Device'\nform = 'device'\n\
           [[category]]\nname = 'When > Hour'\nform = 'hour'\n\
           [[category]]\nname = 'Country'\nform = 'country'\nvalues = ['nl', 'de']\n\
           [[category]]\nname = 'Weekend'\nform = 'weekday'\nvalues = ['6 Saturday']\n\
           [[category]]\nname = 'Site'\nform = 'site'\n";
    let (one, _) = apply(&Definitions::default(), &text, false);
    let rule = |path: &str| one.category_named(path).unwrap().rules[0].rule.to_string();
    assert_eq!(rule("Device > phone"), "device == \"phone\"");
    assert_eq!(rule("When > Hour > 07"), "hour == 7");
    assert_eq!(rule("Country > nl"), "geo.country == \"nl\"");
    assert_eq!(rule("Weekend > 6 Saturday"), "weekday == 6");
    assert_eq!(rule("Site > news"), "site == \"news\"");
    assert!(one.category_named("Device > unknown").is_none());
    let export = DefinitionsFile::parse(&one.export()).unwrap();
    let same = one.apply(&export, true, Retention::default()).unwrap();
    assert_eq!((&same.definitions, same.changes.len()), (&one, 0), "the export says it in full");

    for (lines, expected) in [
        ("form = 'devices'", "\"devices\" is none of device, os"),
        ("form = 'country'", "[[category]] needs `values`"),
        ("form = 'hour'\nrule = 'path exists'", "`form`"),
        ("form = 'site'\nvalues = ['nws']", "there is no site \"nws\""),
        ("form = 'country'\nvalues = ['a\"b']", "cannot be the name of a category"),
        ("form = 'country'\nvalues = ['a > b']", "cannot be the name of a category"),
        ("form = 'device'\nvalues = ['smartphone']", "is none of desktop, phone"),
        ("values = ['nl']", "[[category]] needs `form`"),
    ] {
        let text = format!("format = 1\n{SITE}[[category]]\nname = 'X'\n{lines}\n");
        let read = DefinitionsFile::parse(&text);
        let applied = read.and_then(|file| one.apply(&file, false, Retention::default()));
        let problem = applied.unwrap_err()[0].to_string();
        assert!(problem.contains(expected), "{lines}: {problem}");
    }
}
