//! Lanes: numbers for batches, and the memory of what was acknowledged lately.
//!
//! A lane lives until the fate of one of its batches is unknown; what comes next goes through a new
//! one. Acknowledged batches are kept [`limits::RESEND_SECONDS`] for a resend, their numbers and
//! sizes longer, so that what a failover lost is counted exactly.

use std::collections::{HashMap, VecDeque};

use mayfly_core::{Partition, Timestamp, limits};
use mayfly_store::{Batch, LaneId};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The lane in use: its id, and the last number given in each partition.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) id: LaneId,
    numbers: HashMap<Partition, u64>,
}

impl Lane {
    /// A new lane under a random id.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let id = LaneId(getrandom::u64()?);
        Ok(Self { id, numbers: HashMap::new() })
    }

    /// The next number in a partition.
    pub(crate) fn number(&mut self, partition: Partition) -> u64 {
        let last = self.numbers.entry(partition).or_default();
        *last += 1;
        *last
    }
}

/// Gives a batch that met a gap (so it was surely not taken, and never will be in its lane) a lane
/// of its own. The new lane follows from the old place: a record of the spill that is sent again
/// after a crash comes to the same one, and is taken once.
pub(crate) fn relane(batch: &mut Batch) {
    let place = [batch.lane.0.to_le_bytes(), batch.number.to_le_bytes()].concat();
    batch.lane = LaneId(xxh3_64_with_seed(&place, u64::from(batch.partition.0)));
    batch.number = 1;
}

/// Batches that the store acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    kept: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    lane: LaneId,
    partition: Partition,
    number: u64,
    hits: usize,
    at: Timestamp,
    bytes: usize,
    /// `None` once too old to be sent again.
    batch: Option<Batch>,
}

impl Acknowledged {
    /// Remembers a batch of about this many bytes.
    pub(crate) fn keep(&mut self, batch: Batch, bytes: usize, at: Timestamp) {
        self.bytes += bytes;
        self.kept.push_back(Kept {
            lane: batch.lane,
            partition: batch.partition,
            number: batch.number,
            hits: batch.hits(),
            at,
            bytes,
            batch: Some(batch),
        });
        self.forget(at);
    }

    /// Lets go what is too old or too much.
    fn forget(&mut self, now: Timestamp) {
        let oldest = now.plus_secs(-limits::RESEND_SECONDS);
        let alive = self.kept.partition_point(|k| k.batch.is_none());
        for kept in self.kept.range_mut(alive..) {
            if kept.at >= oldest && self.bytes <= limits::RESEND_BYTES {
                break;
            }
            self.bytes = self.bytes.saturating_sub(kept.bytes);
            kept.batch = None;
        }
        while self.kept.len() > limits::LANE_HISTORY_BATCHES {
            if let Some(gone) = self.kept.pop_front().filter(|k| k.batch.is_some()) {
                self.bytes = self.bytes.saturating_sub(gone.bytes);
            }
        }
    }

    /// Takes out every batch that can be sent again, in order.
    pub(crate) fn take_resendable(&mut self, now: Timestamp) -> Vec<(Batch, usize, Timestamp)> {
        self.forget(now);
        self.bytes = 0;
        let (alive, dead) =
            std::mem::take(&mut self.kept).into_iter().partition(|k| k.batch.is_some());
        self.kept = dead;
        let alive: VecDeque<Kept> = alive;
        alive.into_iter().filter_map(|k| k.batch.map(|b| (b, k.bytes, k.at))).collect()
    }

    /// The places of batches that are too old to be sent again, with the highest number in each.
    pub(crate) fn unsendable(&self) -> HashMap<(LaneId, Partition), u64> {
        let mut highest = HashMap::new();
        for kept in self.kept.iter().filter(|k| k.batch.is_none()) {
            let number: &mut u64 = highest.entry((kept.lane, kept.partition)).or_default();
            *number = kept.number.max(*number);
        }
        highest
    }

    /// Hits of acknowledged batches of this place between `last` and `number`, both excluded: they
    /// are lost. Each is answered once.
    pub(crate) fn take_lost(
        &mut self,
        lane: LaneId,
        partition: Partition,
        last: u64,
        number: u64,
    ) -> u64 {
        let mut lost = 0;
        self.kept.retain(|k| {
            let is_lost = k.lane == lane
                && k.partition == partition
                && k.number > last
                && k.number < number
                && k.batch.is_none();
            if is_lost {
                lost += k.hits as u64;
            }
            !is_lost
        });
        lost
    }
}

#[cfg(test)]
mod tests {
    use mayfly_core::Day;

    use super::*;

    const LANE: LaneId = LaneId(9);
    const P: Partition = Partition(3);

    fn batch(number: u64) -> Batch {
        Batch::encode(LANE, number, P, Day(1), &[])
    }

    #[test]
    fn numbers_count_from_one_in_each_partition() {
        let mut lane = Lane::random().unwrap();
        assert_eq!([lane.number(P), lane.number(P), lane.number(Partition(4))], [1, 2, 1]);
    }

    #[test]
    fn a_moved_batch_comes_to_the_same_lane_each_time_and_to_no_others() {
        let moved = |number| {
            let mut batch = batch(number);
            relane(&mut batch);
            (batch.lane, batch.number)
        };
        assert_eq!(moved(4), moved(4));
        assert_ne!(moved(4).0, moved(5).0);
        assert_ne!(moved(4).0, LANE);
        assert_eq!(moved(4).1, 1);
    }

    #[test]
    fn acknowledged_batches_can_be_sent_again_for_fifteen_seconds() {
        let mut acknowledged = Acknowledged::default();
        let at = |s| Timestamp::from_secs(1000 + s);
        for number in 1..=3 {
            acknowledged.keep(batch(number), 10, at(i64::try_from(number).unwrap()));
        }
        let again = acknowledged.take_resendable(at(limits::RESEND_SECONDS + 2));
        assert_eq!(again.iter().map(|(b, ..)| b.number).collect::<Vec<_>>(), [2, 3]);
        assert!(acknowledged.take_resendable(at(0)).is_empty(), "taken once");
        assert_eq!(acknowledged.kept.len(), 1, "number 1 is remembered, without its bytes");
    }

    #[test]
    fn memory_of_acknowledged_batches_is_bounded() {
        let mut acknowledged = Acknowledged::default();
        let now = Timestamp::from_secs(1000);
        for number in 1..=10 {
            acknowledged.keep(batch(number), limits::RESEND_BYTES / 4, now);
        }
        assert!(acknowledged.bytes <= limits::RESEND_BYTES);
        assert_eq!(acknowledged.take_resendable(now).len(), 4);
    }
}
