//! The Global Privacy Platform: header, sections, and the sections of the United States.
//!
//! Source: IAB Tech Lab, "Core/Consent String Specification" and "Sections" of the Global Privacy
//! Platform. A section is read when it is asked for, so that a broken one spoils no other; one of
//! an id that is not known is never guessed at.

use super::ConsentError;
use super::bits::Bits;
use super::tcf::TcString;
use super::us::UsSection;
use super::usp::UsPrivacy;
use crate::limits;

/// What the header says it is.
const HEADER_TYPE: u8 = 3;
/// The only version there is.
const HEADER_VERSION: u8 = 1;
/// The section with a TC string of the European Union.
const TCF_EU: u16 = 2;
/// The section with a US Privacy string.
const US_PRIVACY: u16 = 6;
/// The sections of the United States.
const US: std::ops::RangeInclusive<u16> = 7..=27;
/// Bits of the longest number in a header: ids have 16.
const FIBONACCI_BITS: usize = 24;

/// A GPP string: its sections by id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gpp<'t> {
    sections: Vec<(u16, &'t str)>,
}

impl<'t> Gpp<'t> {
    /// Reads the header and finds the sections.
    ///
    /// # Errors
    /// [`ConsentError`]: the header is broken, or names another number of sections than follow.
    pub fn decode(text: &'t str) -> Result<Self, ConsentError> {
        if text.len() > limits::CONSENT_BYTES {
            return Err(ConsentError::TooLong);
        }
        let mut parts = text.split('~');
        let header = parts.next().unwrap_or_default();
        let ids = section_ids(header, text.len())?;
        let parts: Vec<&str> = parts.collect();
        if ids.len() != parts.len() {
            return Err(ConsentError::Sections);
        }
        Ok(Self { sections: ids.into_iter().zip(parts).collect() })
    }

    /// The ids of its sections, ascending.
    pub fn ids(&self) -> impl Iterator<Item = u16> {
        self.sections.iter().map(|(id, _)| *id)
    }

    /// A section's text.
    #[must_use]
    pub fn section(&self, id: u16) -> Option<&'t str> {
        self.sections.iter().find(|(own, _)| *own == id).map(|(_, text)| *text)
    }

    /// The TC string of the European Union (section 2).
    #[must_use]
    pub fn tcf_eu(&self) -> Option<Result<TcString<'t>, ConsentError>> {
        self.section(TCF_EU).map(TcString::decode)
    }

    /// The US Privacy string (section 6).
    #[must_use]
    pub fn us_privacy(&self) -> Option<Result<UsPrivacy, ConsentError>> {
        self.section(US_PRIVACY).map(UsPrivacy::decode)
    }

    /// The sections of the United States (7 to 27).
    pub fn us(&self) -> impl Iterator<Item = (u16, Result<UsSection, ConsentError>)> {
        let us = self.sections.iter().filter(|(id, _)| US.contains(id));
        us.map(|(id, text)| (*id, UsSection::decode(*id, text)))
    }
}

/// The ids in a header; more than `most` are more than there can be sections.
fn section_ids(header: &str, most: usize) -> Result<Vec<u16>, ConsentError> {
    let mut bits = Bits::new(header)?;
    if (bits.number::<u8>(6)?, bits.number::<u8>(6)?) != (HEADER_TYPE, HEADER_VERSION) {
        return Err(ConsentError::Version);
    }
    let entries: u16 = bits.number(12)?;
    let (mut ids, mut last) = (Vec::new(), 0u16);
    for _ in 0..entries {
        let is_group = bits.flag()?;
        let first = next(last, &mut bits)?;
        last = if is_group { next(first, &mut bits)? } else { first };
        if ids.len() + usize::from(last - first) >= most {
            return Err(ConsentError::Sections);
        }
        ids.extend(first..=last);
    }
    Ok(ids)
}

/// The id that stands so far behind another one.
fn next(last: u16, bits: &mut Bits<'_>) -> Result<u16, ConsentError> {
    let step = u16::try_from(fibonacci(bits)?).map_err(|_| ConsentError::Sections)?;
    last.checked_add(step).ok_or(ConsentError::Sections)
}

/// A number from 1 on as a sum of Fibonacci numbers, the smallest first; two ones end it.
fn fibonacci(bits: &mut Bits<'_>) -> Result<u32, ConsentError> {
    let (mut sum, mut was_one) = (0u32, false);
    let (mut here, mut ahead) = (1u32, 2u32);
    for _ in 0..FIBONACCI_BITS {
        let is_one = bits.flag()?;
        if is_one && was_one {
            return Ok(sum);
        }
        if is_one {
            sum = sum.saturating_add(here);
        }
        was_one = is_one;
        (here, ahead) = (ahead, here.saturating_add(ahead));
    }
    Err(ConsentError::Sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(header: &str) -> Result<Vec<u16>, ConsentError> {
        section_ids(header, 100)
    }

    /// The headers that the specification and its encoders give.
    #[test]
    fn headers_name_their_sections() {
        let known: [(&str, &[u16]); 11] = [
            ("DBAA", &[]),
            ("DBABM", &[2]),
            ("DBABMA", &[2]),
            ("DBABTA", &[6]),
            ("DBACNYA", &[2, 6]),
            ("DBABjw", &[5, 6]),
            ("DBABLA", &[7]),
            ("DBABBg", &[8]),
            ("DBABRg", &[9]),
            ("DBABzw", &[6, 7]),
            ("DBABEw", &[16]),
        ];
        for (header, expected) in known {
            assert_eq!(ids(header).as_deref(), Ok(expected), "{header}");
        }
    }

    #[test]
    fn a_header_that_promises_more_than_there_is_costs_nothing() {
        // One group, from 1 on, of as many ids as the number holds.
        for header in ["DBABw", "DBAB8AAAAAAAAAAY", "DBD_", "DBGBM", "DBA", ""] {
            assert!(ids(header).is_err(), "{header}");
        }
        assert_eq!(Gpp::decode("DBABM"), Err(ConsentError::Sections));
        assert_eq!(Gpp::decode("DBAA~"), Err(ConsentError::Sections));
        let long = format!("DBABM~{}", "A".repeat(limits::CONSENT_BYTES));
        assert_eq!(Gpp::decode(&long), Err(ConsentError::TooLong));
    }
}
