//! A change of definitions: new cells are built beside the old ones day by day, while hits go on
//! coming; then everything switches in one step.

use std::ops::RangeInclusive;
use std::sync::Arc;

use mayfly_core::{CellId, Day, SegmentId};
use roaring::RoaringBitmap;

use super::day::Built;
use super::layer::{Layer, Next};
use super::{DayNotLoaded, Index};
use crate::compiled::Compiled;
use crate::expr::Node;
use crate::leaf::{Plan, TallyKey};

/// What has to be done before [`Index::switch`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preparation {
    /// Cells to build from hits ([`super::CellsBuilder::preparing`]), for each day.
    pub fill: std::collections::BTreeSet<CellId>,
    /// Tallies whose own hits are to be found among them.
    pub(crate) traced: Vec<usize>,
    /// The days to go through with [`Index::prepared`], the newest best first; `None` = none.
    pub days: Option<RangeInclusive<Day>>,
}

impl Preparation {
    /// Whether the days' hits are to be read: else their cells are enough.
    #[must_use]
    pub fn reads_hits(&self) -> bool {
        !self.fill.is_empty() || !self.traced.is_empty()
    }
}

/// How a segment's membership changed in one step.
#[derive(Clone, PartialEq, Debug)]
pub struct MembersChanged {
    /// The segment.
    pub segment: SegmentId,
    /// Who entered.
    pub entered: RoaringBitmap,
    /// Who left.
    pub left: RoaringBitmap,
}

impl Index {
    /// Begins a change to these definitions; one that was begun before is dropped.
    pub fn prepare(&mut self, compiled: Arc<Compiled>) -> Preparation {
        let today = self.today;
        let next = Next::new(compiled, &self.live.compiled);
        let (plan, retention) = (next.layer.compiled.plan(), next.layer.compiled.retention());
        let traced: Vec<usize> = plan.traced().filter(|at| next.owns(*at)).collect();
        let days = if next.fill.is_empty() {
            let own = plan.tallies().iter().enumerate().filter(|(at, _)| next.owns(*at));
            own.map(|(_, key)| key.window.days(today))
                .chain(plan.recalled(traced.iter().copied(), today))
                .reduce(|a, b| *a.start().min(b.start())..=*a.end().max(b.end()))
        } else {
            Some(retention.oldest(today)..=today)
        };
        let fill = next.fill.clone();
        self.next = Some(next);
        let open: Vec<Day> = self.days.keys().copied().collect();
        open.into_iter().for_each(|day| self.prepared_if_empty(day));
        Preparation { fill, traced, days }
    }

    /// Takes a day's new cells, built from exactly the hits that the day's cells hold; the day must
    /// be loaded. From now on new hits of the day are folded into them, too. A day that is prepared
    /// already, or a call outside of a preparation, changes nothing.
    ///
    /// # Errors
    /// The day is not loaded.
    pub fn prepared(&mut self, day: Day, built: Built) -> Result<(), DayNotLoaded> {
        if !self.days.contains_key(&day) {
            return Err(DayNotLoaded { day });
        }
        self.take_built(day, built);
        Ok(())
    }

    /// As [`Index::prepared`], for a day that is loaded.
    fn take_built(&mut self, day: Day, built: Built) {
        let Self { next: Some(next), days, today, erased, .. } = self else { return };
        let Some(open) = days.get_mut(&day) else { return };
        if !next.days.insert(day) {
            return;
        }
        for (id, cell) in built.cells {
            if next.fill.contains(&id) {
                open.replace(id, cell);
            }
        }
        open.remove(erased);
        let cells = open.settle();
        let Next { layer, own, .. } = next;
        layer.recall(day, built.traces, erased);
        for (at, key, tally) in layer.tallies_mut() {
            if own.get(at) == Some(&true)
                && key.window.holds(day, *today)
                && let Some(cell) = cells.get(&key.cell)
            {
                tally.add(cell);
            }
        }
    }

    /// A day without any hit has nothing to build.
    pub(super) fn prepared_if_empty(&mut self, day: Day) {
        if self.days.get_mut(&day).is_some_and(|open| open.settle().is_empty()) {
            self.take_built(day, Built::default());
        }
    }

