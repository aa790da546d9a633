//! What visitors did in the last moments, in bounded memory of this process: the same hit twice
//! within a second, and more hits in a minute than a person makes.

use std::sync::{Mutex, PoisonError};

use mayfly_core::{Admitted, Event, Timestamp, Visitor, limits};
use xxhash_rust::xxh3::Xxh3;

use crate::recent::Recent;

/// A hit of the same visitor, page and event within so many milliseconds is the same one.
const REPEAT_MS: i64 = 1000;
/// A minute, milliseconds.
const MINUTE_MS: i64 = 60_000;

/// A hit that was noted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted(Option<u64>);

/// What was seen lately.
#[derive(Debug)]
pub(crate) struct Behaviour {
    /// When a hit was taken, by the hash of visitor, page and event.
    hits: Mutex<Recent<u64, Timestamp>>,
    /// The minute, and hits in it.
    paces: Mutex<Recent<Visitor, (i64, u32)>>,
    hits_per_minute_max: u32,
}

impl Behaviour {
    /// A visitor may make so many hits a minute; 0 = any number.
    pub(crate) fn new(hits_per_minute_max: u32) -> Self {
        Self {
            hits: Mutex::new(Recent::new(limits::RECENT_HITS)),
            paces: Mutex::new(Recent::new(limits::RECENT_HITS)),
            hits_per_minute_max,
        }
    }

    /// Notes a hit; `None` when the same one (visitor, event, page, attributes) came to the
    /// same site within the last second. Engagement is never the same: each adds its own seconds.
    pub(crate) fn note(&self, hit: &Admitted, visitor: Visitor, now: Timestamp) -> Option<Noted> {
        if *hit.event() == Event::Engagement {
            return Some(Noted(None));
        }
        // Of pages that are not kept nobody can say whether they are the same.
        let Some(page) = hit.page() else { return Some(Noted(None)) };
        let mut hash = Xxh3::new();
        hash.update(&hit.site().0.to_le_bytes());
        hash.update(&visitor.partition.0.to_le_bytes());
        hash.update(&visitor.ordinal.to_le_bytes());
        for text in [hit.event().name(), &page.url, &page.title] {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        for attribute in hit.attributes() {
            hash.update(format!("{}={:?}", attribute.name, attribute.value).as_bytes());
        }
        let key = hash.digest();
        let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        let before = hits.get(&key).map(|at| now.millis() - at.millis());
        if before.is_some_and(|ms| (0..REPEAT_MS).contains(&ms)) {
            return None;
        }
        hits.insert(key, now);
        Some(Noted(Some(key)))
    }

    /// Forgets a hit that was not taken after all: it may be sent again.
    pub(crate) fn forget(&self, noted: Noted) {
        if let Some(key) = noted.0 {
            self.hits
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key, Timestamp::default());
        }
    }

    /// Whether a visitor makes more hits a minute than a person does; counts this one.
    pub(crate) fn is_too_fast(&self, visitor: Visitor, now: Timestamp) -> bool {
        if self.hits_per_minute_max == 0 {
            return false;
        }
        let minute = now.millis().div_euclid(MINUTE_MS);
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match paces.get(&visitor) {
            Some((own, count)) if *own == minute => {
                *count = count.saturating_add(1);
                *count
            }
            Some(_) | None => {
                paces.insert(visitor, (minute, 1));
                1
            }
        };
        count > self.hits_per_minute_max
    }
}
