//! Expressions that no segment holds: evaluated over the cells of their windows, exactly.

use std::collections::{BTreeMap, BTreeSet};

use mayfly_core::{CategoryId, Cell, CellId, Day, DayCells, Hour};
use mayfly_segments::{CellsBuilder, Compiled, Evaluation, Expression};
use mayfly_store::{Store, StoreError};
use roaring::RoaringBitmap;

use super::rebuild::Trial;
use super::slot::Slot;

/// Some categories' cells of a day: from memory where the day is there, else as they were read for
/// an earlier question, else from the store. Erased visitors may still be in them.
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
        let cells = index.day_cells(day)?;
        let of = |&category: &CategoryId| {
            cells.range(CellId { category, since: 0 }..=CellId { category, since: u32::MAX })
        };
        Some(wanted.iter().flat_map(of).map(|(id, cell)| (*id, cell.clone())).collect())
    });
    if let Some(cells) = known.flatten() {
        return Ok(cells);
    }
    match slot.kept().get(day, &wanted) {
        Ok(cells) => Ok(cells),
        Err(generation) => {
            let cells = store.cells(slot.partition(), day, Some(categories)).await?.cells;
            slot.kept().keep(generation, day, &wanted, &cells);
            Ok(cells)
        }
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

/// The members in one partition of an expression over these definitions, when `now` is the current
/// hour. `None` while a page is awaited.
///
/// # Errors
/// The store's.
pub async fn members(
    store: &Store,
    slot: &Slot,
    compiled: &Compiled,
    expression: &Expression,
    now: Hour,
) -> Result<Option<RoaringBitmap>, StoreError> {
    let today = now.day();
    let oldest = slot.retention().oldest(today);
    let mut days: BTreeMap<Day, BTreeSet<CategoryId>> = BTreeMap::new();
    for (cell, range) in expression.needs(today) {
        for day in range.start().0.max(oldest.0)..=range.end().0.min(today.0) {
            days.entry(Day(day)).or_default().insert(cell.category);
        }
    }
    let mut evaluation = Evaluation::new(expression, slot.partition(), now);
    for (day, categories) in days.into_iter().filter(|(day, _)| slot.has_hits(*day)) {
        let categories: Vec<CategoryId> = categories.into_iter().collect();
        let cells = day_cells(store, slot, day, &categories).await?;
        evaluation.add_day(day, &cells);
    }
    let mut trial = Trial::new(CellsBuilder::asking(compiled, expression));
    for day in expression.recalls(today).into_iter().flat_map(|d| d.start().0..=d.end().0).map(Day)
    {
        if slot.has_hits(day) {
            let Some(built) = trial.day(store, slot.partition(), day).await? else {
                return Ok(None);
            };
            evaluation.add_traces(built);
        }
    }
    Ok(Some(evaluation.finish() - slot.erased()))
}
