//! Tallies: the sum of one measure of one category over one window, per visitor, exact.
//!
//! A tally is the sum of its window's day cells: a day's hits saturate at 255 and its seconds at
//! 65,535, so 90 days fit 16 and 23 bits. Sums are kept in blocks of 65,536 ordinals, only those
//! that occur. Memory: a thin block 6 bytes a visitor, a full one (from 8,192 visitors on) 128 KiB
//! for hits, 256 KiB for seconds: at most 2 or 4 bytes an ordinal where most visitors occur.

use std::collections::BTreeMap;

use mayfly_core::{Cell, CellEntry, Ordinal};

use crate::leaf::Measure;

/// Words of a block: one bit a visitor.
pub(crate) const WORDS: usize = 1024;
/// One bit for each of the 65,536 ordinals of a block.
pub(crate) type Bits = Box<[u64]>;

/// Visitors of a block from which on it is kept full.
const FULL_FROM: usize = 8192;
/// Visitors of a full block below which it is kept thin again.
const THIN_BELOW: usize = 4096;

/// What a measure reads of a cell.
impl Measure {
    pub(crate) fn of(self, entry: &CellEntry) -> u32 {
        match self {
            Self::Visited => u32::from(entry.count),
            Self::Engaged => u32::from(entry.seconds),
            Self::Days => u32::from(entry.count > 0),
        }
    }
}

/// A sum of one visitor.
trait Sum: Copy + Default + PartialEq {
    fn get(self) -> u32;
    fn new(sum: u32) -> Self;
}

impl Sum for u16 {
    fn get(self) -> u32 {
        u32::from(self)
    }

    fn new(sum: u32) -> Self {
        Self::try_from(sum).unwrap_or(Self::MAX)
    }
}

impl Sum for u32 {
    fn get(self) -> u32 {
        self
    }

    fn new(sum: u32) -> Self {
        sum
    }
}

/// The sums of one tally.
///
/// ```
/// use mayfly_core::{Cell, CellEntry};
/// use mayfly_segments::{Measure, Tally};
///
/// let day = Cell { entries: vec![CellEntry { ordinal: 7, count: 2, seconds: 30 }] };
/// let mut tally = Tally::new(Measure::Visited);
/// tally.add(&day);
/// tally.add(&day);
/// assert_eq!(tally.get(7), 4);
/// tally.subtract(&day);
/// assert_eq!((tally.get(7), tally.get(8)), (2, 0));
/// ```
#[derive(Clone, Debug)]
pub struct Tally {
    measure: Measure,
    sums: Sums,
    /// Blocks are full from their first visitor on.
    full: bool,
}

#[derive(Clone, Debug)]
enum Sums {
    /// Hits or days.
    Narrow(BTreeMap<u16, Block<u16>>),
    /// Seconds.
    Wide(BTreeMap<u16, Block<u32>>),
}

/// Runs the same on both widths.
macro_rules! on {
    ($tally:expr, $blocks:ident => $run:expr) => {
        match $tally {
            Sums::Narrow($blocks) => $run,
            Sums::Wide($blocks) => $run,
        }
    };
}

impl Tally {
    /// All sums 0.
    #[must_use]
    pub fn new(measure: Measure) -> Self {
        let sums = match measure {
            Measure::Visited | Measure::Days => Sums::Narrow(BTreeMap::new()),
            Measure::Engaged => Sums::Wide(BTreeMap::new()),
        };
        Self { measure, sums, full: false }
    }

    /// As [`Tally::new`], for one evaluation: every block is full from its first visitor on, so
    /// that a day is added in one pass over its entries. Memory: a full block for each that occurs.
    pub(crate) fn full(measure: Measure) -> Self {
        Self { full: true, ..Self::new(measure) }
    }

    /// A visitor's sum. O(log visitors).
    #[must_use]
    pub fn get(&self, ordinal: Ordinal) -> u32 {
        let (block, low) = split(ordinal);
        on!(&self.sums, blocks => blocks.get(&block).map_or(0, |b| b.get(low)))
    }

    /// Adds a day's cell. O(entries).
    pub fn add(&mut self, cell: &Cell) {
        self.change_all(cell, u32::saturating_add);
    }

    /// Takes a day's cell away that was added before. O(entries).
    pub fn subtract(&mut self, cell: &Cell) {
        self.change_all(cell, u32::saturating_sub);
    }

    fn change_all(&mut self, cell: &Cell, change: fn(u32, u32) -> u32) {
        let (measure, full) = (self.measure, self.full);
        for entries in cell.entries.chunk_by(|a, b| split(a.ordinal).0 == split(b.ordinal).0) {
            let Some(first) = entries.first() else { continue };
            let changes = entries.iter().map(|e| (split(e.ordinal).1, measure.of(e)));
            let at = split(first.ordinal).0;
            on!(&mut self.sums, blocks => {
                let block = blocks.entry(at).or_insert_with(|| Block::new(full));
                block.merge(changes, change);
                if !full {
                    block.fit();
                }
                if block.is_empty() {
                    blocks.remove(&at);
                }
            });
        }
    }

