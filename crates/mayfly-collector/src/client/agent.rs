//! The user agent, word by word, in one pass.
//!
//! The families of browsers are told by what they do not say: all of them also name the products
//! that they imitate, and every browser or app made of one of them adds a name of its own. So an
//! unknown name outside of the brackets makes it another browser, without a list of them.

use super::words::{self, Signals};
use super::{AGENT_BYTES, Browser, Client, Device, Os, head};
use words::WINDOWS_PHONE;
use words::{ANDROID, CHROME, CHROME_OS, CONSOLE, DARWIN, DESKTOP, EDGE, ENGINE, EXPLORER};
use words::{FIREFOX, FOREIGN, INTEL, IOS, IPAD, IPHONE, LINUX, MAC, MOBILE, OPERA, OTHER_DEVICE};
use words::{OTHER_OS, POCKET, SAFARI, SAMSUNG, TABLET, TV, VERSION, WEARABLE, WEB_VIEW, WINDOWS};

/// Flags that a word in brackets carries only with a version.
const PRODUCTS: Signals =
    CHROME | SAFARI | FIREFOX | EDGE | OPERA | SAMSUNG | OTHER_DEVICE | ENGINE;

/// What a user agent says.
pub(super) fn read(agent: &str) -> Client {
    let signals = signals(head(agent, AGENT_BYTES));
    Client { device: device(signals), os: os(signals), browser: browser(signals) }
}

/// The flags of all words together.
fn signals(agent: &str) -> Signals {
    let (mut signals, mut depth, mut before, mut rest) = (0, 0_u32, b' ', agent.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        if byte.is_ascii_alphanumeric() {
            let len = rest.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(len);
            // Numbers, which half of all words are, and the letters in versions say nothing.
            if !byte.is_ascii_digit() {
                let named = depth == 0 && !matches!(before, b'/' | b'.');
                signals |= word_signals(word, named, after.first() == Some(&b'/'));
            }
            rest = after;
        } else {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            rest = after;
        }
        before = *byte;
    }
    signals
}

/// The flags of one word: one outside of brackets may name a product, as may one with a version.
fn word_signals(word: &[u8], named: bool, versioned: bool) -> Signals {
    match words::meaning(word) {
        // Models may bear the name of a product: "motorola edge 20", "Build/OPR1".
        Some(signals) if !named && !versioned => signals & !PRODUCTS,
        Some(signals) => signals,
        None => {
            let unknown = if named { FOREIGN } else { 0 };
            // GoogleTV, hdplusSmartTV, PhilipsTV and their kin; AFTB, AFTKA: models of Fire TV.
            let tv = word.ends_with(b"TV") || word.starts_with(b"AFT");
            if tv { TV | unknown } else { unknown }
        }
    }
}

/// Whether any of these flags is set.
const fn any(signals: Signals, of: Signals) -> bool {
    signals & of != 0
}

/// Windows on telephones: three names, and it says that it is like Android and the iPhone.
const fn windows_phone(signals: Signals) -> bool {
    any(signals, WINDOWS_PHONE) || any(signals, WINDOWS) && any(signals, POCKET)
}

fn device(s: Signals) -> Device {
    if any(s, TV) {
        Device::Tv
    } else if any(s, CONSOLE) {
        Device::Console
    } else if any(s, WEARABLE) {
        Device::Wearable
    } else if any(s, OTHER_DEVICE) {
        Device::Other
    } else if windows_phone(s) {
        Device::Phone
    } else if any(s, IPAD) {
        Device::Tablet
    } else if any(s, IPHONE) {
        Device::Phone
    } else if any(s, ANDROID) {
        android_device(s)
    } else if any(s, IOS) {
        // Browsers on iPads ask for desktop pages as Macintosh, under names only iOS has.
        if any(s, MAC) { Device::Tablet } else { Device::Unknown }
    } else if any(s, TABLET) && !any(s, WINDOWS) {
        Device::Tablet
    } else if any(s, WINDOWS | MAC | CHROME_OS) {
        Device::Desktop
    } else if any(s, MOBILE) {
        Device::Phone
    } else if any(s, LINUX | DESKTOP) || any(s, DARWIN) && any(s, INTEL) {
        Device::Desktop
    } else {
        Device::Unknown
    }
}

/// Browsers on telephones say "Mobile", those on tablets do not; apps say it on neither.
const fn android_device(s: Signals) -> Device {
    if any(s, TABLET) {
        Device::Tablet
    } else if any(s, MOBILE) {
        Device::Phone
    } else if any(s, ENGINE) {
        Device::Tablet
    } else {
        Device::Unknown
    }
}

fn os(s: Signals) -> Os {
    if windows_phone(s) {
        Os::Other
    } else if any(s, ANDROID) {
        Os::Android
    } else if any(s, OTHER_OS) {
        Os::Other
    } else if any(s, IPHONE | IPAD | IOS) {
        Os::Ios
    } else if any(s, CHROME_OS) {
        Os::ChromeOs
    } else if any(s, WINDOWS) {
        Os::Windows
    } else if any(s, MAC) || any(s, DARWIN) && any(s, INTEL) {
        // The system of Apple TV is like Mac OS X, too.
        if any(s, TV) { Os::Other } else { Os::MacOs }
    } else if any(s, DARWIN) {
        Os::Ios
    } else if any(s, LINUX | DESKTOP) {
        if any(s, TV) { Os::Other } else { Os::Linux }
    } else {
        Os::Unknown
    }
}

fn browser(s: Signals) -> Browser {
    if any(s, OPERA) {
        Browser::Opera
    } else if any(s, SAMSUNG) && !any(s, OTHER_DEVICE) {
        Browser::SamsungInternet
    } else if any(s, EXPLORER) {
        Browser::InternetExplorer
    } else if any(s, FOREIGN | WEB_VIEW) {
        Browser::Other
    } else if any(s, EDGE) {
        Browser::Edge
    } else if any(s, FIREFOX) {
        Browser::Firefox
    } else if any(s, CHROME) {
        // Web views on Android before they said so.
        if any(s, ANDROID) && any(s, VERSION) { Browser::Other } else { Browser::Chrome }
    } else if any(s, SAFARI) && any(s, MAC | IPHONE | IPAD | IOS | WINDOWS) && !any(s, ANDROID) {
        Browser::Safari
    } else if any(s, ENGINE) {
        Browser::Other
    } else {
        Browser::Unknown
    }
}
