//! The last pixels of a site, for whoever looks on right now: nothing is noted while nobody does.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use mayfly_core::{Candidate, Page, Timestamp, limits};

use crate::canonical::canonical_url;
use crate::collector::Collector;
use crate::hygiene::{Stripped, clean_url, is_page_param};
use crate::query::PixelQuery;
use crate::refusal::Verdict;

/// Pixels are noted for so long after someone looked, milliseconds.
const LOOKS_MS: i64 = 30_000;

/// A pixel as it is shown to who looks on: without its visitor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passed {
    /// Counts up by one a pixel.
    pub number: u64,
    /// When it came.
    pub at: Timestamp,
    /// The site's key, as it was said.
    pub site: Box<str>,
    /// The event, as it was said.
    pub event: Box<str>,
    /// The page, cleaned.
    pub url: Box<str>,
    /// What became of it; `None` = not known yet, or not a hit yet (a probe).
    pub verdict: Option<Verdict>,
}

/// The last pixels.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    until: AtomicI64,
    passed: Mutex<(u64, VecDeque<Passed>)>,
}

impl Collector {
    /// The pixels of a site after this number, at most [`limits::TAIL_PIXELS`]; from now on they
    /// are noted for half a minute.
    #[must_use]
    pub fn tail(&self, site: &str, after: u64, now: Timestamp) -> Vec<Passed> {
        let tail = self.tail_cell();
        tail.until.store(now.millis() + LOOKS_MS, Ordering::Relaxed);
        let passed = tail.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let own = passed.1.iter().filter(|p| p.number > after && *p.site == *site);
        own.cloned().collect()
    }

    /// Notes a pixel if someone looks on.
    pub(crate) fn note_passed(&self, query: &str, verdict: Option<Verdict>, at: Timestamp) {
        let tail = self.tail_cell();
        if at.millis() > tail.until.load(Ordering::Relaxed) {
            return;
        }
        let Ok(query) = PixelQuery::parse(query) else { return };
        let url = query.url.as_deref().and_then(|url| canonical_url(url).ok());
        let url = url.map(String::from).unwrap_or_default();
        let sites = self.sites();
        let page = Page {
            url: url.clone().into(),
            title: query.title,
            keywords: query.keywords,
            categories: query.categories,
        };
        let (event, attributes) = (query.event.clone(), query.attributes);
        let hit = Candidate { page, event, attributes, ..Candidate::default() };
        let is_sensitive = sites.get(&query.site).is_some_and(|site| {
            let touched = sites.arrival().sensitive(&hit, site.id, &query.fleeting);
            site.plan.is_sensitive(&url) || !touched.is_empty()
        });
        let url = if is_sensitive { String::new() } else { url };
        let clean = clean_url(&url, is_page_param, &mut Stripped::default()).unwrap_or(url);
        let mut passed = tail.passed.lock().unwrap_or_else(PoisonError::into_inner);
        passed.0 += 1;
        let number = passed.0;
        if passed.1.len() >= limits::TAIL_PIXELS {
            passed.1.pop_front();
        }
        passed.1.push_back(Passed {
            number,
            at,
            site: query.site.into(),
            event: query.event.name().into(),
            url: clean.into(),
            verdict,
        });
    }
}
