//! One partition's state in memory: cells of open days, tallies, memberships. The heart of a
//! worker, without its store: what is loaded, when, and what is written where is the worker's
//! business.
//!
//! **Start.** [`Index::new`], [`Index::set_erased`], [`Index::load_day`] for every day of the
//! retention (at least the cells that [`Compiled::needs`] names, and category 0),
//! [`Index::put_day`] for the days that may get hits now, [`Index::recall`] for each day of
//! [`Index::recalls`] and [`Index::recalled`], [`Index::restore`] for saved memberships of paused
//! segments, [`Index::evaluate`] once. **Work.** [`Index::fold`] for new hits, [`Index::midnight`]
//! when the UTC day changes, [`Index::turn`] when the hour does, [`Index::erase`].
//! **Checkpoint.** [`Index::changed`], [`Index::day_cells`], [`Index::members`], then
//! [`Index::clear_changed`] and, for days that are done, [`Index::evict`]. **New definitions.**
//! [`Index::prepare`], [`Index::prepared`] for each day, [`Index::switch`].
//!
//! At every moment the memberships are those of a whole evaluation over all folded hits.

mod day;
mod layer;
mod present;
mod seen;
mod slide;
mod switch;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use mayfly_core::{
    CategoryId, CellId, Day, DayCells, Hit, Hour, Ordinal, Page, Partition, SegmentId, Timestamp,
    Visitor,
};
use roaring::RoaringBitmap;

pub use day::{Built, CellsBuilder};
pub use seen::Seen;
pub use switch::{MembersChanged, Preparation};

use crate::compiled::Compiled;
use crate::leaf::TallyKey;
use crate::tally::Tally;
use day::{OpenDay, adds};
use layer::{Layer, Next};
use seen::LastSeen;

/// A day's cells are needed and not in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the cells of {day} are not in memory")]
pub struct DayNotLoaded {
    /// The day.
    pub day: Day,
}

/// A visitor entered or left a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flip {
    /// The segment.
    pub segment: SegmentId,
    /// The visitor.
    pub ordinal: Ordinal,
    /// Entered, or left.
    pub entered: bool,
}

/// What folding did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Folded {
    /// Hits that are in the cells now.
    pub hits: usize,
    /// Hits passed over: of erased visitors, or engagement of 0 seconds.
    pub passed: usize,
    /// Membership changes, in the order of the hits.
    pub flips: Vec<Flip>,
}

/// One partition's state. See the module's text.
#[derive(Clone, Debug)]
pub struct Index {
    partition: Partition,
    today: Day,
    hour: Hour,
    live: Layer,
    next: Option<Next>,
    days: BTreeMap<Day, OpenDay>,
    /// In the order of the segments.
    members: Vec<RoaringBitmap>,
    erased: RoaringBitmap,
    seen: LastSeen,
}

impl Index {
    /// An empty partition in this UTC hour.
    #[must_use]
    pub fn new(compiled: Arc<Compiled>, partition: Partition, now: Hour) -> Self {
        let members = vec![RoaringBitmap::new(); compiled.segments().len()];
        Self {
            partition,
            today: now.day(),
            hour: now,
            live: Layer::new(compiled),
            next: None,
            days: BTreeMap::new(),
            members,
            erased: RoaringBitmap::new(),
            seen: LastSeen::default(),
        }
    }

    /// The definitions at work.
    #[must_use]
    pub fn compiled(&self) -> &Arc<Compiled> {
        &self.live.compiled
    }

    /// The UTC day that windows count from.
    #[must_use]
    pub fn today(&self) -> Day {
        self.today
    }

    // ---- loading ----------------------------------------------------------------------------

    /// Names the erased ordinals, before anything is loaded.
    pub fn set_erased(&mut self, erased: RoaringBitmap) {
        self.erased = erased;
    }

    /// Adds a day's stored cells to the tallies and to what is known of who was seen; each day
    /// once. They are not kept: see [`Index::put_day`].
    pub fn load_day(&mut self, day: Day, cells: &DayCells) {
        let every_hit = CellId { category: CategoryId::ALL, since: 0 };
        for entry in cells.get(&every_hit).into_iter().flat_map(|cell| &cell.entries) {
            if !self.erased.contains(entry.ordinal) {
                self.seen.note(entry.ordinal, day.start());
            }
        }
        if self.erased.is_empty() {
            return self.live.add_day(day, self.today, cells);
        }
        let mut open = OpenDay::new(cells.clone());
        open.remove(&self.erased);
        self.live.add_day(day, self.today, open.settle());
    }

    /// The days whose hits traced tallies want to see after loading; `None` = there are no such
    /// tallies.
    #[must_use]
    pub fn recalls(&self) -> Option<RangeInclusive<Day>> {
        let plan = self.live.compiled.plan();
        plan.recalled(plan.traced(), self.today)
    }

    /// Takes what [`CellsBuilder::recalling`] found among the hits of a day; each day once, those
    /// without hits may be left out. From now on hits of the day are traced as they are folded.
    pub fn recall(&mut self, day: Day, built: Built) {
        self.live.recall(day, built.traces, &self.erased);
    }

