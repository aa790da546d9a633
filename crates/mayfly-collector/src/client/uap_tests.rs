//! Agreement with the tests of uap-core, whose hundreds of families are mapped to ours.

use std::path::Path;

use super::*;

/// The cases of one file: agent and expected family. Its YAML is plain enough to read by line.
fn cases(file: &str) -> Option<Vec<(String, String)>> {
    let data = std::env::var_os("MAYFLY_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        Into::into,
    );
    let text = std::fs::read_to_string(data.join("uap-core/tests").join(file)).ok()?;
    let (mut cases, mut agent) = (Vec::new(), None);
    for line in text.lines().map(|line| line.trim_start_matches([' ', '-'])) {
        if let Some(value) = line.strip_prefix("user_agent_string:") {
            agent = Some(scalar(value));
        } else if let Some(family) = line.strip_prefix("family:") {
            cases.extend(agent.take().map(|agent| (agent, scalar(family))));
        }
    }
    Some(cases)
}

fn scalar(value: &str) -> String {
    let value = value.trim();
    let inner = |quote| value.strip_prefix(quote).and_then(|v: &str| v.strip_suffix(quote));
    if let Some(single) = inner('\'') {
        single.replace("''", "'")
    } else if let Some(double) = inner('"') {
        double.replace("\\\"", "\"").replace("\\\\", "\\")
    } else {
        value.to_owned()
    }
}

fn expected_browser(family: &str) -> Browser {
    match family {
        "Chrome" | "Chrome Mobile" | "Chrome Mobile iOS" | "Chromium" => Browser::Chrome,
        "Safari" | "Mobile Safari" => Browser::Safari,
        "Iceweasel" => Browser::Firefox,
        "Edge" | "Edge Mobile" => Browser::Edge,
        "Samsung Internet" => Browser::SamsungInternet,
        "IE" | "IE Mobile" | "IE Large Screen" | "Chrome Frame" => Browser::InternetExplorer,
        _ if family.starts_with("Opera") => Browser::Opera,
        _ if family.starts_with("Firefox") => Browser::Firefox,
        _ => Browser::Other,
    }
}

fn expected_os(family: &str) -> Os {
    match family {
        "Windows Phone" | "Windows Mobile" | "Windows CE" => Os::Other,
        "Mac OS X" | "Mac OS" => Os::MacOs,
        "Chrome OS" => Os::ChromeOs,
        "Android" => Os::Android,
        "iOS" => Os::Ios,
        "Linux" | "Ubuntu" | "Debian" | "Fedora" | "Gentoo" | "Mandriva" | "Red Hat" | "SUSE" => {
            Os::Linux
        }
        _ if family.starts_with("Windows") => Os::Windows,
        _ => Os::Other,
    }
}

/// The devices that a family stands for; none where the family does not say.
fn expected_devices(family: &str) -> &'static [Device] {
    let any = |parts: &[&str]| parts.iter().any(|part| family.contains(part));
    if any(&["Spider", "Other"]) {
        &[]
    } else if any(&["BNTV", "iPad", "Tablet", "Kindle"]) {
        &[Device::Tablet]
    } else if any(&["Quest", "Tesla Model"]) {
        &[Device::Other]
    } else if any(&["TV", "Inettv", "NetCast", "Roku", "Chromecast"]) {
        &[Device::Tv]
    } else if any(&["PlayStation", "Xbox", "Nintendo"]) {
        &[Device::Console]
    } else if any(&["iPhone", "iPod", "Generic"]) {
        &[Device::Phone]
    } else if family == "Mac" {
        &[Device::Desktop]
    } else if any(&["Watch"]) {
        &[Device::Wearable]
    } else {
        // A model: most are phones, and only people know which are not.
        &[Device::Phone, Device::Tablet]
    }
}

/// How many of `cases` agree, in thousandths.
fn agreement(
    what: &str,
    cases: &[(String, String)],
    agrees: impl Fn(&str, &str) -> Option<bool>,
) -> usize {
    let answers = cases.iter().filter_map(|(agent, family)| agrees(agent, family));
    let (yes, all) =
        answers.fold((0, 0), |(yes, all), answer| (yes + usize::from(answer), all + 1));
    println!("{what}: {yes} of {all}");
    yes * 1000 / all.max(1)
}

/// To name no browser and to name another one are the same answer.
fn same_browser(said: Browser, expected: Browser) -> bool {
    said == expected || said == Browser::Unknown && expected == Browser::Other
}

/// To name no system and to name another one are the same answer.
fn same_os(said: Os, expected: Os) -> bool {
    said == expected || said == Os::Unknown && expected == Os::Other
}

#[test]
fn agreement_with_uap_core() {
    let read = |agent: &str| client(&Hints { user_agent: Some(agent), ..Hints::default() });
    let files = ["test_ua.yaml", "test_os.yaml", "test_device.yaml"];
    let [Some(browsers), Some(systems), Some(devices)] = files.map(cases) else {
        println!("skipped: there is no uap-core; MAYFLY_DATA names its folder");
        return;
    };
    let bots = crate::bots::Bots::new().unwrap();
    let people = |agent: &str| bots.judge(&Hints { user_agent: Some(agent), ..Hints::default() });
    let browsers = agreement("browsers", &browsers, |agent, family| {
        let judged = people(agent).is_none();
        judged.then(|| same_browser(read(agent).browser, expected_browser(family)))
    });
    let systems = agreement("systems", &systems, |agent, family| {
        Some(same_os(read(agent).os, expected_os(family)))
    });
    let devices = agreement("devices", &devices, |agent, family| {
        let expected = expected_devices(family);
        (!expected.is_empty()).then(|| expected.contains(&read(agent).device))
    });
    // What is missing are agents of old apps that no browser sends.
    let floors = browsers >= 940 && systems >= 940 && devices >= 830;
    assert!(floors, "{browsers} {systems} {devices}");
}
