//! The client hint headers: lists of quoted brands, a flag, a quoted platform.
//!
//! Grammar: RFC 8941. Only as much of it is read as browsers send.

use super::{Browser, Os, head};

/// How much of a hint is read, bytes.
const HINT_BYTES: usize = 512;
/// Brands read of one list; browsers send three or four.
const BRANDS: usize = 16;
/// Letters of a brand that are compared; longer brands are of nobody we know.
const LETTERS: usize = 24;

/// What a brand list says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Brands {
    /// Nothing that can be read.
    Silent,
    /// The engine, and no brand beside it.
    Chromium,
    /// A brand.
    Named(Browser),
}

/// Reads `Sec-CH-UA`. What follows a malformed brand is not read.
pub(super) fn read(list: &str) -> Brands {
    let mut rest = head(list, HINT_BYTES);
    let mut found = Brands::Silent;
    for _ in 0..BRANDS {
        let Some((letters, len, after)) = brand(rest) else { break };
        found = heavier(found, meaning(letters.get(..len).unwrap_or_default()));
        let Some(next) = next_item(after) else { break };
        rest = next;
    }
    found
}

/// Of two answers the one that tells more: a browser made of another one lists both.
fn heavier(a: Brands, b: Brands) -> Brands {
    let weight = |said| match said {
        Brands::Silent => 0,
        Brands::Chromium => 1,
        Brands::Named(Browser::Chrome | Browser::Unknown) => 2,
        Brands::Named(Browser::Other) => 4,
        Brands::Named(
            Browser::Safari
            | Browser::Firefox
            | Browser::Edge
            | Browser::Opera
            | Browser::SamsungInternet
            | Browser::InternetExplorer,
        ) => 3,
    };
    if weight(b) > weight(a) { b } else { a }
}

/// What one brand says, by its letters in lower case.
fn meaning(letters: &[u8]) -> Brands {
    match letters {
        b"chromium" => Brands::Chromium,
        b"googlechrome" => Brands::Named(Browser::Chrome),
        b"microsoftedge" => Brands::Named(Browser::Edge),
        b"samsunginternet" => Brands::Named(Browser::SamsungInternet),
        b"safari" => Brands::Named(Browser::Safari),
        b"firefox" => Brands::Named(Browser::Firefox),
        // Browsers add a nonsense brand that changes its punctuation: "Not-A.Brand", "Not)A;Brand".
        _ if letters.is_empty() || letters.starts_with(b"not") => Brands::Silent,
        _ if letters.starts_with(b"opera") => Brands::Named(Browser::Opera),
        _ => Brands::Named(Browser::Other),
    }
}

/// The quoted string that `text` begins with: its ASCII letters in lower case, how many they are,
/// and what follows it. `None` if it does not begin with a whole one.
fn brand(text: &str) -> Option<([u8; LETTERS], usize, &str)> {
    let quoted = text.trim_start().strip_prefix('"')?;
    let (mut letters, mut len, mut escaped) = ([0; LETTERS], 0, false);
    for (at, byte) in quoted.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = true;
        } else if byte == b'"' {
            return Some((letters, len, quoted.get(at + 1..)?));
        }
        if byte.is_ascii_alphabetic() {
            // A cut brand may not look like a known one, and none of those is this long.
            if let Some(slot) = letters.get_mut(len) {
                *slot = byte.to_ascii_lowercase();
                len += 1;
            }
        }
    }
    None
}

/// What follows the next comma that is not in quotes.
fn next_item(text: &str) -> Option<&str> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return text.get(at + 1..),
            _ => {}
        }
    }
    None
}

/// Reads `Sec-CH-UA-Mobile`.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.trim() {
        "?1" => Some(true),
        "?0" => Some(false),
        _ => None,
    }
}

/// Reads `Sec-CH-UA-Platform`; `None` for one that says "Unknown" or cannot be read.
pub(super) fn platform(text: &str) -> Option<Os> {
    let name = text.trim().strip_prefix('"')?.strip_suffix('"')?;
    match name {
        "" | "Unknown" => None,
        "Windows" => Some(Os::Windows),
        "macOS" | "Mac OS X" => Some(Os::MacOs),
        "Linux" => Some(Os::Linux),
        "Chrome OS" | "Chromium OS" => Some(Os::ChromeOs),
        "Android" => Some(Os::Android),
        "iOS" => Some(Os::Ios),
        _ => Some(Os::Other),
    }
}
