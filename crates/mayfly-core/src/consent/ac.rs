//! Google's additional consent string (`addtl_consent`): consent for ad technology providers that
//! are not in the vendor list.
//!
//! Source: Google, "Additional Consent Mode technical specification", versions 1 and 2:
//! `2~` consented ids, `~dv.` disclosed ids, each separated by dots.

use super::ConsentError;
use crate::limits;

/// An additional consent string, as it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdditionalConsent<'t> {
    /// 1 or 2.
    pub version: u8,
    consented: &'t str,
    disclosed: Option<&'t str>,
}

impl<'t> AdditionalConsent<'t> {
    /// Reads an additional consent string.
    ///
    /// # Errors
    /// [`ConsentError::TooLong`], [`ConsentError::Version`], [`ConsentError::Character`],
    /// [`ConsentError::Sections`].
    pub fn decode(text: &'t str) -> Result<Self, ConsentError> {
        if text.len() > limits::CONSENT_BYTES {
            return Err(ConsentError::TooLong);
        }
        let mut parts = text.split('~');
        let version = match parts.next() {
            Some("1") => 1,
            Some("2") => 2,
            Some(_) | None => return Err(ConsentError::Version),
        };
        let consented = parts.next().ok_or(ConsentError::Truncated)?;
        let disclosed = match parts.next() {
            None => None,
            Some("dv") => Some(""),
            Some(part) => Some(part.strip_prefix("dv.").ok_or(ConsentError::Sections)?),
        };
        if parts.next().is_some() {
            return Err(ConsentError::Sections);
        }
        for list in [Some(consented), disclosed].into_iter().flatten().filter(|l| !l.is_empty()) {
            if list.split('.').any(|id| id.parse::<u32>().is_err()) {
                return Err(ConsentError::Character);
            }
        }
        Ok(Self { version, consented, disclosed })
    }

    /// The providers that have consent, in the order of the string.
    pub fn consented(&self) -> impl Iterator<Item = u32> + use<'t> {
        ids(self.consented)
    }

    /// The providers that were shown without consent; `None` in version 1.
    pub fn disclosed(&self) -> Option<impl Iterator<Item = u32> + use<'t>> {
        self.disclosed.map(ids)
    }
}

fn ids(list: &str) -> impl Iterator<Item = u32> {
    list.split('.').filter_map(|id| id.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read_and_others_refused() {
        let read = AdditionalConsent::decode("2~1.35.41~dv.9.21").unwrap();
        assert_eq!(read.consented().collect::<Vec<_>>(), [1, 35, 41]);
        assert_eq!(read.disclosed().unwrap().collect::<Vec<_>>(), [9, 21]);
        assert_eq!(AdditionalConsent::decode("1~").unwrap().consented().count(), 0);
        assert!(AdditionalConsent::decode("1~7").unwrap().disclosed().is_none());
        for bad in ["", "2", "3~1", "2~a", "2~1..2", "2~1~9", "2~1~dv.9~x", "2~-1"] {
            assert!(AdditionalConsent::decode(bad).is_err(), "{bad}");
        }
    }
}