    /// Copies the traces of some days from an index of other definitions, or of an earlier moment:
    /// those that both know. The caller knows that both have the same hits of these days, and tells
    /// with [`Index::recall`] that a day is there.
    pub fn inherit(&mut self, from: &Self, days: &BTreeSet<Day>) {
        self.live.inherit(&from.live, days, &self.erased);
    }

    /// Every day of [`Index::recalls`] was taken: sums the traces up. What follows is
    /// [`Index::evaluate`].
    pub fn recalled(&mut self) {
        self.live.recalled(self.hour);
    }

    /// Keeps a day's stored cells in memory, for folding; all cells that are stored of it. Does not
    /// add to the tallies. Cells that no definitions at work know are dropped and marked as
    /// changed.
    pub fn put_day(&mut self, day: Day, cells: DayCells) {
        let mut open = OpenDay::new(cells);
        let next = self.next.as_ref().filter(|next| next.days.contains(&day));
        open.retain(|cell| {
            self.live.compiled.knows(cell) || next.is_some_and(|next| next.fill.contains(&cell))
        });
        if !self.erased.is_empty() {
            open.remove(&self.erased);
        }
        self.days.insert(day, open);
        self.prepared_if_empty(day);
    }

    /// Gives a saved membership: of use for paused segments, whose members only leave.
    pub fn restore(&mut self, segment: SegmentId, members: RoaringBitmap) {
        if let Some(at) = self.live.compiled.place(segment)
            && let Some(place) = self.members.get_mut(at)
        {
            *place = members;
        }
    }

    /// Evaluates all segments from the tallies.
    pub fn evaluate(&mut self) {
        for at in 0..self.members.len() {
            let now = self.evaluated(at, &self.members[at]);
            self.members[at] = now;
        }
    }

    /// The members of a segment by whole evaluation; of a paused one those of `was` that still are.
    fn evaluated(&self, segment: usize, was: &RoaringBitmap) -> RoaringBitmap {
        if !self.runs(segment, self.hour) {
            return RoaringBitmap::new();
        }
        let all = self.live.evaluate(segment, self.partition);
        let paused = self.live.compiled.segments().get(segment).is_some_and(|s| s.paused);
        if paused { all & was } else { all }
    }

    /// Whether a segment has members at all at this hour.
    fn runs(&self, segment: usize, hour: Hour) -> bool {
        self.live.compiled.segments().get(segment).is_some_and(|own| own.hours.contains(&hour))
    }

    // ---- days in memory ---------------------------------------------------------------------

    /// Whether a day's cells are in memory.
    #[must_use]
    pub fn has_day(&self, day: Day) -> bool {
        self.days.contains_key(&day)
    }

    /// The sums of this key as they are now, where a segment asks for it, too. `now` must be the
    /// current hour here.
    #[must_use]
    pub fn sums(&self, key: &TallyKey, now: Hour) -> Option<Tally> {
        if self.hour != now || self.today != now.day() {
            return None;
        }
        self.live.sums(key).cloned()
    }

    /// The days in memory.
    pub fn days(&self) -> impl Iterator<Item = Day> {
        self.days.keys().copied()
    }

    /// A day's cells as they are to be stored.
    pub fn day_cells(&mut self, day: Day) -> Option<&DayCells> {
        self.days.get_mut(&day).map(OpenDay::settle)
    }

    /// The categories whose cells of the day changed since the last [`Index::clear_changed`].
    #[must_use]
    pub fn changed(&self, day: Day) -> BTreeSet<CategoryId> {
        self.days.get(&day).map(|open| open.changed().clone()).unwrap_or_default()
    }

    /// The day's changes are stored.
    pub fn clear_changed(&mut self, day: Day) {
        if let Some(open) = self.days.get_mut(&day) {
            open.clear_changed();
        }
    }

    /// Takes a day's cells out of memory; its sums stay in the tallies.
    pub fn evict(&mut self, day: Day) -> Option<DayCells> {
        self.days.remove(&day).map(OpenDay::into_cells)
    }

    /// Bytes of entries changed and not yet stored, about.
    #[must_use]
    pub fn dirty_bytes(&self) -> usize {
        self.days.values().map(OpenDay::dirty_bytes).sum()
    }

    // ---- work -------------------------------------------------------------------------------

    /// Folds hits of one day, each with its page (an empty one when it has none): into the day's
    /// cells, the tallies, the memberships. Each hit is given once.
    ///
    /// # Errors
    /// The day is not loaded; nothing is changed.
    pub fn fold(&mut self, day: Day, hits: &[(&Hit, &Page)]) -> Result<Folded, DayNotLoaded> {
        if !self.days.contains_key(&day) {
            return Err(DayNotLoaded { day });
        }
        let mut folded = Folded::default();
        let (mut categories, mut touched) = (Vec::new(), Vec::new());
        for (hit, page) in hits {
            let ordinal = hit.visitor.ordinal;
            if adds(hit) == (0, 0) || self.erased.contains(ordinal) {
                folded.passed += 1;
                continue;
            }
            self.fold_one(day, hit, page, &mut categories, &mut touched);
            if !hit.is_declared() {
                self.seen.note(ordinal, hit.time);
            }
            touched.sort_unstable();
            touched.dedup();
            for segment in touched.drain(..) {
                folded.flips.extend(self.retest(segment, ordinal));
            }
            folded.hits += 1;
        }
        Ok(folded)
    }

