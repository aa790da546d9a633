//! The newest choice of every visitor on every site, as his hits came with it: what deliveries ask
//! before anything of him leaves. Kept in memory from the first delivery on; filled once from the
//! hits that are stored, then by folding. The newest counts, whatever the order in which they come.

use std::collections::{BTreeMap, HashMap, HashSet};

use mayfly_core::{ConsentKey, Day, Hit, Ordinal, SiteId};
use roaring::RoaringBitmap;

/// The newest choices of one partition's visitors.
#[derive(Debug, Default)]
pub struct Consents {
    newest: BTreeMap<(Ordinal, SiteId), Newest>,
    /// Other choices of the same second: all of them count.
    ties: HashMap<(Ordinal, SiteId), Vec<ConsentKey>>,
    is_whole: bool,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    second: u32,
    key: ConsentKey,
}

/// Stands for a no that no hit was kept with: it permits nothing.
const REFUSED: ConsentKey = ConsentKey(u64::MAX);

/// A no that no hit was kept with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The site that was told.
    pub site: SiteId,
    /// When, seconds.
    pub second: i64,
}

impl Refused {
    /// No site: he said so to all of them.
    pub const EVERYWHERE: SiteId = SiteId(0);

    /// As the store names it; two processes never write one row.
    #[must_use]
    pub fn code(self, process: u32) -> Box<str> {
        format!("{}@{}@{process:x}", self.site.0, self.second).into()
    }

    /// Reads [`Refused::code`].
    #[must_use]
    pub fn read(code: &str) -> Option<Self> {
        let mut parts = code.split('@');
        let (site, second) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { site: SiteId(site), second })
    }
}

impl Consents {
    /// Notes a no that no hit was kept with.
    pub fn refuse(&mut self, ordinal: Ordinal, no: Refused) {
        let second = u32::try_from(no.second).unwrap_or(u32::MAX);
        self.put((ordinal, no.site), Newest { second, key: REFUSED });
    }

    /// Notes the choice that a hit came with; with what a partner declared comes none.
    pub fn note(&mut self, hit: &Hit) {
        if hit.is_declared() {
            return;
        }
        let second = u32::try_from(hit.time.secs()).unwrap_or(0);
        self.put((hit.visitor.ordinal, hit.site), Newest { second, key: hit.consent });
    }

    /// Takes in what others noted.
    pub fn merge(&mut self, other: Self) {
        for (place, own) in other.newest {
            self.put(place, own);
            let ties = other.ties.get(&place).into_iter().flatten();
            ties.for_each(|key| self.put(place, Newest { key: *key, ..own }));
        }
    }

    fn put(&mut self, place: (Ordinal, SiteId), own: Newest) {
        let second = own.second;
        let known = self.newest.entry(place).or_insert(own);
        if known.second > second {
            return;
        }
        if known.second < second {
            *known = own;
            self.ties.remove(&place);
        } else if known.key != own.key {
            let ties = self.ties.entry(place).or_default();
            if !ties.contains(&own.key) {
                ties.push(own.key);
            }
        }
    }

    /// Whether what was stored before the first delivery is in it, too.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// What was stored before is in it.
    pub fn set_whole(&mut self) {
        self.is_whole = true;
    }

    /// Forgets choices whose hits are kept no more, and those of visitors who are gone.
    pub fn forget(&mut self, oldest: Day, erased: &RoaringBitmap) {
        let oldest = u32::try_from(oldest.start().secs()).unwrap_or(0);
        self.newest.retain(|(ordinal, _), own| own.second >= oldest && !erased.contains(*ordinal));
        let newest = &self.newest;
        self.ties.retain(|place, _| newest.contains_key(place));
    }

    /// Every choice of these visitors.
    #[must_use]
    pub fn keys(&self, of: &RoaringBitmap) -> HashSet<ConsentKey> {
        let mut keys = HashSet::new();
        self.each(of, |_, own| keys.extend(own.iter().map(|(_, key)| *key)));
        keys
    }

    /// Those of some visitors whose newest choice of every scope permits: `scope` says what a
    /// site's is. A visitor without any choice is permitted nothing.
    #[must_use]
    pub fn permitted(
        &self,
        of: &RoaringBitmap,
        scope: impl Fn(SiteId) -> u32,
        permits: impl Fn(ConsentKey) -> bool,
    ) -> RoaringBitmap {
        let mut permitted = RoaringBitmap::new();
        self.each(of, |ordinal, own| {
            let mut newest: Vec<(u32, u32, bool)> = Vec::with_capacity(own.len());
            for (site, key) in own.iter().filter(|(site, _)| *site != Refused::EVERYWHERE) {
                let Some(Newest { second, .. }) = self.newest.get(&(ordinal, *site)) else {
                    continue;
                };
                let (scope, may) = (scope(*site), permits(*key));
                match newest.iter_mut().find(|(own, ..)| *own == scope) {
                    Some((_, at, known)) if *at == *second => *known &= may,
                    Some((_, at, known)) if *at < *second => (*at, *known) = (*second, may),
                    Some(_) => {}
                    None => newest.push((scope, *second, may)),
                }
            }
            // A no to everybody counts until anything newer is kept.
            let everywhere = self.newest.get(&(ordinal, Refused::EVERYWHERE));
            let last = newest.iter().map(|(_, at, _)| *at).max();
            let is_over = everywhere.is_none_or(|no| last > Some(no.second));
            if !newest.is_empty() && newest.iter().all(|(.., may)| *may) && is_over {
                permitted.insert(ordinal);
            }
        });
        permitted
    }

