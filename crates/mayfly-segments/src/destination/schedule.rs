//! When a destination is served.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use mayfly_core::Timestamp;

/// `on change`, seconds.
const ON_CHANGE_S: u32 = 20;
const DAY_MINUTES: u16 = 24 * 60;

/// When a destination is served.
///
/// ```
/// use mayfly_core::Timestamp;
/// use mayfly_segments::destination::Schedule;
///
/// let daily: Schedule = "daily 03:30".parse()?;
/// let last = Timestamp::from_secs(1_774_746_000); // 2026-03-29T01:00:00Z, when summer begins
/// let next = daily.after(last, "Europe/Amsterdam");
/// assert_eq!(next.secs(), 1_774_747_800); // 03:30 there is 01:30Z now
/// assert_eq!("every 15m".parse(), Ok(Schedule::Every { seconds: 900 }));
/// assert_eq!("hourly".parse::<Schedule>().map(|own| own.to_string()), Ok("every 1h".to_owned()));
/// assert!("daily 24:00".parse::<Schedule>().is_err());
/// # Ok::<(), mayfly_segments::destination::schedule::BadSchedule>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Schedule {
    /// When something changed and so much time has passed since the last delivery, seconds.
    Every {
        /// 1 to a week.
        seconds: u32,
    },
    /// Once a day at a time of the destination's zone.
    Daily {
        /// Minutes since midnight.
        minute: u16,
    },
}

/// The text is no schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadSchedule;

impl fmt::Display for BadSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write \"on change\", \"every 15m\" (s, m, h), \"hourly\" or \"daily 03:30\"")
    }
}

impl std::error::Error for BadSchedule {}

impl Default for Schedule {
    fn default() -> Self {
        Self::Every { seconds: ON_CHANGE_S }
    }
}

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        const WEEK_S: u32 = 7 * 86_400;
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match (word, rest) {
            ("on", "change") => Ok(Self::default()),
            ("hourly", "") => Ok(Self::Every { seconds: 3600 }),
            ("every", rest) => {
                let (number, unit) =
                    rest.split_at_checked(rest.len().saturating_sub(1)).ok_or(BadSchedule)?;
                let unit = match unit {
                    "s" => 1,
                    "m" => 60,
                    "h" => 3600,
                    _ => return Err(BadSchedule),
                };
                let number: u32 = number.parse().map_err(|_| BadSchedule)?;
                let seconds = number.checked_mul(unit).ok_or(BadSchedule)?;
                let is_possible = (1..=WEEK_S).contains(&seconds);
                is_possible.then_some(Self::Every { seconds }).ok_or(BadSchedule)
            }
            ("daily", at) => {
                let (hour, minute) = at.split_once(':').ok_or(BadSchedule)?;
                let two = |text: &str| {
                    let is_two = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
                    text.parse::<u16>().ok().filter(|_| is_two)
                };
                let (hour, minute) = two(hour).zip(two(minute)).ok_or(BadSchedule)?;
                let is_time = hour < 24 && minute < 60;
                is_time.then_some(Self::Daily { minute: hour * 60 + minute }).ok_or(BadSchedule)
            }
            _ => Err(BadSchedule),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every { seconds: ON_CHANGE_S } => f.write_str("on change"),
            Self::Every { seconds } if seconds % 3600 == 0 => {
                write!(f, "every {}h", seconds / 3600)
            }
            Self::Every { seconds } if seconds % 60 == 0 => write!(f, "every {}m", seconds / 60),
            Self::Every { seconds } => write!(f, "every {seconds}s"),
            Self::Daily { minute } => write!(f, "daily {:02}:{:02}", minute / 60, minute % 60),
        }
    }
}

impl Schedule {
    /// When it is served next, after it was served at `last`. A time that the zone leaves out on a
    /// day (summer begins) is the first one after it.
    #[must_use]
    pub fn after(self, last: Timestamp, time_zone: &str) -> Timestamp {
        match self {
            Self::Every { seconds } => last.plus_secs(i64::from(seconds)),
            Self::Daily { minute } => {
                let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
                let own = jiff::Timestamp::from_second(last.secs()).unwrap_or_default();
                let own = own.to_zoned(zone);
                let today = at(&own, minute);
                let next = match today.filter(|today| *today > own) {
                    Some(today) => Some(today),
                    None => own.checked_add(1.day()).ok().and_then(|next| at(&next, minute)),
                };
                next.map_or(Timestamp::from_secs(i64::MAX), |next| {
                    Timestamp::from_secs(next.timestamp().as_second())
                })
            }
        }
    }
}

/// The minute of a day of a zone.
fn at(day: &Zoned, minute: u16) -> Option<Zoned> {
    let minute = minute.min(DAY_MINUTES - 1);
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    day.date().at(hour, minute, 0, 0).to_zoned(day.time_zone().clone()).ok()
}
