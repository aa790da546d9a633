//! The language that a visitor's browser prefers, from `Accept-Language` (RFC 9110 12.5.4): the
//! first choice only, and of it the language and the region. The whole list would tell visitors
//! apart, and nobody needs it.

use std::fmt;

/// How much of a header is read, bytes.
const HEADER_BYTES: usize = 256;
/// Tags read of one header.
const TAGS: usize = 5;
/// The most bytes of a language: `nnn-999`.
const BYTES: usize = 7;
/// Tags that are well-formed and name no language: undetermined, several, none, uncoded.
const NO_LANGUAGE: [&[u8]; 4] = [b"und", b"mul", b"zxx", b"mis"];

/// A language and perhaps a region: `nl`, `nl-be`, `es-419`, `zh-tw`. Two or three lower-case
/// letters; then, after a hyphen, two lower-case letters or three digits. Not looked up in any
/// registry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language {
    /// ASCII; zero after the end.
    text: [u8; BYTES],
}

impl Language {
    /// From a language tag (RFC 5646); its script, variants and extensions are dropped. `None` for
    /// anything that does not begin as one.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        let mut subtags = tag.split('-');
        let primary = subtags.next()?.as_bytes();
        if !matches!(primary.len(), 2 | 3) || !primary.iter().all(u8::is_ascii_alphabetic) {
            return None;
        }
        let mut text = [0; BYTES];
        copy_lower(primary, text.get_mut(..primary.len())?);
        if NO_LANGUAGE.iter().any(|none| text.starts_with(none)) {
            return None;
        }
        if let Some(region) = region(subtags) {
            let at = primary.len() + 1;
            *text.get_mut(at - 1)? = b'-';
            copy_lower(region, text.get_mut(at..at + region.len())?);
        }
        Some(Self { text })
    }

    /// The whole, as `nl-be`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.text.iter().position(|byte| *byte == 0).unwrap_or(BYTES);
        self.text.get(..end).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }

    /// The language alone, as `nl`.
    #[must_use]
    pub fn primary(&self) -> &str {
        let text = self.as_str();
        text.split_once('-').map_or(text, |(primary, _)| primary)
    }

    /// The region alone, as `be` or `419`.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.as_str().split_once('-').map(|(_, region)| region)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The language that an `Accept-Language` header prefers: the highest weight, the first of equals.
/// Weight 0, `*` and what is no language tag do not count; 5 tags in 256 bytes are read.
#[must_use]
pub fn language(accept: &str) -> Option<Language> {
    let mut best: Option<(u16, Language)> = None;
    for item in whole_items(accept).split(',').take(TAGS) {
        let (tag, params) = item.split_once(';').unwrap_or((item, ""));
        let (Some(weight), Some(language)) = (weight(params), Language::parse(tag.trim())) else {
            continue;
        };
        if weight > best.map_or(0, |(best, _)| best) {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

/// The items that end within the first [`HEADER_BYTES`]: half a tag may be another language's.
fn whole_items(accept: &str) -> &str {
    if accept.len() <= HEADER_BYTES {
        return accept;
    }
    let head = accept.get(..accept.floor_char_boundary(HEADER_BYTES)).unwrap_or_default();
    head.rsplit_once(',').map_or("", |(whole, _)| whole)
}

/// A weight in thousandths; 1 where none is said, `None` where it is none.
fn weight(params: &str) -> Option<u16> {
    let text = params.trim();
    if text.is_empty() {
        return Some(1000);
    }
    let text = text.strip_prefix(['q', 'Q'])?.trim_start().strip_prefix('=')?.trim_start();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = part.bytes().chain(std::iter::repeat(b'0')).take(3);
    let part = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match (whole, part) {
        ("0", part) => Some(part),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// The region among the subtags after the language: behind the script, before variants.
fn region<'t>(subtags: impl Iterator<Item = &'t str>) -> Option<&'t [u8]> {
    for subtag in subtags.map(str::as_bytes).take(3) {
        match subtag.len() {
            2 if subtag.iter().all(u8::is_ascii_alphabetic) => return Some(subtag),
            3 if subtag.iter().all(u8::is_ascii_digit) => return Some(subtag),
            // An extended language (`zh-yue-hk`) or a script (`zh-hant-tw`).
            3 | 4 if subtag.iter().all(u8::is_ascii_alphabetic) => {}
            _ => return None,
        }
    }
    None
}

fn copy_lower(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from.to_ascii_lowercase();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first(accept: &str) -> Option<String> {
        language(accept).map(|l| l.to_string())
    }

    #[test]
    fn the_heaviest_tag_wins_and_the_first_of_equals() {
        for (accept, expected) in [
            ("nl-BE,nl;q=0.9,en-US;q=0.8,en;q=0.7", "nl-be"),
            ("en", "en"),
            ("EN-us", "en-us"),
            ("da, en-gb;q=0.8, en;q=0.7", "da"),
            ("de;q=0.5,fr;q=0.9", "fr"),
            ("de;q=0.5,fr;q=0.5", "de"),
            ("de;q=0,fr;q=0.001", "fr"),
            ("*,pt-BR;q=0.3", "pt-br"),
            ("zh-Hant-TW", "zh-tw"),
            ("zh-yue-HK", "zh-hk"),
            ("sr-Latn", "sr"),
            ("es-419", "es-419"),
            ("ast", "ast"),
            ("fil-PH;q=1.000", "fil-ph"),
            ("de-DE-1996", "de-de"),
            ("de-1996", "de"),
            ("en-u-ca-buddhist", "en"),
            (" nl ; q = 0.4 ", "nl"),
            (",,nl", "nl"),
            ("??,12,nl", "nl"),
        ] {
            assert_eq!(first(accept).as_deref(), Some(expected), "{accept}");
        }
    }

    #[test]
    fn garbage_has_no_language() {
        for accept in [
            "",
            "*",
            "-",
            "en;q=0",
            "en;q=2",
            "en;q=1.5",
            "en;q=0.1234",
            "en;q=-1",
            "en;q=",
            "e",
            "english",
            "i-klingon",
            "x-private",
            "n1",
            "ñl",
            "und",
            "en;level=1",
            "zxx-be",
        ] {
            assert_eq!(first(accept), None, "{accept}");
        }
        assert_eq!(first("a1,a2,a3,a4,a5,nl"), None, "only five tags are read");
        let cut = format!("{}en-us,nl", " ".repeat(HEADER_BYTES - 2));
        assert_eq!(first(&cut), None, "a cut tag is none");
        let whole = format!("nl-be,{}", "é".repeat(HEADER_BYTES));
        assert_eq!(first(&whole).as_deref(), Some("nl-be"));
    }

    #[test]
    fn the_parts_of_a_language() {
        let language = language("nl-BE").unwrap();
        assert_eq!((language.primary(), language.region()), ("nl", Some("be")));
        assert_eq!(Language::parse("nnn-999").unwrap().as_str(), "nnn-999");
        assert_eq!(Language::parse("fr").unwrap().region(), None);
    }

    proptest! {
        #[test]
        fn any_header_is_survived(accept in "\\PC{0,300}|[a-zA-Z0-9*;=.,q -]{0,300}") {
            if let Some(language) = language(&accept) {
                prop_assert_eq!(Language::parse(language.as_str()), Some(language));
                prop_assert!((2..=BYTES).contains(&language.as_str().len()));
            }
        }
    }
}
