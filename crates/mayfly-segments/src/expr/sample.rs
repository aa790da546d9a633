//! `sample(10%)`: a share of all visitors, always the same ones.
//!
//! Who belongs to it is decided by a hash of the visitor's number and the sample's name, so that a
//! visitor stays in or out for good, the sample of 20 % holds that of 10 %, and samples of other
//! names have nothing to do with each other.

use mayfly_core::Ordinal;
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
    pub(crate) fn holds(self, ordinal: Ordinal) -> bool {
        xxh3_64_with_seed(&ordinal.to_le_bytes(), self.seed) < self.below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_its_share_holds_the_smaller_ones_and_minds_no_other() {
        let sample = |percent, name| Sample::new(percent, name).unwrap();
        let number = |own: &dyn Fn(u32) -> bool| (0..100_000).filter(|o| own(*o)).count();
        let (ten, twenty, other) = (sample(10.0, ""), sample(20.0, ""), sample(10.0, "b"));
        for (found, percent) in [
            (number(&|o| ten.holds(o)), 10.0),
            (number(&|o| twenty.holds(o) && ten.holds(o)), 10.0),
            (number(&|o| ten.holds(o) && other.holds(o)), 1.0),
            (number(&|o| sample(0.5, "").holds(o)), 0.5),
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
