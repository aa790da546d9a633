//! What kind of device, system and browser asked: coarse on purpose. Three words that reports and
//! rules can use, too few to tell a visitor by.
//!
//! Client hints (`Sec-CH-UA*`) win over the user agent where they speak, because browsers freeze
//! the user agent. What neither of them says stays unknown; notably, Safari on an iPad says that it
//! is a Macintosh, so it counts as a desktop, and so does a phone that asks for the desktop site.

mod agent;
mod brands;
mod words;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod uap_tests;

use mayfly_core::{Browser, Client, Device, Os};

use self::brands::Brands;

/// How much of a user agent is read, bytes; the rest is ignored.
pub const AGENT_BYTES: usize = 1024;

/// The request headers that tell, as they came; `None` where one did not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hints<'h> {
    /// `User-Agent`.
    pub user_agent: Option<&'h str>,
    /// `Sec-CH-UA`: a list of brands.
    pub ua: Option<&'h str>,
    /// `Sec-CH-UA-Mobile`: `?1` or `?0`.
    pub mobile: Option<&'h str>,
    /// `Sec-CH-UA-Platform`: a quoted name.
    pub platform: Option<&'h str>,
}

/// What asked, as far as the headers tell.
#[must_use]
pub fn client(hints: &Hints<'_>) -> Client {
    hinted(by_agent(agent_of(hints)), hints)
}

/// The part of the user agent that is read.
pub(crate) fn agent_of<'h>(hints: &Hints<'h>) -> &'h str {
    head(hints.user_agent.unwrap_or_default().trim(), AGENT_BYTES)
}

/// What a user agent says of its client.
pub(crate) fn by_agent(agent: &str) -> Client {
    agent::read(agent)
}

/// What an agent said, and what the hints say above it.
pub(crate) fn hinted(said: Client, hints: &Hints<'_>) -> Client {
    let os = hints.platform.and_then(brands::platform);
    let browser = match hints.ua.map_or(Brands::Silent, brands::read) {
        Brands::Named(browser) => browser,
        // An app that is built on Chromium and names itself in its user agent only.
        Brands::Chromium if said.browser != Browser::Unknown => said.browser,
        Brands::Chromium => Browser::Chrome,
        Brands::Silent => said.browser,
    };
    match said.device {
        // The hints have no words for these, and call their systems Linux or Windows.
        Device::Tv | Device::Console | Device::Wearable | Device::Other => {
            let os = if said.os == Os::Unknown { os.unwrap_or_default() } else { said.os };
            Client { device: said.device, os, browser }
        }
        Device::Unknown | Device::Desktop | Device::Phone | Device::Tablet => {
            let os = os.unwrap_or(said.os);
            let mobile = hints.mobile.and_then(brands::flag);
            Client { device: by_size(mobile, os).unwrap_or(said.device), os, browser }
        }
    }
}

/// What `Sec-CH-UA-Mobile` means on a system; `None` where it says nothing.
fn by_size(mobile: Option<bool>, os: Os) -> Option<Device> {
    if mobile? {
        return Some(Device::Phone);
    }
    match os {
        Os::Android | Os::Ios => Some(Device::Tablet),
        Os::Windows | Os::MacOs | Os::Linux | Os::ChromeOs => Some(Device::Desktop),
        Os::Unknown | Os::Other => None,
    }
}

/// The first `bytes` bytes of a text, or a little less: never half a character.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}
