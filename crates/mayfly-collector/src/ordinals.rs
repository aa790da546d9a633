//! Ordinals for new visitors: leased blocks in reserve, so that the hot path asks nobody.
//!
//! Two blocks a partition are kept ready and refilled in the background. New visitors spread evenly
//! over the partitions whose counters stand on the same [`TIER`]; a partition on a lower tier goes
//! first. So after a raise of a large store new visitors go to the new partitions until these have
//! caught up, and the jump of a counter after a failover moves nobody around.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mayfly_core::{Ordinal, Partition, Visitor, limits};
use tokio::sync::Notify;

/// Counters within one tier count as equally full.
const TIER: u32 = 2 * limits::ORDINAL_JUMP;

/// The reserve of all partitions.
#[derive(Debug)]
pub(crate) struct Ordinals {
    reserves: Mutex<Vec<Reserve>>,
    low: Notify,
}

/// The reserve of one partition.
#[derive(Clone, Debug, Default)]
struct Reserve {
    blocks: VecDeque<Range<Ordinal>>,
    /// The end of the highest block known.
    above: Ordinal,
    /// Ordinals taken, for an even spread.
    taken: u64,
}

impl Ordinals {
    /// No block yet; of each partition the end of the highest block that is known from before.
    pub(crate) fn new(partitions: u16, ends: &[Ordinal]) -> Self {
        let known = ends.iter().map(|&above| Reserve { above, ..Reserve::default() });
        let unknown = std::iter::repeat_with(Reserve::default);
        let reserves = known.chain(unknown).take(usize::from(partitions)).collect();
        Self { reserves: Mutex::new(reserves), low: Notify::new() }
    }

    /// A fresh visitor; `None` when no block is at hand (the refill is on its way).
    pub(crate) fn take(&self) -> Option<Visitor> {
        let mut reserves = self.lock();
        let fullness = |r: &Reserve| r.blocks.front().map(|b| (b.start / TIER, r.taken));
        let (_, at) =
            reserves.iter().enumerate().filter_map(|(at, r)| fullness(r).map(|f| (f, at))).min()?;
        let reserve = reserves.get_mut(at)?;
        let block = reserve.blocks.front_mut()?;
        let ordinal = block.next()?;
        if block.start >= block.end {
            reserve.blocks.pop_front();
        }
        reserve.taken += 1;
        if reserve.blocks.len() < limits::ORDINAL_BLOCKS_READY {
            self.low.notify_one();
        }
        Some(Visitor { partition: Partition(u16::try_from(at).ok()?), ordinal })
    }

    /// Takes back an ordinal that was never told to anyone.
    pub(crate) fn give_back(&self, unused: Visitor) {
        if let Some(reserve) = self.lock().get_mut(usize::from(unused.partition.0)) {
            reserve.taken = reserve.taken.saturating_sub(1);
            let Some(end) = unused.ordinal.checked_add(1) else { return };
            match reserve.blocks.front_mut() {
                Some(block) if block.start == end => block.start = unused.ordinal,
                Some(_) | None => reserve.blocks.push_front(unused.ordinal..end),
            }
        }
    }

    /// Adds a leased block.
    pub(crate) fn add(&self, partition: Partition, block: Range<Ordinal>) {
        if let Some(reserve) = self.lock().get_mut(usize::from(partition.0)) {
            reserve.above = reserve.above.max(block.end);
            reserve.blocks.push_back(block);
        }
    }

    /// The end of the highest block known of a partition; `None` for a partition not known.
    pub(crate) fn above(&self, partition: Partition) -> Option<Ordinal> {
        self.lock().get(usize::from(partition.0)).map(|r| r.above)
    }

    /// The end of the highest block known of each partition.
    pub(crate) fn ends(&self) -> Vec<Ordinal> {
        self.lock().iter().map(|reserve| reserve.above).collect()
    }

    /// Partitions that want a block, with what is known of them.
    pub(crate) fn wanting(&self) -> Vec<(Partition, Ordinal)> {
        (0u16..)
            .zip(self.lock().iter())
            .filter(|(_, r)| r.blocks.len() < limits::ORDINAL_BLOCKS_READY)
            .map(|(p, r)| (Partition(p), r.above))
            .collect()
    }

    /// Waits until some partition wants a block.
    pub(crate) async fn low(&self) {
        self.low.notified().await;
    }

    /// Wakes who waits in [`Self::low`].
    pub(crate) fn nudge(&self) {
        self.low.notify_one();
    }

    /// More partitions; fewer is ignored.
    pub(crate) fn raise(&self, partitions: u16) {
        let mut reserves = self.lock();
        if usize::from(partitions) > reserves.len() {
            reserves.resize(usize::from(partitions), Reserve::default());
            // The new ones join the spread where the others are.
            let most = reserves.iter().map(|r| r.taken).max().unwrap_or(0);
            reserves.iter_mut().for_each(|r| r.taken = r.taken.max(most));
            self.low.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Reserve>> {
        self.reserves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn spread(ordinals: &Ordinals, n: usize) -> BTreeMap<u16, usize> {
        let mut counts = BTreeMap::new();
        for _ in 0..n {
            *counts.entry(ordinals.take().unwrap().partition.0).or_default() += 1;
        }
        counts
    }

    #[test]
    fn visitors_spread_evenly_and_the_reserve_ends() {
        let ordinals = Ordinals::new(4, &[]);
        assert_eq!(ordinals.take(), None);
        for p in 0..4 {
            ordinals.add(Partition(p), 1..11);
        }
        assert_eq!(spread(&ordinals, 40).into_values().collect::<Vec<_>>(), [10; 4]);
        assert_eq!(ordinals.take(), None);
        assert_eq!(ordinals.wanting().len(), 4);
        assert_eq!(ordinals.above(Partition(3)), Some(11));
    }

    #[test]
    fn new_partitions_go_first_when_the_old_are_a_tier_fuller() {
        let ordinals = Ordinals::new(1, &[]);
        ordinals.add(Partition(0), TIER..TIER + 10);
        ordinals.raise(2);
        ordinals.add(Partition(1), 1..6);
        assert_eq!(spread(&ordinals, 7), BTreeMap::from([(0, 2), (1, 5)]));
    }

    #[test]
    fn what_is_given_back_is_taken_again_once() {
        let ordinals = Ordinals::new(1, &[]);
        ordinals.add(Partition(0), 1..4);
        let (a, b) = (ordinals.take().unwrap(), ordinals.take().unwrap());
        ordinals.give_back(a);
        ordinals.give_back(b);
        let mut all: Vec<_> = std::iter::from_fn(|| ordinals.take()).map(|v| v.ordinal).collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    }
}
