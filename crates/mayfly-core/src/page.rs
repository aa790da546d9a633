//! One immutable version of a page, and the key it is interned under.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

/// A version of a page. Another title is another version; a hit keeps the version it saw.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Page {
    /// Canonical URL, at most [`crate::limits::URL_BYTES`].
    pub url: Box<str>,
    /// Title, at most [`crate::limits::TITLE_BYTES`]; empty when not said.
    pub title: Box<str>,
    /// Keywords in the order given, at most [`crate::limits::PAGE_WORDS`].
    pub keywords: Vec<Box<str>>,
    /// The publisher's own categories (IAB ids or names), at most [`crate::limits::PAGE_WORDS`].
    pub categories: Vec<Box<str>>,
}

/// The key of an interned page: xxh3-64 of all four fields, seeded with the store's secret.
/// Not a fingerprint for outsiders: xxh3 is not a keyed hash in the cryptographic sense; the
/// interning store compares the bytes and probes at most [`crate::limits::INTERN_STEPS`] keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PageKey(pub u64);

impl fmt::Display for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Page {
    /// The first key to try for this page under the store's secret `seed`.
    #[must_use]
    pub fn key(&self, seed: u64) -> PageKey {
        let mut h = Xxh3::with_seed(seed);
        field(&mut h, &self.url);
        field(&mut h, &self.title);
        for list in [&self.keywords, &self.categories] {
            h.update(&(list.len() as u64).to_le_bytes());
            list.iter().for_each(|word| field(&mut h, word));
        }
        PageKey(h.digest())
    }
}

/// Length before text, so that no two different pages feed the same bytes.
fn field(h: &mut Xxh3, text: &str) {
    h.update(&(text.len() as u64).to_le_bytes());
    h.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_into_one_another() {
        let page = |url: &str, title: &str, keywords: &[&str], categories: &[&str]| Page {
            url: url.into(),
            title: title.into(),
            keywords: keywords.iter().map(|&w| w.into()).collect(),
            categories: categories.iter().map(|&w| w.into()).collect(),
        };
        let all = [
            page("ab", "c", &[], &[]),
            page("a", "bc", &[], &[]),
            page("ab", "", &["c"], &[]),
            page("ab", "", &[], &["c"]),
            page("ab", "", &["c", ""], &[]),
        ];
        let mut keys: Vec<_> = all.iter().map(|p| p.key(7)).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all.len());
        assert_ne!(all[0].key(7), all[0].key(8), "the seed counts");
    }
}
