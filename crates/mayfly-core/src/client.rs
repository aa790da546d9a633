//! What is known of a hit's request: the kind of device, system and browser, the language, the
//! country. Coarse on purpose: words that reports and rules can use, too few to tell a visitor by.

use crate::language::Language;

/// What is known of the request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Context {
    /// What asked.
    pub client: Client,
    /// The language that it prefers.
    pub language: Option<Language>,
    /// Where it asked from.
    pub geo: Geo,
    /// Which network it came from that day; only where tokens are switched on.
    pub network: Option<NetworkToken>,
}

/// Hits of one UTC day with the same token came from the same network, and nothing else follows
/// from it: a keyed hash of the address, under a key that was destroyed soon after the day.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NetworkToken(pub u64);

/// Where a request came from, as the operator's file of networks has it; unknown without one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Geo {
    /// ISO 3166-1, two lower-case letters.
    country: Option<[u8; 2]>,
    /// ISO 3166-2 without the country: one to three letters or digits, zero after the end.
    region: Option<[u8; 3]>,
}

impl Geo {
    /// A country and perhaps a region in it. What has another form is unknown.
    #[must_use]
    pub fn new(country: &str, region: &str) -> Self {
        let Ok(country) = <[u8; 2]>::try_from(country.as_bytes()) else { return Self::default() };
        if !country.iter().all(u8::is_ascii_alphabetic) {
            return Self::default();
        }
        let mut code = [0; 3];
        let is_code = (1..=code.len()).contains(&region.len())
            && region.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_code {
            code.iter_mut().zip(region.bytes()).for_each(|(to, b)| *to = b.to_ascii_lowercase());
        }
        Self {
            country: Some(country.map(|b| b.to_ascii_lowercase())),
            region: is_code.then_some(code),
        }
    }

    /// The country, as `nl`.
    #[must_use]
    pub fn country(&self) -> Option<&str> {
        std::str::from_utf8(self.country.as_ref()?).ok()
    }

    /// The region, as `nh`.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        std::str::from_utf8(self.region.as_ref()?).ok().map(|text| text.trim_end_matches('\0'))
    }
}

/// What asked. The default is unknown throughout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Client {
    /// The device's kind.
    pub device: Device,
    /// Its operating system.
    pub os: Os,
    /// The browser on it.
    pub browser: Browser,
}

/// Kinds of device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Device {
    /// Nothing says it.
    #[default]
    Unknown,
    /// A desktop or laptop computer; an iPad whose Safari asks for desktop pages.
    Desktop,
    /// A telephone, smart or not; an iPod.
    Phone,
    /// A tablet or an electronic reader.
    Tablet,
    /// A television, or a box or stick at one.
    Tv,
    /// A game console, hand-held ones too.
    Console,
    /// A watch.
    Wearable,
    /// Something else that says what it is: a headset, a car.
    Other,
}

impl Device {
    /// Every kind, in the order of their stored numbers.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Desktop,
        Self::Phone,
        Self::Tablet,
        Self::Tv,
        Self::Console,
        Self::Wearable,
        Self::Other,
    ];

    /// The name in rules and reports.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Desktop => "desktop",
            Self::Phone => "phone",
            Self::Tablet => "tablet",
            Self::Tv => "tv",
            Self::Console => "console",
            Self::Wearable => "wearable",
            Self::Other => "other",
        }
    }
}

/// Operating systems.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Os {
    /// Nothing says it.
    #[default]
    Unknown,
    /// Windows on computers and the Xbox; not Windows Phone, Mobile and CE.
    Windows,
    /// macOS, and the iPads that say so.
    MacOs,
    /// Linux on computers, whatever the distribution.
    Linux,
    /// ChromeOS.
    ChromeOs,
    /// Android and what Amazon makes of it.
    Android,
    /// iOS and iPadOS.
    Ios,
    /// Another one: of televisions, watches, consoles and older phones, BSD.
    Other,
}

impl Os {
    /// Every system, in the order of their stored numbers.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Windows,
        Self::MacOs,
        Self::Linux,
        Self::ChromeOs,
        Self::Android,
        Self::Ios,
        Self::Other,
    ];

    /// The name in rules and reports.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Windows => "windows",
            Self::MacOs => "mac_os",
            Self::Linux => "linux",
            Self::ChromeOs => "chrome_os",
            Self::Android => "android",
            Self::Ios => "ios",
            Self::Other => "other",
        }
    }
}

/// Families of browsers, by brand and not by engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Browser {
    /// Nothing says it.
    #[default]
    Unknown,
    /// Chrome and Chromium.
    Chrome,
    /// Safari.
    Safari,
    /// Firefox and its renamed builds of Linux distributions.
    Firefox,
    /// Edge, old and new.
    Edge,
    /// Opera, Mini and GX too.
    Opera,
    /// The browser of Samsung's phones.
    SamsungInternet,
    /// Internet Explorer and whatever shows pages through it.
    InternetExplorer,
    /// Another browser, or an app that shows pages.
    Other,
}

impl Browser {
    /// Every family, in the order of their stored numbers.
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Chrome,
        Self::Safari,
        Self::Firefox,
        Self::Edge,
        Self::Opera,
        Self::SamsungInternet,
        Self::InternetExplorer,
        Self::Other,
    ];

    /// The name in rules and reports.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Chrome => "chrome",
            Self::Safari => "safari",
            Self::Firefox => "firefox",
            Self::Edge => "edge",
            Self::Opera => "opera",
            Self::SamsungInternet => "samsung_internet",
            Self::InternetExplorer => "internet_explorer",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_apart_and_places_have_their_form() {
        assert!(Device::ALL.iter().enumerate().all(|(i, d)| *d as usize == i));
        assert!(Os::ALL.iter().enumerate().all(|(i, o)| *o as usize == i));
        assert!(Browser::ALL.iter().enumerate().all(|(i, b)| *b as usize == i));
        let geo = Geo::new("NL", "NH");
        assert_eq!((geo.country(), geo.region()), (Some("nl"), Some("nh")));
        assert_eq!(Geo::new("NL", "too long").region(), None);
        assert_eq!(Geo::new("N", "NH"), Geo::default());
    }
}
