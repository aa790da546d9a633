//! What sites send, by name: attributes, query parameters, own events, beginnings of paths, with
//! counts and without values. So that whoever writes rules sees what no rule uses yet. In bounded
//! memory of this process, from its start on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use mayfly_core::{Admitted, Event, Page, SiteId, limits};

use crate::hygiene::Stripped;

/// Kinds of signal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SignalKind {
    /// An attribute.
    Attribute,
    /// A query parameter that was left out.
    Query,
    /// An event of the site's own.
    Event,
    /// The first part of a path.
    Path,
}

impl SignalKind {
    /// The name in answers.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Attribute => "attribute",
            Self::Query => "query",
            Self::Event => "event",
            Self::Path => "path",
        }
    }
}

/// One signal of a site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signal {
    /// Its kind.
    pub kind: SignalKind,
    /// Its name.
    pub name: Box<str>,
    /// Hits that had it.
    pub hits: u64,
    /// For a path: the last page under it.
    pub page: Option<Page>,
}

type Tally = HashMap<(SignalKind, Box<str>), (u64, Option<Page>)>;

/// The signals of all sites.
#[derive(Debug, Default)]
pub(crate) struct Signals(Mutex<HashMap<SiteId, Tally>>);

impl Signals {
    /// Counts what a hit has that was let in.
    pub(crate) fn note(&self, hit: &Admitted, site: SiteId, stripped: &Stripped) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = all.entry(site).or_default();
        if let Some(page) = hit.page() {
            count(tally, SignalKind::Path, beginning(&page.url), Some(page));
        }
        let kept = hit.attributes().iter().map(|attribute| &attribute.name);
        for name in kept.chain(&stripped.attributes) {
            count(tally, SignalKind::Attribute, name, None);
        }
        for name in &stripped.query {
            count(tally, SignalKind::Query, name, None);
        }
        if let Event::Own(name) = hit.event() {
            count(tally, SignalKind::Event, name, None);
        }
    }

    /// Everything that a site sent, the most frequent first.
    pub(crate) fn of(&self, site: SiteId) -> Vec<Signal> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut signals: Vec<Signal> = Vec::new();
        for ((kind, name), (hits, page)) in all.get(&site).into_iter().flatten() {
            let (kind, name) = (*kind, name.clone());
            signals.push(Signal { kind, name, hits: *hits, page: page.clone() });
        }
        signals.sort_by(|a, b| b.hits.cmp(&a.hits).then_with(|| a.name.cmp(&b.name)));
        signals
    }
}

fn count(tally: &mut Tally, kind: SignalKind, name: &str, page: Option<&Page>) {
    let is_full = tally.len() >= limits::SIGNALS_PER_SITE;
    let key = (kind, Box::from(name));
    if let Some((hits, _)) = tally.get_mut(&key) {
        *hits += 1;
    } else if !is_full {
        tally.insert(key, (1, page.cloned()));
    }
}

/// `/sport` of `https://news.example/sport/1?x`.
fn beginning(url: &str) -> &str {
    let path = url.find("://").and_then(|at| url[at + 3..].find('/').map(|to| &url[at + 3 + to..]));
    let path = path.unwrap_or("/");
    let path = path.split(['?', '#']).next().unwrap_or("/");
    let end = path.get(1..).and_then(|rest| rest.find('/')).map_or(path.len(), |at| at + 1);
    path.get(..end).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use mayfly_core::{Candidate, Day, Gate, Hit, Origin, Retention, Site};

    use super::*;

    #[test]
    fn names_are_counted_and_their_number_is_bounded() {
        let signals = Signals::default();
        let site = Site::new(SiteId(1), "news", vec![Origin::parse("https://n.example").unwrap()]);
        let now = Day(20_778).at_second(0);
        let gate = Gate { site: &site, now, retention: Retention::default() };
        for n in 0..2 * limits::SIGNALS_PER_SITE {
            let url = format!("https://n.example/sport/{n}?q=1").into();
            let page = Page { url, ..Page::default() };
            let event = Event::Own(format!("e{n}").into());
            let candidate = Candidate { page, event, ..Candidate::default() };
            let stripped = Stripped { query: vec!["who".into()], ..Stripped::default() };
            let hit = Hit::admit(candidate, &gate).unwrap();
            signals.note(&hit, site.id, &stripped);
        }
        let all = signals.of(SiteId(1));
        assert_eq!(all.len(), limits::SIGNALS_PER_SITE);
        assert_eq!((&*all[0].name, all[0].hits), ("/sport", 2 * limits::SIGNALS_PER_SITE as u64));
        assert_eq!(&*all[1].name, "who");
        assert!(signals.of(SiteId(2)).is_empty());
        for (url, expected) in
            [("https://n.example", "/"), ("https://n.example/", "/"), ("https://n.example/a", "/a")]
        {
            assert_eq!(beginning(url), expected);
        }
    }
}
