//! One day's cells in memory, open for more hits; and cells built from hits alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mayfly_core::{CategoryId, Cell, CellEntry, CellId, DayCells, Event, Hit, Ordinal, Page};
use roaring::RoaringBitmap;

use super::switch::Preparation;
use crate::classify::{Classifier, PageMemo};
use crate::compiled::Compiled;
use crate::expr::Expression;
use crate::trace::{Trace, Tracer};

/// What a hit adds to its categories: hits and seconds. Engagement adds seconds, never a hit.
pub(super) fn adds(hit: &Hit) -> (u8, u16) {
    (u8::from(hit.event != Event::Engagement), hit.engaged_s)
}

/// By how much a visitor's entry really changed: count and seconds saturate.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Changed {
    pub(super) count: i32,
    pub(super) seconds: i32,
    /// 1 for the first hit of the day, -1 when none is left.
    pub(super) days: i32,
}

impl Changed {
    fn between(before: CellEntry, after: CellEntry) -> Self {
        Self {
            count: i32::from(after.count) - i32::from(before.count),
            seconds: i32::from(after.seconds) - i32::from(before.seconds),
            days: i32::from(after.count > 0) - i32::from(before.count > 0),
        }
    }
}

/// Entries up to which a new visitor is put into the sorted list at once.
const SHORT: usize = 4096;

/// A day's cells. New visitors of long cells wait in `fresh`, so that no hit moves megabytes.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenDay {
    cells: DayCells,
    fresh: HashMap<CellId, BTreeMap<Ordinal, CellEntry>>,
    /// Cells with entries that were emptied: those go when the cells are settled.
    emptied: BTreeSet<CellId>,
    changed: BTreeSet<CategoryId>,
    dirty_bytes: usize,
}

impl OpenDay {
    pub(super) fn new(cells: DayCells) -> Self {
        Self { cells, ..Self::default() }
    }

    /// Notes a hit in its visitor's entry: adds to it, or empties it where the hit takes back.
    pub(super) fn note(&mut self, cell: CellId, hit: &Hit) -> Changed {
        let ordinal = hit.visitor.ordinal;
        let takes_back = hit.takes_back();
        if takes_back && self.entry_of(cell, ordinal).is_none() {
            return Changed::default();
        }
        self.mark(cell.category, 1);
        let entry = self.entry(cell, ordinal);
        let before = *entry;
        let (count, seconds) = adds(hit);
        *entry = match takes_back {
            true => CellEntry { ordinal, count: 0, seconds: 0 },
            // What is said twice on a day is said.
            false if hit.is_declared() => CellEntry { ordinal, count: 1, seconds: 0 },
            false => CellEntry {
                ordinal,
                count: before.count.saturating_add(count),
                seconds: before.seconds.saturating_add(seconds),
            },
        };
        let changed = Changed::between(before, *entry);
        if takes_back {
            self.emptied.insert(cell);
        }
        self.fit(cell);
        changed
    }

    /// The visitor's entry, empty when it is new.
    fn entry(&mut self, cell: CellId, ordinal: Ordinal) -> &mut CellEntry {
        let new = CellEntry { ordinal, count: 0, seconds: 0 };
        let entries = &mut self.cells.entry(cell).or_default().entries;
        let at = match entries.last() {
            Some(last) if last.ordinal >= ordinal => {
                match entries.binary_search_by_key(&ordinal, |e| e.ordinal) {
                    Ok(at) => return &mut entries[at],
                    Err(at) => at,
                }
            }
            // Nothing after the last entry waits in `fresh`: what waits there was before it.
            Some(_) | None => entries.len(),
        };
        if at == entries.len() || entries.len() < SHORT {
            entries.insert(at, new);
            return &mut entries[at];
        }
        self.fresh.entry(cell).or_default().entry(ordinal).or_insert(new)
    }

