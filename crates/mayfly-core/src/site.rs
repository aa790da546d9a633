//! Sites: where first-party hits come from.

use url::Url;

use crate::consent::ConsentRules;
use crate::limits;
use crate::partner::PartnerId;

/// A site's stable number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SiteId(pub u32);

impl SiteId {
    /// No site: what a partner declared happened on none.
    pub const NONE: Self = Self(0);
}

/// One allowed origin of a site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Any origin (`"*"`): a campaign site.
    Any,
    /// Scheme, host and port, in the form of the URL standard: `https://news.example`.
    Exact(Box<str>),
}

impl Origin {
    /// Reads `"*"` or an http(s) origin. `None` for a URL with a path, another scheme, no host.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let url = Url::parse(text).ok()?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let web = matches!(url.scheme(), "http" | "https") && url.username().is_empty();
        (bare && web).then(|| Self::Exact(url.origin().ascii_serialization().into()))
    }

    /// Whether this allows `origin` (scheme, host, port in the form of the URL standard).
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(own) => **own == *origin,
        }
    }
}

/// A source of first-party hits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Stable number.
    pub id: SiteId,
    /// The key in `s=`.
    pub key: Box<str>,
    /// Allowed origins.
    pub origins: Vec<Origin>,
    /// What is asked for before a hit is kept.
    pub consent: ConsentRules,
    /// IANA name of the zone that its hours and weekdays are of.
    pub time_zone: Box<str>,
    /// The site's data plan.
    pub plan: DataPlan,
    /// Hits of known automata are kept, too: for sites that are tried by programs.
    pub keeps_bots: bool,
    /// Hosts that an `ad_click` may lead on to, besides those of its origins.
    pub redirect_hosts: Vec<Box<str>>,
    /// Partners that its visitors' browsers are sent to for their ids.
    pub sync: Vec<PartnerId>,
}

/// What a site says it sends; what is not in it is counted, and not stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataPlan {
    /// Query parameters of its pages that are kept, besides those that a rule reads.
    pub query: Vec<Box<str>>,
    /// Attributes that are kept, besides those that a rule reads.
    pub attributes: Vec<Box<str>>,
    /// Its own events; empty = every name.
    pub events: Vec<Box<str>>,
    /// Beginnings of paths whose pages are never kept, `/health/`: what is read there may tell of
    /// someone's health, faith or love. The hit is kept without its page and falls in no category
    /// of it.
    pub sensitive: Vec<Box<str>>,
    /// New pages a UTC day; a hit of a page beyond them is kept without its page.
    pub pages_per_day: u32,
    /// The standard taxonomy, as `content-3.1`, whose ids its pages declare: a page falls in the
    /// categories with the ids that it names.
    pub declared: Option<Box<str>>,
}

impl Default for DataPlan {
    fn default() -> Self {
        Self {
            query: Vec::new(),
            attributes: Vec::new(),
            events: Vec::new(),
            sensitive: Vec::new(),
            pages_per_day: limits::PAGES_PER_DAY,
            declared: None,
        }
    }
}

impl DataPlan {
    /// Whether pages at this canonical URL are never kept.
    #[must_use]
    pub fn is_sensitive(&self, url: &str) -> bool {
        if self.sensitive.is_empty() {
            return false;
        }
        let path = url.split_once("://").and_then(|(_, rest)| Some(&rest[rest.find('/')?..]));
        let path = plain_path(path.unwrap_or("/"));
        self.sensitive.iter().any(|own| path.starts_with(&plain_path(own)))
    }
}

/// A path in one form, however it is written: `%xx` decoded, small letters, no empty parts.
fn plain_path(path: &str) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let decoded = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        rest = if decoded.is_some() { &after[2..] } else { after };
        let byte = decoded.unwrap_or(first).to_ascii_lowercase();
        if !(byte == b'/' && plain.last() == Some(&b'/')) {
            plain.push(byte);
        }
    }
    plain
}

impl Site {
    /// A site with the defaults: no consent asked for, UTC, nothing declared. It is a consent scope
    /// of its own.
    #[must_use]
    pub fn new(id: SiteId, key: &str, origins: Vec<Origin>) -> Self {
        Self {
            id,
            key: key.into(),
            origins,
            consent: ConsentRules { scope: key.into(), ..ConsentRules::default() },
            time_zone: "UTC".into(),
            plan: DataPlan::default(),
            keeps_bots: false,
            redirect_hosts: Vec::new(),
            sync: Vec::new(),
        }
    }

    /// Whether a page or request of this origin may speak for the site.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|o| o.allows(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_in_the_standards_form() {
        let own = Origin::parse("https://News.example:443").unwrap();
        assert!(own.allows("https://news.example"));
        assert!(!own.allows("http://news.example"));
        assert!(!own.allows("https://news.example.evil.example"));
        for bad in ["", "news.example", "https://a.example/x", "ftp://a.example", "https://u@a.b"] {
            assert_eq!(Origin::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_sensitive_path_is_found_however_it_is_written() {
        let plan = |path: &str| DataPlan { sensitive: vec![path.into()], ..DataPlan::default() };
        for (own, path, expected) in [
            ("/health/", "/health/x", true),
            ("/health/", "/Health/x?a=b", true),
            ("/health/", "/%68ealth/x", true),
            ("/health/", "//health//x", true),
            ("/santé/", "/sant%C3%A9/x", true),
            ("/sant%c3%a9/", "/sant%C3%A9/", true),
            ("/health/", "/healthy", false),
            ("/health/", "/news/health/", false),
            ("/100%/", "/100%/x", true),
        ] {
            let url = format!("https://news.example{path}");
            assert_eq!(plan(own).is_sensitive(&url), expected, "{own} {path}");
        }
        assert!(plan("/").is_sensitive("https://news.example"));
    }
}
