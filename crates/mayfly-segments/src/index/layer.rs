//! One version of the definitions at work: its tallies, and how they grow and slide.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use mayfly_core::{Cell, CellId, Day, DayCells, Hit, Hour, Ordinal, Page, Partition, Visitor};
use roaring::RoaringBitmap;

use super::day::Changed;
use crate::classify::{Classifier, PageMemo};
use crate::compiled::Compiled;
use crate::evaluate;
use crate::leaf::{Measure, TallyKey, Unit};
use crate::tally::Tally;
use crate::trace::{Trace, Tracer};

/// Definitions, their tallies, and what is remembered of pages under them.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) compiled: Arc<Compiled>,
    pub(super) memo: PageMemo,
    pub(super) tallies: Vec<Tally>,
    tracer: Tracer,
    /// By tally.
    traces: BTreeMap<usize, Trace>,
    /// The days whose hits are in the traces; `None` = all.
    days: Option<BTreeSet<Day>>,
}

/// A day that enters or leaves a tally's window.
pub(super) struct Slide {
    pub(super) tally: usize,
    pub(super) cell: CellId,
    pub(super) day: Day,
    pub(super) enters: bool,
}

impl Layer {
    pub(super) fn new(compiled: Arc<Compiled>) -> Self {
        let traced: Vec<usize> = compiled.plan().traced().collect();
        Self::tracing(compiled, &traced)
    }

    /// With traces of these tallies alone.
    fn tracing(compiled: Arc<Compiled>, traced: &[usize]) -> Self {
        let tallies = evaluate::empty(compiled.plan());
        let tracer = Tracer::new(compiled.plan(), traced.iter().copied());
        let days = (!tracer.is_empty()).then(BTreeSet::new);
        let (memo, traces) = (PageMemo::default(), BTreeMap::new());
        Self { compiled, memo, tallies, tracer, traces, days }
    }

    /// The sums of a key; none of hits that are still being read.
    pub(super) fn sums(&self, key: &TallyKey) -> Option<&Tally> {
        let at = self.compiled.plan().find(key)?;
        if key.is_traced() && self.days.is_some() { None } else { self.tallies.get(at) }
    }

    /// The tallies that are sums of cells, with their keys.
    pub(super) fn tallies_mut(&mut self) -> impl Iterator<Item = (usize, &TallyKey, &mut Tally)> {
        let keys = self.compiled.plan().tallies().iter().enumerate();
        let all = keys.zip(&mut self.tallies).map(|((at, key), tally)| (at, key, tally));
        all.filter(|(_, key, _)| !key.is_traced())
    }

    /// Adds a day's cells to the tallies whose window holds it.
    pub(super) fn add_day(&mut self, day: Day, today: Day, cells: &DayCells) {
        for (_, key, tally) in self.tallies_mut() {
            if key.window.holds(day, today)
                && let Some(cell) = cells.get(&key.cell)
            {
                tally.add(cell);
            }
        }
    }

    /// A visitor's entry in a cell changed; `touched` gets the segments above leaves that flipped.
    pub(super) fn shift(
        &mut self,
        cell: CellId,
        (day, today): (Day, Day),
        ordinal: Ordinal,
        changed: Changed,
        touched: &mut Vec<usize>,
    ) {
        let plan = self.compiled.plan();
        for at in plan.tallies_of(cell) {
            let (Some(key), Some(tally)) = (plan.tallies().get(*at), self.tallies.get_mut(*at))
            else {
                continue;
            };
            if !key.window.holds(day, today) {
                continue;
            }
            let by = match key.measure {
                Measure::Visited => changed.count,
                Measure::Engaged => changed.seconds,
                Measure::Days => changed.days,
            };
            let (before, after) = tally.shift(ordinal, by);
            for leaf in flipped(&self.compiled, *at, before, after) {
                touched.extend_from_slice(self.compiled.above(leaf));
            }
        }
    }

    /// The days that enter or leave windows when the current day goes from `from` to `to`.
    pub(super) fn slides(&self, from: Day, to: Day) -> Vec<Slide> {
        let mut slides = Vec::new();
        let keys = self.compiled.plan().tallies().iter().enumerate();
        for (tally, key) in keys.filter(|(_, key)| !key.is_traced()) {
            let (old, new) = (key.window.days(from), key.window.days(to));
            for enters in [false, true] {
                let (these, others) = if enters { (&new, &old) } else { (&old, &new) };
                let days = (these.start().0..=these.end().0).map(Day);
                let slide = |day| Slide { tally, cell: key.cell, day, enters };
                slides.extend(days.filter(|day| !others.contains(day)).map(slide));
            }
        }
        slides
    }

