//! The languages of the visitor's pages, and which one a browser asks for.

/// Tags of `Accept-Language` that are looked at.
const TAGS: usize = 10;

/// A language of the pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Language {
    /// English; the one for everybody else.
    #[default]
    English,
    /// Dutch.
    Dutch,
    /// Romanian.
    Romanian,
    /// Danish.
    Danish,
}

impl Language {
    /// All, in the order of the links.
    pub(crate) const ALL: [Self; 4] = [Self::English, Self::Dutch, Self::Romanian, Self::Danish];

    /// The code for `lang=`.
    #[must_use]
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Dutch => "nl",
            Self::Romanian => "ro",
            Self::Danish => "da",
        }
    }

    /// Its name in itself.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Dutch => "Nederlands",
            Self::Romanian => "Română",
            Self::Danish => "Dansk",
        }
    }

    /// The language of a code, in any case.
    #[must_use]
    pub(crate) fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(code))
    }

    /// The best of `Accept-Language`; of equals the first. English without one.
    #[must_use]
    pub(crate) fn preferred(accept_language: Option<&str>) -> Self {
        let mut best = (Self::default(), 0);
        for tag in accept_language.unwrap_or_default().split(',').take(TAGS) {
            let (range, weight) = tag.split_once(';').unwrap_or((tag, "q=1"));
            let primary = range.split('-').next().unwrap_or_default().trim();
            let language = match primary {
                "*" => Some(Self::default()),
                primary => Self::from_code(primary),
            };
            if let (Some(language), Some(weight)) = (language, thousandths(weight))
                && weight > best.1
            {
                best = (language, weight);
            }
        }
        best.0
    }

    /// `n` with the noun in the number that the language wants: `one`, `few` or `many`.
    #[must_use]
    pub(super) fn number_of<T>(self, n: u16, one: T, few: T, many: T) -> T {
        match (self, n) {
            (_, 1) => one,
            (Self::Romanian, n) if n == 0 || (1..=19).contains(&(n % 100)) => few,
            (Self::English | Self::Dutch | Self::Romanian | Self::Danish, _) => many,
        }
    }
}

/// `q=0.8` → 800; `None` = not a weight.
fn thousandths(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let (whole, rest) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let digits = rest.len() <= 3 && rest.bytes().all(|byte| byte.is_ascii_digit());
    if !name.trim().eq_ignore_ascii_case("q") || !digits {
        return None;
    }
    let rest: u16 = format!("{rest:0<3}").parse().ok()?;
    match whole {
        "0" => Some(rest),
        "1" if rest == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back() {
        for language in Language::ALL {
            assert_eq!(Language::from_code(language.code()), Some(language));
        }
        assert_eq!(Language::from_code("NL"), Some(Language::Dutch));
        for code in ["", "de", "nl-BE", "no", "e n"] {
            assert_eq!(Language::from_code(code), None, "{code}");
        }
    }

    #[test]
    fn the_browser_is_understood() {
        use Language::{Danish, Dutch, English, Romanian};
        for (header, language) in [
            ("", English),
            ("nl", Dutch),
            ("nl-BE,nl;q=0.9,en;q=0.8", Dutch),
            ("DA-dk", Danish),
            ("de-DE, de;q=0.9, ro;q=0.5, en;q=0.4", Romanian),
            ("en;q=0.2, da;q=0.25", Danish),
            ("da;q=0, ro;q=0.001", Romanian),
            ("da;q=0", English),
            ("da ; q = 0.7, nl;q=0.7", Danish),
            ("*, nl;q=0.5", English),
            ("nl;q=2, da;q=x, ro;q=1.5, en;q=0.1", English),
            ("nl;q=0.1234, da;q=-1", English),
            ("nl;level=1", English),
            ("fr,fr,fr,fr,fr,fr,fr,fr,fr,nl", Dutch),
            ("fr,fr,fr,fr,fr,fr,fr,fr,fr,fr,nl", English),
            (",,;;q=,=;é", English),
        ] {
            assert_eq!(Language::preferred(Some(header)), language, "{header}");
        }
        assert_eq!(Language::preferred(None), English);
    }

    #[test]
    fn romanian_counts_in_three_ways() {
        let of = |n| Language::Romanian.number_of(n, "zi", "zile", "de zile");
        for n in [0, 2, 19, 101, 119, 201] {
            assert_eq!(of(n), "zile", "{n}");
        }
        for n in [20, 30, 90, 100, 120, 400] {
            assert_eq!(of(n), "de zile", "{n}");
        }
        assert_eq!(of(1), "zi");
        assert_eq!(Language::Danish.number_of(2, 1, 2, 3), 3);
    }
}
