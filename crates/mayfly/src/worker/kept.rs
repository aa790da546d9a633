//! What questions read from the store lately, for the next question: cells, decoded, and the sums
//! that were made of them. They are of days that are not in memory, and go when their day is
//! brought there: nobody else writes them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mayfly_core::{CategoryId, Cell, CellId, Day, DayCells, limits};
use mayfly_segments::{Tally, TallyKey};

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
    sums: HashMap<TallyKey, Sums>,
    entries: usize,
}

/// Sums over the days of a window that are not in memory.
#[derive(Debug)]
struct Sums {
    today: Day,
    /// The days that are in memory, and not in the sums.
    open: BTreeSet<Day>,
    tally: Tally,
}

/// Bytes that count as one entry.
const ENTRY_BYTES: usize = 8;

impl Kept {
    /// The cells of these categories, if all are kept.
    pub(super) fn get(&self, day: Day, wanted: &BTreeSet<CategoryId>) -> Option<DayCells> {
        let state = self.0.lock().ok()?;
        let own = state.days.get(&day)?;
        let mut cells = DayCells::new();
        for category in wanted {
            cells.extend(own.get(category)?.iter().cloned());
        }
        Some(cells)
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

    /// Grows whenever something is forgotten: to be asked before what is to be kept is read.
    pub(super) fn generation(&self) -> u64 {
        self.0.lock().map_or(u64::MAX, |state| state.generation)
    }

    /// The sums of a key on this day over all days of its window but those that are in memory.
    pub(super) fn sums(&self, key: &TallyKey, today: Day, open: &BTreeSet<Day>) -> Option<Tally> {
        let state = self.0.lock().ok()?;
        let own = state.sums.get(key).filter(|own| own.today == today && own.open == *open)?;
        Some(own.tally.clone())
    }

    /// Keeps such sums, unless something was forgotten since `generation`.
    pub(super) fn keep_sums(
        &self,
        generation: u64,
        key: &TallyKey,
        (today, open): (Day, &BTreeSet<Day>),
        tally: &Tally,
    ) {
        let Ok(mut state) = self.0.lock() else { return };
        let entries = tally.bytes() / ENTRY_BYTES + 1;
        if ENTRIES.load(Ordering::Relaxed) + entries > limits::KEPT_ENTRIES {
            state.forget_all();
            return;
        }
        if state.generation != generation {
            return;
        }
        let own = Sums { today, open: open.clone(), tally: tally.clone() };
        let before = state.sums.insert(key.clone(), own);
        state.take_off(before.map_or(0, |own| own.entries()));
        state.entries += entries;
        ENTRIES.fetch_add(entries, Ordering::Relaxed);
    }

    /// The day comes into memory, where it may change.
    pub(super) fn forget(&self, day: Day) {
        let Ok(mut state) = self.0.lock() else { return };
        state.generation += 1;
        let gone: usize =
            state.days.remove(&day).iter().flat_map(BTreeMap::values).map(|own| size(own)).sum();
        let sums: usize = state.sums.drain().map(|(_, own)| own.entries()).sum();
        state.take_off(gone + sums);
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

impl Sums {
    fn entries(&self) -> usize {
        self.tally.bytes() / ENTRY_BYTES + 1
    }
}

impl State {
    fn forget_all(&mut self) {
        self.generation += 1;
        self.days.clear();
        self.sums.clear();
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
    use mayfly_segments::{Measure, Window};

    use super::*;

    #[test]
    fn what_is_kept_goes_with_its_day_and_is_never_older_than_what_was_forgotten() {
        let kept = Kept::default();
        let id = CellId { category: CategoryId(7), since: 1 };
        let cell = Cell { entries: vec![CellEntry { ordinal: 3, count: 1, seconds: 0 }] };
        let cells = DayCells::from([(id, cell)]);
        let wanted = BTreeSet::from([CategoryId(7), CategoryId(8)]);
        kept.keep(kept.generation(), Day(1), &wanted, &cells);
        assert_eq!(kept.get(Day(1), &wanted), Some(cells.clone()), "8 has none, and that is known");
        assert!(kept.get(Day(2), &wanted).is_none());
        assert!(kept.get(Day(1), &BTreeSet::from([CategoryId(9)])).is_none());
        let before = kept.generation();
        kept.forget(Day(1));
        assert!(kept.get(Day(1), &wanted).is_none());
        kept.keep(before, Day(2), &wanted, &cells);
        assert!(kept.get(Day(2), &wanted).is_none(), "it was read before something changed");
        kept.keep(kept.generation(), Day(2), &wanted, &cells);
        assert!(kept.get(Day(2), &wanted).is_some());
        let window = Window::ago(0, 29);
        let key = TallyKey::of_cells(id, window, Measure::Visited);
        let (open, mut tally) = (BTreeSet::from([Day(9), Day(10)]), Tally::new(Measure::Visited));
        tally.set(3, 7);
        kept.keep_sums(kept.generation(), &key, (Day(10), &open), &tally);
        let found = kept.sums(&key, Day(10), &open).map(|tally| tally.get(3));
        assert_eq!(found, Some(7));
        assert!(kept.sums(&key, Day(11), &open).is_none(), "another window");
        assert!(kept.sums(&key, Day(10), &BTreeSet::from([Day(10)])).is_none(), "one is missing");
        let before = kept.generation();
        kept.forget(Day(1));
        assert!(kept.sums(&key, Day(10), &open).is_none());
        kept.keep_sums(before, &key, (Day(10), &open), &tally);
        assert!(kept.sums(&key, Day(10), &open).is_none(), "it was summed up before");
        kept.keep_sums(kept.generation(), &key, (Day(10), &open), &tally);
        kept.keep_sums(kept.generation(), &key, (Day(10), &open), &tally);
        kept.forget_all();
        assert!(kept.get(Day(2), &wanted).is_none());
        assert_eq!(kept.0.lock().unwrap().entries, 0);
    }
}
