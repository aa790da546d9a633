//! Cells: the index of the hits. A cell says who had hits of a category on a day in a partition,
//! how many (0 to 255) and for how many engaged seconds (0 to 65,535); both saturate.

use std::collections::BTreeMap;

use crate::visitor::{CategoryId, Ordinal};

/// Which classification a cell was made by: a category, and the definitions version since which
/// its effective rule (its own and its descendants') has been as it is. A changed rule has a new
/// `since`, so a rebuild stands beside the old cells until all days are there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CellId {
    /// The category.
    pub category: CategoryId,
    /// The definitions version that gave it its present rule.
    pub since: u32,
}

/// One visitor in a cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CellEntry {
    /// The visitor's ordinal.
    pub ordinal: Ordinal,
    /// Hits, saturating at 255. 0 when only engagement was seen.
    pub count: u8,
    /// Engaged seconds, saturating at 65,535.
    pub seconds: u16,
}

/// A cell at rest: entries by ascending ordinal, each ordinal once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cell {
    /// Ascending by ordinal; no entry has count and seconds both 0.
    pub entries: Vec<CellEntry>,
}

impl Cell {
    /// The visitor's entry, by binary search.
    #[must_use]
    pub fn get(&self, ordinal: Ordinal) -> Option<CellEntry> {
        let at = self.entries.binary_search_by_key(&ordinal, |e| e.ordinal).ok()?;
        self.entries.get(at).copied()
    }
}

/// All cells of one partition and day.
pub type DayCells = BTreeMap<CellId, Cell>;
