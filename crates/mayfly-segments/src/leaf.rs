//! Leaves: what an expression asks about one category, and the plan that shares them.
//!
//! Every comparison comes down to "the sum over a window is at least n", alone or negated. Leaves
//! with the same category, window and measure share one tally, whatever their thresholds. Most
//! tallies are sums of day cells; those that cells cannot answer are *traced* ([`crate::trace`]).

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use mayfly_core::time::{DAY_SECONDS, HOUR_SECONDS};
use mayfly_core::{CategoryId, CellId, Day, Hour};

use crate::rule;

/// Days or hours counted back from the current UTC day or hour (0 = the current one), both ends
/// included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Window {
    unit: Unit,
    newest: u16,
    oldest: u16,
}

/// What a window is counted in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Unit {
    /// UTC days.
    Days,
    /// UTC hours.
    Hours,
}

impl Window {
    /// From `a` to `b` hours ago, whichever is the older.
    #[must_use]
    pub const fn hours_ago(a: u16, b: u16) -> Self {
        Self { unit: Unit::Hours, ..Self::ago(a, b) }
    }

    /// From `a` to `b` days ago, whichever is the older.
    ///
    /// ```
    /// use mayfly_core::Day;
    /// use mayfly_segments::Window;
    ///
    /// let within_30_days = Window::ago(0, 29);
    /// assert_eq!(within_30_days.days(Day(100)), Day(71)..=Day(100));
    /// ```
    #[must_use]
    pub const fn ago(a: u16, b: u16) -> Self {
        let (newest, oldest) = if a <= b { (a, b) } else { (b, a) };
        Self { unit: Unit::Days, newest, oldest }
    }

    /// What it is counted in.
    #[must_use]
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// Its seconds since 1970 when `now` is the current UTC hour.
    #[must_use]
    pub fn seconds(self, now: Hour) -> Range<i64> {
        let (length, current) = match self.unit {
            Unit::Days => (DAY_SECONDS, now.day().start().secs()),
            Unit::Hours => (HOUR_SECONDS, now.start().secs()),
        };
        current - i64::from(self.oldest) * length..current + (1 - i64::from(self.newest)) * length
    }

    /// Its days when `today` is the current UTC day. A window of hours has its hits in these days.
    #[must_use]
    pub fn days(self, today: Day) -> RangeInclusive<Day> {
        match self.unit {
            Unit::Days => today.minus(self.oldest)..=today.minus(self.newest),
            Unit::Hours => today.minus(self.oldest.div_ceil(24))..=today.minus(self.newest / 24),
        }
    }

    /// Whether another window always holds all of this one. Hours lie within days that reach as far
    /// back as they do, and up to now.
    #[must_use]
    pub(crate) fn is_within(self, other: Self) -> bool {
        let is_longer = match (self.unit, other.unit) {
            (Unit::Days, Unit::Days) | (Unit::Hours, Unit::Hours) => self.oldest <= other.oldest,
            (Unit::Hours, Unit::Days) => self.oldest.div_ceil(24) <= other.oldest,
            (Unit::Days, Unit::Hours) => false,
        };
        is_longer && (other.newest == 0 || self.unit == other.unit && self.newest >= other.newest)
    }

    /// Whether it holds `day` when `today` is the current UTC day.
    #[must_use]
    pub fn holds(self, day: Day, today: Day) -> bool {
        self.days(today).contains(&day)
    }
}

/// What is summed up over a window.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Measure {
    /// Hits: `visited(…)`.
    Visited,
    /// Engaged seconds: `engaged(…)`.
    Engaged,
    /// Distinct UTC days with a hit: `days(…)`.
    Days,
}

/// What one tally sums up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TallyKey {
    /// Of which cells.
    pub cell: CellId,
    /// Over which time.
    pub window: Window,
    /// What.
    pub measure: Measure,
    /// Only hits that meet this.
    pub(crate) only: Option<Filter>,
    /// Only hits that these follow, one after the other.
    pub(crate) then: Box<[Step]>,
}

impl TallyKey {
    /// A sum of day cells.
    #[must_use]
    pub fn of_cells(cell: CellId, window: Window, measure: Measure) -> Self {
        Self { cell, window, measure, only: None, then: Box::default() }
    }

    /// Whether day cells cannot answer it: its hits are kept in memory.
    #[must_use]
    pub fn is_traced(&self) -> bool {
        self.window.unit == Unit::Hours || self.only.is_some() || !self.then.is_empty()
    }

    /// What it asks of hits besides their categories.
    pub(crate) fn filters(&self) -> impl Iterator<Item = &Filter> {
        self.only.iter().chain(self.then.iter().filter_map(|step| step.only.as_ref()))
    }

    /// The cells whose hits it looks at.
    pub(crate) fn cells(&self) -> impl Iterator<Item = CellId> {
        std::iter::once(self.cell).chain(self.then.iter().map(|step| step.cell))
    }
}

/// What must follow in a sequence.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Step {
    pub(crate) cell: CellId,
    pub(crate) only: Option<Filter>,
    /// At most so many seconds after the hit before it, and at least one.
    pub(crate) within_s: u32,
}

/// What hits must meet besides their category; the same when it is written the same.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) text: Box<str>,
    pub(crate) rule: Arc<rule::Node>,
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Filter {}

impl Hash for Filter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// A leaf: the tally's sum is at least `least` (1 or more).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Leaf {
    /// Place of the tally in [`Plan::tallies`].
    pub tally: usize,
    /// The threshold.
    pub least: u32,
}

