//! From when to when a segment runs: days in a time zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use mayfly_core::{Hour, Timestamp};

/// The days on which a segment has members, in its zone; without an end or a beginning, always.
///
/// ```
/// use mayfly_core::{Day, Hour};
/// use mayfly_segments::definitions::Period;
///
/// let period = Period {
///     starts: "2026-11-21".parse().ok(),
///     ends: "2026-11-22".parse().ok(),
///     time_zone: "Europe/Amsterdam".into(),
/// };
/// let first = Day(20_777).first_hour().plus(23); // one hour ahead of UTC
/// assert_eq!(period.hours(), first..first.plus(48));
/// assert!(Period::default().hours().contains(&Hour(0)));
/// let never = Period { starts: "9999-12-31".parse().ok(), ..Period::default() };
/// assert!(never.hours().is_empty());
/// let over = Period { ends: "1969-12-30".parse().ok(), ..Period::default() };
/// assert!(over.hours().is_empty());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Period {
    /// The first day.
    pub starts: Option<Date>,
    /// The last day, included.
    pub ends: Option<Date>,
    /// A name of the IANA database.
    pub time_zone: Box<str>,
}

impl Default for Period {
    fn default() -> Self {
        Self { starts: None, ends: None, time_zone: "UTC".into() }
    }
}

impl Period {
    /// The UTC hours on which it lies. Where a day of the zone begins within an hour, the next full
    /// one counts.
    #[must_use]
    pub fn hours(&self) -> std::ops::Range<Hour> {
        let after = self.ends.map(|day| day.tomorrow().unwrap_or(day));
        let begins = self.starts.map_or(Hour(0), |day| self.midnight(day));
        begins..after.map_or(Hour(u32::MAX), |day| self.midnight(day))
    }

    /// Whether the last day is before the first.
    #[must_use]
    pub fn is_backwards(&self) -> bool {
        self.starts.zip(self.ends).is_some_and(|(starts, ends)| ends < starts)
    }

    /// The first full UTC hour of a day; before 1970 the first of all, after 2149 the last.
    fn midnight(&self, day: Date) -> Hour {
        let zone = TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC);
        let at = day.to_zoned(zone).map_or(i64::MAX, |at| at.timestamp().as_second());
        match Timestamp::from_secs(at).hour() {
            Some(hour) if hour.start().secs() < at => hour.plus(1),
            Some(hour) => hour,
            None if at < 0 => Hour(0),
            None => Hour(u32::MAX),
        }
    }
}
