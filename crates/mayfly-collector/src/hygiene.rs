//! What is taken out of a hit before anything is stored: parameters and attributes that nobody
//! declared, and parts of paths that may tell who somebody is.
//!
//! A query parameter is kept when a rule reads it, the site's plan names it, or it says which page
//! it is ([`PAGE_PARAMS`]); an attribute when a rule reads it or the plan names it. Of what is left
//! out the name is counted, and the value is gone.

use mayfly_core::{Candidate, Event, Site};
use mayfly_segments::Arrival;
use percent_encoding::percent_decode_str;

/// Parameters that say which page it is, and are always kept (scrubbed like paths).
const PAGE_PARAMS: [&str; 24] = [
    "article",
    "article_id",
    "c",
    "cat",
    "category",
    "id",
    "item",
    "lang",
    "news",
    "p",
    "page",
    "page_id",
    "pid",
    "post",
    "product",
    "product_id",
    "q",
    "query",
    "s",
    "search",
    "section",
    "sku",
    "tag",
    "topic",
];

/// What stands for a part of a path that was taken out.
pub(crate) const GONE: &str = "*";
/// A run of as many digits may be a telephone or customer number.
const DIGITS_MAX: usize = 9;
/// A run of as many letters and digits, mixed, may be a token.
const TOKEN_BYTES: usize = 20;
/// The same, when all are hexadecimal digits.
const HEX_BYTES: usize = 16;

/// What was taken out of a hit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stripped {
    /// Names of attributes that nobody declared.
    pub attributes: Vec<Box<str>>,
    /// Names of query parameters that nobody declared.
    pub query: Vec<Box<str>>,
    /// Parts of the path, and values of parameters, that may tell who somebody is.
    pub parts: usize,
    /// The event is not in the site's plan; it is kept.
    pub event: bool,
}

impl Stripped {
    /// Whether nothing was taken out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Takes out of a hit what its site did not declare and what may tell who somebody is.
pub(crate) fn tidy(candidate: &mut Candidate, site: &Site, arrival: &Arrival) -> Stripped {
    let mut stripped = Stripped::default();
    candidate.attributes.retain(|attribute| {
        let is_kept = arrival.reads_attribute(&attribute.name)
            || site.plan.attributes.contains(&attribute.name);
        if !is_kept {
            stripped.attributes.push(attribute.name.clone());
        }
        is_kept
    });
    if let Event::Own(name) = &candidate.event {
        stripped.event = !site.plan.events.is_empty() && !site.plan.events.contains(name);
    }
    let keeps = |name: &str| {
        is_page_param(name)
            || arrival.reads_query(name)
            || site.plan.query.iter().any(|own| **own == *name)
    };
    if let Some(url) = clean_url(&candidate.page.url, keeps, &mut stripped) {
        candidate.page.url = url.into();
    }
    stripped
}

/// Whether a query parameter says which page it is.
pub(crate) fn is_page_param(name: &str) -> bool {
    PAGE_PARAMS.binary_search(&name).is_ok()
}

/// The canonical URL without what it should not say; `None` when there is nothing to take out.
pub(crate) fn clean_url(
    url: &str,
    keeps: impl Fn(&str) -> bool,
    stripped: &mut Stripped,
) -> Option<String> {
    let (path, query) = url.split_once('?').map_or((url, None), |(path, q)| (path, Some(q)));
    let at = path.find("://").map_or(0, |at| at + 3);
    let at = path[at..].find('/').map_or(path.len(), |slash| at + slash);
    let before = (stripped.query.len(), stripped.parts);
    let mut clean = String::with_capacity(url.len());
    clean.push_str(&path[..at]);
    for (nth, part) in path[at..].split('/').enumerate() {
        if nth > 0 {
            clean.push('/');
        }
        clean.push_str(scrubbed(part, stripped));
    }
    let mut between = '?';
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode_str(name).decode_utf8_lossy();
        if !keeps(&name) {
            // A parameter without a value is all name.
            stripped.query.push(if tells_who(&name) { GONE.into() } else { name.into() });
            continue;
        }
        clean.push(between);
        between = '&';
        clean.push_str(&pair[..pair.len() - value.len()]);
        clean.push_str(scrubbed(value, stripped));
    }
    (before != (stripped.query.len(), stripped.parts)).then_some(clean)
}

/// A part as it may be kept.
fn scrubbed<'t>(part: &'t str, stripped: &mut Stripped) -> &'t str {
    if tells_who(part) {
        stripped.parts += 1;
        return GONE;
    }
    part
}

