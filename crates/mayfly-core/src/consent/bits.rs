//! Bit fields in base64url text, read where they stand: nothing is unpacked, so that a string
//! costs no more than its length.

use super::ConsentError;

/// A character that is none of base64url.
const NONE: u8 = 64;
/// The six bits of each character (RFC 4648, section 5).
const SIX: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut six = [NONE; 256];
    let mut value = 0;
    while value < alphabet.len() {
        six[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    six
};
/// Bits of a character.
const WIDTH: usize = 6;

/// A text as bits, most significant first, and how far it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bits<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Bits<'t> {
    /// The whole text; padding by `=` is left out.
    ///
    /// # Errors
    /// [`ConsentError::Character`].
    pub(super) fn new(text: &'t str) -> Result<Self, ConsentError> {
        let text = text.trim_end_matches('=').as_bytes();
        if text.iter().any(|byte| SIX[usize::from(*byte)] == NONE) {
            return Err(ConsentError::Character);
        }
        Ok(Self { text, at: 0 })
    }

    /// Bits in all.
    pub(super) const fn len(&self) -> usize {
        self.text.len() * WIDTH
    }

    /// Bits not read yet.
    pub(super) const fn left(&self) -> usize {
        self.len() - self.at
    }

    /// The next bits as a number, at most 64.
    ///
    /// # Errors
    /// [`ConsentError::Truncated`].
    pub(super) fn take(&mut self, bits: usize) -> Result<u64, ConsentError> {
        let end = self.at.checked_add(bits).ok_or(ConsentError::Truncated)?;
        if end > self.len() {
            return Err(ConsentError::Truncated);
        }
        let mut value = 0;
        while self.at < end {
            let (character, done) = (self.at / WIDTH, self.at % WIDTH);
            let width = (WIDTH - done).min(end - self.at);
            let six = u64::from(SIX[usize::from(self.text[character])]);
            let part = six >> (WIDTH - done - width) & ((1 << width) - 1);
            value = value << width | part;
            self.at += width;
        }
        Ok(value)
    }

    /// The next bits as a number of the size that is wanted; it must hold them.
    ///
    /// # Errors
    /// [`ConsentError::Truncated`].
    pub(super) fn number<N: TryFrom<u64>>(&mut self, bits: usize) -> Result<N, ConsentError> {
        N::try_from(self.take(bits)?).map_err(|_| ConsentError::Truncated)
    }

    /// The next bit.
    ///
    /// # Errors
    /// [`ConsentError::Truncated`].
    pub(super) fn flag(&mut self) -> Result<bool, ConsentError> {
        self.take(1).map(|bit| bit == 1)
    }

    /// Leaves bits out.
    ///
    /// # Errors
    /// [`ConsentError::Truncated`].
    pub(super) fn skip(&mut self, bits: usize) -> Result<(), ConsentError> {
        let end = self.at.checked_add(bits).filter(|end| *end <= self.len());
        self.at = end.ok_or(ConsentError::Truncated)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_read_across_characters() {
        // 000010 010101 111111
        let mut bits = Bits::new("CV_").unwrap();
        assert_eq!(bits.len(), 18);
        assert_eq!(bits.take(4), Ok(0));
        assert_eq!(bits.take(4), Ok(0b1001));
        assert_eq!(bits.take(0), Ok(0));
        assert_eq!(bits.number::<u8>(10), Err(ConsentError::Truncated), "more than it holds");
        let mut bits = Bits::new("CV_==").unwrap();
        assert_eq!(bits.number::<u16>(10), Ok(0b00_0010_0101));
        assert!(!bits.flag().unwrap());
        assert!(bits.flag().unwrap());
        assert_eq!(bits.take(7), Err(ConsentError::Truncated));
        assert_eq!(bits.take(usize::MAX), Err(ConsentError::Truncated));
        assert_eq!(bits.skip(7), Err(ConsentError::Truncated));
        assert_eq!(bits.skip(6), Ok(()));
        assert_eq!(bits.take(1), Err(ConsentError::Truncated));
    }

    #[test]
    fn other_characters_are_refused() {
        for text in ["C+", "C/", "C ", "C.", "Cö", "C=C", "\0"] {
            assert_eq!(Bits::new(text), Err(ConsentError::Character), "{text:?}");
        }
    }
}
