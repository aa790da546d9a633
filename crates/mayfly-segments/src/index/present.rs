//! What a hit that is just happening would make of its visitor: the answer for the present page,
//! before the hit is stored, and for who comes for the first time.

use std::collections::HashMap;

use mayfly_core::{CellId, Hit, Ordinal, Page, SegmentId, Visitor};

use super::Index;
use super::day::adds;
use crate::classify::PageMemo;
use crate::leaf::Measure;

impl Index {
    /// The segments of a visitor (`None` = one without any hit) once this hit of today is counted.
    /// Nothing is changed. `memo` is of use for more hits on the same pages. The current day is to
    /// be in memory if it has hits: whether this one is the visitor's first of the day hangs on it.
    #[must_use]
    pub fn segments_with(
        &self,
        ordinal: Option<Ordinal>,
        (hit, page): (&Hit, &Page),
        memo: &mut PageMemo,
    ) -> Vec<SegmentId> {
        let mut categories = Vec::new();
        let compiled = &self.live.compiled;
        compiled.classifier().classify(memo, hit, page, &mut categories);
        let cells: Vec<CellId> = categories.iter().filter_map(|id| compiled.cell(*id)).collect();
        let sums = self.sums_with(ordinal, &cells, (hit, page));
        let leaf = |at: usize| {
            let Some(leaf) = compiled.plan().leaves().get(at) else { return false };
            let sum = sums.get(&leaf.tally).copied();
            sum.unwrap_or_else(|| self.sum(leaf.tally, ordinal)) >= leaf.least
        };
        // Nobody's number: a sample of nobody is as good as any.
        let own = ordinal.unwrap_or(Ordinal::MAX);
        let visitor = Visitor { partition: self.partition, ordinal: own };
        let segments = compiled.segments().iter().zip(&self.members);
        let is_in = segments.enumerate().filter(|(at, (segment, members))| {
            let may_enter = !segment.paused || members.contains(own);
            may_enter && self.runs(*at, self.hour) && segment.node.holds(visitor, &leaf)
        });
        is_in.map(|(_, (segment, _))| segment.id).collect()
    }

    fn sum(&self, tally: usize, ordinal: Option<Ordinal>) -> u32 {
        let tally = self.live.tallies.get(tally);
        tally.zip(ordinal).map_or(0, |(tally, ordinal)| tally.get(ordinal))
    }

    /// The sums that the hit changes, by tally.
    fn sums_with(
        &self,
        ordinal: Option<Ordinal>,
        cells: &[CellId],
        (hit, page): (&Hit, &Page),
    ) -> HashMap<usize, u32> {
        let (plan, (count, seconds)) = (self.live.compiled.plan(), adds(hit));
        let mut sums = self.live.traced_with(ordinal, cells, (hit, page), self.hour);
        for cell in cells {
            let today = self.days.get(&self.today).zip(ordinal);
            let entry = today.and_then(|(day, ordinal)| day.entry_of(*cell, ordinal));
            let before = entry.map_or(0, |entry| entry.count);
            for at in plan.tallies_of(*cell) {
                let key = plan.tallies().get(*at);
                if !key.is_some_and(|key| key.window.holds(self.today, self.today)) {
                    continue;
                }
                let more = match key.map(|key| key.measure) {
                    Some(Measure::Visited) => u32::from(count.min(u8::MAX - before)),
                    Some(Measure::Engaged) => u32::from(seconds),
                    Some(Measure::Days) => u32::from(before == 0 && count > 0),
                    None => 0,
                };
                sums.insert(*at, self.sum(*at, ordinal).saturating_add(more));
            }
        }
        sums
    }
}
