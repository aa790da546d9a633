//! Whole evaluation: who meets an expression, 64 visitors at a time.
//!
//! For every block of 65,536 ordinals that occurs in a tally, each leaf gives one bit a visitor and
//! the tree is worked out on whole words. Blocks that occur in no tally hold no members, for no
//! expression holds for a visitor without hits.

use std::collections::{BTreeMap, BTreeSet};

use mayfly_core::{Day, DayCells, Hour, Partition, Visitor};
use roaring::RoaringBitmap;

use crate::expr::{Expression, Node};
use crate::index::Built;
use crate::leaf::{Plan, TallyKey};
use crate::tally::{Bits, Tally, WORDS};
use crate::trace::Trace;

/// Tallies up to which an evaluation keeps all blocks full: at most 4 MiB for each 65,536 ordinals.
const FULL_TALLIES: usize = 16;

/// An evaluation of an expression by itself: filled with days, then asked.
///
/// ```
/// use mayfly_core::{Cell, CellEntry, CellId, CategoryId, Day, DayCells, Partition, Retention};
/// use mayfly_segments::{Definitions, Evaluation, Expression};
///
/// let expression = Expression::parse(
///     "visited(\"*\", within 2d) >= 3", &Definitions::default(), Retention::default(),
/// )?;
/// let every_hit = CellId { category: CategoryId::ALL, since: 0 };
/// assert_eq!(expression.needs(Day(10)), [(every_hit, Day(9)..=Day(10))]);
///
/// let cell = Cell { entries: vec![CellEntry { ordinal: 5, count: 2, seconds: 0 }] };
/// let cells = DayCells::from([(every_hit, cell)]);
/// let now = Day(10).first_hour();
/// let mut evaluation = Evaluation::new(&expression, Partition(0), now);
/// evaluation.add_day(Day(9), &cells);
/// evaluation.add_day(Day(10), &cells);
/// evaluation.add_day(Day(8), &cells); // outside the window: changes nothing
/// assert_eq!(evaluation.finish().iter().collect::<Vec<_>>(), [5]);
/// # Ok::<(), mayfly_segments::Problem>(())
/// ```
#[derive(Debug)]
pub struct Evaluation<'a> {
    expression: &'a Expression,
    partition: Partition,
    now: Hour,
    tallies: Vec<Tally>,
    /// The places of the tallies that were known whole.
    whole: BTreeSet<usize>,
    traces: BTreeMap<usize, Trace>,
}

impl<'a> Evaluation<'a> {
    /// Nothing added yet; `now` is the current UTC hour.
    #[must_use]
    pub fn new(expression: &'a Expression, partition: Partition, now: Hour) -> Self {
        let keys = expression.plan.tallies();
        let new = if keys.len() <= FULL_TALLIES { Tally::full } else { Tally::new };
        Self {
            expression,
            partition,
            now,
            tallies: keys.iter().map(|key| new(key.measure)).collect(),
            whole: BTreeSet::new(),
            traces: BTreeMap::new(),
        }
    }

    /// What is summed up, each at its place.
    #[must_use]
    pub fn keys(&self) -> &'a [TallyKey] {
        self.expression.plan.tallies()
    }

    /// The sums at a place so far.
    #[must_use]
    pub fn sums(&self, at: usize) -> Option<&Tally> {
        self.tallies.get(at)
    }

    /// Begins with sums that are known for some of the days; those are not added again.
    pub fn begin_with(&mut self, at: usize, sums: Tally) {
        if let Some(own) = self.tallies.get_mut(at) {
            *own = sums;
        }
    }

    /// Takes sums that are known for all days: nothing is added at this place.
    pub fn take_whole(&mut self, at: usize, sums: Tally) {
        self.begin_with(at, sums);
        self.whole.insert(at);
    }

    /// Whether the sums at a place are known for all days.
    #[must_use]
    pub fn is_whole(&self, at: usize) -> bool {
        self.whole.contains(&at)
    }

    /// Adds a day's cells; those that no window asks for are passed over. Each day once, in any
    /// order.
    pub fn add_day(&mut self, day: Day, cells: &DayCells) {
        self.add_day_at(day, cells, |_| true);
    }

    /// As [`Evaluation::add_day`], at some places alone.
    pub fn add_day_at(&mut self, day: Day, cells: &DayCells, places: impl Fn(usize) -> bool) {
        let today = self.now.day();
        let tallies = self.expression.plan.tallies().iter().zip(&mut self.tallies).enumerate();
        for (at, (key, tally)) in tallies.filter(|(_, (key, _))| !key.is_traced()) {
            if key.window.holds(day, today)
                && !self.whole.contains(&at)
                && places(at)
                && let Some(cell) = cells.get(&key.cell)
            {
                tally.add(cell);
            }
        }
    }

    /// Adds what [`crate::CellsBuilder::asking`] found among a day's hits; each day of
    /// [`Expression::recalls`] once.
    pub fn add_traces(&mut self, built: Built) {
        for (at, trace) in built.traces {
            self.traces.entry(at).or_default().merge(trace, &RoaringBitmap::new());
        }
    }

    /// Makes a later hour the current one: days that leave the windows are taken off, those that
    /// enter added. `cells` holds what was added before, and the days up to that hour's. For
    /// expressions without traces.
    pub fn turn(&mut self, now: Hour, cells: &BTreeMap<Day, DayCells>) {
        let (before, today) = (self.now.day(), now.day());
        let tallies = self.expression.plan.tallies().iter().zip(&mut self.tallies);
        for (key, tally) in tallies.filter(|(key, _)| !key.is_traced()) {
            for (day, cells) in cells {
                let (was, is) = (key.window.holds(*day, before), key.window.holds(*day, today));
                match cells.get(&key.cell) {
                    Some(cell) if is && !was => tally.add(cell),
                    Some(cell) if was && !is => tally.subtract(cell),
                    Some(_) | None => {}
                }
            }
        }
        self.now = now;
    }

    /// The visitors that meet the expression, without its traces.
    #[must_use]
    pub fn members(&self) -> RoaringBitmap {
        let Expression { node, plan } = self.expression;
        evaluate(node, plan, &self.tallies, self.partition)
    }

    /// The visitors that meet the expression.
    #[must_use]
    pub fn finish(mut self) -> RoaringBitmap {
        for (at, trace) in self.traces.iter().filter(|(at, _)| !self.whole.contains(at)) {
            let key = self.expression.plan.tallies().get(*at);
            let (Some(key), Some(tally)) = (key, self.tallies.get_mut(*at)) else { continue };
            for ordinal in trace.ordinals() {
                tally.set(ordinal, trace.sum(key, ordinal, self.now));
            }
        }
        self.members()
    }
}

