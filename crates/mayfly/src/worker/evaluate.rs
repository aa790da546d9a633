//! Expressions that no segment holds: evaluated over the cells of their windows, exactly.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use mayfly_core::{CategoryId, Cell, CellId, Day, DayCells, Hour};
use mayfly_segments::{CellsBuilder, Compiled, Evaluation, Expression};
use mayfly_store::{Store, StoreError};
use roaring::RoaringBitmap;

use super::rebuild::Trial;
use super::slot::Slot;

/// Days whose cells a question holds in memory at once.
const DAYS_AT_ONCE: usize = 16;

/// Some categories' cells of a day. Erased visitors may still be in them.
///
/// # Errors
/// The store's.
pub async fn day_cells(
    store: &Store,
    slot: &Slot,
    day: Day,
    categories: &[CategoryId],
) -> Result<DayCells, StoreError> {
    let wanted = BTreeMap::from([(day, categories.to_vec())]);
    Ok(cells_of_days(store, slot, wanted).await?.remove(&day).unwrap_or_default())
}

/// Some categories' cells of several days: each from memory where the day is there, else as they
/// were read for an earlier question, else from the store. Erased visitors may still be in them.
///
/// # Errors
/// The store's.
pub async fn cells_of_days(
    store: &Store,
    slot: &Slot,
    wanted: BTreeMap<Day, Vec<CategoryId>>,
) -> Result<BTreeMap<Day, DayCells>, StoreError> {
    let generation = slot.kept().generation();
    let mut found = BTreeMap::new();
    let mut missing = BTreeMap::new();
    for (day, categories) in wanted {
        let own = categories.iter().copied().collect();
        match in_memory(slot, day, &own).or_else(|| slot.kept().get(day, &own)) {
            Some(cells) => drop(found.insert(day, cells)),
            None => drop(missing.insert(day, categories)),
        }
    }
    if !missing.is_empty() {
        let read = store.cells_of_days(slot.partition(), &missing).await?;
        for (day, cells) in &read {
            let own = missing.get(day).into_iter().flatten().copied().collect();
            slot.kept().keep(generation, *day, &own, cells);
        }
        found.extend(read);
    }
    Ok(found)
}

