//! Which day it is, as far as the store believes it. A clock that jumps ahead must not drop days.

use mayfly_core::{Day, Timestamp};
use serde::{Deserialize, Serialize};

use crate::codec::{row_from_bytes, row_to_bytes};
use crate::error::{Corruption, StoreError};

/// How long a jump must last before it is believed, seconds.
const BELIEF_SECONDS: i64 = 86_400;

/// The last day believed, and since when the clock has been beyond the day after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct TrustedClock {
    today: Option<Day>,
    jumped_at: Option<Timestamp>,
}

/// Day, and milliseconds of the jump.
#[derive(Serialize, Deserialize)]
struct ClockRow(Option<u16>, Option<i64>);

impl TrustedClock {
    /// Takes note of the clock and answers the day to act on: today, or the last day believed
    /// while the clock's jump is not a day old.
    pub(super) fn note(&mut self, now: Timestamp) -> Option<Day> {
        let today = now.day()?;
        let near = self.today.is_none_or(|last| today <= last.plus(1));
        let waited = |since: Timestamp| now.secs().saturating_sub(since.secs()) >= BELIEF_SECONDS;
        if near || self.jumped_at.is_some_and(waited) {
            *self = Self { today: Some(today), jumped_at: None };
        } else if self.jumped_at.is_none_or(|since| now < since) {
            self.jumped_at = Some(now);
        }
        self.today
    }

    /// The last day believed.
    pub(super) const fn today(self) -> Option<Day> {
        self.today
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        row_to_bytes(&ClockRow(self.today.map(|d| d.0), self.jumped_at.map(Timestamp::millis)))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let ClockRow(today, jumped_at) = row_from_bytes(bytes, Corruption::Record)?;
        Ok(Self { today: today.map(Day), jumped_at: jumped_at.map(Timestamp::from_millis) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_believed_after_a_day_of_it_and_not_before() {
        let day = Day(20_000);
        let mut clock = TrustedClock::default();
        assert_eq!(clock.note(day.start()), Some(day));
        assert_eq!(clock.note(day.plus(1).start()), Some(day.plus(1)));
        let jump = day.plus(101).start();
        assert_eq!(clock.note(jump), Some(day.plus(1)));
        assert_eq!(clock.note(jump.plus_secs(86_399)), Some(day.plus(1)));
        let clock_back = TrustedClock::from_bytes(&clock.to_bytes()).unwrap();
        assert_eq!(clock_back, clock);
        assert_eq!(clock.note(jump.plus_secs(86_400)), Some(day.plus(102)));
    }

    #[test]
    fn a_jump_that_is_undone_starts_anew() {
        let day = Day(20_000);
        let mut clock = TrustedClock::default();
        clock.note(day.start());
        clock.note(day.plus(100).start());
        assert_eq!(clock.note(day.at_second(50)), Some(day));
        assert_eq!(clock.note(day.plus(102).start()), Some(day));
    }
}
