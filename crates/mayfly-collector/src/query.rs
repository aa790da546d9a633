//! The pixel's query: from text to a typed [`PixelQuery`], within limits.
//!
//! Read: `s u r t k c e d`, `a.<name>`, `x.<name>` (used for rules, never stored), the parameters
//! of consent, and those of the script tag: `pc` (the visitor has not chosen yet), `fp` (the
//! first-party id that the tag keeps), `j` (answer as JSON). Everything unknown is checked for its
//! encoding and dropped. A parameter said twice counts the first time.

use std::borrow::Cow;

use mayfly_core::{Attribute, Choice, Event, limits};

use crate::percent::{cut, decode, words};
use crate::refusal::Reason;

/// The parameter that marks the second request of the probe's round trip.
pub const PROBE_MARK: &str = "mf_probe";
/// The parameter with the id that the script tag keeps.
pub const FIRST_PARTY: &str = "fp";

/// What a pixel request said.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PixelQuery<'q> {
    /// `s`: the site's key.
    pub site: Cow<'q, str>,
    /// `u`: the page.
    pub url: Option<Cow<'q, str>>,
    /// `r`: where the visitor came from.
    pub referrer: Option<Cow<'q, str>>,
    /// `t`: the title, cut to its limit.
    pub title: Box<str>,
    /// `k`: keywords, cut to their limits.
    pub keywords: Vec<Box<str>>,
    /// `c`: the publisher's categories, cut to their limits.
    pub categories: Vec<Box<str>>,
    /// `e`: what happened.
    pub event: Event,
    /// `d`: engaged time, whole seconds.
    pub engaged_s: u16,
    /// `a.<name>`: attributes.
    pub attributes: Vec<Attribute>,
    /// `x.<name>`: attributes that are never stored.
    pub fleeting: Vec<Attribute>,
    /// What was said about consent.
    pub choice: Choice,
    /// `pc=1`: a consent platform is there, and the visitor has not chosen yet.
    pub is_pending: bool,
    /// `fp`: the id that the tag keeps; empty when it has none and could keep one.
    pub first_party: Option<Cow<'q, str>>,
    /// `j=1`: the answer is read by the tag.
    pub wants_json: bool,
    /// The request is the second of the probe's round trip.
    pub probed: bool,
}

