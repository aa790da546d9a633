//! Sites: where first-party hits come from.

use url::Url;

use crate::consent::ConsentPolicy;

/// A site's stable number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SiteId(pub u32);

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
    /// What silence means.
    pub consent: ConsentPolicy,
}

impl Site {
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
}
