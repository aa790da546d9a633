//! The keys of pages and consent states: asked of the store once a page and day, then remembered.
//! A page that one visitor reads is asked for once more when a second one does: see [`Reader`].
//!
//! A URL that shows more than [`limits::PAGE_VERSIONS_PER_DAY`] versions on a day keeps its last
//! one. The count is this collector's own; several collectors may each count to the limit.

use std::collections::HashMap;

use mayfly_core::{ConsentKey, ConsentState, Day, Page, PageKey, SiteId, Timestamp, limits};
use mayfly_store::{Interned, Reader, ToIntern};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::intake::Received;
use crate::recent::Recent;
use crate::spilled_values::SpilledValues;

/// What is interned already, until which day.
#[derive(Debug)]
pub(crate) struct Interner {
    seed: u64,
    pages: Recent<u64, KnownPage>,
    consents: HashMap<ConsentState, (ConsentKey, Day)>,
    versions: Recent<u64, Versions>,
    /// New pages of each site on its youngest day.
    new_pages: HashMap<SiteId, (Day, u32)>,
}

#[derive(Debug)]
struct KnownPage {
    page: Page,
    key: PageKey,
    /// Who reads it, as the store was told.
    reader: Reader,
    /// The youngest day it was interned for.
    day: Day,
    /// When it was interned.
    at: Timestamp,
}

/// The versions of one URL on one day.
#[derive(Debug)]
struct Versions {
    day: Day,
    count: usize,
    /// The hash of the last one taken.
    last: u64,
}

/// How a page counts among the versions of its URL on its day.
#[derive(Clone, Copy, Debug)]
enum Version {
    Counted,
    /// The last one that is taken.
    Last,
    /// The last one, by its hash, stands for it.
    TooMany {
        last: u64,
    },
}

/// Where a hit's key is found.
#[derive(Clone, Copy, Debug)]
enum Slot<K> {
    Known(K),
    /// Index into what is to be interned.
    Missing(usize),
}

/// What a group of hits needs, and where each hit finds its keys.
#[derive(Debug)]
pub(crate) struct Plan<'g> {
    pub(crate) missing: ToIntern<'g>,
    /// No page where the site brought too many new ones.
    slots: Vec<(Option<Slot<PageKey>>, Slot<ConsentKey>)>,
    hashes: Vec<u64>,
}

