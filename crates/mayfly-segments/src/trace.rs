//! Traces: the hits themselves, for the few tallies that day cells cannot answer: windows of hours,
//! filters (`value >= 50`) and sequences (`A then B within 2d`).
//!
//! A trace keeps of each hit its second and what it counts, of the visitors that have such hits,
//! and no longer than the tally's window goes back. It lives in memory alone: the store's hits are
//! read again when a partition is loaded. The tally's sum is a function of the trace and the hour.
//! Memory: 8 bytes a hit, and about 40 a visitor.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mayfly_core::{CategoryId, CellId, Event, Hit, Hour, Ordinal, Page, limits};
use roaring::RoaringBitmap;

use crate::classify::Classifier;
use crate::leaf::{Filter, Measure, Plan, TallyKey};

/// What a trace keeps of a hit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Seen {
    /// Seconds since 1970.
    second: u32,
    engaged_s: u16,
    is_hit: bool,
    /// One bit for each category of the sequence that it falls in, the first one lowest.
    steps: u8,
}

impl Seen {
    pub(crate) fn new(hit: &Hit, steps: u8) -> Self {
        Self {
            second: u32::try_from(hit.time.secs()).unwrap_or(u32::MAX),
            engaged_s: hit.engaged_s,
            is_hit: hit.event != Event::Engagement,
            steps,
        }
    }

    fn counts(self, measure: Measure) -> bool {
        match measure {
            Measure::Visited | Measure::Days => self.is_hit,
            Measure::Engaged => self.engaged_s > 0,
        }
    }
}

/// The hits of one tally, by visitor, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    visitors: BTreeMap<Ordinal, Vec<Seen>>,
}

impl Trace {
    /// Adds a hit.
    pub(crate) fn note(&mut self, ordinal: Ordinal, seen: Seen) {
        let own = self.visitors.entry(ordinal).or_default();
        own.insert(own.partition_point(|other| *other <= seen), seen);
        if own.len() > limits::TRACE_HITS {
            own.remove(0);
        }
    }

    /// Adds another trace's hits, without those of these visitors.
    pub(crate) fn merge(&mut self, other: Self, erased: &RoaringBitmap) {
        for (ordinal, seen) in other.visitors {
            if !erased.contains(ordinal) {
                seen.into_iter().for_each(|seen| self.note(ordinal, seen));
            }
        }
    }

    pub(crate) fn remove(&mut self, ordinal: Ordinal) {
        self.visitors.remove(&ordinal);
    }

    /// Drops what no window of `key` will hold again.
    pub(crate) fn prune(&mut self, key: &TallyKey, now: Hour) {
        let from = key.window.seconds(now).start;
        self.visitors.retain(|_, own| {
            own.drain(..own.partition_point(|seen| i64::from(seen.second) < from));
            !own.is_empty()
        });
    }

    /// A visitor's sum.
    pub(crate) fn sum(&self, key: &TallyKey, ordinal: Ordinal, now: Hour) -> u32 {
        self.visitors.get(&ordinal).map_or(0, |own| sum(key, own, now))
    }

    /// Every visitor.
    pub(crate) fn ordinals(&self) -> impl Iterator<Item = Ordinal> {
        self.visitors.keys().copied()
    }

    /// Bytes in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        let hits: usize = self.visitors.values().map(Vec::capacity).sum();
        hits * size_of::<Seen>() + self.visitors.len() * 40
    }

    /// A copy of one visitor's hits, under the number 0.
    pub(crate) fn of(&self, ordinal: Ordinal) -> Self {
        let own = self.visitors.get(&ordinal).cloned();
        Self { visitors: own.into_iter().map(|own| (0, own)).collect() }
    }

    /// A copy of the hits of some days.
    pub(crate) fn of_days(&self, keep: impl Fn(mayfly_core::Day) -> bool) -> Self {
        let keeps = |seen: &Seen| keep(Hour(seen.second / 3600).day());
        let kept = self.visitors.iter().map(|(ordinal, own)| {
            (*ordinal, own.iter().copied().filter(keeps).collect::<Vec<_>>())
        });
        Self { visitors: kept.filter(|(_, own)| !own.is_empty()).collect() }
    }
}

/// The sum of a visitor's hits, the oldest first, when `now` is the current hour.
pub(crate) fn sum(key: &TallyKey, own: &[Seen], now: Hour) -> u32 {
    let made = makes(key, own, now).into_iter().filter_map(|at| own.get(at));
    match key.measure {
        Measure::Visited => u32::try_from(made.count()).unwrap_or(u32::MAX),
        Measure::Engaged => made.fold(0, |sum, seen| sum + u32::from(seen.engaged_s)),
        Measure::Days => {
            let days: BTreeSet<u32> = made.map(|seen| seen.second / 86_400).collect();
            u32::try_from(days.len()).unwrap_or(u32::MAX)
        }
    }
}

/// The places of the hits that are counted: of a sequence those that begin it.
fn makes(key: &TallyKey, own: &[Seen], now: Hour) -> Vec<usize> {
    begins(key, own, now, &goes_on(key, own))
}