/// Some categories' cells of a day that is in memory.
fn in_memory(slot: &Slot, day: Day, wanted: &BTreeSet<CategoryId>) -> Option<DayCells> {
    let read = slot.write(|index| {
        let cells = index.day_cells(day)?;
        let of = |&category: &CategoryId| {
            cells.range(CellId { category, since: 0 }..=CellId { category, since: u32::MAX })
        };
        Some(wanted.iter().flat_map(of).map(|(id, cell)| (*id, cell.clone())).collect())
    });
    read.flatten()
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

/// How many members an expression without traces had in one partition at the end of each of these
/// days, by the rules of now, and of the visitors that are still there; `but` are left out.
///
/// # Errors
/// The store's.
pub async fn sizes(
    store: &Store,
    slot: &Slot,
    expression: &Expression,
    days: RangeInclusive<Day>,
    but: &RoaringBitmap,
) -> Result<Vec<u64>, StoreError> {
    let (first, last) = (*days.start(), *days.end());
    let end = |day: Day| day.first_hour().plus(23);
    let mut evaluation = Evaluation::new(expression, slot.partition(), end(first));
    let mut needed: BTreeMap<Day, Vec<CategoryId>> = BTreeMap::new();
    for today in (first.0..=last.0).map(Day) {
        for (day, categories) in days_of(slot, &evaluation, today, |_, _| true) {
            needed.entry(day).or_default().extend(categories);
        }
    }
    let cells = cells_of_days(store, slot, needed).await?;
    cells.iter().for_each(|(day, cells)| evaluation.add_day(*day, cells));
    let mut sizes = Vec::new();
    for day in (first.0..=last.0).map(Day) {
        evaluation.turn(end(day), &cells);
        sizes.push((evaluation.members() - but).len());
        tokio::task::yield_now().await;
    }
    Ok(sizes)
}

/// On which day each of some members of an expression without traces is one no more, if no more
/// hits come; nobody for whom that is later than `last`.
///
/// # Errors
/// The store's.
pub async fn lapses(
    store: &Store,
    slot: &Slot,
    expression: &Expression,
    (now, last): (Hour, Day),
    of: &RoaringBitmap,
) -> Result<BTreeMap<Day, RoaringBitmap>, StoreError> {
    let mut evaluation = Evaluation::new(expression, slot.partition(), now);
    let mut needed: BTreeMap<Day, BTreeSet<CategoryId>> = BTreeMap::new();
    for today in (now.day().0..=last.0).map(Day) {
        for (day, categories) in days_of(slot, &evaluation, today, |_, _| true) {
            needed.entry(day).or_default().extend(categories);
        }
    }
    let needed = needed.into_iter().map(|(day, own)| (day, own.into_iter().collect()));
    let cells = cells_of_days(store, slot, needed.collect()).await?;
    cells.iter().for_each(|(day, cells)| evaluation.add_day(*day, cells));
    let (mut left, mut days) = (of.clone(), BTreeMap::new());
    for day in (now.day().0.saturating_add(1)..=last.0).map(Day) {
        evaluation.turn(day.first_hour(), &cells);
        let stay = evaluation.members();
        let gone = &left - &stay;
        if !gone.is_empty() {
            days.insert(day, gone);
        }
        left &= stay;
        if left.is_empty() {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(days)
}

/// The members in one partition of an expression over these definitions, when `now` is the current
/// hour. `None` while a page is awaited.
///
/// What segments sum up as well is taken from memory, and what an earlier question summed up from
/// there; the rest is read.
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
    let mut evaluation = Evaluation::new(expression, slot.partition(), now);
    let generation = slot.kept().generation();
    let open = take_live(slot, &mut evaluation, now);
    let mut unknown = BTreeSet::new();
    for (at, key) in evaluation.keys().iter().enumerate() {
        if evaluation.is_whole(at) || key.is_traced() {
            continue;
        }
        match slot.kept().sums(key, today, &open) {
            Some(sums) => evaluation.begin_with(at, sums),
            None => drop(unknown.insert(at)),
        }
    }
    let closed =
        days_of(slot, &evaluation, today, |at, day| unknown.contains(&at) && !open.contains(&day));
    let mut closed = closed.into_iter().peekable();
    while closed.peek().is_some() {
        let some = closed.by_ref().take(DAYS_AT_ONCE).collect();
        for (day, cells) in cells_of_days(store, slot, some).await? {
            evaluation.add_day_at(day, &cells, |at| unknown.contains(&at));
        }
    }
    for at in unknown {
        if let (Some(key), Some(sums)) = (evaluation.keys().get(at), evaluation.sums(at)) {
            slot.kept().keep_sums(generation, key, (today, &open), sums);
        }
    }
    let opened = days_of(slot, &evaluation, today, |_, day| open.contains(&day));
    for (day, cells) in cells_of_days(store, slot, opened).await? {
        evaluation.add_day(day, &cells);
    }
    if !add_traces(store, slot, compiled, expression, &mut evaluation, today).await? {
        return Ok(None);
    }
    Ok(Some(evaluation.finish() - slot.erased()))
}

/// Takes the sums that segments ask for, too; answers the days that are in memory.
fn take_live(slot: &Slot, evaluation: &mut Evaluation<'_>, now: Hour) -> BTreeSet<Day> {
    let read = slot.read(|index| {
        for (at, key) in evaluation.keys().iter().enumerate() {
            if let Some(sums) = index.sums(key, now) {
                evaluation.take_whole(at, sums);
            }
        }
        index.days().collect()
    });
    read.unwrap_or_default()
}

/// The days with hits, and their categories, that are to be added at some places.
fn days_of(
    slot: &Slot,
    evaluation: &Evaluation<'_>,
    today: Day,
    is_wanted: impl Fn(usize, Day) -> bool,
) -> BTreeMap<Day, Vec<CategoryId>> {
    let mut days: BTreeMap<Day, BTreeSet<CategoryId>> = BTreeMap::new();
    let oldest = slot.retention().oldest(today);
    for (at, key) in evaluation.keys().iter().enumerate() {
        if evaluation.is_whole(at) || key.is_traced() {
            continue;
        }
        let range = key.window.days(today);
        for day in (range.start().0.max(oldest.0)..=range.end().0.min(today.0)).map(Day) {
            if slot.has_hits(day) && is_wanted(at, day) {
                days.entry(day).or_default().insert(key.cell.category);
            }
        }
    }
    days.into_iter().map(|(day, own)| (day, own.into_iter().collect())).collect()
}

/// Adds what looks at hits themselves, unless all of it is known; `false` while a page is awaited.
async fn add_traces(
    store: &Store,
    slot: &Slot,
    compiled: &Compiled,
    expression: &Expression,
    evaluation: &mut Evaluation<'_>,
    today: Day,
) -> Result<bool, StoreError> {
    let mut keys = evaluation.keys().iter().enumerate();
    if keys.all(|(at, key)| !key.is_traced() || evaluation.is_whole(at)) {
        return Ok(true);
    }
    let mut trial = Trial::new(CellsBuilder::asking(compiled, expression));
    for day in expression.recalls(today).into_iter().flat_map(|d| d.start().0..=d.end().0).map(Day)
    {
        if slot.has_hits(day) {
            let Some(built) = trial.day(store, slot.partition(), day).await? else {
                return Ok(false);
            };
            evaluation.add_traces(built);
        }
    }
    Ok(true)
}
