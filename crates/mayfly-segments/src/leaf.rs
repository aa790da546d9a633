//! Leaves: what an expression asks about one category, and the plan that shares them.
//!
//! Every comparison comes down to "the sum over a window is at least n", alone or negated. Leaves
//! with the same category, window and measure share one tally, whatever their thresholds.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use mayfly_core::{CategoryId, CellId, Day};

/// Days counted back from the current UTC day (0 = today), both ends included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Window {
    newest: u16,
    oldest: u16,
}

impl Window {
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
        if a <= b { Self { newest: a, oldest: b } } else { Self { newest: b, oldest: a } }
    }

    /// Its ends in days ago: the newest, the oldest.
    pub(crate) const fn ends(self) -> (u16, u16) {
        (self.newest, self.oldest)
    }

    /// Its days when `today` is the current UTC day.
    #[must_use]
    pub fn days(self, today: Day) -> RangeInclusive<Day> {
        today.minus(self.oldest)..=today.minus(self.newest)
    }

    /// Whether it holds `day` when `today` is the current UTC day.
    #[must_use]
    pub fn holds(self, day: Day, today: Day) -> bool {
        let ago = i32::from(today.0) - i32::from(day.0);
        (i32::from(self.newest)..=i32::from(self.oldest)).contains(&ago)
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TallyKey {
    /// Of which cells.
    pub cell: CellId,
    /// Over which days.
    pub window: Window,
    /// What.
    pub measure: Measure,
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
    of_cell: HashMap<CellId, Vec<usize>>,
    of_tally: Vec<Vec<usize>>,
    tally_at: HashMap<TallyKey, usize>,
    leaf_at: HashMap<Leaf, usize>,
}

impl Plan {
    /// The place of the leaf, which is added when it is new.
    pub(crate) fn leaf(&mut self, key: TallyKey, least: u32) -> usize {
        let tally = *self.tally_at.entry(key).or_insert_with(|| {
            self.tallies.push(key);
            self.of_tally.push(Vec::new());
            self.of_cell.entry(key.cell).or_default().push(self.tallies.len() - 1);
            self.tallies.len() - 1
        });
        let leaf = Leaf { tally, least };
        *self.leaf_at.entry(leaf).or_insert_with(|| {
            self.leaves.push(leaf);
            self.of_tally[tally].push(self.leaves.len() - 1);
            self.leaves.len() - 1
        })
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

    /// The tallies over these cells.
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
        for key in &self.tallies {
            let days = key.window.days(today);
            let all = needs.entry(key.cell).or_insert_with(|| days.clone());
            *all = *all.start().min(days.start())..=*all.end().max(days.end());
        }
        needs.into_iter().collect()
    }

    /// The categories that leaves ask about.
    #[must_use]
    pub fn categories(&self) -> Vec<CategoryId> {
        let mut all: Vec<_> = self.tallies.iter().map(|key| key.cell.category).collect();
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
    fn equal_leaves_and_tallies_are_shared() {
        let cell = CellId { category: CategoryId(1), since: 1 };
        let key = TallyKey { cell, window: Window::ago(0, 29), measure: Measure::Visited };
        let mut plan = Plan::default();
        assert_eq!([plan.leaf(key, 1), plan.leaf(key, 3), plan.leaf(key, 1)], [0, 1, 0]);
        plan.leaf(TallyKey { window: Window::ago(7, 60), ..key }, 1);
        assert_eq!(plan.tallies_of(cell), [0, 1]);
        assert_eq!(plan.needs(Day(100)), [(cell, Day(40)..=Day(100))]);
    }
}
