//! Destinations: who receives which segments, in what form, how often, and on what ground.
//!
//! What a destination's requests and files look like is in [`way`]; when it is served in
//! [`schedule`]. What is sent, and how, belongs to the crates above.

pub mod schedule;
mod upload;
pub mod way;
#[cfg(test)]
mod way_tests;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use mayfly_core::{PartnerId, SegmentId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::definitions::{Period, Price};
pub use schedule::Schedule;
pub use way::Way;

/// A destination's stable number.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct DestinationId(pub u32);

/// Whose ids of visitors a destination gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdSpace {
    /// The partner's own, as id sync brought them.
    #[default]
    Partner,
    /// Ours: a name made for this partner alone.
    Ours,
}

/// On what basis data leaves for the receiver's country (General Data Protection Regulation,
/// chapter V).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transfer {
    /// It stays within the European Economic Area.
    Within,
    /// No basis is needed: no law asks for one.
    None,
    /// An adequacy decision (article 45).
    Adequacy,
    /// Standard contractual clauses (article 46).
    Clauses,
    /// Binding corporate rules (article 47).
    CorporateRules,
    /// The visitor's own consent (article 49).
    Consent,
}

/// A segment under the receiver's name of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapped {
    /// Ours.
    pub segment: SegmentId,
    /// The receiver's id or code.
    pub code: Box<str>,
    /// When it is delivered; before and after, nobody is in it.
    pub period: Period,
}

/// A destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Destination {
    /// Stable number.
    pub id: DestinationId,
    /// Its name.
    pub name: Box<str>,
    /// Whose it is: consent and ids are this partner's.
    pub partner: PartnerId,
    /// Whose ids it gets.
    pub ids: IdSpace,
    /// How and in what form.
    pub way: Way,
    /// What it gets.
    pub mapping: Vec<Mapped>,
    /// When.
    pub schedule: Schedule,
    /// The zone of times of day and of the mapping's days.
    pub time_zone: Box<str>,
    /// Where the receiver is: ISO 3166-1, two capital letters.
    pub country: Box<str>,
    /// On what basis data goes there.
    pub transfer: Transfer,
    /// Segments with one of these labels are never sent.
    pub forbidden_labels: Vec<Box<str>>,
    /// A segment with fewer visitors to send is not sent; see [`Destination::RESUME_PERCENT`].
    pub minimum: u32,
    /// The longest that the receiver keeps anyone without another word, days.
    pub max_ttl_days: u16,
    /// Visitors in one batch.
    pub batch: u32,
    /// Requests in one minute.
    pub per_minute: u32,
    /// Whether the same request twice is as once: what may have arrived is sent again.
    pub idempotent: bool,
    /// Names of secrets, by what they are used for: values are in the environment or in files.
    pub secrets: Vec<(Box<str>, Box<str>)>,
    /// Nothing is sent.
    pub paused: bool,
    /// Under which terms data is passed on, where there are any.
    pub terms: Option<Terms>,
    /// Names that it had before.
    pub was: Vec<Box<str>>,
}

/// Under which terms data is passed on: for people, but for their end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Which agreement it is.
    pub contract: Box<str>,
    /// The last day of it, UTC: from the next on everyone leaves.
    pub ends: Option<Date>,
    /// By thousand impressions.
    pub price: Option<Price>,
}

impl Terms {
    /// Whether they are over.
    #[must_use]
    pub fn are_over(&self, now: Timestamp) -> bool {
        self.ends.is_some_and(|last| is_past(last, now))
    }
}

/// Whether a day, UTC, is over.
#[must_use]
pub fn is_past(day: Date, now: Timestamp) -> bool {
    let after = day.tomorrow().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    after.is_some_and(|after| after.timestamp().as_millisecond() <= now.millis())
}

impl Destination {
    /// The smallest segment that is sent, unless the destination says otherwise, visitors.
    pub const MINIMUM: u32 = 100;
    /// Percent of the minimum that a segment must reach to be sent again once it fell below.
    pub const RESUME_PERCENT: u64 = 120;

    /// How many visitors to send a segment needs, when it is being sent, or was not.
    #[must_use]
    pub fn least(&self, is_sent: bool) -> u64 {
        let minimum = u64::from(self.minimum);
        if is_sent { minimum } else { minimum * Self::RESUME_PERCENT / 100 }
    }

    /// The name of the secret that is used for this.
    #[must_use]
    pub fn secret(&self, used_for: &str) -> Option<&str> {
        let own = self.secrets.iter().find(|(own, _)| **own == *used_for);
        own.map(|(_, name)| &**name)
    }
}
