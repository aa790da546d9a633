//! Percent-decoding of form values, strict: a bad escape or bad UTF-8 is said, not guessed at.

use std::borrow::Cow;

use mayfly_core::limits;

use crate::refusal::Reason;

/// Decodes one form value: `+` is a space, `%XX` a byte. Borrows when nothing is escaped.
///
/// # Errors
/// [`Reason::BadEscape`], [`Reason::NotUtf8`].
pub fn decode(text: &str) -> Result<Cow<'_, str>, Reason> {
    let bytes = text.as_bytes();
    let Some(first) = bytes.iter().position(|b| matches!(b, b'%' | b'+')) else {
        return Ok(Cow::Borrowed(text));
    };
    let (head, mut rest) = bytes.split_at(first);
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(head);
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let [high, low, after @ ..] = tail else { return Err(Reason::BadEscape) };
                let (high, low) = (hex(*high)?, hex(*low)?);
                out.push(high << 4 | low);
                rest = after;
            }
            other => out.push(*other),
        }
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| Reason::NotUtf8)
}

/// One hexadecimal digit.
const fn hex(digit: u8) -> Result<u8, Reason> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(Reason::BadEscape),
    }
}

/// The text cut to at most `limit` bytes, at a character's boundary.
#[must_use]
pub fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// A comma list as page words: trimmed, cut, empty ones dropped, at most
/// [`limits::PAGE_WORDS`].
#[must_use]
pub fn words(list: &str) -> Vec<Box<str>> {
    list.split(',')
        .map(str::trim)
        .filter(|w| !w.is_empty())
        .take(limits::PAGE_WORDS)
        .map(|w| cut(w, limits::PAGE_WORD_BYTES).into())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_read_or_refused() {
        let own = |t: &str| decode(t).map(Cow::into_owned);
        assert_eq!(own("a+b%20c%C3%B6"), Ok("a b cö".into()));
        assert_eq!(own("plain"), Ok("plain".into()));
        for bad in ["%", "%2", "%zz", "a%2", "%%20", "%+1"] {
            assert_eq!(own(bad), Err(Reason::BadEscape), "{bad}");
        }
        assert_eq!(own("%FF"), Err(Reason::NotUtf8));
        assert_eq!(own("%C3"), Err(Reason::NotUtf8));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("aöb", 2), "a");
        assert_eq!(cut("aöb", 3), "aö");
        assert_eq!(cut("a", 9), "a");
        assert_eq!(words(" a ,,b").join("|"), "a|b");
        assert_eq!(words(&"x,".repeat(1000)).len(), limits::PAGE_WORDS);
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_read_back(text in ".{0,60}") {
            let escaped: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
            prop_assert_eq!(decode(&escaped).map(Cow::into_owned), Ok(text));
        }

        #[test]
        fn any_text_is_survived(text in "[%+a-f0-9 ö]{0,40}") {
            decode(&text).ok();
        }
    }
}