    /// Adds to one visitor's sum; gives the sum before and after. O(log visitors), and a shift of
    /// at most 48 KiB when the visitor is new to a thin block.
    pub fn increase(&mut self, ordinal: Ordinal, by: u32) -> (u32, u32) {
        let (at, low) = split(ordinal);
        if by == 0 {
            let sum = self.get(ordinal);
            return (sum, sum);
        }
        on!(&mut self.sums, blocks => blocks.entry(at).or_default().increase(low, by))
    }

    /// Changes one visitor's sum; gives the sum before and after.
    pub(crate) fn shift(&mut self, ordinal: Ordinal, by: i32) -> (u32, u32) {
        if by >= 0 {
            return self.increase(ordinal, by.unsigned_abs());
        }
        let before = self.get(ordinal);
        let after = before.saturating_sub(by.unsigned_abs());
        (self.set(ordinal, after), after)
    }

    /// Sets one visitor's sum; gives the sum before.
    pub fn set(&mut self, ordinal: Ordinal, sum: u32) -> u32 {
        let before = self.get(ordinal);
        if sum > before {
            self.increase(ordinal, sum - before);
        } else if sum < before {
            self.decrease(ordinal, before - sum);
        }
        before
    }

    /// Sets one visitor's sum to 0; gives the sum before.
    pub fn remove(&mut self, ordinal: Ordinal) -> u32 {
        self.set(ordinal, 0)
    }

    fn decrease(&mut self, ordinal: Ordinal, by: u32) {
        let (at, low) = split(ordinal);
        on!(&mut self.sums, blocks => {
            let Some(block) = blocks.get_mut(&at) else { return };
            block.merge(std::iter::once((low, by)), u32::saturating_sub);
            block.fit();
            if block.is_empty() {
                blocks.remove(&at);
            }
        })
    }

    /// The blocks that occur.
    pub(crate) fn blocks(&self) -> Vec<u16> {
        on!(&self.sums, blocks => blocks.keys().copied().collect())
    }

    /// Bits of the visitors of a block whose sum is at least `least`.
    pub(crate) fn bits(&self, block: u16, least: u32, bits: &mut [u64]) {
        on!(&self.sums, blocks => match blocks.get(&block) {
            Some(block) => block.bits(least, bits),
            None => bits.fill(0),
        });
    }

    /// Bytes in memory, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        on!(&self.sums, blocks => blocks.values().map(Block::bytes).sum())
    }
}

