//! When each visitor was last seen: exact counts of active members.

use std::collections::BTreeMap;

use mayfly_core::{Day, Ordinal, Retention, Timestamp};
use roaring::RoaringBitmap;

/// Members seen in each window. 24 h = the current UTC hour and the 23 before it; N days = the
/// current UTC day and the N - 1 before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// In the last 24 hours.
    pub h24: u64,
    /// In the last 7 days.
    pub d7: u64,
    /// In the last 14 days.
    pub d14: u64,
    /// In the last 30 days.
    pub d30: u64,
    /// In the last 60 days.
    pub d60: u64,
    /// In the last 90 days.
    pub d90: u64,
}

impl std::ops::AddAssign for Seen {
    /// The counts of two partitions together.
    fn add_assign(&mut self, other: Self) {
        self.h24 += other.h24;
        self.d7 += other.d7;
        self.d14 += other.d14;
        self.d30 += other.d30;
        self.d60 += other.d60;
        self.d90 += other.d90;
    }
}

/// Hours since 1970 of each visitor's last hit; 0 = none. 256 KiB for each block of 65,536 ordinals
/// that occurs.
#[derive(Clone, Debug, Default)]
pub(super) struct LastSeen {
    blocks: BTreeMap<u32, Box<[u32]>>,
}

const BLOCK: u32 = 1 << 16;

fn split(ordinal: Ordinal) -> (u32, usize) {
    (ordinal / BLOCK, (ordinal % BLOCK) as usize)
}

/// Hours since 1970.
fn hour(time: Timestamp) -> u32 {
    u32::try_from(time.secs().div_euclid(3600)).unwrap_or(0)
}

impl LastSeen {
    pub(super) fn note(&mut self, ordinal: Ordinal, time: Timestamp) {
        let (block, at) = split(ordinal);
        let hours =
            self.blocks.entry(block).or_insert_with(|| vec![0; BLOCK as usize].into_boxed_slice());
        hours[at] = hours[at].max(hour(time));
    }

    pub(super) fn forget(&mut self, ordinal: Ordinal) {
        let (block, at) = split(ordinal);
        if let Some(hours) = self.blocks.get_mut(&block) {
            hours[at] = 0;
        }
    }

    /// Visitors whose last hit is within the retention.
    pub(super) fn all(&self, retention: Retention, today: Day) -> RoaringBitmap {
        let oldest = hour(retention.oldest(today).start()).max(1);
        let mut all = RoaringBitmap::new();
        for (block, hours) in &self.blocks {
            let seen = (block * BLOCK..).zip(&**hours).filter(|(_, hour)| **hour >= oldest);
            all.extend(seen.map(|(ordinal, _)| ordinal));
        }
        all
    }

    pub(super) fn count(&self, members: &RoaringBitmap, now: Timestamp) -> Seen {
        let today = now.day().unwrap_or_default();
        let from = |days: u16| hour(today.minus(days - 1).start()).max(1);
        let starts =
            [hour(now).saturating_sub(23).max(1), from(7), from(14), from(30), from(60), from(90)];
        let mut counts = [0u64; 6];
        for ordinal in members {
            let (block, at) = split(ordinal);
            let last = self.blocks.get(&block).map_or(0, |hours| hours[at]);
            for (count, start) in counts.iter_mut().zip(starts) {
                *count += u64::from(last >= start);
            }
        }
        let [h24, d7, d14, d30, d60, d90] = counts;
        Seen { h24, d7, d14, d30, d60, d90 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_where_they_say() {
        let mut seen = LastSeen::default();
        let now = Day(1000).at_second(10 * 3600 + 1800);
        let times = [
            now,
            Day(999).at_second(11 * 3600),     // the 23rd hour before
            Day(999).at_second(11 * 3600 - 1), // the 24th
            Day(994).start(),
            Day(994).start().plus_secs(-1),
            Day(911).start(),
            Day(911).start().plus_secs(-1),
        ];
        let ordinals = [1, 2, 3, 4, 5, 6, 70_000];
        for (ordinal, time) in ordinals.into_iter().zip(times) {
            seen.note(ordinal, time);
        }
        seen.note(1, Day(950).start());
        let members = RoaringBitmap::from_iter(ordinals.into_iter().chain([8, 200_000]));
        let found = seen.count(&members, now);
        assert_eq!(found, Seen { h24: 2, d7: 4, d14: 5, d30: 5, d60: 5, d90: 6 });
        let all = seen.all(Retention::default(), Day(1000));
        assert_eq!(all.iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        seen.forget(1);
        assert_eq!(seen.count(&members, now).h24, 1);
    }
}