/// The places of the hits that are counted, given what [`goes_on`] says.
fn begins(key: &TallyKey, own: &[Seen], now: Hour, goes_on: &[Vec<bool>]) -> Vec<usize> {
    let window = key.window.seconds(now);
    let counts = |at: &usize| {
        let goes_on = goes_on.first().and_then(|row| row.get(*at)) == Some(&true);
        own.get(*at).is_some_and(|seen| {
            goes_on
                && seen.steps & 1 > 0
                && seen.counts(key.measure)
                && window.contains(&i64::from(seen.second))
        })
    };
    (0..own.len()).filter(counts).collect()
}

/// The places of the hits that make the sum, each sequence with what follows; where none goes
/// through, of all hits that might.
pub(crate) fn shows(key: &TallyKey, own: &[Seen], now: Hour) -> BTreeSet<usize> {
    let goes_on = goes_on(key, own);
    let begins = begins(key, own, now, &goes_on);
    let mut shown: BTreeSet<usize> = begins.iter().copied().collect();
    if shown.is_empty() && !key.then.is_empty() {
        let from = key.window.seconds(now).start;
        let hits = own.iter().enumerate().filter(|(_, seen)| i64::from(seen.second) >= from);
        return hits.map(|(at, _)| at).collect();
    }
    for mut at in begins {
        for (step, row) in goes_on.iter().enumerate().skip(1) {
            let follows = |next: &usize| {
                row.get(*next) == Some(&true)
                    && own.get(*next).zip(own.get(at)).is_some_and(|(next, before)| {
                        next.second > before.second && next.steps & 1 << step > 0 && next.is_hit
                    })
            };
            let Some(next) = (at + 1..own.len()).find(follows) else { break };
            shown.insert(next);
            at = next;
        }
    }
    shown
}

/// For each step of a sequence, the first included, and each hit: whether all that must follow
/// the step does follow, if the hit is taken for it.
fn goes_on(key: &TallyKey, own: &[Seen]) -> Vec<Vec<bool>> {
    let mut rows = vec![vec![true; own.len()]];
    for (at, step) in key.then.iter().enumerate().rev() {
        let mut row = vec![false; own.len()];
        // Backwards: the next second with a hit of the step from which the rest goes through.
        // Hits of one second do not follow one another.
        let (mut next, mut waiting, mut second) = (None, None, None);
        let after: &[bool] = rows.last().map_or(&[], Vec::as_slice);
        for ((seen, goes_on), after) in own.iter().zip(&mut row).zip(after).rev() {
            if second != Some(seen.second) {
                next = waiting;
                second = Some(seen.second);
            }
            *goes_on = next.is_some_and(|next: u32| next - seen.second <= step.within_s);
            if *after && seen.is_hit && seen.steps & 2 << at > 0 {
                waiting = second;
            }
        }
        rows.push(row);
    }
    rows.reverse();
    rows
}

/// Finds the traces that a hit belongs to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracer {
    asks: HashMap<CellId, Vec<Ask>>,
}

#[derive(Clone, Debug)]
struct Ask {
    tally: usize,
    step: u8,
    only: Option<Filter>,
    /// Whether engagement counts, which is no hit.
    of_engagement: bool,
}

impl Tracer {
    /// For these traced tallies of a plan.
    pub(crate) fn new(plan: &Plan, tallies: impl Iterator<Item = usize>) -> Self {
        let mut asks: HashMap<CellId, Vec<Ask>> = HashMap::new();
        for (tally, key) in tallies.filter_map(|at| Some((at, plan.tallies().get(at)?))) {
            let filters = std::iter::once(&key.only).chain(key.then.iter().map(|step| &step.only));
            for (at, (cell, only)) in key.cells().zip(filters).enumerate() {
                let of_engagement = key.measure == Measure::Engaged;
                let ask = Ask { tally, step: 1 << at, only: only.clone(), of_engagement };
                asks.entry(cell).or_default().push(ask);
            }
        }
        Self { asks }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.asks.is_empty()
    }

    /// The categories whose hits are looked at.
    pub(crate) fn categories(&self) -> impl Iterator<Item = CategoryId> {
        self.asks.keys().map(|cell| cell.category)
    }

    /// The tallies that a hit of these cells belongs to, and what is kept of it for each.
    pub(crate) fn find(
        &self,
        cells: impl Iterator<Item = CellId>,
        classifier: &Classifier,
        (hit, page): (&Hit, &Page),
    ) -> BTreeMap<usize, Seen> {
        let mut steps: BTreeMap<usize, u8> = BTreeMap::new();
        let is_hit = hit.event != Event::Engagement;
        let asks = cells.filter_map(|cell| self.asks.get(&cell)).flatten();
        for ask in asks.filter(|ask| is_hit || ask.of_engagement) {
            let meets = |only: &Filter| classifier.meets(&only.rule, hit, page);
            if ask.only.as_ref().is_none_or(meets) {
                *steps.entry(ask.tally).or_default() |= ask.step;
            }
        }
        steps.into_iter().map(|(tally, steps)| (tally, Seen::new(hit, steps))).collect()
    }
}