impl<'q> PixelQuery<'q> {
    /// Reads a query string (without its `?`).
    ///
    /// # Errors
    /// The [`Reason`] for the first thing that cannot be read or passes a limit.
    pub fn parse(query: &'q str) -> Result<Self, Reason> {
        if query.len() > limits::QUERY_BYTES {
            return Err(Reason::QueryTooLong);
        }
        let mut read = Self::default();
        let mut seen = Seen::default();
        for (nth, pair) in query.split('&').filter(|p| !p.is_empty()).enumerate() {
            if nth >= limits::QUERY_PARAMS {
                return Err(Reason::TooManyParams);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            read.take(&name, value, &mut seen)?;
        }
        if read.choice.is_bounded() { Ok(read) } else { Err(Reason::ConsentTooLong) }
    }

    /// Takes one parameter.
    fn take(&mut self, name: &str, value: Cow<'q, str>, seen: &mut Seen) -> Result<(), Reason> {
        if let Some(attribute) = name.strip_prefix("a.") {
            return take_attribute(&mut self.attributes, attribute, &value);
        }
        if let Some(attribute) = name.strip_prefix("x.") {
            return take_attribute(&mut self.fleeting, attribute, &value);
        }
        if name == FIRST_PARTY {
            self.first_party = self.first_party.take().or(Some(value));
            return Ok(());
        }
        if self.choice.take(name, &value) {
            return Ok(());
        }
        if value.is_empty() || !seen.first(name) {
            return Ok(());
        }
        match name {
            "s" => self.site = value,
            "u" => self.url = Some(value),
            "r" => self.referrer = Some(value),
            "t" => self.title = cut(&value, limits::TITLE_BYTES).into(),
            "k" => self.keywords = words(&value),
            "c" => self.categories = words(&value),
            "e" => self.event = Event::parse(&value).ok_or(Reason::BadEvent)?,
            "d" => {
                self.engaged_s = engaged_seconds(value.parse().map_err(|_| Reason::BadDuration)?)
            }
            "j" => self.wants_json = &*value == "1",
            "pc" => self.is_pending |= &*value == "1",
            PROBE_MARK => self.probed = true,
            _ => {}
        }
        Ok(())
    }
}

/// Takes one `a.<name>` or `x.<name>`.
fn take_attribute(all: &mut Vec<Attribute>, name: &str, value: &str) -> Result<(), Reason> {
    if all.iter().any(|a| *a.name == *name) {
        return Ok(());
    }
    if all.len() >= limits::ATTRIBUTES {
        return Err(Reason::TooManyAttributes);
    }
    all.push(Attribute::from_text(name, value).ok_or(Reason::BadAttribute)?);
    Ok(())
}

/// Whole seconds of engaged milliseconds, rounded to the nearest, cut to the limit of a hit.
#[must_use]
pub fn engaged_seconds(millis: u64) -> u16 {
    let seconds = millis.saturating_add(500) / 1000;
    u16::try_from(seconds).unwrap_or(u16::MAX).min(limits::ENGAGED_SECONDS_PER_HIT)
}

/// Which one-letter parameters were said already: a bit a letter.
#[derive(Default)]
struct Seen(u32);

impl Seen {
    /// Whether this is the first time; names of more than one letter may come again.
    fn first(&mut self, name: &str) -> bool {
        let &[letter @ b'a'..=b'z'] = name.as_bytes() else { return true };
        let bit = 1 << (letter - b'a');
        let first = self.0 & bit == 0;
        self.0 |= bit;
        first
    }
}

#[cfg(test)]
mod tests {
    use mayfly_core::Value;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_parameter_is_read() {
        let q = PixelQuery::parse(
            "s=news&u=https%3A%2F%2Fn.example%2Fa&r=http://x&t=A+b&k=x,%20y&c=IAB1&e=ad_click\
             &d=1500&a.price=9.5&x.secret=1&cb=7&gdpr=1&s=other&mf_probe=1&fp=&j=1&pc=1",
        )
        .unwrap();
        assert_eq!((&*q.site, q.url.as_deref()), ("news", Some("https://n.example/a")));
        assert_eq!((&*q.title, q.referrer.as_deref()), ("A b", Some("http://x")));
        assert_eq!(q.keywords.join("|"), "x|y");
        assert_eq!(q.categories.join("|"), "IAB1");
        assert_eq!((q.event, q.engaged_s, q.probed), (Event::AdClick, 2, true));
        assert_eq!((q.attributes.len(), q.fleeting.len()), (1, 1), "x. is never kept");
        assert_eq!((q.choice.gdpr, q.is_pending, q.wants_json), (Some(true), true, true));
        assert_eq!(q.first_party.as_deref(), Some(""));
        assert_eq!(q.attributes[0].value, Value::Number(9.5));
    }

    #[test]
    fn limits_and_bad_encodings_have_their_reason() {
        let many = "q&".repeat(limits::QUERY_PARAMS + 1);
        let attributes: String = (0..=limits::ATTRIBUTES).map(|i| format!("a.n{i}=1&")).collect();
        for (query, reason) in [
            (&*"x".repeat(64 * 1024), Reason::QueryTooLong),
            (&*many, Reason::TooManyParams),
            (&*attributes, Reason::TooManyAttributes),
            ("s=%", Reason::BadEscape),
            ("zz=%FF", Reason::NotUtf8),
            ("%FF=1", Reason::NotUtf8),
            ("x.a=%G0", Reason::BadEscape),
            ("e=Page%20View", Reason::BadEvent),
            ("d=-1", Reason::BadDuration),
            ("d=1e3", Reason::BadDuration),
            ("a.=1", Reason::BadAttribute),
            (&*format!("gpp={}", "x".repeat(9000)), Reason::ConsentTooLong),
        ] {
            assert_eq!(PixelQuery::parse(query), Err(reason), "{}", &query[..query.len().min(20)]);
        }
    }

    #[test]
    fn engaged_time_is_rounded_and_capped() {
        assert_eq!(engaged_seconds(499), 0);
        assert_eq!(engaged_seconds(500), 1);
        assert_eq!(engaged_seconds(u64::MAX), limits::ENGAGED_SECONDS_PER_HIT);
    }

    proptest! {
        #[test]
        fn any_query_is_survived(query in "([sutkced]|a\\.[a-z]?|=|&|%[0-9A-F]{0,2}|\\+|.){0,80}") {
            if let Ok(q) = PixelQuery::parse(&query) {
                prop_assert!(q.title.len() <= limits::TITLE_BYTES);
            }
        }
    }
}