/// The tallies and leaves of some expressions, each once.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    tallies: Vec<TallyKey>,
    leaves: Vec<Leaf>,
    traced: Vec<usize>,
    of_cell: HashMap<CellId, Vec<usize>>,
    of_tally: Vec<Vec<usize>>,
    tally_at: HashMap<TallyKey, usize>,
    leaf_at: HashMap<Leaf, usize>,
}

impl Plan {
    /// The place of the leaf, which is added when it is new.
    pub(crate) fn leaf(&mut self, key: TallyKey, least: u32) -> usize {
        let tally = match self.tally_at.get(&key) {
            Some(at) => *at,
            None => self.add(key),
        };
        let leaf = Leaf { tally, least };
        *self.leaf_at.entry(leaf).or_insert_with(|| {
            self.leaves.push(leaf);
            self.of_tally[tally].push(self.leaves.len() - 1);
            self.leaves.len() - 1
        })
    }

    fn add(&mut self, key: TallyKey) -> usize {
        let at = self.tallies.len();
        if key.is_traced() {
            self.traced.push(at);
        } else {
            self.of_cell.entry(key.cell).or_default().push(at);
        }
        self.of_tally.push(Vec::new());
        self.tally_at.insert(key.clone(), at);
        self.tallies.push(key);
        at
    }

    /// The places of the tallies that cells cannot answer.
    pub(crate) fn traced(&self) -> impl ExactSizeIterator<Item = usize> {
        self.traced.iter().copied()
    }

    /// Every tally.
    #[must_use]
    pub fn tallies(&self) -> &[TallyKey] {
        &self.tallies
    }

    /// Every leaf.
    #[must_use]
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The place of this tally.
    pub(crate) fn find(&self, key: &TallyKey) -> Option<usize> {
        self.tally_at.get(key).copied()
    }

    /// The tallies that are sums of these cells.
    pub(crate) fn tallies_of(&self, cell: CellId) -> &[usize] {
        self.of_cell.get(&cell).map_or(&[], Vec::as_slice)
    }

    /// The leaves over this tally.
    pub(crate) fn leaves_of(&self, tally: usize) -> &[usize] {
        self.of_tally.get(tally).map_or(&[], Vec::as_slice)
    }

    /// The day cells that the tallies are sums of, when `today` is the current UTC day: for each
    /// kind of cell the days from the oldest to the newest that a window holds.
    #[must_use]
    pub fn needs(&self, today: Day) -> Vec<(CellId, RangeInclusive<Day>)> {
        let mut needs: BTreeMap<CellId, RangeInclusive<Day>> = BTreeMap::new();
        for key in self.tallies.iter().filter(|key| !key.is_traced()) {
            let days = key.window.days(today);
            let all = needs.entry(key.cell).or_insert_with(|| days.clone());
            *all = *all.start().min(days.start())..=*all.end().max(days.end());
        }
        needs.into_iter().collect()
    }

    /// The days whose hits these traced tallies look at, when `today` is the current UTC day.
    pub(crate) fn recalled(
        &self,
        tallies: impl Iterator<Item = usize>,
        today: Day,
    ) -> Option<RangeInclusive<Day>> {
        let keys = tallies.filter_map(|at| self.tallies.get(at));
        keys.map(|key| *key.window.days(today).start()).min().map(|oldest| oldest..=today)
    }

    /// The categories that leaves ask about.
    #[must_use]
    pub fn categories(&self) -> Vec<CategoryId> {
        let cells = self.tallies.iter().flat_map(TallyKey::cells);
        let mut all: Vec<_> = cells.map(|cell| cell.category).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_their_days_and_no_other() {
        for (window, oldest, newest) in [
            (Window::ago(0, 0), 100, 100),
            (Window::ago(30, 7), 70, 93),
            (Window::ago(30, 89), 11, 70),
        ] {
            assert_eq!(window.days(Day(100)), Day(oldest)..=Day(newest));
            for day in 0..120 {
                assert_eq!(window.holds(Day(day), Day(100)), (oldest..=newest).contains(&day));
            }
        }
    }

    #[test]
    fn windows_have_their_seconds() {
        let now = Day(100).first_hour().plus(5);
        let day = DAY_SECONDS;
        assert_eq!(Window::ago(0, 0).seconds(now), 100 * day..101 * day);
        assert_eq!(Window::ago(7, 30).seconds(now), 70 * day..94 * day);
        let hours = Window::hours_ago(0, 23);
        assert_eq!(hours.seconds(now), 99 * day + 6 * 3600..100 * day + 6 * 3600);
        assert_eq!(hours.days(Day(100)), Day(99)..=Day(100));
        assert_eq!(Window::hours_ago(24, 71).days(Day(100)), Day(97)..=Day(99));
    }

    #[test]
    fn equal_leaves_and_tallies_are_shared() {
        let cell = CellId { category: CategoryId(1), since: 1 };
        let key = TallyKey::of_cells(cell, Window::ago(0, 29), Measure::Visited);
        let mut plan = Plan::default();
        let mut leaf = |least| plan.leaf(key.clone(), least);
        assert_eq!([leaf(1), leaf(3), leaf(1)], [0, 1, 0]);
        plan.leaf(TallyKey { window: Window::ago(7, 60), ..key }, 1);
        assert_eq!(plan.tallies_of(cell), [0, 1]);
        assert_eq!(plan.needs(Day(100)), [(cell, Day(40)..=Day(100))]);
    }
}
