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
        let begins = self.starts.and_then(|day| self.midnight(day)).unwrap_or(Hour(0));
        let after = self.ends.and_then(|day| day.tomorrow().ok());
        let ends = after.and_then(|day| self.midnight(day)).unwrap_or(Hour(u32::MAX));
        begins..ends
    }

    /// Whether the last day is before the first.
    #[must_use]
    pub fn is_backwards(&self) -> bool {
        self.starts.zip(self.ends).is_some_and(|(starts, ends)| ends < starts)
    }

    /// The first full UTC hour of a day.
    fn midnight(&self, day: Date) -> Option<Hour> {
        let zone = TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC);
        let at = day.to_zoned(zone).ok()?.timestamp().as_second();
        let hour = Timestamp::from_secs(at).hour()?;
        Some(if hour.start().secs() < at { hour.plus(1) } else { hour })
    }
}