/// Empty tallies of a plan.
pub(crate) fn empty(plan: &Plan) -> Vec<Tally> {
    plan.tallies().iter().map(|key| Tally::new(key.measure)).collect()
}

/// The visitors that meet the tree.
pub(crate) fn evaluate(
    node: &Node,
    plan: &Plan,
    tallies: &[Tally],
    partition: Partition,
) -> RoaringBitmap {
    let mut asked = BTreeSet::new();
    node.each_leaf(&mut |leaf| asked.extend(plan.leaves().get(leaf).map(|leaf| leaf.tally)));
    let blocks: BTreeSet<u16> =
        asked.iter().filter_map(|at| tallies.get(*at)).flat_map(Tally::blocks).collect();
    let mut members = RoaringBitmap::new();
    for block in blocks {
        let bits = bits(node, plan, tallies, (partition, block));
        let bytes: Vec<u8> = bits.iter().flat_map(|word| word.to_le_bytes()).collect();
        members |= RoaringBitmap::from_lsb0_bytes(u32::from(block) << 16, &bytes);
    }
    members
}

/// The visitor at a place of a block.
fn place(partition: Partition, block: u16, low: u16) -> Visitor {
    Visitor { partition, ordinal: u32::from(block) << 16 | u32::from(low) }
}

fn none() -> Bits {
    vec![0; WORDS].into_boxed_slice()
}

/// One bit for each visitor of the block that meets the tree.
fn bits(node: &Node, plan: &Plan, tallies: &[Tally], at: (Partition, u16)) -> Bits {
    let branch = |node| bits(node, plan, tallies, at);
    let (partition, block) = at;
    match node {
        Node::Leaf(leaf) => {
            let mut bits = none();
            if let Some(leaf) = plan.leaves().get(*leaf)
                && let Some(tally) = tallies.get(leaf.tally)
            {
                tally.bits(block, leaf.least, &mut bits);
            }
            bits
        }
        Node::Sample(sample) => {
            let mut bits = none();
            for low in (0..=u16::MAX).filter(|low| sample.holds(place(partition, block, *low))) {
                bits[usize::from(low / 64)] |= 1 << (low % 64);
            }
            bits
        }
        Node::Not(node) => {
            let mut bits = branch(node);
            bits.iter_mut().for_each(|word| *word = !*word);
            bits
        }
        Node::And(nodes) => joined(nodes.iter().map(branch), |word, other| *word &= other),
        Node::Or(nodes) => joined(nodes.iter().map(branch), |word, other| *word |= other),
        Node::AtLeast(least, nodes) => at_least(*least, nodes.iter().map(branch)),
    }
}

fn joined(mut branches: impl Iterator<Item = Bits>, join: fn(&mut u64, u64)) -> Bits {
    let mut bits = branches.next().unwrap_or_else(none);
    for branch in branches {
        bits.iter_mut().zip(&*branch).for_each(|(word, other)| join(word, *other));
    }
    bits
}

/// Counts the branches in binary, one plane of bits a digit, then compares with `least`.
fn at_least(least: usize, branches: impl Iterator<Item = Bits>) -> Bits {
    let mut planes: Vec<Bits> = Vec::new();
    for mut carry in branches {
        for plane in &mut planes {
            for (digit, carry) in plane.iter_mut().zip(carry.iter_mut()) {
                (*digit, *carry) = (*digit ^ *carry, *digit & *carry);
            }
        }
        if carry.iter().any(|word| *word != 0) {
            planes.push(carry);
        }
    }
    if least >> planes.len() != 0 {
        return none();
    }
    // From the highest digit down: greater so far, or equal so far.
    let (mut greater, mut equal) = (none(), none());
    equal.fill(u64::MAX);
    for (digit, plane) in planes.iter().enumerate().rev() {
        let wanted = if least >> digit & 1 == 1 { u64::MAX } else { 0 };
        for ((greater, equal), digit) in greater.iter_mut().zip(equal.iter_mut()).zip(&**plane) {
            *greater |= *equal & digit & !wanted;
            *equal &= !(digit ^ wanted);
        }
    }
    greater.iter_mut().zip(&*equal).for_each(|(greater, equal)| *greater |= equal);
    greater
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counting_in_planes_equals_counting(
            words in prop::collection::vec(any::<u64>(), 1..20),
            least in 1usize..22,
        ) {
            let branches = words.iter().map(|word| {
                let mut bits = none();
                bits[3] = *word;
                bits
            });
            let found = at_least(least, branches);
            for bit in 0..64 {
                let count = words.iter().filter(|word| *word >> bit & 1 == 1).count();
                prop_assert_eq!(found[3] >> bit & 1 == 1, count >= least, "bit {}", bit);
            }
            prop_assert!(found[4] == 0);
        }
    }
}
