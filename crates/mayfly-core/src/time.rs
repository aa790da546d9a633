//! Instants, UTC days and the retention rule. Time is an argument; nothing here reads a clock.

use std::fmt;

use crate::limits;

/// Seconds in a UTC day.
pub const DAY_SECONDS: i64 = 86_400;
/// Seconds in an hour.
pub const HOUR_SECONDS: i64 = 3600;

/// An instant: milliseconds since 1970-01-01T00:00:00Z. A hit's own time is cut to whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the epoch; saturates far outside any calendar.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The same instant cut to whole seconds.
    #[must_use]
    pub const fn whole_secs(self) -> Self {
        Self::from_secs(self.secs())
    }

    /// The UTC day that holds the instant; `None` before 1970 or after 2149 (day 65,535).
    #[must_use]
    pub fn day(self) -> Option<Day> {
        u16::try_from(self.secs().div_euclid(DAY_SECONDS)).ok().map(Day)
    }

    /// The UTC hour that holds the instant; `None` where [`Timestamp::day`] is.
    #[must_use]
    pub fn hour(self) -> Option<Hour> {
        self.day()?;
        u32::try_from(self.secs().div_euclid(HOUR_SECONDS)).ok().map(Hour)
    }

    /// Seconds since the start of its UTC day, 0 to 86,399.
    #[must_use]
    pub fn second_of_day(self) -> u32 {
        u32::try_from(self.secs().rem_euclid(DAY_SECONDS)).unwrap_or(0)
    }

    /// The instant this many seconds later (earlier when negative).
    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1000)))
    }
}

/// A UTC day: whole days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Day(pub u16);

impl Day {
    /// Midnight at which the day begins.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::from_secs(self.0 as i64 * DAY_SECONDS)
    }

    /// The day `n` days later; stops at the calendar's end (2149).
    #[must_use]
    pub const fn plus(self, n: u16) -> Self {
        Self(self.0.saturating_add(n))
    }

    /// The day `n` days earlier; stops at 1970-01-01.
    #[must_use]
    pub const fn minus(self, n: u16) -> Self {
        Self(self.0.saturating_sub(n))
    }

    /// Its first hour.
    #[must_use]
    pub const fn first_hour(self) -> Hour {
        Hour(self.0 as u32 * 24)
    }

    /// The instant at this second of the day.
    #[must_use]
    pub const fn at_second(self, second: u32) -> Timestamp {
        Timestamp::from_secs(self.0 as i64 * DAY_SECONDS + second as i64)
    }
}

impl fmt::Display for Day {
    /// The calendar date, `YYYY-MM-DD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Civil date from days, H. Hinnant, "chrono-compatible low-level date algorithms".
        let z = i64::from(self.0) + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A UTC hour: whole hours since 1970-01-01T00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Hour(pub u32);

impl Hour {
    /// The instant at which the hour begins.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::from_secs(self.0 as i64 * HOUR_SECONDS)
    }

    /// Its UTC day; the last one of the calendar (2149) for hours beyond it.
    #[must_use]
    pub fn day(self) -> Day {
        Day(u16::try_from(self.0 / 24).unwrap_or(u16::MAX))
    }

    /// The hour `n` hours later.
    #[must_use]
    pub const fn plus(self, n: u16) -> Self {
        Self(self.0.saturating_add(n as u32))
    }
}

/// How long behaviour is kept: whole UTC days, 1 to 90.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention(u16);

impl Retention {
    /// `days` of retention; `None` outside 1..=90.
    #[must_use]
    pub const fn new(days: u16) -> Option<Self> {
        if days >= 1 && days <= limits::RETENTION_DAYS_MAX { Some(Self(days)) } else { None }
    }

    /// The number of days.
    #[must_use]
    pub const fn days(self) -> u16 {
        self.0
    }

    /// The oldest day that is kept when `today` is the current day: `today - (days - 1)`.
    #[must_use]
    pub const fn oldest(self, today: Day) -> Day {
        today.minus(self.0 - 1)
    }

    /// Whether behaviour of `day` is still kept on `today`. A day after today is kept.
    #[must_use]
    pub const fn keeps(self, day: Day, today: Day) -> bool {
        day.0 >= self.oldest(today).0
    }

    /// The instant at which everything of `day` is gone: start of the day + retention.
    #[must_use]
    pub const fn expires_at(self, day: Day) -> Timestamp {
        day.plus(self.0).start()
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self(limits::RETENTION_DAYS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_89_back_is_kept_and_the_day_90_back_is_not() {
        let (r, today) = (Retention::default(), Day(20_778));
        assert!(r.keeps(today.minus(89), today));
        assert!(!r.keeps(today.minus(90), today));
        assert_eq!(r.expires_at(today.minus(90)), today.start());
        assert_eq!(Retention::new(91), None);
        assert_eq!(Retention::new(0), None);
    }

    #[test]
    fn days_of_instants_before_1970_and_after_2149_are_none() {
        assert_eq!(Timestamp::from_secs(-1).day(), None);
        assert_eq!(Timestamp::from_secs(i64::MAX).day(), None);
        assert_eq!(Timestamp::from_secs(86_399).day(), Some(Day(0)));
        assert_eq!(Timestamp::from_secs(86_400 + 7).second_of_day(), 7);
        assert_eq!(Timestamp::from_secs(-1).hour(), None);
        let hour = Timestamp::from_secs(2 * 86_400 + 3 * 3600 + 59).hour().unwrap();
        assert_eq!((hour, hour.day(), hour.start().second_of_day()), (Hour(51), Day(2), 10_800));
        assert_eq!(Day(2).first_hour().plus(3), hour);
    }

    #[test]
    fn days_print_as_dates() {
        for (day, text) in [(0, "1970-01-01"), (11_016, "2000-02-29"), (20_778, "2026-11-21")] {
            assert_eq!(Day(day).to_string(), text);
        }
    }
}