    /// Adds or takes away a cell; `touched` gets for each segment the visitors to test again.
    pub(super) fn slide(
        &mut self,
        slide: &Slide,
        cell: &Cell,
        touched: &mut BTreeMap<usize, RoaringBitmap>,
    ) {
        let Some(tally) = self.tallies.get_mut(slide.tally) else { return };
        let Some(key) = self.compiled.plan().tallies().get(slide.tally) else { return };
        let mut by_leaf: BTreeMap<usize, RoaringBitmap> = BTreeMap::new();
        for entry in &cell.entries {
            let before = tally.get(entry.ordinal);
            let by = key.measure.of(entry);
            let after =
                if slide.enters { before.saturating_add(by) } else { before.saturating_sub(by) };
            for leaf in flipped(&self.compiled, slide.tally, before, after) {
                by_leaf.entry(leaf).or_default().insert(entry.ordinal);
            }
        }
        if slide.enters {
            tally.add(cell)
        } else {
            tally.subtract(cell)
        }
        for (leaf, ordinals) in by_leaf {
            for segment in self.compiled.above(leaf) {
                *touched.entry(*segment).or_default() |= &ordinals;
            }
        }
    }

    /// Whether a visitor meets a segment's expression.
    pub(super) fn meets(&self, segment: usize, visitor: Visitor) -> bool {
        let leaf = |at: usize| {
            let leaf = self.compiled.plan().leaves().get(at);
            leaf.is_some_and(|leaf| {
                self.tallies
                    .get(leaf.tally)
                    .is_some_and(|tally| tally.get(visitor.ordinal) >= leaf.least)
            })
        };
        self.compiled
            .segments()
            .get(segment)
            .is_some_and(|segment| segment.node.holds(visitor, &leaf))
    }

    /// Everyone who meets a segment's expression.
    pub(super) fn evaluate(&self, segment: usize, partition: Partition) -> RoaringBitmap {
        let Some(segment) = self.compiled.segments().get(segment) else {
            return RoaringBitmap::new();
        };
        evaluate::evaluate(&segment.node, self.compiled.plan(), &self.tallies, partition)
    }

    // ---- traces -----------------------------------------------------------------------------

    /// Whether hits of the day are to be traced while they are folded: what was there before is.
    pub(super) fn traces(&self, day: Day) -> bool {
        !self.tracer.is_empty() && self.days.as_ref().is_none_or(|days| days.contains(&day))
    }

    /// A hit of these cells came; `touched` gets the segments above leaves that flipped.
    pub(super) fn trace(
        &mut self,
        cells: impl Iterator<Item = CellId>,
        (hit, page): (&Hit, &Page),
        now: Hour,
        touched: &mut Vec<usize>,
    ) {
        let ordinal = hit.visitor.ordinal;
        let found = self.tracer.find(cells, self.compiled.classifier(), (hit, page));
        for (at, seen) in found {
            self.traces.entry(at).or_default().note(ordinal, seen);
            let (before, after) = self.resum(at, ordinal, now);
            for leaf in flipped(&self.compiled, at, before, after) {
                touched.extend_from_slice(self.compiled.above(leaf));
            }
        }
    }

    /// The sums of traced tallies once a hit of these cells is counted; nothing is changed.
    pub(super) fn traced_with(
        &self,
        ordinal: Option<Ordinal>,
        cells: &[CellId],
        (hit, page): (&Hit, &Page),
        now: Hour,
    ) -> HashMap<usize, u32> {
        let classifier = self.compiled.classifier();
        let found = self.tracer.find(cells.iter().copied(), classifier, (hit, page));
        let sum = |(at, seen)| {
            let key = self.compiled.plan().tallies().get(at)?;
            let trace = self.traces.get(&at).zip(ordinal);
            let mut own = trace.map(|(trace, ordinal)| trace.of(ordinal)).unwrap_or_default();
            own.note(0, seen);
            Some((at, own.sum(key, 0, now)))
        };
        found.into_iter().filter_map(sum).collect()
    }

    /// Sums a visitor's trace up anew; the sum before and after.
    fn resum(&mut self, tally: usize, ordinal: Ordinal, now: Hour) -> (u32, u32) {
        let key = self.compiled.plan().tallies().get(tally);
        let (Some(key), Some(tally), Some(trace)) =
            (key, self.tallies.get_mut(tally), self.traces.get(&tally))
        else {
            return (0, 0);
        };
        let after = trace.sum(key, ordinal, now);
        (tally.set(ordinal, after), after)
    }

    /// Adds the traces of a day.
    pub(super) fn recall(
        &mut self,
        day: Day,
        traces: BTreeMap<usize, Trace>,
        erased: &RoaringBitmap,
    ) {
        if self.days.as_mut().is_some_and(|days| days.insert(day)) {
            self.add_traces(traces, erased);
        }
    }

    fn add_traces(&mut self, traces: BTreeMap<usize, Trace>, erased: &RoaringBitmap) {
        for (at, trace) in traces {
            self.traces.entry(at).or_default().merge(trace, erased);
        }
    }