    /// The days of the preparation that are done.
    #[must_use]
    pub fn prepared_days(&self) -> Vec<Day> {
        self.next.iter().flat_map(|next| next.days.iter().copied()).collect()
    }

    /// Switches to the prepared definitions in one step: memberships, cells and rules. Tallies that
    /// both versions have come over as they are. The caller has prepared every day of
    /// [`Preparation::days`] that has hits. Without a preparation nothing changes.
    pub fn switch(&mut self) -> Vec<MembersChanged> {
        let Some(next) = self.next.take() else { return Vec::new() };
        let mut new = next.layer;
        new.recalled(self.hour);
        for (at, own) in next.own.iter().enumerate() {
            let key = new.compiled.plan().tallies().get(at);
            let old = key.and_then(|key| self.live.compiled.plan().find(key));
            if let (false, Some(old), Some(tally)) = (*own, old, new.tallies.get_mut(at))
                && let Some(old) = self.live.tallies.get_mut(old)
            {
                std::mem::swap(tally, old);
            }
        }
        new.take_traces(&mut self.live, &next.own);
        let old = std::mem::replace(&mut self.live, new);
        let changes = self.switch_members(&old);
        let compiled = &self.live.compiled;
        for open in self.days.values_mut() {
            open.settle();
            open.retain(|cell| compiled.knows(cell));
        }
        changes
    }

    fn switch_members(&mut self, old: &Layer) -> Vec<MembersChanged> {
        let before = std::mem::take(&mut self.members);
        let mut changes = Vec::new();
        let compiled = Arc::clone(&self.live.compiled);
        for (at, segment) in compiled.segments().iter().enumerate() {
            let place = old.compiled.place(segment.id);
            let was = place.and_then(|at| before.get(at)).cloned().unwrap_or_default();
            let same = place.and_then(|at| old.compiled.segments().get(at)).is_some_and(|s| {
                s.paused == segment.paused
                    && s.hours == segment.hours
                    && same(&s.node, old.compiled.plan(), &segment.node, compiled.plan())
            });
            let now = if same { was.clone() } else { self.evaluated(at, &was) };
            push_change(&mut changes, segment.id, &was, &now);
            self.members.push(now);
        }
        for (segment, was) in old.compiled.segments().iter().zip(&before) {
            if compiled.place(segment.id).is_none() {
                push_change(&mut changes, segment.id, was, &RoaringBitmap::new());
            }
        }
        changes
    }
}

fn push_change(
    changes: &mut Vec<MembersChanged>,
    segment: SegmentId,
    was: &RoaringBitmap,
    now: &RoaringBitmap,
) {
    if was != now {
        changes.push(MembersChanged { segment, entered: now - was, left: was - now });
    }
}

/// What a leaf asks.
fn asked(leaf: usize, plan: &Plan) -> Option<(&TallyKey, u32)> {
    let leaf = plan.leaves().get(leaf)?;
    Some((plan.tallies().get(leaf.tally)?, leaf.least))
}

/// Whether two trees over different plans ask the same.
fn same(a: &Node, of_a: &Plan, b: &Node, of_b: &Plan) -> bool {
    let all = |a: &[Node], b: &[Node]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, of_a, b, of_b))
    };
    match (a, b) {
        (Node::Leaf(a), Node::Leaf(b)) => asked(*a, of_a) == asked(*b, of_b),
        (Node::Sample(a), Node::Sample(b)) => a == b,
        (Node::Not(a), Node::Not(b)) => same(a, of_a, b, of_b),
        (Node::And(a), Node::And(b)) | (Node::Or(a), Node::Or(b)) => all(a, b),
        (Node::AtLeast(k, a), Node::AtLeast(l, b)) => k == l && all(a, b),
        (
            Node::Leaf(_)
            | Node::Sample(_)
            | Node::Not(_)
            | Node::And(_)
            | Node::Or(_)
            | Node::AtLeast(..),
            Node::Leaf(_)
            | Node::Sample(_)
            | Node::Not(_)
            | Node::And(_)
            | Node::Or(_)
            | Node::AtLeast(..),
        ) => false,
    }
}