    /// The visitor's entry, if there is one.
    pub(super) fn entry_of(&self, cell: CellId, ordinal: Ordinal) -> Option<CellEntry> {
        let sorted = self.cells.get(&cell).and_then(|cell| {
            let at = cell.entries.binary_search_by_key(&ordinal, |e| e.ordinal).ok()?;
            cell.entries.get(at)
        });
        sorted.or_else(|| self.fresh.get(&cell)?.get(&ordinal)).copied()
    }

    /// Sorts the waiting entries in when they have become many.
    fn fit(&mut self, cell: CellId) {
        let Some(fresh) = self.fresh.get(&cell) else { return };
        let entries = self.cells.get(&cell).map_or(0, |cell| cell.entries.len());
        if fresh.len() > entries / 8 {
            self.sort_in(cell);
        }
    }

    fn sort_in(&mut self, cell: CellId) {
        let Some(fresh) = self.fresh.remove(&cell) else { return };
        let entries = &mut self.cells.entry(cell).or_default().entries;
        entries.extend(fresh.into_values());
        entries.sort_by_key(|e| e.ordinal); // two runs: merged in linear time
    }

    /// All cells, sorted.
    pub(super) fn settle(&mut self) -> &DayCells {
        let waiting: Vec<CellId> = self.fresh.keys().copied().collect();
        waiting.into_iter().for_each(|cell| self.sort_in(cell));
        for id in std::mem::take(&mut self.emptied) {
            let Some(cell) = self.cells.get_mut(&id) else { continue };
            cell.entries.retain(|entry| (entry.count, entry.seconds) != (0, 0));
            if cell.entries.is_empty() {
                self.cells.remove(&id);
            }
        }
        &self.cells
    }

    /// The cells, as of the last [`OpenDay::settle`].
    pub(super) fn settled(&self) -> &DayCells {
        debug_assert!(self.fresh.is_empty() && self.emptied.is_empty());
        &self.cells
    }

    /// All cells, sorted; the day is given up.
    pub(super) fn into_cells(mut self) -> DayCells {
        self.settle();
        self.cells
    }

    /// Puts a whole cell in the place of what was there.
    pub(super) fn replace(&mut self, id: CellId, cell: Cell) {
        self.mark(id.category, cell.entries.len());
        self.fresh.remove(&id);
        if cell.entries.is_empty() {
            self.cells.remove(&id);
        } else {
            self.cells.insert(id, cell);
        }
    }

    /// Keeps only cells that `known` says are still of use.
    pub(super) fn retain(&mut self, known: impl Fn(CellId) -> bool) {
        let unknown: Vec<CellId> = self.cells.keys().copied().filter(|c| !known(*c)).collect();
        unknown.into_iter().for_each(|cell| self.replace(cell, Cell::default()));
    }

    /// Takes visitors out of all cells.
    pub(super) fn remove(&mut self, gone: &RoaringBitmap) {
        self.settle();
        let mut changed = Vec::new();
        for (id, cell) in &mut self.cells {
            let before = cell.entries.len();
            cell.entries.retain(|e| !gone.contains(e.ordinal));
            if cell.entries.len() < before {
                changed.push(id.category);
            }
        }
        self.cells.retain(|_, cell| !cell.entries.is_empty());
        changed.into_iter().for_each(|category| self.mark(category, 1));
    }

    fn mark(&mut self, category: CategoryId, entries: usize) {
        self.changed.insert(category);
        self.dirty_bytes += entries * size_of::<CellEntry>();
    }

    pub(super) fn changed(&self) -> &BTreeSet<CategoryId> {
        &self.changed
    }

    pub(super) fn clear_changed(&mut self) {
        self.changed.clear();
        self.dirty_bytes = 0;
    }

    pub(super) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }
}

/// What a day's hits give: cells, and the hits that traced tallies keep.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// The cells.
    pub cells: DayCells,
    pub(crate) traces: BTreeMap<usize, Trace>,
}

