//! Where the store is, and how long it may take to answer.

use std::path::PathBuf;
use std::time::Duration;

use mayfly_core::{Retention, limits};
use url::Url;

use crate::error::StoreError;

/// `store.url`, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreUrl {
    /// `file:///path`: the embedded store in one folder.
    File(PathBuf),
    /// `redis://` or `rediss://`: one primary.
    Redis(Url),
    /// `redis+cluster://` or `rediss+cluster://`: any nodes of a cluster, separated by commas in
    /// the host part; kept as one `redis[s]://` URL a node.
    Cluster(Vec<Url>),
}

/// Settings of a store, resolved.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Where it is.
    pub url: StoreUrl,
    /// How long behaviour is kept.
    pub retention: Retention,
    /// Partitions of a new store: a power of two, at most [`limits::PARTITIONS_MAX`].
    pub partitions: u16,
    /// The realm of a new store; an existing store must have the same.
    pub realm: Box<str>,
    /// How long one operation may take before it counts as unanswered.
    pub deadline: Duration,
    /// Whether opening may make a store where there is none.
    pub create: bool,
}

impl StoreConfig {
    /// The defaults on this URL: 90 days, 16 partitions, realm `main`, 2 s, creating allowed.
    #[must_use]
    pub fn new(url: StoreUrl) -> Self {
        Self {
            url,
            retention: Retention::default(),
            partitions: limits::PARTITIONS_DEFAULT,
            realm: "main".into(),
            deadline: Duration::from_secs(2),
            create: true,
        }
    }
}

impl StoreUrl {
    /// Reads `store.url`. A relative `file:` path is taken as it stands (`file:./mayfly-data`).
    ///
    /// # Errors
    /// [`StoreError::BadUrl`].
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let bad = || StoreError::BadUrl { url: redact(text).into() };
        let (scheme, rest) = text.split_once(':').ok_or_else(bad)?;
        match scheme {
            "file" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() { Err(bad()) } else { Ok(Self::File(path.into())) }
            }
            "redis" | "rediss" => {
                Url::parse(text).ok().filter(Url::has_host).map(Self::Redis).ok_or_else(bad)
            }
            "redis+cluster" | "rediss+cluster" => {
                let scheme = scheme.trim_end_matches("+cluster");
                let rest = rest.strip_prefix("//").ok_or_else(bad)?;
                let (login, hosts) = rest.rsplit_once('@').map_or(("", rest), |(l, h)| (l, h));
                let at = if login.is_empty() { "" } else { "@" };
                let nodes: Option<Vec<Url>> = hosts
                    .trim_end_matches('/')
                    .split(',')
                    .map(|host| Url::parse(&format!("{scheme}://{login}{at}{host}")).ok())
                    .map(|url| url.filter(Url::has_host))
                    .collect();
                nodes.map(Self::Cluster).ok_or_else(bad)
            }
            _ => Err(bad()),
        }
    }

    /// The place, without user and password, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Redis(url) => redact(url.as_str()),
            Self::Cluster(urls) => {
                urls.iter().map(|u| redact(u.as_str())).collect::<Vec<_>>().join(",")
            }
        }
    }
}

/// The URL without user and password.
fn redact(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(start), Some(at)) if at > start => {
            format!("{}{}", &text[..start + 3], &text[at + 1..])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_their_passwords_never_shown() {
        assert_eq!(StoreUrl::parse("file:///a/b").unwrap(), StoreUrl::File("/a/b".into()));
        assert_eq!(StoreUrl::parse("file:./x").unwrap(), StoreUrl::File("./x".into()));
        let one = StoreUrl::parse("rediss://u:secret@h:1/0").unwrap();
        assert!(!one.place().contains("secret"));
        let many = StoreUrl::parse("redis+cluster://:secret@a:1,b:2,c:3").unwrap();
        let StoreUrl::Cluster(nodes) = &many else { panic!("{many:?}") };
        assert_eq!(nodes.len(), 3);
        assert!(nodes.iter().all(|n| n.password() == Some("secret")));
        assert!(!many.place().contains("secret"));
        for bad in ["", "x", "http://a", "redis://", "file:", "redis+cluster://"] {
            assert!(StoreUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
