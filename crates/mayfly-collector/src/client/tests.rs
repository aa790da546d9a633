use proptest::prelude::*;

use super::*;

fn of(agent: &str) -> (Device, Os, Browser) {
    let client = client(&Hints { user_agent: Some(agent), ..Hints::default() });
    (client.device, client.os, client.browser)
}

#[test]
fn stored_numbers_and_names_are_stable() {
    for (at, device) in Device::ALL.into_iter().enumerate() {
        assert_eq!(device as usize, at);
    }
    for (at, os) in Os::ALL.into_iter().enumerate() {
        assert_eq!(os as usize, at);
    }
    for (at, browser) in Browser::ALL.into_iter().enumerate() {
        assert_eq!(browser as usize, at);
    }
    let labels = Browser::ALL.map(Browser::label).join(" ");
    assert_eq!(
        labels,
        "unknown chrome safari firefox edge opera samsung_internet internet_explorer other"
    );
    assert_eq!(Os::ALL.map(Os::label)[2], "mac_os");
    assert_eq!(Device::ALL.map(Device::label)[4], "tv");
}

/// In the order of the lines of `bots/browsers.txt`.
const EXPECTED: &str = "desktop windows chrome, desktop mac_os chrome, desktop linux chrome, \
    desktop chrome_os chrome, phone android chrome, tablet android chrome, phone ios chrome, \
    tablet ios chrome, desktop windows edge, phone android edge, phone ios edge, \
    console windows edge, desktop windows firefox, desktop mac_os firefox, \
    desktop linux firefox, phone android firefox, tablet android firefox, phone ios firefox, \
    desktop mac_os safari, phone ios safari, tablet ios safari, desktop windows opera, \
    phone android opera, phone android opera, phone android samsung_internet, \
    tablet android samsung_internet, desktop windows internet_explorer, desktop windows other, \
    desktop windows other, phone ios other, phone android other, phone ios other, \
    phone ios other, phone ios other, tv other samsung_internet, tv other other, \
    tv other other, tv android chrome, console other other, console other other, \
    other linux other, tablet android other, phone android other";

#[test]
fn current_browsers() {
    let agents: Vec<&str> = include_str!("../bots/browsers.txt").lines().collect();
    let expected: Vec<&str> = EXPECTED.split(", ").collect();
    assert_eq!(agents.len(), expected.len());
    for (agent, expected) in agents.into_iter().zip(expected) {
        let (device, os, browser) = of(agent);
        let said = format!("{} {} {}", device.label(), os.label(), browser.label());
        assert_eq!(said, expected, "{agent}");
    }
}

#[test]
fn agents_that_say_little() {
    for (agent, expected) in [
        ("", (Device::Unknown, Os::Unknown, Browser::Unknown)),
        ("-", (Device::Unknown, Os::Unknown, Browser::Unknown)),
        ("Dalvik/2.1.0 (Linux; U; Android 14)", (Device::Unknown, Os::Android, Browser::Other)),
        ("App/1 CFNetwork/1.0 Darwin/23.0.0", (Device::Unknown, Os::Ios, Browser::Other)),
        ("App/1 CFNetwork/1 Darwin/9 (x86_64)", (Device::Desktop, Os::MacOs, Browser::Other)),
        ("Mozilla/5.0 (iPad; ", (Device::Tablet, Os::Ios, Browser::Unknown)),
        (
            "Mozilla/5.0 (Linux; Android 12; motorola edge 20) AppleWebKit/537.36 (KHTML, like \
             Gecko) Chrome/99.0 Mobile Safari/537.36",
            (Device::Phone, Os::Android, Browser::Chrome),
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like \
             Gecko) CriOS/131 Version/11.1.1 Safari/605.1.15",
            (Device::Tablet, Os::Ios, Browser::Chrome),
        ),
    ] {
        assert_eq!(of(agent), expected, "{agent}");
    }
}

