//! The segments of the exactness test: each as it is written for Mayfly, and as plain counting.

use std::fmt::Write;

use crate::exactness_oulad::{Clicks, View};

/// A segment: its name, its expression, and the same by counting rows.
pub(crate) type Segment = (&'static str, &'static str, fn(&View<'_>) -> bool);

/// All of them.
pub(crate) const SEGMENTS: [Segment; 18] = [
    ("forum-week", r#"visited("AAA > forumng", within 7d)"#, |v| {
        v.visits("AAA > forumng", 0..=6) >= 1
    }),
    ("forum-often", r#"visited("AAA > forumng", within 30d) >= 5"#, |v| {
        v.visits("AAA > forumng", 0..=29) >= 5
    }),
    ("aaa-much", r#"visited("AAA", within 90d) >= 40"#, |v| v.visits("AAA", 0..=89) >= 40),
    (
        "faded",
        r#"visited("GGG", between 60d and 30d ago) and not visited("GGG", within 29d)"#,
        |v| v.visits("GGG", 30..=60) >= 1 && v.visits("GGG", 0..=28) == 0,
    ),
    ("early", r#"visited("EEE > oucontent", earlier than 60d) >= 2"#, |v| {
        v.visits("EEE > oucontent", 60..=89) >= 2
    }),
    ("once", r#"visited("*", within 14d) == 1"#, |v| v.visits("*", 0..=13) == 1),
    (
        "quiz-no-resource",
        r#"visited("GGG > quiz", within 90d) >= 3 and not visited("GGG > resource", within 45d)"#,
        |v| v.visits("GGG > quiz", 0..=89) >= 3 && v.visits("GGG > resource", 0..=44) == 0,
    ),
    (
        "mixed",
        r#"at least 2 of (visited("Talk", within 30d) >= 3, visited("AAA > resource", within 60d),
           visited("EEE > quiz", within 45d) >= 4, engaged("*", within 90d) >= 300s)"#,
        |v| {
            let branches = [
                v.visits("Talk", 0..=29) >= 3,
                v.visits("AAA > resource", 0..=59) >= 1,
                v.visits("EEE > quiz", 0..=44) >= 4,
                v.seconds("*", 0..=89) >= 300,
            ];
            branches.into_iter().filter(|holds| *holds).count() >= 2
        },
    ),
    ("talkers", r#"visited("Talk", within 88d) >= 20"#, |v| v.visits("Talk", 0..=87) >= 20),
    ("engaged-month", r#"engaged("GGG", within 30d) >= 90s"#, |v| v.seconds("GGG", 0..=29) >= 90),
    ("engaged-then", r#"engaged("Talk", between 80d and 10d ago) >= 2m"#, |v| {
        v.seconds("Talk", 10..=80) >= 120
    }),
    ("talkers-back", r#""talkers" and not "faded" and not "once""#, |v| {
        let faded = v.visits("GGG", 30..=60) >= 1 && v.visits("GGG", 0..=28) == 0;
        v.visits("Talk", 0..=87) >= 20 && !faded && v.visits("*", 0..=13) != 1
    }),
    ("heaviest", r#"visited("*", within 90d) >= 255"#, |v| v.visits("*", 0..=89) >= 255),
    ("today", r#"visited("*", within 1d)"#, |v| v.visits("*", 0..=0) >= 1),
    (
        "home-lately",
        r#"(visited("AAA > homepage", within 3d) or visited("EEE > homepage", within 3d))
           and visited("*", earlier than 3d) < 100"#,
        |v| {
            v.visits("AAA > homepage", 0..=2) + v.visits("EEE > homepage", 0..=2) >= 1
                && v.visits("*", 3..=89) < 100
        },
    ),
    (
        "three-of",
        r#"at least 3 of ("forum-week", "aaa-much", visited("AAA > url", within 90d),
           visited("AAA > subpage", earlier than 10d))"#,
        |v| {
            let branches = [
                v.visits("AAA > forumng", 0..=6) >= 1,
                v.visits("AAA", 0..=89) >= 40,
                v.visits("AAA > url", 0..=89) >= 1,
                v.visits("AAA > subpage", 10..=89) >= 1,
            ];
            branches.into_iter().filter(|holds| *holds).count() >= 3
        },
    ),
    ("quiet", r#"visited("*", within 90d) and visited("Talk > writing", within 90d) < 2"#, |v| {
        v.visits("*", 0..=89) >= 1 && v.visits("Talk > writing", 0..=89) < 2
    }),
    // A day's last and first second: 2 days next to each other, seen from both sides.
    (
        "edge",
        r#"visited("*", between 8d and 8d ago) and not visited("*", between 7d and 7d ago)"#,
        |v| v.visits("*", 8..=8) >= 1 && v.visits("*", 7..=7) == 0,
    ),
];

/// The definitions with the first `segments` segments, and the forum's rule as `forum` says.
pub(crate) fn definitions(clicks: &Clicks, segments: usize, forum: &str) -> String {
    let mut text = "format = 1\n[[site]]\nkey = \"campus\"\n\
                    origins = [\"https://campus.example\"]\n"
        .to_owned();
    let mut category = |name: &str, rule: &str| {
        write!(text, "[[category]]\nname = \"{name}\"\nrule = '{rule}'\n").unwrap();
    };
    for (module, activity) in clicks.kinds() {
        let rule = format!(r#"path startswith "/{module}/" and path contains "/{activity}/""#);
        let is_forum = (module, activity) == ("AAA", "forumng");
        category(&format!("{module} > {activity}"), if is_forum { forum } else { &rule });
    }
    // Two of them overlap: their parent counts a hit once all the same.
    category("Talk > forum", r#"path contains "/forumng/""#);
    category("Talk > writing", r#"path contains any ("/forumng/", "/ouwiki/")"#);
    category("Talk > live", r#"path matches "/oucollaborate/[0-9]+$""#);
    for (name, rule, _) in &SEGMENTS[..segments] {
        write!(text, "[[segment]]\nname = \"{name}\"\nrule = '''{rule}'''\n").unwrap();
    }
    text
}

/// The forum's rule.
pub(crate) const FORUM: &str = r#"path startswith "/AAA/" and path contains "/forumng/""#;
