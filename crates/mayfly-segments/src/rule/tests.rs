use jiff::tz::TimeZone;
use mayfly_core::{
    Attribute, Browser, Campaign, Client, Context, Device, Event, Geo, Language, Os, Page,
    Referrer, Timestamp, Value,
};
use proptest::prelude::*;

use super::*;
use crate::problem::ProblemKind;

fn page() -> PageFacts {
    PageFacts::of(&Page {
        url: "https://News.Example/Sport/Caf%C3%A9/1?utm_source=Mail&utm_source=x&page=05".into(),
        title: "The Late DERBY – Über alles".into(),
        keywords: vec!["Football".into(), "Cup Final".into()],
        categories: vec!["IAB17-44".into()],
    })
}

fn check(rule: &str, expected: bool) {
    let mut referrer = Referrer::of("https://www.google.com/search", "news.example");
    let campaign = Campaign { source: "mail".into(), ..Campaign::default() };
    referrer.campaign = Some(Box::new(campaign));
    let attributes = [
        Attribute { name: "price".into(), value: Value::Number(42.0) },
        Attribute { name: "size".into(), value: Value::Text("XL".into()) },
    ];
    let fleeting = [Attribute { name: "mood".into(), value: Value::Text("good".into()) }];
    let context = Context {
        client: Client { device: Device::Phone, os: Os::Ios, browser: Browser::Safari },
        language: Language::parse("nl-BE"),
        geo: Geo::new("BE", ""),
        network: None,
    };
    // 2026-11-21T23:30Z, a Saturday: in Amsterdam it is Sunday by then.
    let site = SiteFacts { key: "news".into(), zone: TimeZone::get("Europe/Amsterdam").unwrap() };
    let hit = HitFacts {
        event: &Event::PageView,
        time: Some(Timestamp::from_secs(1_795_303_800)),
        referrer: &referrer,
        context: &context,
        attributes: &attributes,
        fleeting: &fleeting,
        site: Some(&site),
    };
    let parsed = Rule::parse(rule).unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(parsed.holds(&Facts::new(&page(), hit)), expected, "{rule}");
}

