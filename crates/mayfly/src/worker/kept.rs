//! Cells that questions read from the store lately, decoded: for the next question. They are of
//! days that are not in memory, and go when their day is brought there: nobody else writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mayfly_core::{CategoryId, Cell, CellId, Day, DayCells, limits};

/// Entries that all partitions of this process keep.
static ENTRIES: AtomicUsize = AtomicUsize::new(0);

/// One partition's.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Grows whenever something is forgotten: what was read before may be of another moment.
    generation: u64,
    days: BTreeMap<Day, BTreeMap<CategoryId, Vec<(CellId, Cell)>>>,
    entries: usize,
}

impl Kept {
    /// The cells of these categories, if all are kept; else what to give to [`Kept::keep`] with
    /// what is read now.
    pub(super) fn get(&self, day: Day, wanted: &BTreeSet<CategoryId>) -> Result<DayCells, u64> {
        let Ok(state) = self.0.lock() else { return Err(u64::MAX) };
        let own = state.days.get(&day).ok_or(state.generation)?;
        let mut cells = DayCells::new();
        for category in wanted {
            cells.extend(own.get(category).ok_or(state.generation)?.iter().cloned());
        }
        Ok(cells)
    }

    /// Keeps what was read of these categories, unless something was forgotten since `generation`.
    pub(super) fn keep(
        &self,
        generation: u64,
        day: Day,
        wanted: &BTreeSet<CategoryId>,
        cells: &DayCells,
    ) {
        let Ok(mut state) = self.0.lock() else { return };
        let entries = cells.values().map(|cell| cell.entries.len() + 1).sum::<usize>();
        if ENTRIES.load(Ordering::Relaxed) + entries + wanted.len() > limits::KEPT_ENTRIES {
            state.forget_all();
            return;
        }
        if state.generation != generation {
            return;
        }
        let own = state.days.entry(day).or_default();
        let new: Vec<CategoryId> =
            wanted.iter().copied().filter(|c| !own.contains_key(c)).collect();
        let mut added = 0;
        for category in new {
            let of = cells.iter().filter(|(id, _)| id.category == category);
            let of: Vec<(CellId, Cell)> = of.map(|(id, cell)| (*id, cell.clone())).collect();
            added += size(&of);
            own.insert(category, of);
        }
        state.entries += added;
        ENTRIES.fetch_add(added, Ordering::Relaxed);
    }

    /// The day comes into memory, where it may change.
    pub(super) fn forget(&self, day: Day) {
        let Ok(mut state) = self.0.lock() else { return };
        state.generation += 1;
        let gone: usize =
            state.days.remove(&day).iter().flat_map(BTreeMap::values).map(|own| size(own)).sum();
        state.take_off(gone);
    }

    /// The memory is another one.
    pub(super) fn forget_all(&self) {
        if let Ok(mut state) = self.0.lock() {
            state.forget_all();
        }
    }
}

/// What cells of one category count for: their entries, and one for themselves.
fn size(cells: &[(CellId, Cell)]) -> usize {
    1 + cells.iter().map(|(_, cell)| cell.entries.len() + 1).sum::<usize>()
}

impl State {
    fn forget_all(&mut self) {
        self.generation += 1;
        self.days.clear();
        self.take_off(self.entries);
    }

    fn take_off(&mut self, entries: usize) {
        self.entries -= entries;
        ENTRIES.fetch_sub(entries, Ordering::Relaxed);
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.take_off(self.entries);
    }
}

#[cfg(test)]
mod tests {
    use mayfly_core::CellEntry;

    use super::*;

    #[test]
    fn what_is_kept_goes_with_its_day_and_is_never_older_than_what_was_forgotten() {
        let kept = Kept::default();
        let id = CellId { category: CategoryId(7), since: 1 };
        let cell = Cell { entries: vec![CellEntry { ordinal: 3, count: 1, seconds: 0 }] };
        let cells = DayCells::from([(id, cell)]);
        let wanted = BTreeSet::from([CategoryId(7), CategoryId(8)]);
        let generation = kept.get(Day(1), &wanted).unwrap_err();
        kept.keep(generation, Day(1), &wanted, &cells);
        assert_eq!(kept.get(Day(1), &wanted), Ok(cells.clone()), "8 has none, and that is known");
        assert!(kept.get(Day(2), &wanted).is_err());
        assert!(kept.get(Day(1), &BTreeSet::from([CategoryId(9)])).is_err());
        let before = kept.get(Day(2), &wanted).unwrap_err();
        kept.forget(Day(1));
        assert!(kept.get(Day(1), &wanted).is_err());
        kept.keep(before, Day(2), &wanted, &cells);
        assert!(kept.get(Day(2), &wanted).is_err(), "it was read before something changed");
        let now = kept.get(Day(2), &wanted).unwrap_err();
        kept.keep(now, Day(2), &wanted, &cells);
        assert!(kept.get(Day(2), &wanted).is_ok());
        kept.forget_all();
        assert!(kept.get(Day(2), &wanted).is_err());
        assert_eq!(kept.0.lock().unwrap().entries, 0);
    }
}