    /// Every day is in the traces: sums them up.
    pub(super) fn recalled(&mut self, now: Hour) {
        self.days = None;
        self.turn(now, true, &mut BTreeMap::new());
    }

    /// Copies the traces of some days that another layer has, too.
    pub(super) fn inherit(&mut self, from: &Self, keep: &BTreeSet<Day>, erased: &RoaringBitmap) {
        let (plan, old) = (self.compiled.plan(), from.compiled.plan());
        let pair = |at: usize| {
            let trace = from.traces.get(&old.find(plan.tallies().get(at)?)?)?;
            Some((at, trace.of_days(|day| keep.contains(&day))))
        };
        let traces = plan.traced().filter_map(pair).collect();
        self.add_traces(traces, erased);
    }

    /// Takes the traces of tallies that are not this layer's own from the layer before it, whose
    /// tallies came over.
    pub(super) fn take_traces(&mut self, from: &mut Self, own: &[bool]) {
        let plan = self.compiled.plan();
        for at in plan.traced().filter(|at| own.get(*at) == Some(&false)) {
            let old = plan.tallies().get(at).and_then(|key| from.compiled.plan().find(key));
            if let Some(trace) = old.and_then(|old| from.traces.remove(&old)) {
                self.traces.insert(at, trace);
            }
        }
        self.tracer = Tracer::new(plan, plan.traced());
    }

    /// The hour, or the day with it, became another one: sums that hang on it are made anew;
    /// `touched` gets for each segment the visitors to test again.
    pub(super) fn turn(
        &mut self,
        now: Hour,
        is_new_day: bool,
        touched: &mut BTreeMap<usize, RoaringBitmap>,
    ) {
        let compiled = Arc::clone(&self.compiled);
        let traced = compiled.plan().traced();
        let keys = traced.filter_map(|at| Some((at, compiled.plan().tallies().get(at)?)));
        for (at, key) in keys.filter(|(_, key)| is_new_day || key.window.unit() == Unit::Hours) {
            let Some(trace) = self.traces.get(&at) else { continue };
            let ordinals: Vec<Ordinal> = trace.ordinals().collect();
            for ordinal in ordinals {
                let (before, after) = self.resum(at, ordinal, now);
                for leaf in flipped(&compiled, at, before, after) {
                    for segment in compiled.above(leaf) {
                        touched.entry(*segment).or_default().insert(ordinal);
                    }
                }
            }
            if let Some(trace) = self.traces.get_mut(&at) {
                trace.prune(key, now);
            }
        }
    }

    /// Bytes of the traces in memory, about.
    pub(super) fn trace_bytes(&self) -> usize {
        self.traces.values().map(Trace::bytes).sum()
    }

    /// Takes a visitor out of all tallies.
    pub(super) fn remove(&mut self, ordinal: Ordinal) {
        self.traces.values_mut().for_each(|trace| trace.remove(ordinal));
        self.tallies.iter_mut().for_each(|tally| {
            tally.remove(ordinal);
        });
    }
}

/// The leaves of a tally whose threshold lies between the two sums.
fn flipped(
    compiled: &Compiled,
    tally: usize,
    before: u32,
    after: u32,
) -> impl Iterator<Item = usize> {
    let (low, high) = (before.min(after), before.max(after));
    let plan = compiled.plan();
    let crossed = move |at: &usize| {
        plan.leaves().get(*at).is_some_and(|leaf| low < leaf.least && leaf.least <= high)
    };
    plan.leaves_of(tally).iter().copied().filter(crossed)
}

/// The next definitions while their cells are built beside the present ones.
#[derive(Clone, Debug)]
pub(super) struct Next {
    pub(super) layer: Layer,
    /// Gives only the categories of `fill`.
    pub(super) classifier: Classifier,
    /// What `classifier` remembers; the layer's own memory begins with the switch.
    pub(super) memo: PageMemo,
    /// The cells that are new.
    pub(super) fill: BTreeSet<CellId>,
    /// Tallies that the present definitions do not have: summed up here. The others come over.
    pub(super) own: Vec<bool>,
    /// The days whose new cells are complete.
    pub(super) days: BTreeSet<Day>,
}

impl Next {
    pub(super) fn new(compiled: Arc<Compiled>, live: &Compiled) -> Self {
        let fill = compiled.new_cells(live);
        let categories = fill.iter().map(|cell| cell.category).collect();
        let classifier = compiled.classifier().restrict(&categories);
        let is_own = |key: &TallyKey| live.plan().find(key).is_none();
        let own = compiled.plan().tallies().iter().map(is_own).collect();
        let traced = compiled.new_traces(live);
        let layer = Layer::tracing(compiled, &traced);
        Self { layer, classifier, memo: PageMemo::default(), fill, own, days: BTreeSet::new() }
    }

    /// Whether the tally is summed up here.
    pub(super) fn owns(&self, tally: usize) -> bool {
        self.own.get(tally).copied().unwrap_or(false)
    }
}