#[test]
fn hints_win_where_they_speak() {
    let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                  Chrome/124.0.0.0 Safari/537.36";
    let with = |ua, mobile, platform| {
        let client = client(&Hints { user_agent: Some(chrome), ua, mobile, platform });
        (client.device, client.os, client.browser)
    };
    let plain = (Device::Desktop, Os::Linux, Browser::Chrome);
    assert_eq!(with(None, None, None), plain);
    assert_eq!(with(Some("garbage"), Some("1"), Some("Windows")), plain);
    assert_eq!(with(Some("\"Brave"), Some(""), Some("\"Unknown\"")), plain);
    let android = Some("\"Android\"");
    assert_eq!(with(None, Some("?1"), android).0, Device::Phone);
    assert_eq!(with(None, Some("?0"), android).0, Device::Tablet);
    assert_eq!(with(None, Some("?0"), Some("\"Chrome OS\"")).1, Os::ChromeOs);
    for (list, browser) in [
        (r#""Chromium";v="124", "Google Chrome";v="124", "Not-A.Brand";v="99""#, Browser::Chrome),
        (r#""Not/A)Brand";v="8", "Chromium";v="126", "Brave";v="126""#, Browser::Other),
        (r#""Microsoft Edge";v="131", "Chromium";v="131""#, Browser::Edge),
        (r#""Microsoft Edge WebView2";v="1", "Microsoft Edge";v="1""#, Browser::Other),
        (r#""Chromium";v="1","Opera GX";v="1""#, Browser::Opera),
        (r#""Samsung Internet";v="27.0", "Chromium";v="125""#, Browser::SamsungInternet),
        (r#""Android WebView";v="131", "Chromium";v="131""#, Browser::Other),
        (r#""\\Not\"A;Brand";v="99", "Opera";v="72""#, Browser::Opera),
        (r#""Chromium";v="1, \"x", "Microsoft Edge";v="1""#, Browser::Edge),
        (r#""Chromium";v="131", "Not_A Brand";v="24""#, Browser::Chrome),
    ] {
        assert_eq!(with(Some(list), None, None).2, browser, "{list}");
    }
}

#[test]
fn a_television_stays_one_whatever_its_hints_say() {
    let hints = Hints {
        user_agent: Some("Mozilla/5.0 (Web0S; Linux/SmartTV) Chrome/120.0.0.0 Safari/537.36"),
        platform: Some("\"Linux\""),
        mobile: Some("?0"),
        ua: Some("\"Chromium\";v=\"120\""),
    };
    let expected = Client { device: Device::Tv, os: Os::Other, browser: Browser::Chrome };
    assert_eq!(client(&hints), expected);
}

#[test]
fn an_app_on_chromium_names_itself_in_its_agent_only() {
    let hints = Hints {
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0 App/1 Electron/31.0"),
        ua: Some("\"Chromium\";v=\"126\""),
        ..Hints::default()
    };
    assert_eq!(client(&hints).browser, Browser::Other);
    assert_eq!(client(&Hints { user_agent: None, ..hints }).browser, Browser::Chrome);
}

#[test]
fn of_long_agents_the_beginning_is_read() {
    let long = format!("{}Windows", "é;".repeat(AGENT_BYTES / 3 + 1));
    assert_eq!(of(&long).1, Os::Unknown);
    assert_eq!(head("é", 1), "");
}

proptest! {
    #[test]
    fn any_headers_are_survived(
        agent in "\\PC{0,300}|[(\\[A-Za-z0-9/; )]{0,300}",
        ua in "\\PC{0,80}|[\"\\\\,;=v a-zA-Z]{0,80}",
        mobile in ".{0,4}",
        platform in "\"?[a-zA-Z ]{0,9}\"?",
    ) {
        let (agent, ua) = (Some(&*agent), Some(&*ua));
        let (mobile, platform) = (Some(&*mobile), Some(&*platform));
        let hints = Hints { user_agent: agent, ua, mobile, platform };
        prop_assert_eq!(client(&hints), client(&hints));
    }
}
