use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

fn agent(agent: &str) -> Hints<'_> {
    Hints { user_agent: Some(agent), ..Hints::default() }
}

#[test]
fn listed_automata_are_found() {
    let bots = Bots::new().unwrap();
    for instance in include_str!("instances.txt").lines() {
        assert_eq!(bots.judge(&agent(instance)), Some(BotKind::Listed), "{instance}");
    }
    for library in [
        "curl/8.7.1",
        "python-requests/2.32.3",
        "Go-http-client/2.0",
        "okhttp/4.12.0",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
         HeadlessChrome/126.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) \
         PhantomJS/2.1.1 Safari/538.1",
    ] {
        assert_eq!(bots.judge(&agent(library)), Some(BotKind::Listed), "{library}");
    }
}

#[test]
fn browsers_are_no_automata() {
    let bots = Bots::new().unwrap();
    for browser in include_str!("browsers.txt").lines() {
        assert_eq!(bots.judge(&agent(browser)), None, "{browser}");
    }
}

#[test]
fn what_no_browser_sends_is_impossible() {
    let bots = Bots::new().unwrap();
    for nothing in [None, Some(""), Some("  "), Some("-")] {
        let hints = Hints { user_agent: nothing, ..Hints::default() };
        assert_eq!(bots.judge(&hints), Some(BotKind::NoAgent));
    }
    for odd in [
        "Mozilla",
        "1.2.3.4.5.6",
        "Mozilla/5.0",
        "Mozilla/5.0 (X11)\u{7}",
        "Reader/1 (https://r.example)",
    ] {
        assert_eq!(bots.judge(&agent(odd)), Some(BotKind::Impossible), "{odd}");
    }
    let browser = Hints {
        ua: Some("\"Chromium\";v=\"124\", \"Google Chrome\";v=\"124\""),
        mobile: Some("?0"),
        platform: Some("\"Windows\""),
        ..agent("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/124.0.0.0 Safari/537.36")
    };
    assert_eq!(bots.judge(&browser), None);
    let phone = Hints { mobile: Some("?1"), ..browser };
    assert_eq!(bots.judge(&phone), Some(BotKind::Impossible));
    assert_eq!(bots.judge(&Hints { platform: Some("\"Android\""), ..phone }), None);
    let headless = Hints { ua: Some("\"HeadlessChrome\";v=\"124\""), ..browser };
    assert_eq!(bots.judge(&headless), Some(BotKind::Impossible));
}

#[test]
fn nearly_all_patterns_are_plain_texts() {
    let plain_ones = PATTERNS.lines().filter(|line| plain(line).is_some()).count();
    assert!(plain_ones * 100 > PATTERNS.lines().count() * 95);
    assert_eq!(plain("Googlebot\\/").as_deref(), Some("Googlebot/"));
    for special in ["a.b", "\\d", "^a", "a|b", "a\\"] {
        assert_eq!(plain(special), None, "{special}");
    }
}

#[test]
fn of_long_agents_the_beginning_is_judged() {
    let bots = Bots::new().unwrap();
    let long = format!("Mozilla/5.0 ({}) Googlebot/2.1", "é".repeat(AGENT_BYTES));
    assert_eq!(bots.judge(&agent(&long)), None);
}

#[test]
fn automata_of_the_elastic_logs() {
    let data = std::env::var_os("MAYFLY_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        Into::into,
    );
    let Ok(log) = std::fs::read_to_string(data.join("elastic-apache-logs/apache_logs")) else {
        println!("skipped: there are no access logs; MAYFLY_DATA names their folder");
        return;
    };
    let bots = Bots::new().unwrap();
    let agents = log.lines().filter_map(|line| line.split('"').nth(5));
    let mut counts = [0; 3];
    for kind in agents.filter_map(|text| bots.judge(&agent(text))) {
        counts[kind as usize] += 1;
    }
    assert_eq!(counts, [1956, 190, 492], "of 10,000 lines");
}

proptest! {
    #[test]
    fn any_headers_are_survived(a in "\\PC{0,300}", ua in ".{0,80}", m in ".{0,4}") {
        let hints = Hints { ua: Some(&ua), mobile: Some(&m), platform: Some(&ua), ..agent(&a) };
        static BOTS: LazyLock<Bots> = LazyLock::new(|| Bots::new().unwrap());
        let spaced = format!("  {a} ");
        let again = Hints { user_agent: Some(&spaced), ..hints };
        prop_assert_eq!(BOTS.judge(&hints), BOTS.judge(&again));
    }

    #[test]
    fn kinds_are_stored_by_their_place(at in 0..BotKind::ALL.len()) {
        prop_assert_eq!(BotKind::ALL[at] as usize, at);
    }
}
