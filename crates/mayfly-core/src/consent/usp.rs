//! The US Privacy string (`us_privacy`), four characters; superseded by GPP and still on the wire.
//!
//! Source: IAB Tech Lab, "US Privacy String".

use super::ConsentError;

/// A US Privacy string; `None` = does not apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UsPrivacy {
    /// Notice and an opportunity to opt out were given.
    pub notice: Option<bool>,
    /// Opted out of the sale of personal data.
    pub opted_out: Option<bool>,
    /// A transaction under the Limited Service Provider Agreement.
    pub lspa: Option<bool>,
}

impl UsPrivacy {
    /// Reads a US Privacy string, in upper or lower case.
    ///
    /// # Errors
    /// [`ConsentError::Version`], [`ConsentError::Character`], [`ConsentError::Truncated`].
    pub fn decode(text: &str) -> Result<Self, ConsentError> {
        let [version, notice, opted_out, lspa] = *text.as_bytes() else {
            return Err(ConsentError::Truncated);
        };
        if version != b'1' {
            return Err(ConsentError::Version);
        }
        let answer = |byte: u8| match byte.to_ascii_uppercase() {
            b'Y' => Ok(Some(true)),
            b'N' => Ok(Some(false)),
            b'-' => Ok(None),
            _ => Err(ConsentError::Character),
        };
        Ok(Self { notice: answer(notice)?, opted_out: answer(opted_out)?, lspa: answer(lspa)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_characters_are_read_and_others_refused() {
        let read = UsPrivacy::decode("1YnN").unwrap();
        assert_eq!(
            (read.notice, read.opted_out, read.lspa),
            (Some(true), Some(false), Some(false))
        );
        assert_eq!(UsPrivacy::decode("1---").unwrap().opted_out, None);
        assert_eq!(UsPrivacy::decode("2YYN"), Err(ConsentError::Version));
        assert_eq!(UsPrivacy::decode("1YXN"), Err(ConsentError::Character));
        for text in ["", "1YN", "1YNNN", "present", "1ÿN"] {
            assert!(UsPrivacy::decode(text).is_err(), "{text}");
        }
    }
}