impl Interner {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            pages: Recent::new(limits::INTERNED_PAGES),
            consents: HashMap::new(),
            versions: Recent::new(limits::INTERNED_PAGES),
            new_pages: HashMap::new(),
        }
    }

    /// Finds what of a group is not interned yet.
    pub(crate) fn plan<'g>(&mut self, group: &'g [Received]) -> Plan<'g> {
        let slots = Vec::with_capacity(group.len());
        let mut plan = Plan { missing: ToIntern::default(), slots, hashes: Vec::new() };
        let (mut asked, mut states) = (HashMap::new(), HashMap::new());
        for received in group {
            let day = received.hit.day();
            let page = self.plan_page(received, &mut plan, &mut asked);
            let consent = self.plan_consent(received.hit.consent(), day, &mut plan, &mut states);
            plan.slots.push((page, consent));
        }
        plan
    }

    fn plan_page<'g>(
        &mut self,
        received: &'g Received,
        plan: &mut Plan<'g>,
        asked: &mut HashMap<u64, usize>,
    ) -> Option<Slot<PageKey>> {
        let (page, day, visitor) = (received.hit.page()?, received.hit.day(), received.visitor);
        let hash = page.key(self.seed).0;
        let mut reader = Some(visitor);
        let (mut is_of_today, mut is_new) = (false, true);
        if let Some(known) = self.pages.get(&hash).filter(|known| known.page == *page) {
            (is_of_today, is_new) = (known.day >= day, false);
            reader = reader.filter(|_| known.reader == reader);
            if is_of_today && known.reader == reader {
                return Some(Slot::Known(known.key));
            }
        }
        if let Some(&at) = asked.get(&hash)
            && let Some((own, until, by)) = plan.missing.pages.get_mut(at)
            && *own == page
        {
            *until = day.max(*until);
            *by = by.filter(|_| *by == reader);
            return Some(Slot::Missing(at));
        }
        match if is_of_today { Version::Counted } else { self.version(page, hash, day) } {
            Version::Counted => {}
            // It will stand for further versions, whoever reads them.
            Version::Last => reader = None,
            Version::TooMany { last } => {
                if let Some(&at) = asked.get(&last) {
                    return Some(Slot::Missing(at));
                }
                if let Some(known) = self.pages.get(&last) {
                    return Some(Slot::Known(known.key));
                }
            }
        }
        if is_new && self.has_too_many(received) {
            return None;
        }
        let at = plan.missing.pages.len();
        plan.missing.pages.push((page, day, reader));
        plan.hashes.push(hash);
        asked.insert(hash, at);
        Some(Slot::Missing(at))
    }

    /// Counts a new page of a site; whether it brought too many on its day. The count is this
    /// collector's own, and pages that it has forgotten are new again.
    fn has_too_many(&mut self, received: &Received) -> bool {
        let day = received.hit.day();
        let (of, count) = self.new_pages.entry(received.hit.site()).or_insert((day, 0));
        if *of < day {
            (*of, *count) = (day, 0);
        }
        *count = count.saturating_add(1);
        *count > received.hit.pages_per_day()
    }

    /// Counts a new version of a URL.
    fn version(&mut self, page: &Page, hash: u64, day: Day) -> Version {
        let url = xxh3_64_with_seed(page.url.as_bytes(), self.seed);
        match self.versions.get(&url) {
            Some(seen) if seen.day >= day => {
                if seen.count >= limits::PAGE_VERSIONS_PER_DAY {
                    let last = seen.last;
                    return if last == hash { Version::Last } else { Version::TooMany { last } };
                }
                seen.count += 1;
                seen.last = hash;
                if seen.count == limits::PAGE_VERSIONS_PER_DAY {
                    return Version::Last;
                }
            }
            Some(_) | None => self.versions.insert(url, Versions { day, count: 1, last: hash }),
        }
        Version::Counted
    }

    fn plan_consent<'g>(
        &self,
        state: &'g ConsentState,
        day: Day,
        plan: &mut Plan<'g>,
        asked_for: &mut HashMap<&'g ConsentState, usize>,
    ) -> Slot<ConsentKey> {
        if let Some(&(key, until)) = self.consents.get(state)
            && until >= day
        {
            return Slot::Known(key);
        }
        let asked = &mut plan.missing.consents;
        let at = *asked_for.entry(state).or_insert(asked.len());
        match asked.get_mut(at) {
            Some((_, until)) => *until = day.max(*until),
            None => asked.push((state, day)),
        }
        Slot::Missing(at)
    }

    /// Remembers what the store interned.
    pub(crate) fn learn(&mut self, plan: &Plan<'_>, keys: &Interned, at: Timestamp) {
        let asked = plan.missing.pages.iter().zip(&plan.hashes);
        for ((&(page, day, reader), &hash), &key) in asked.zip(&keys.pages) {
            self.pages.insert(hash, KnownPage { page: page.clone(), key, reader, day, at });
        }
        if self.consents.len() >= limits::INTERNED_CONSENTS {
            self.consents.clear();
        }
        for (&(state, day), &key) in plan.missing.consents.iter().zip(&keys.consents) {
            self.consents.insert(state.clone(), (key, day));
        }
    }

    /// What was interned within the time of a resend, and every consent state: a server that
    /// failed over may have lost it.
    pub(crate) fn lately(&self, answered: Timestamp) -> SpilledValues {
        let since = answered.plus_secs(-limits::RESEND_SECONDS);
        let pages = self.pages.values().filter(|known| known.at >= since);
        SpilledValues {
            pages: pages.map(|known| (known.page.clone(), known.day, known.reader)).collect(),
            consents: self.consents.iter().map(|(c, &(_, day))| (c.clone(), day)).collect(),
        }
    }

    /// Forgets what is interned, so that all of it is asked for anew.
    pub(crate) fn forget(&mut self) {
        self.pages.clear();
        self.consents.clear();
    }

    /// The keys that the store will give unless another value stands under one of them: for hits
    /// that are spilled while the store is away, together with their pages.
    pub(crate) fn assume(&self, plan: &Plan<'_>) -> Interned {
        self.first_keys(&plan.missing)
    }

    /// Whether the store gave the keys that [`Self::assume`] had given.
    pub(crate) fn were_assumed(&self, values: &ToIntern<'_>, keys: &Interned) -> bool {
        self.first_keys(values) == *keys
    }

    fn first_keys(&self, values: &ToIntern<'_>) -> Interned {
        Interned {
            pages: values.pages.iter().map(|(page, ..)| page.key(self.seed)).collect(),
            consents: values.consents.iter().map(|(state, _)| state.key(self.seed)).collect(),
        }
    }
}

impl Plan<'_> {
    /// Whether everything was known.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.pages.is_empty() && self.missing.consents.is_empty()
    }

    /// Each hit's keys, in the order of the group; `None` when the store answered too few.
    pub(crate) fn keys(&self, keys: &Interned) -> Option<Vec<(Option<PageKey>, ConsentKey)>> {
        let key = |&(page, consent): &(Option<Slot<PageKey>>, Slot<ConsentKey>)| {
            let page = match page {
                Some(page) => Some(find(page, &keys.pages)?),
                None => None,
            };
            Some((page, find(consent, &keys.consents)?))
        };
        self.slots.iter().map(key).collect()
    }
}

fn find<K: Copy>(slot: Slot<K>, answered: &[K]) -> Option<K> {
    match slot {
        Slot::Known(key) => Some(key),
        Slot::Missing(at) => answered.get(at).copied(),
    }
}
