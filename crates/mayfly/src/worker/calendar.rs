//! Which UTC day it is, for windows: a clock that jumps ahead moves nobody out of a segment until
//! the jump has lasted 24 hours.

use std::time::Duration;

use mayfly_core::{Day, Timestamp};

/// How long a jump must last before it is believed.
const DOUBT: Duration = Duration::from_secs(24 * 3600);

/// The current day, as far as it is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Calendar {
    today: Day,
    /// When (on a clock that never jumps) a day too far ahead was first seen.
    doubted: Option<Duration>,
}

impl Calendar {
    /// Starts with the day of `now`.
    #[must_use]
    pub(super) fn new(now: Timestamp) -> Self {
        Self { today: now.day().unwrap_or_default(), doubted: None }
    }

    /// The current day.
    #[must_use]
    pub(super) fn today(&self) -> Day {
        self.today
    }

    /// Whether the clock says a day that is not believed.
    #[must_use]
    pub(super) fn doubts(&self) -> bool {
        self.doubted.is_some()
    }

    /// The day that the windows must move to, if any. `uptime` is a clock that never jumps. The
    /// next day is believed at once; a later one after 24 hours; an earlier one never.
    pub(super) fn turn(&mut self, now: Timestamp, uptime: Duration) -> Option<Day> {
        let day = now.day()?;
        if day <= self.today {
            self.doubted = None;
            return None;
        }
        if day > self.today.plus(1) {
            let since = *self.doubted.get_or_insert(uptime);
            if uptime.saturating_sub(since) < DOUBT {
                return None;
            }
        }
        (self.today, self.doubted) = (day, None);
        Some(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midnight_is_believed_at_once_and_a_jump_after_a_day() {
        let start = Day(20_778).at_second(86_000);
        let hours = |h: u64| Duration::from_secs(h * 3600);
        let mut calendar = Calendar::new(start);
        assert_eq!(calendar.turn(start.plus_secs(100), hours(0)), None);
        assert_eq!(calendar.turn(start.plus_secs(500), hours(0)), Some(Day(20_779)));
        let ahead = start.plus_secs(100 * 86_400);
        assert_eq!(calendar.turn(ahead, hours(1)), None);
        assert!(calendar.doubts());
        assert_eq!(calendar.turn(ahead, hours(24)), None);
        assert_eq!(calendar.turn(ahead, hours(25)), Some(ahead.day().unwrap()));
        assert_eq!(calendar.turn(start, hours(26)), None, "never back");
    }

    #[test]
    fn a_jump_that_is_mended_leaves_no_doubt() {
        let start = Day(20_778).start();
        let mut calendar = Calendar::new(start);
        assert_eq!(calendar.turn(start.plus_secs(9 * 86_400), Duration::ZERO), None);
        assert_eq!(calendar.turn(start.plus_secs(60), Duration::from_secs(60)), None);
        assert!(!calendar.doubts());
    }
}