#[test]
fn every_operator_on_every_kind_of_field() {
    for (rule, expected) in [
        (r#"host == "NEWS.example""#, true),
        (r#"host in ("a.example", "news.example")"#, true),
        (r#"path startswith "/Sport/""#, true),
        (r#"path startswith "/sport/""#, false),
        (r#"path contains "Café""#, true),
        (r#"url contains "Caf%C3%A9""#, true),
        (r#"path endswith "/1""#, true),
        (r#"path matches "^/Sport/.*/\d+$""#, true),
        (r#"title matches "derby .* ÜBER""#, true),
        (r#"title contains "derby""#, true),
        (r#"title contains any ("goal", "über")"#, true),
        (r#"title contains all ("goal", "über")"#, false),
        (r#"title contains all ("late", "über")"#, true),
        (r#"keywords has "cup final""#, true),
        (r#"keywords has "cup""#, false),
        (r#"keywords has any ("tennis", "football")"#, true),
        (r#"keywords contains "cup""#, true),
        (r#"keywords contains all ("cup", "foot")"#, true),
        (r#"categories has "iab17-44""#, true),
        (r#"categories in ("IAB1", "IAB17-44")"#, true),
        (r#"query.utm_source == "x""#, true),
        (r#"query.utm_source == "mail""#, false),
        ("query.page == 5", true),
        (r#"query.page == "5""#, false),
        ("query.page < 6 and query.page >= 5", true),
        ("query.nothing exists", false),
        ("a.price >= 42", true),
        ("a.price > 42", false),
        (r#"a.price == "42""#, true),
        (r#"a.price startswith "4""#, true),
        (r#"a.size == "XL""#, true),
        (r#"a.size == "xl""#, false),
        ("a.size < 3", false),
        (r#"referrer == "google.com""#, true),
        (r#"referrer.host endswith ".com""#, true),
        (r#"referrer.kind == "search""#, true),
        (r#"site == "news" and event == "page_view""#, true),
        (r#"event == "ad_click""#, false),
    ] {
        check(rule, expected);
    }
}

#[test]
fn absent_fields_meet_no_test_but_its_negation() {
    check(r#"a.colour != "red""#, false);
    check(r#"not (a.colour == "red")"#, true);
    check(r#"not a.colour exists"#, true);
    check(r#"a.size != "L""#, true);
    check(r#"keywords != "tennis""#, true);
    check(r#"keywords != "football""#, false);
}

#[test]
fn and_binds_tighter_than_or_and_not_tightest() {
    check(r#"a.price exists or a.x exists and a.y exists"#, true);
    check(r#"(a.price exists or a.x exists) and a.y exists"#, false);
    check(r#"not a.x exists and a.price exists"#, true);
    check(r#"not (a.x exists or a.price exists)"#, false);
}

#[test]
fn what_is_known_of_the_request_is_compared() {
    check("device == 'phone' and os in ('ios', 'android') and browser != 'chrome'", true);
    check("language startswith 'nl' and geo.country == 'be'", true);
    check("geo.region exists or campaign.medium exists or x.other exists", false);
    check("campaign.source == 'mail'", true);
    check("hour == 0 and weekday >= 7", true);
    check("hour < 23 and weekday == 6", false);
    check("x.mood == 'good'", true);
    let facts = page();
    assert!(!Rule::parse("hour >= 0").unwrap().holds(&Facts::page_view(&facts)), "not known");
}

#[test]
fn a_rule_without_event_means_page_views_and_engagement_counts_as_one() {
    let holds = |rule: &str, event: Event| {
        let page = page();
        let hit = HitFacts {
            time: None,
            context: &Context::default(),
            fleeting: &[],
            event: if event == Event::Engagement { &Event::PageView } else { &event },
            referrer: &Referrer::default(),
            attributes: &[],
            site: None,
        };
        Rule::parse(rule).unwrap().holds(&Facts::new(&page, hit))
    };
    assert!(holds("title exists", Event::PageView));
    assert!(!holds("title exists", Event::AdClick));
    assert!(holds("title exists", Event::Engagement));
    assert!(holds("event in ('ad_click', 'buy') and title exists", Event::Own("buy".into())));
    assert!(holds("event != 'page_view'", Event::AdClick));
}

/// A rule, its message (a part), its column and its help (a part).
fn refused(rule: &str, message: &str, column: usize, help: &str) {
    let problem = Rule::parse(rule).unwrap_err();
    let text = problem.to_string();
    assert!(problem.message().contains(message), "{rule}: {text}");
    assert_eq!((problem.line, problem.column), (1, column), "{text}");
    assert!(problem.help().unwrap_or_default().contains(help), "{text}");
}

#[test]
fn messages_say_where_and_what_would_be_right() {
    refused("titel == 'x'", "no field `titel`", 1, "`title`");
    refused("a.price >= 'x'", "compares numbers", 12, "without quotes");
    refused("title < 3", "`<` cannot be used with `title`", 7, "numbers");
    refused("title has 'x'", "`has` cannot be used with `title`", 7, "keywords");
    refused("title contain 'x'", "found `contain`", 7, "`contains`");
    refused("title contains ''", "empty text", 16, "exists");
    refused("title ==", "expected a text", 9, "");
    refused("title == 'x' adn path exists", "found `adn`", 14, "`and`");
    refused("(title == 'x'", "`and`, `or` or `)`", 14, "");
    refused("title == 'x", "no closing quote", 10, "");
    refused("title matches '('", "regular expression", 15, "");
    refused("title in 'x'", "expected a list", 10, "");
    refused("event == 'engagement'", "never a hit", 7, "engaged");
    refused("title mentions '...'", "no word", 16, "`contains`");
    refused("hour mentions 'x'", "cannot be used with `hour`", 6, "");
    refused("title mentions list words", "name of a word list", 21, "");
    refused("title = 'x'", "no meaning here", 7, "==");
    refused("title contains “x”", "no meaning here", 16, "straight quotes");
    refused("title == 'x' && path exists", "no meaning here", 14, "`and`");
    refused("title == 'x' | path exists", "no meaning here", 14, "`or`");
    refused("device == 'mobile'", "none of unknown, ", 8, "");
    refused("referrer.kind in ('search', 'serach')", "none of direct", 15, "");
    refused("hour == 24", "none of 0 to 23", 6, "");
    refused("weekday == 'Monday'", "none of 1 to 7", 9, "");
    refused("partner == 'a'", "not supported by this version", 1, "");
    refused("devise == 'phone'", "no field `devise`", 1, "`device`");
    refused("", "expected a field", 1, "");
    refused(&"(".repeat(100), "nested more than", 65, "");
    refused(&format!("title == '{}'", "x".repeat(70_000)), "bytes", 65_537, "");
}

#[test]
fn a_huge_regular_expression_is_refused() {
    let problem = Rule::parse(r"path matches '(\w{100}){100}'").unwrap_err();
    assert!(matches!(problem.kind, ProblemKind::BadRegex { .. }), "{problem}");
}

proptest! {
    #[test]
    fn parsing_never_panics(text in ".{0,80}") {
        if let Err(problem) = Rule::parse(&text) {
            prop_assert!(!problem.to_string().is_empty());
        }
    }

    #[test]
    fn parsing_what_looks_like_rules_never_panics(
        words in prop::collection::vec(prop::sample::select(vec![
            "host", "title", "a.x", "query.q", "==", "!=", "<", "in", "contains", "any", "all",
            "has", "matches", "exists", "mentions", "list", "and", "or", "not", "(", ")", ",", "'x'", "5", "'[a'",
        ]), 0..12),
    ) {
        let text = words.join(" ");
        if let Ok(rule) = Rule::parse(&text) {
            let page = page();
            // With all facts given a rule is decided.
            prop_assert!(rule.decide(&Facts::page_view(&page)).is_some());
        }
    }
}