    /// Calls with each visitor that has any, ascending, and his choices by site.
    fn each(&self, of: &RoaringBitmap, mut call: impl FnMut(Ordinal, &[(SiteId, ConsentKey)])) {
        let mut own: Vec<(SiteId, ConsentKey)> = Vec::new();
        // For some of many it is faster to look each one up.
        if of.len() < (self.newest.len() as u64) / 8 {
            for ordinal in of {
                own.clear();
                self.of(ordinal, &mut own);
                if !own.is_empty() {
                    call(ordinal, &own);
                }
            }
            return;
        }
        let mut last = None;
        for ((ordinal, site), newest) in &self.newest {
            if last != Some(*ordinal) {
                if let Some(last) = last.filter(|_| !own.is_empty()) {
                    call(last, &own);
                }
                own.clear();
                last = Some(*ordinal);
            }
            if of.contains(*ordinal) {
                own.push((*site, newest.key));
                let ties = self.ties.get(&(*ordinal, *site)).into_iter().flatten();
                own.extend(ties.map(|key| (*site, *key)));
            }
        }
        if let Some(last) = last.filter(|_| !own.is_empty()) {
            call(last, &own);
        }
    }

    fn of(&self, ordinal: Ordinal, own: &mut Vec<(SiteId, ConsentKey)>) {
        let places = (ordinal, SiteId(0))..=(ordinal, SiteId(u32::MAX));
        for (place, newest) in self.newest.range(places) {
            own.push((place.1, newest.key));
            own.extend(self.ties.get(place).into_iter().flatten().map(|key| (place.1, *key)));
        }
    }
}

#[cfg(test)]
mod tests {
    use mayfly_core::{HitParts, Partition, Timestamp, Visitor};

    use super::*;

    const DAY: Day = Day(20_000);

    fn hit(ordinal: u32, site: u32, second: u32, consent: u64) -> Hit {
        Hit::restore(HitParts {
            visitor: Visitor { partition: Partition(0), ordinal },
            time: Timestamp::from_secs(DAY.at_second(second).secs()),
            site: SiteId(site),
            page: None,
            event: Default::default(),
            engaged_s: 0,
            referrer: Default::default(),
            context: Default::default(),
            attributes: Vec::new(),
            consent: ConsentKey(consent),
            fired: Vec::new(),
        })
    }

    /// 1 permits, 2 does not.
    fn permitted(own: &Consents, of: &[u32]) -> Vec<u32> {
        let of: RoaringBitmap = of.iter().copied().collect();
        // Sites 10 and 11 share a scope.
        let scope = |site: SiteId| if site.0 >= 10 { 10 } else { site.0 };
        own.permitted(&of, scope, |key| key.0 == 1).into_iter().collect()
    }

    #[test]
    fn the_newest_choice_of_every_scope_counts_in_whatever_order_they_come() {
        let hits = [
            hit(1, 1, 5, 2),
            hit(1, 1, 9, 1),
            hit(2, 1, 5, 1),
            hit(2, 2, 5, 2), // another scope says no
            hit(3, 10, 5, 2),
            hit(3, 11, 9, 1), // the same scope said yes later
            hit(4, 10, 9, 2),
            hit(4, 11, 5, 1),
            hit(5, 1, 7, 1),
            hit(5, 1, 7, 2), // within one second: no wins
            hit(6, 10, 7, 1),
            hit(6, 11, 7, 2),
        ];
        let all: Vec<u32> = (0..100).collect();
        for turn in 0..hits.len() {
            let (mut own, mut other) = (Consents::default(), Consents::default());
            for at in 0..hits.len() {
                let into = if at % 3 == 0 { &mut other } else { &mut own };
                into.note(&hits[(at + turn) % hits.len()]);
            }
            own.merge(other);
            assert_eq!(permitted(&own, &all), [1, 3], "from {turn}");
            assert_eq!(permitted(&own, &[3]), [3], "looked up one by one");
            own.note(&hit(5, 1, 8, 1));
            assert_eq!(permitted(&own, &all), [1, 3, 5]);
            assert_eq!(own.keys(&RoaringBitmap::from_iter([2])).len(), 2);
            own.forget(DAY, &RoaringBitmap::from_iter([1]));
            assert_eq!(permitted(&own, &all), [3, 5]);
            own.forget(DAY.plus(1), &RoaringBitmap::new());
            assert!(permitted(&own, &all).is_empty());
            own.note(&hit(7, 1, 5, 1));
            let no = Refused { site: SiteId(1), second: DAY.at_second(6).secs() };
            assert_eq!(Refused::read(&no.code(7)), Some(no));
            assert_ne!(no.code(7), no.code(8), "two processes write two rows");
            own.refuse(7, no);
            assert!(permitted(&own, &all).is_empty(), "a no without a hit counts");
            own.note(&hit(7, 1, 7, 1));
            assert_eq!(permitted(&own, &all), [7], "until he says otherwise");
            let site = Refused::EVERYWHERE;
            own.refuse(7, Refused { site, second: DAY.at_second(9).secs() });
            assert!(permitted(&own, &all).is_empty());
            own.note(&hit(7, 2, 10, 1));
            assert_eq!(permitted(&own, &all), [7]);
        }
    }
}