/// Whether a part of a URL looks like an e-mail address, a token or a long number.
fn tells_who(part: &str) -> bool {
    if part.len() < 5 {
        return false;
    }
    let text = percent_decode_str(part).decode_utf8_lossy();
    has_address(&text) || text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_secret) || {
        // A UUID, whose runs are short by themselves.
        let hex: usize = text.bytes().filter(u8::is_ascii_hexdigit).count();
        hex == 32 && text.len() == 36 && text.bytes().filter(|b| *b == b'-').count() == 4
    }
}

/// `name@host.tld`.
pub(crate) fn has_address(text: &str) -> bool {
    text.match_indices('@').any(|(at, _)| {
        let name = text[..at].chars().next_back();
        let host = text[at + 1..].split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-')));
        name.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'))
            && host.into_iter().next().is_some_and(|host| host.trim_matches('.').contains('.'))
    })
}

/// Whether a run of letters and digits is a long number or a token.
fn is_secret(run: &str) -> bool {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let is_number = digits == run.len() && digits >= DIGITS_MAX;
    let is_hex = run.len() >= HEX_BYTES && run.bytes().all(|b| b.is_ascii_hexdigit());
    let is_mixed = run.len() >= TOKEN_BYTES && digits < run.len();
    is_number || digits > 0 && (is_hex || is_mixed)
}

#[cfg(test)]
mod tests {
    use mayfly_core::{Attribute, Page, SiteId, site::Origin};
    use proptest::prelude::*;

    use super::*;

    fn clean(url: &str) -> String {
        clean_url(url, is_page_param, &mut Stripped::default()).unwrap_or_else(|| url.to_owned())
    }

    #[test]
    fn what_tells_who_somebody_is_becomes_a_star() {
        assert!(PAGE_PARAMS.is_sorted());
        for (url, expected) in [
            ("https://n.example/a/b", "https://n.example/a/b"),
            ("https://n.example", "https://n.example"),
            ("https://n.example/u/jan@site.example/x", "https://n.example/u/*/x"),
            ("https://n.example/u/jan%40site.example", "https://n.example/u/*"),
            ("https://n.example/@jan/post", "https://n.example/@jan/post"),
            ("https://n.example/call/0612345678", "https://n.example/call/*"),
            (
                "https://n.example/article/66512345-derby",
                "https://n.example/article/66512345-derby",
            ),
            ("https://n.example/reset/eyJhbGciOiJIUzI1NiJ9.e30.x", "https://n.example/reset/*"),
            ("https://n.example/o/9f86d081884c7d65/x", "https://n.example/o/*/x"),
            ("https://n.example/3f2504e0-4f89-41d3-9a0c-0305e82c3301", "https://n.example/*"),
            (
                "https://n.example/the-ministry-of-foreign-affairs-2026-report",
                "https://n.example/the-ministry-of-foreign-affairs-2026-report",
            ),
            ("https://n.example/internationalisation/", "https://n.example/internationalisation/"),
            ("https://n.example/s?q=derby&email=a%40b.example", "https://n.example/s?q=derby"),
            ("https://n.example/s?q=a%40b.example", "https://n.example/s?q=*"),
            ("https://n.example/s?token=1&id=7", "https://n.example/s?id=7"),
            ("https://n.example/s?flag", "https://n.example/s"),
        ] {
            assert_eq!(clean(url), expected);
        }
    }

    #[test]
    fn undeclared_names_are_told_and_their_values_are_gone() {
        let mut site = Site::new(SiteId(1), "n", vec![Origin::Any]);
        site.plan.attributes = vec!["size".into()];
        site.plan.query = vec!["colour".into()];
        site.plan.events = vec!["signup".into()];
        let attribute = |name, value| Attribute::from_text(name, value).unwrap();
        let page = Page {
            url: "https://n.example/?colour=red&who=me&jan@site.example".into(),
            ..Page::default()
        };
        let mut candidate = Candidate {
            page,
            event: Event::Own("buy".into()),
            attributes: vec![attribute("size", "XL"), attribute("name", "Jan")],
            ..Candidate::default()
        };
        let stripped = tidy(&mut candidate, &site, &Arrival::default());
        assert_eq!(&*candidate.page.url, "https://n.example/?colour=red");
        assert_eq!(candidate.attributes, [attribute("size", "XL")]);
        let expected = Stripped {
            attributes: vec!["name".into()],
            query: vec!["who".into(), "*".into()],
            parts: 0,
            event: true,
        };
        assert_eq!(stripped, expected);
        assert!(tidy(&mut Candidate::default(), &site, &Arrival::default()).is_empty());
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing_more(text in "https://[a-z.]{1,9}/[ -~ö@%]{0,60}") {
            let once = clean(&text);
            prop_assert_eq!(clean(&once), once);
        }
    }
}