    fn fold_one(
        &mut self,
        day: Day,
        hit: &Hit,
        page: &Page,
        categories: &mut Vec<CategoryId>,
        touched: &mut Vec<usize>,
    ) {
        let Self { live, next, days, today, hour, .. } = self;
        let Some(open) = days.get_mut(&day) else { return };
        let mut next = next.as_mut().filter(|next| next.days.contains(&day));
        let (when, ordinal) = ((day, *today), hit.visitor.ordinal);
        live.compiled.classifier().classify(&mut live.memo, hit, page, categories);
        for category in &*categories {
            let Some(cell) = live.compiled.cell(*category) else { continue };
            let changed = open.note(cell, hit);
            live.shift(cell, when, ordinal, changed, touched);
            if let Some(next) = &mut next {
                // Its tallies over cells that both versions share; nobody is tested yet.
                next.layer.shift(cell, when, ordinal, changed, &mut Vec::new());
            }
        }
        let cells = categories.iter().filter_map(|id| live.compiled.cell(*id));
        let mut cells: Vec<CellId> = cells.collect();
        if live.traces(day) {
            live.trace(cells.iter().copied(), (hit, page), *hour, touched);
        }
        let Some(next) = next else { return };
        next.classifier.classify(&mut next.memo, hit, page, categories);
        for category in &*categories {
            let Some(cell) = next.layer.compiled.cell(*category) else { continue };
            let changed = open.note(cell, hit);
            next.layer.shift(cell, when, ordinal, changed, &mut Vec::new());
            cells.push(cell);
        }
        if next.layer.traces(day) {
            next.layer.trace(cells.into_iter(), (hit, page), *hour, &mut Vec::new());
        }
    }

    /// Tests one visitor against one segment again.
    fn retest(&mut self, segment: usize, ordinal: Ordinal) -> Option<Flip> {
        let visitor = Visitor { partition: self.partition, ordinal };
        let meets = self.runs(segment, self.hour) && self.live.meets(segment, visitor);
        let of = self.live.compiled.segments().get(segment)?;
        let members = self.members.get_mut(segment)?;
        let entered = meets && !of.paused && members.insert(ordinal);
        let left = !meets && members.remove(ordinal);
        (entered || left).then_some(Flip { segment: of.id, ordinal, entered })
    }

    /// Erases a visitor: out of loaded days, tallies and memberships, never to enter again.
    pub fn erase(&mut self, ordinal: Ordinal) -> Vec<Flip> {
        self.erased.insert(ordinal);
        let gone = RoaringBitmap::from_iter([ordinal]);
        self.days.values_mut().for_each(|open| open.remove(&gone));
        self.live.remove(ordinal);
        if let Some(next) = &mut self.next {
            next.layer.remove(ordinal);
        }
        self.seen.forget(ordinal);
        let segments = self.live.compiled.segments().iter();
        segments
            .zip(&mut self.members)
            .filter_map(|(segment, members)| {
                let left = Flip { segment: segment.id, ordinal, entered: false };
                members.remove(ordinal).then_some(left)
            })
            .collect()
    }

    // ---- answers ----------------------------------------------------------------------------

    /// A segment's members; `None` for an unknown segment.
    #[must_use]
    pub fn members(&self, segment: SegmentId) -> Option<&RoaringBitmap> {
        self.members.get(self.live.compiled.place(segment)?)
    }

    /// The segments of a visitor.
    #[must_use]
    pub fn segments_of(&self, ordinal: Ordinal) -> Vec<SegmentId> {
        let segments = self.live.compiled.segments().iter().zip(&self.members);
        let own = segments.filter(|(_, members)| members.contains(ordinal));
        own.map(|(segment, _)| segment.id).collect()
    }

    /// Visitors with a hit within the retention.
    #[must_use]
    pub fn all(&self) -> RoaringBitmap {
        self.seen.all(self.live.compiled.retention(), self.today)
    }

    /// Notes when a hit that is in the loaded cells already was: for the hits of today and
    /// yesterday after loading, since cells know the day alone.
    pub fn note_seen(&mut self, hit: &Hit) {
        let is_hit = adds(hit) != (0, 0) && !hit.is_declared();
        if is_hit && !self.erased.contains(hit.visitor.ordinal) {
            self.seen.note(hit.visitor.ordinal, hit.time);
        }
    }

    /// How many of these visitors were seen in each window. O(members).
    #[must_use]
    pub fn seen(&self, members: &RoaringBitmap, now: Timestamp) -> Seen {
        self.seen.count(members, now)
    }

    /// Bytes of the tallies and traces in memory, about.
    #[must_use]
    pub fn tally_bytes(&self) -> usize {
        let tallies: usize = self.live.tallies.iter().map(crate::tally::Tally::bytes).sum();
        tallies + self.live.trace_bytes()
    }
}

#[cfg(test)]
mod tests;