/// Block and place in it.
fn split(ordinal: Ordinal) -> (u16, u16) {
    let [a, b, c, d] = ordinal.to_be_bytes();
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

/// The sums of 65,536 ordinals; no sum of a thin block is 0.
#[derive(Clone, Debug)]
enum Block<S> {
    Thin(Vec<(u16, S)>),
    Full { sums: Box<[S]>, visitors: usize },
}

impl<S> Default for Block<S> {
    fn default() -> Self {
        Self::Thin(Vec::new())
    }
}

impl<S: Sum> Block<S> {
    fn new(full: bool) -> Self {
        if full {
            Self::Full { sums: vec![S::default(); 1 << 16].into_boxed_slice(), visitors: 0 }
        } else {
            Self::default()
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Thin(entries) => entries.is_empty(),
            Self::Full { visitors, .. } => *visitors == 0,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Thin(entries) => entries.capacity() * size_of::<(u16, S)>(),
            Self::Full { sums, .. } => size_of_val(&**sums),
        }
    }

    fn get(&self, low: u16) -> u32 {
        match self {
            Self::Thin(entries) => match entries.binary_search_by_key(&low, |e| e.0) {
                Ok(at) => entries.get(at).map_or(0, |e| e.1.get()),
                Err(_) => 0,
            },
            Self::Full { sums, .. } => sums.get(usize::from(low)).map_or(0, |sum| sum.get()),
        }
    }

    fn increase(&mut self, low: u16, by: u32) -> (u32, u32) {
        let (before, after) = match self {
            Self::Thin(entries) => match entries.binary_search_by_key(&low, |e| e.0) {
                Ok(at) => {
                    let before = entries[at].1.get();
                    entries[at].1 = S::new(before.saturating_add(by));
                    (before, entries[at].1.get())
                }
                Err(at) => {
                    entries.insert(at, (low, S::new(by)));
                    (0, by)
                }
            },
            Self::Full { sums, visitors } => {
                let sum = &mut sums[usize::from(low)];
                let before = sum.get();
                *sum = S::new(before.saturating_add(by));
                *visitors += usize::from(before == 0);
                (before, sum.get())
            }
        };
        self.fit();
        (before, after)
    }

    /// Changes many sums, ascending. What follows is [`Block::fit`], or the form is kept.
    fn merge(&mut self, changes: impl Iterator<Item = (u16, u32)>, change: fn(u32, u32) -> u32) {
        match self {
            Self::Thin(entries) => *entries = merged(entries, changes, change),
            Self::Full { sums, visitors } => {
                for (low, by) in changes {
                    let sum = &mut sums[usize::from(low)];
                    let (before, after) = (sum.get(), change(sum.get(), by));
                    *sum = S::new(after);
                    *visitors += usize::from(after > 0);
                    *visitors -= usize::from(before > 0);
                }
            }
        }
    }

    /// Takes the form that fits the number of visitors.
    fn fit(&mut self) {
        match self {
            Self::Thin(entries) if entries.len() >= FULL_FROM => {
                let mut sums = vec![S::default(); 1 << 16].into_boxed_slice();
                for (low, sum) in &*entries {
                    sums[usize::from(*low)] = *sum;
                }
                *self = Self::Full { sums, visitors: entries.len() };
            }
            Self::Full { sums, visitors } if *visitors < THIN_BELOW => {
                let entries = (0..=u16::MAX).zip(&**sums).filter(|(_, sum)| sum.get() > 0);
                *self = Self::Thin(entries.map(|(low, sum)| (low, *sum)).collect());
            }
            Self::Thin(_) | Self::Full { .. } => {}
        }
    }

    fn bits(&self, least: u32, bits: &mut [u64]) {
        match self {
            Self::Thin(entries) => {
                bits.fill(0);
                for (low, _) in entries.iter().filter(|(_, sum)| sum.get() >= least) {
                    bits[usize::from(low / 64)] |= 1 << (low % 64);
                }
            }
            Self::Full { sums, .. } => {
                for (word, sums) in bits.iter_mut().zip(sums.chunks(64)) {
                    *word = (0..)
                        .zip(sums)
                        .fold(0, |word, (bit, sum)| word | u64::from(sum.get() >= least) << bit);
                }
            }
        }
    }
}

/// Two ascending lists in one; sums that become 0 are left out.
fn merged<S: Sum>(
    entries: &[(u16, S)],
    changes: impl Iterator<Item = (u16, u32)>,
    change: fn(u32, u32) -> u32,
) -> Vec<(u16, S)> {
    let mut out = Vec::with_capacity(entries.len() + changes.size_hint().0);
    let mut rest = entries;
    for (low, by) in changes {
        let smaller = rest.partition_point(|e| e.0 < low);
        out.extend_from_slice(&rest[..smaller]);
        rest = &rest[smaller..];
        let before = match rest.split_first() {
            Some((entry, after)) if entry.0 == low => {
                rest = after;
                entry.1.get()
            }
            Some(_) | None => 0,
        };
        let sum = change(before, by);
        if sum > 0 {
            out.push((low, S::new(sum)));
        }
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(ordinals: &[u32], count: u8) -> Cell {
        let entry = |o: &u32| CellEntry { ordinal: *o, count, seconds: u16::from(count) * 200 };
        Cell { entries: ordinals.iter().map(entry).collect() }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against a plain map, over the border between thin and full blocks.
        #[test]
        fn sums_are_those_of_a_plain_map(
            steps in prop::collection::vec((0u32..5, 1u32..20_000, 1u32..8, 1u8..=255), 1..8),
            measure in prop::sample::select(
                vec![Measure::Visited, Measure::Engaged, Measure::Days]
            ),
        ) {
            let mut tally = Tally::new(measure);
            let mut plain: BTreeMap<u32, u32> = BTreeMap::new();
            let mut added = Vec::new();
            for (kind, number, step, count) in steps {
                let ordinals: Vec<u32> = (0..number).map(|n| 60_000 + n * step).collect();
                match kind {
                    0..=1 => {
                        let cell = cell(&ordinals, count);
                        tally.add(&cell);
                        for e in &cell.entries {
                            *plain.entry(e.ordinal).or_default() += measure.of(e);
                        }
                        added.push(cell);
                    }
                    2 => if let Some(cell) = added.pop() {
                        tally.subtract(&cell);
                        for e in &cell.entries {
                            let sum = plain.entry(e.ordinal).or_default();
                            *sum = sum.saturating_sub(measure.of(e));
                        }
                    },
                    3 => {
                        let before = plain.get(&number).copied().unwrap_or(0);
                        prop_assert_eq!(tally.increase(number, step), (before, before + step));
                        plain.insert(number, before + step);
                    }
                    _ => {
                        let before = plain.remove(&ordinals[0]).unwrap_or(0);
                        prop_assert_eq!(tally.remove(ordinals[0]), before);
                    }
                }
            }
            for (ordinal, sum) in &plain {
                prop_assert_eq!(tally.get(*ordinal), *sum);
            }
            for least in [1, 3, 200, 40_000] {
                let mut found = Vec::new();
                for block in tally.blocks() {
                    let mut bits = vec![0; WORDS];
                    tally.bits(block, least, &mut bits);
                    for (at, word) in (0u32..).zip(&bits) {
                        for bit in (0..64).filter(|bit| word >> bit & 1 == 1) {
                            found.push((u32::from(block) << 16) | (at * 64 + bit));
                        }
                    }
                }
                let expected: Vec<u32> =
                    plain.iter().filter(|(_, sum)| **sum >= least).map(|(o, _)| *o).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