/// Builds the cells of some categories of one day from the day's hits: a rebuild. Finds the hits
/// of traced tallies on the same way.
///
/// Hits may come page by page, in any order; the result is that of folding them one by one.
#[derive(Debug)]
pub struct CellsBuilder {
    classifier: Classifier,
    memo: PageMemo,
    names: HashMap<CategoryId, CellId>,
    fill: BTreeSet<CellId>,
    tracer: Tracer,
    day: OpenDay,
    traces: BTreeMap<usize, Trace>,
    categories: Vec<CategoryId>,
}

impl CellsBuilder {
    /// A builder of these cells under these definitions; cells that they do not know are never
    /// filled.
    #[must_use]
    pub fn new(compiled: &Compiled, cells: &BTreeSet<CellId>) -> Self {
        Self::with(compiled, cells, Tracer::default())
    }

    /// A builder of what a change to these definitions needs.
    #[must_use]
    pub fn preparing(compiled: &Compiled, preparation: &Preparation) -> Self {
        let tracer = Tracer::new(compiled.plan(), preparation.traced.iter().copied());
        Self::with(compiled, &preparation.fill, tracer)
    }

    /// A builder of these cells, and of the traces that `before` does not have.
    #[must_use]
    pub fn following(compiled: &Compiled, before: &Compiled, cells: &BTreeSet<CellId>) -> Self {
        let traced = compiled.new_traces(before);
        Self::with(compiled, cells, Tracer::new(compiled.plan(), traced.into_iter()))
    }

    /// A builder of the traces that an index begins with: see [`super::Index::recall`].
    #[must_use]
    pub fn recalling(compiled: &Compiled) -> Self {
        let tracer = Tracer::new(compiled.plan(), compiled.plan().traced());
        Self::with(compiled, &BTreeSet::new(), tracer)
    }

    /// A builder of the traces that an expression by itself asks for.
    #[must_use]
    pub fn asking(compiled: &Compiled, expression: &Expression) -> Self {
        let tracer = Tracer::new(&expression.plan, expression.plan.traced());
        Self::with(compiled, &BTreeSet::new(), tracer)
    }

    fn with(compiled: &Compiled, cells: &BTreeSet<CellId>, tracer: Tracer) -> Self {
        let fill: BTreeSet<_> = cells.iter().copied().filter(|c| compiled.knows(*c)).collect();
        let asked = fill.iter().map(|cell| cell.category).chain(tracer.categories()).collect();
        let classifier = compiled.classifier().restrict(&asked);
        let names = asked.into_iter().filter_map(|id| Some((id, compiled.cell(id)?))).collect();
        let (memo, day) = (PageMemo::default(), OpenDay::default());
        let (traces, categories) = (BTreeMap::new(), Vec::new());
        Self { classifier, memo, names, fill, tracer, day, traces, categories }
    }

    /// Adds hits of the day, each with its page (an empty one when it has none).
    pub fn add(&mut self, hits: &[(&Hit, &Page)]) {
        for (hit, page) in hits {
            if adds(hit) == (0, 0) {
                continue;
            }
            self.classifier.classify(&mut self.memo, hit, page, &mut self.categories);
            let ordinal = hit.visitor.ordinal;
            let cells = self.categories.iter().filter_map(|id| self.names.get(id)).copied();
            for cell in cells.clone().filter(|cell| self.fill.contains(cell)) {
                self.day.note(cell, hit);
            }
            if !self.tracer.is_empty() {
                for (at, seen) in self.tracer.find(cells, &self.classifier, (hit, page)) {
                    self.traces.entry(at).or_default().note(ordinal, seen);
                }
            }
        }
    }

    /// What was built so far; the builder is then empty, and remembers pages for the next day.
    pub fn finish(&mut self) -> Built {
        let cells = std::mem::take(&mut self.day).into_cells();
        Built { cells, traces: std::mem::take(&mut self.traces) }
    }
}
