//! Expressions that no segment holds: evaluated over the cells of their windows, exactly.

use std::collections::{BTreeMap, BTreeSet};

use mayfly_core::{CategoryId, Cell, CellId, Day, DayCells};
use mayfly_segments::{Evaluation, Expression};
use mayfly_store::{Store, StoreError};
use roaring::RoaringBitmap;

use super::slot::Slot;

/// Some categories' cells of a day: from memory where the day is there, else from the store.
///
/// # Errors
/// The store's.
pub async fn day_cells(
    store: &Store,
    slot: &Slot,
    day: Day,
    categories: &[CategoryId],
) -> Result<DayCells, StoreError> {
    let wanted: BTreeSet<CategoryId> = categories.iter().copied().collect();
    let known = slot.write(|index| {
        let cells = index.day_cells(day)?.iter().filter(|(id, _)| wanted.contains(&id.category));
        Some(cells.map(|(id, cell)| (*id, cell.clone())).collect())
    });
    match known.flatten() {
        Some(cells) => Ok(cells),
        None => Ok(store.cells(slot.partition(), day, Some(categories)).await?.cells),
    }
}

/// Visitors with hits, by category.
#[derive(Debug, Default)]
pub struct Visitors(pub BTreeMap<CategoryId, RoaringBitmap>);

impl Visitors {
    /// Adds those of a day's cells.
    pub fn add(&mut self, cells: impl IntoIterator<Item = (CellId, Cell)>) {
        for (id, cell) in cells {
            let with_hits = cell.entries.iter().filter(|e| e.count > 0).map(|e| e.ordinal);
            *self.0.entry(id.category).or_default() |= with_hits.collect::<RoaringBitmap>();
        }
    }
}

/// The members of an expression in one partition on `today`.
///
/// # Errors
/// The store's.
pub async fn members(
    store: &Store,
    slot: &Slot,
    expression: &Expression,
    today: Day,
) -> Result<RoaringBitmap, StoreError> {
    let oldest = slot.retention().oldest(today);
    let mut days: BTreeMap<Day, BTreeSet<CategoryId>> = BTreeMap::new();
    for (cell, range) in expression.needs(today) {
        for day in range.start().0.max(oldest.0)..=range.end().0.min(today.0) {
            days.entry(Day(day)).or_default().insert(cell.category);
        }
    }
    let mut evaluation = Evaluation::new(expression, slot.partition(), today);
    for (day, categories) in days.into_iter().filter(|(day, _)| slot.has_hits(*day)) {
        let categories: Vec<CategoryId> = categories.into_iter().collect();
        let cells = day_cells(store, slot, day, &categories).await?;
        evaluation.add_day(day, &cells);
    }
    Ok(evaluation.finish() - slot.erased())
}
