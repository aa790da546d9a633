//! What was said about consent, and what it allows: the value that a hit refers to.

use xxhash_rust::xxh3::Xxh3;

use super::ac::AdditionalConsent;
use super::{Allowed, ConsentKey};
use crate::limits;

/// What a browser or server said about consent with a hit, as it came: the strings are the proof
/// of the choice, and are read again when a receiver asks for its own permission.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Choice {
    /// `gdpr`: whether the law of the European Union applies; `None` = not said.
    pub gdpr: Option<bool>,
    /// `gdpr_consent`: a TC string.
    pub tcf: Option<Box<str>>,
    /// `addtl_consent`: Google's string for providers outside the vendor list.
    pub additional: Option<Box<str>>,
    /// `gpp`: a GPP string.
    pub gpp: Option<Box<str>>,
    /// `gpp_sid`: the sections of it that apply, as they were sent.
    pub gpp_sid: Option<Box<str>>,
    /// `us_privacy`: a US Privacy string.
    pub us_privacy: Option<Box<str>>,
    /// Global Privacy Control.
    pub gpc: Option<bool>,
    /// `coppa`: whether the visitor is a child under the United States' act.
    pub coppa: Option<bool>,
}

impl Choice {
    /// Takes a parameter by its name in queries; whether it is one of consent. One that is said
    /// twice counts the first time. An empty value says nothing; an additional consent string that
    /// cannot be read neither, since it only adds.
    pub fn take(&mut self, name: &str, value: &str) -> bool {
        let text = Some(value).filter(|v| !v.is_empty());
        let flag = match value {
            "1" | "true" | "yes" => Some(true),
            "0" | "false" | "no" => Some(false),
            _ => None,
        };
        let additional = |t: &&str| AdditionalConsent::decode(t).is_ok();
        match name {
            "gdpr" => self.gdpr = self.gdpr.or(flag),
            "gdpr_consent" => keep(&mut self.tcf, text),
            "addtl_consent" => keep(&mut self.additional, text.filter(additional)),
            "gpp" => keep(&mut self.gpp, text),
            "gpp_sid" => keep(&mut self.gpp_sid, text),
            "us_privacy" => keep(&mut self.us_privacy, text),
            // A `0` is not in the standard and counts as not said.
            "gpc" => self.gpc = self.gpc.or(flag.filter(|on| *on)),
            "coppa" => self.coppa = self.coppa.or(flag),
            _ => return false,
        }
        true
    }

    /// Whether every text is within its limit: longer ones are not kept, and refuse the hit.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let long = [&self.tcf, &self.additional, &self.gpp];
        let short = [&self.gpp_sid, &self.us_privacy];
        let within = |texts: &[&Option<Box<str>>], limit| {
            texts.iter().all(|text| text.as_ref().is_none_or(|t| t.len() <= limit))
        };
        within(&long, limits::CONSENT_BYTES) && within(&short, limits::CONSENT_SHORT_BYTES)
    }
}

fn keep(own: &mut Option<Box<str>>, said: Option<&str>) {
    if own.is_none() {
        *own = said.map(Into::into);
    }
}

/// A choice and what it allowed under its site's policy when the hit came; interned like a page.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ConsentState {
    /// What was said.
    pub choice: Choice,
    /// What it allowed.
    pub allowed: Allowed,
}

impl ConsentState {
    /// The first key to try under the store's secret `seed`.
    #[must_use]
    pub fn key(&self, seed: u64) -> ConsentKey {
        let Choice { gdpr, tcf, additional, gpp, gpp_sid, us_privacy, gpc, coppa } = &self.choice;
        let mut hash = Xxh3::with_seed(seed);
        let flag = |flag: &Option<bool>| flag.map_or(0, |on| 1 + u8::from(on));
        hash.update(&[flag(gdpr), flag(gpc), flag(coppa), self.allowed.bits()]);
        for text in [tcf, additional, gpp, gpp_sid, us_privacy] {
            // Length before text, so that no two different states feed the same bytes.
            let len = text.as_ref().map_or(u64::MAX, |text| text.len() as u64);
            hash.update(&len.to_le_bytes());
            hash.update(text.as_deref().unwrap_or("").as_bytes());
        }
        ConsentKey(hash.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_by_name_and_empty_ones_say_nothing() {
        let mut choice = Choice::default();
        for (name, value) in [
            ("gdpr", "1"),
            ("gdpr_consent", "CX"),
            ("gpp", ""),
            ("gpc", "0"),
            ("coppa", "maybe"),
            ("addtl_consent", "none"),
            ("us_privacy", "1YNN"),
        ] {
            assert!(choice.take(name, value), "{name}");
        }
        assert!(!choice.take("u", "x"));
        assert!(choice.take("gdpr", "0") && choice.take("gdpr_consent", "CY"), "the first counts");
        let expected = Choice {
            gdpr: Some(true),
            tcf: Some("CX".into()),
            us_privacy: Some("1YNN".into()),
            ..Choice::default()
        };
        assert_eq!(choice, expected);
        assert!(choice.is_bounded());
        let long = "x".repeat(limits::CONSENT_SHORT_BYTES + 1);
        choice = Choice { us_privacy: Some(long.into()), ..choice };
        assert!(!choice.is_bounded());
    }

    #[test]
    fn states_that_differ_have_keys_that_differ() {
        let with = |change: fn(&mut ConsentState)| {
            let mut state = ConsentState::default();
            change(&mut state);
            state.key(7)
        };
        let mut keys = [
            with(|_| {}),
            with(|s| s.choice.gdpr = Some(false)),
            with(|s| s.choice.gpc = Some(false)),
            with(|s| s.choice.tcf = Some("A".into())),
            with(|s| s.choice.gpp = Some("A".into())),
            with(|s| s.choice.gpp = Some("".into())),
            with(|s| s.allowed.share = false),
        ];
        keys.sort();
        assert!(keys.windows(2).all(|two| two[0] != two[1]));
        assert_ne!(ConsentState::default().key(7), ConsentState::default().key(8));
    }
}
