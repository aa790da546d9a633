//! `sample(10%)`: a share of all visitors, always the same ones.
//!
//! Who belongs to it is decided by a hash of the visitor's id and the sample's name, so that a
//! visitor stays in or out for good, the sample of 20 % holds that of 10 %, and samples of other
//! names have nothing to do with each other.

use mayfly_core::Visitor;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A share of all visitors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Sample {
    seed: u64,
    below: u64,
}

/// Parts of a whole that can be told: hundredths of a percent.
const PARTS: u32 = 10_000;

impl Sample {
    /// So many percent (above 0 and below 100, to two decimals) under a name; `None` for others.
    pub(crate) fn new(percent: f64, name: &str) -> Option<Self> {
        let parts = (percent * 100.0).round();
        if !(1.0..f64::from(PARTS)).contains(&parts) || (parts / 100.0 - percent).abs() > 1e-9 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        let parts = parts as u64;
        let below = u64::MAX / u64::from(PARTS) * parts;
        Some(Self { seed: xxh3_64(name.as_bytes()), below })
    }

    /// Whether a visitor belongs to it.
    pub(crate) fn holds(self, visitor: Visitor) -> bool {
        let [a, b] = visitor.partition.0.to_le_bytes();
        let [c, d, e, f] = visitor.ordinal.to_le_bytes();
        xxh3_64_with_seed(&[a, b, c, d, e, f], self.seed) < self.below
    }
}

#[cfg(test)]
mod tests {
    use mayfly_core::Partition;

    use super::*;

    #[test]
    fn a_sample_has_its_share_holds_the_smaller_ones_and_minds_no_other() {
        let sample = |percent, name| Sample::new(percent, name).unwrap();
        // Few visitors in each of many partitions.
        let visitor =
            |n: u32| Visitor { partition: Partition((n % 1000) as u16), ordinal: n / 1000 };
        let number = |own: &dyn Fn(Visitor) -> bool| {
            (0..100_000).map(visitor).filter(|visitor| own(*visitor)).count()
        };
        let (ten, twenty, other) = (sample(10.0, ""), sample(20.0, ""), sample(10.0, "b"));
        for (found, percent) in [
            (number(&|v| ten.holds(v)), 10.0),
            (number(&|v| twenty.holds(v) && ten.holds(v)), 10.0),
            (number(&|v| ten.holds(v) && other.holds(v)), 1.0),
            (number(&|v| sample(0.5, "").holds(v)), 0.5),
        ] {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let share = found as f64 / 1000.0;
            assert!((share - percent).abs() < 0.4, "{found} for {percent} %");
        }
        for wrong in [0.0, 100.0, -1.0, 0.001, f64::NAN, 12.345] {
            assert_eq!(Sample::new(wrong, ""), None, "{wrong}");
        }
    }
}
