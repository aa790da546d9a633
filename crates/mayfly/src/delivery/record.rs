//! What the ledger holds: counts and codes, nobody's id.

use std::collections::{BTreeMap, BTreeSet};

use mayfly_core::time::DAY_SECONDS;
use mayfly_core::{Ordinal, Partition, Timestamp};
use mayfly_segments::destination::Destination;
use mayfly_store::EntryId;
use serde::{Deserialize, Serialize};

use super::held::Held;

/// Where a destination stands, in the ledger.
pub(crate) const STANDING: u64 = 0;
/// What a person asked of it.
pub(crate) const ASKED: u64 = 1;
/// The first delivery.
pub(crate) const FIRST: u64 = mayfly_store::delivered::LEDGER_FIRST;
/// Batches of a delivery that are told one by one; the newest.
const BATCHES: usize = 100;
/// Codes of a partner that a delivery tells apart.
pub(super) const CODES: usize = 50;

/// What was to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// What changed.
    #[default]
    Delta,
    /// Everything.
    Full,
}

/// How a delivery ended, or stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Under way, or cut off.
    #[default]
    Running,
    /// All of it went.
    Done,
    /// The rest goes later.
    Waiting,
    /// A person has to look.
    Held,
    /// A person gave up what was held.
    Dropped,
}

/// From members to what was accepted, in pairs of visitor and code. Of each line the next ones are
/// the parts: `members` = `allowed` + `not_allowed`, `allowed` = `matched` + `without_id`,
/// `matched` = `wanted` + `held_back` + `together`, `wanted` = `unchanged` + `adds` +
/// `refreshes`, and `adds` + `refreshes` + `removes` + `gone` = `sent` + `left_out` + `unsent`,
/// `sent` = `accepted` + all of `rejected`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Waterfall {
    /// Members of the mapped segments.
    pub(crate) members: u64,
    /// Whose newest choice does not permit the receiver.
    pub(crate) not_allowed: u64,
    /// Whose does.
    pub(crate) allowed: u64,
    /// Of whom the partner has no id.
    pub(crate) without_id: u64,
    /// Of whom it has.
    pub(crate) matched: u64,
    /// In segments that are too small, or have a label that forbids it.
    pub(crate) held_back: u64,
    /// In several segments of one code: each is there once.
    #[serde(default)]
    pub(crate) together: u64,
    /// Who is to be there.
    pub(crate) wanted: u64,
    /// Who is there.
    pub(crate) unchanged: u64,
    /// Who comes.
    pub(crate) adds: u64,
    /// Who stays for longer.
    pub(crate) refreshes: u64,
    /// Who goes.
    pub(crate) removes: u64,
    /// Ids that are nobody's any more, in each code.
    pub(crate) gone: u64,
    /// What was sent.
    pub(crate) sent: u64,
    /// What the receiver took.
    pub(crate) accepted: u64,
    /// What it did not, by its own code.
    pub(crate) rejected: BTreeMap<String, u64>,
    /// What changed before it was sent: a choice, a membership, an id.
    pub(crate) left_out: u64,
    /// What was not sent this time.
    pub(crate) unsent: u64,
}

impl Waterfall {
    /// All that is to be told.
    pub(crate) fn changed(&self) -> u64 {
        self.adds + self.refreshes + self.removes + self.gone
    }

    /// What is left when the rest was dealt with.
    pub(crate) fn settle(&mut self) {
        self.unsent = self.changed().saturating_sub(self.sent + self.left_out);
    }
}

/// A segment in a delivery.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SegmentRow {
    /// Its name.
    pub(crate) segment: String,
    /// The receiver's.
    pub(crate) code: String,
    /// Members.
    pub(crate) members: u64,
    /// Members whose choice permits the receiver, with an id there.
    #[serde(default)]
    pub(crate) matched: u64,
    /// Who is to be there under the code.
    pub(crate) wanted: u64,
    /// Why nobody is: `below_minimum`, `label`; `ended`, `not_begun`, `terms_ended` where it is not
    /// looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) held_back: Option<String>,
}

impl SegmentRow {
    /// Whether it is mapped, and not delivered now.
    pub(crate) fn is_off(&self) -> bool {
        matches!(self.held_back.as_deref(), Some("ended" | "not_begun" | "terms_ended"))
    }
}

/// A batch, or a file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct BatchRow {
    /// Its id: the same when it is sent again by the same delivery.
    pub(crate) id: String,
    /// Visitors in it.
    pub(crate) visitors: u64,
    /// Pairs in it.
    pub(crate) pairs: u64,
    /// Bytes of its requests.
    pub(crate) bytes: u64,
    /// Hex of the SHA-256 of all its bytes.
    pub(crate) sha256: String,
    /// How long it took, milliseconds.
    pub(crate) ms: u64,
    /// `accepted`, or why not.
    pub(crate) result: String,
}

/// One delivery.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Delivery {
    /// [`FIRST`] and on.
    pub(crate) number: u64,
    /// The destination's name then.
    pub(crate) destination: String,
    /// What was to be sent.
    pub(crate) mode: Mode,
    /// How it ended.
    pub(crate) status: Status,
    /// Why it did not end well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// When it began, milliseconds since 1970.
    pub(crate) began_ms: i64,
    /// When it ended.
    pub(crate) ended_ms: Option<i64>,
    /// The instant for which the members are exact.
    pub(crate) as_of_ms: i64,
    /// The definitions version.
    pub(crate) version: u32,
    /// The counts.
    pub(crate) pairs: Waterfall,
    /// Segment by segment.
    pub(crate) segments: Vec<SegmentRow>,
    /// The newest batches.
    pub(crate) batches: Vec<BatchRow>,
    /// All batches.
    pub(crate) batches_in_all: u64,
    /// Bytes of all batches.
    pub(crate) bytes: u64,
}

impl Delivery {
    /// How a person calls it.
    pub(crate) fn id(&self) -> String {
        format!("{}-{}", self.destination, self.number.saturating_sub(FIRST - 1))
    }

    /// Adds a batch.
    pub(crate) fn push(&mut self, batch: BatchRow) {
        self.batches_in_all += 1;
        self.bytes += batch.bytes;
        self.batches.push(batch);
        let more = self.batches.len().saturating_sub(BATCHES);
        self.batches.drain(..more);
    }
}

/// Where a destination stands between deliveries.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The last delivery's number.
    pub(crate) number: u64,
    /// When it was last served, whether or not anything was to be sent, milliseconds.
    pub(crate) served_ms: i64,
    /// When the receiver last took anything.
    pub(crate) accepted_ms: i64,
    /// When all was last sent.
    pub(crate) full_ms: i64,
    /// The receiver was told of everything that was so before this instant: of who was erased or
    /// left by then, too.
    #[serde(default)]
    pub(crate) told_ms: i64,
    /// Since when something waits that is not delivered; none = nothing does.
    pub(crate) pending_ms: Option<i64>,
    /// Not before this instant.
    pub(crate) retry_ms: Option<i64>,
    /// Failures one after the other.
    pub(crate) failures: u32,
    /// What a person has to look at.
    pub(crate) held: Option<Held>,
    /// A batch that may have arrived, of a destination that must not get it twice.
    pub(crate) in_flight: Option<Held>,
    /// Codes that fell below the minimum.
    pub(crate) below: BTreeSet<String>,
    /// Up to where news of matches were told, by partition.
    pub(crate) news: BTreeMap<u16, (u64, u64)>,
    /// Everything is to be sent, until that went well.
    #[serde(default)]
    pub(crate) wants_full: bool,
    /// Up to and with which visitor that was done: partition and ordinal.
    #[serde(default)]
    pub(crate) full_upto: Option<(u16, Ordinal)>,
    /// The last delivery came to nothing: its row is used again.
    #[serde(default)]
    pub(crate) was_idle: bool,
    /// The last request of a person that was followed.
    pub(crate) asked: u64,
    /// Who was told of all this ([`mayfly_segments::destination::Way::receiver`]).
    #[serde(default)]
    pub(crate) receiver: String,
    /// What was delivered, by month (`2026-11`) and code: counts for an invoice.
    #[serde(default)]
    pub(crate) usage: BTreeMap<String, BTreeMap<String, Usage>>,
}

/// What was delivered under a code in a month.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Visitors that came.
    pub(crate) added: u64,
    /// Visitors that were told of again, for they stay longer.
    pub(crate) refreshed: u64,
    /// Visitors that left.
    pub(crate) removed: u64,
    /// The most that were there at one time.
    pub(crate) most: u64,
}

/// Months whose usage is remembered.
const USAGE_MONTHS: usize = 25;

impl Standing {
    /// Whether something is to be looked at now. A clock that went back, or was ahead when
    /// something was noted, does not stop deliveries.
    pub(super) fn is_due(&self, destination: &Destination, now: Timestamp) -> bool {
        if let Some(retry) = self.retry_ms {
            let most_ms = DAY_SECONDS * 1000;
            return now.millis() >= retry || retry > now.millis() + most_ms;
        }
        if self.served_ms == 0 {
            return true;
        }
        let last = Timestamp::from_millis(self.served_ms);
        last > now || destination.schedule.after(last, &destination.time_zone) <= now
    }

    /// Since when removals wait for a pause to end, where that is more than a day: they wait as
    /// long as news of matches are kept, and no longer.
    pub(crate) fn withheld_since(
        &self,
        destination: &Destination,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let is_long = now.millis() - self.told_ms > DAY_SECONDS * 1000;
        let is_owed = destination.paused && self.told_ms > 0 && is_long;
        is_owed.then(|| Timestamp::from_millis(self.told_ms))
    }

    /// Everything is to be sent, from the beginning.
    pub(super) fn begin_full(&mut self) {
        (self.wants_full, self.full_upto) = (true, None);
    }

    /// Everything was sent, or is as it should be.
    pub(super) fn end_full(&mut self) {
        (self.wants_full, self.full_upto) = (false, None);
    }

    /// Counts what was delivered under a code, in the month of an instant; old months go.
    pub(super) fn bill(&mut self, code: &str, now: Timestamp, more: Usage) {
        let month: String = crate::clock::text(now).chars().take(7).collect();
        let own = self.usage.entry(month).or_default().entry(code.to_owned()).or_default();
        own.added += more.added;
        own.refreshed += more.refreshed;
        own.removed += more.removed;
        own.most = own.most.max(more.most);
        while self.usage.len() > USAGE_MONTHS {
            self.usage.pop_first();
        }
    }

    /// Up to where news were told.
    pub(crate) fn told(&self, partition: Partition) -> EntryId {
        let (ms, seq) = self.news.get(&partition.0).copied().unwrap_or_default();
        EntryId { ms, seq }
    }

    /// News up to here were told.
    pub(crate) fn set_told(&mut self, partition: Partition, upto: EntryId) {
        self.news.insert(partition.0, (upto.ms, upto.seq));
    }
}

/// What a person may ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Deliver now.
    #[default]
    Now,
    /// Deliver everything now.
    Full,
    /// Try again what is held.
    Resume,
    /// Give up the batch that is held, and go on.
    Drop,
}

/// What a person asked.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// One more with each.
    pub(crate) number: u64,
    /// What.
    pub(crate) ask: Ask,
    /// Who.
    pub(crate) by: String,
    /// What was asked before and is not followed yet.
    #[serde(default)]
    pub(crate) before: Vec<Ask>,
}

impl Asked {
    /// All of it, in its order.
    pub(crate) fn all(&self) -> impl Iterator<Item = Ask> {
        self.before.iter().copied().chain([self.ask])
    }
}

#[cfg(test)]
mod tests {
    use mayfly_core::Retention;
    use mayfly_segments::{Definitions, DefinitionsFile};

    use super::*;

    fn destination(schedule: &str) -> Destination {
        let text = format!(
            "format = 1\n[[partner]]\nkey = \"p\"\nprocessor = true\n[[destination]]\nname = \"d\"\n\
             partner = \"p\"\ncountry = \"NL\"\ntransfer = \"within\"\nschedule = \"{schedule}\"\n\
             time_zone = \"Europe/Amsterdam\"\n[destination.files]\nfolder = \"d\"\n"
        );
        let file = DefinitionsFile::parse(&text).unwrap();
        let applied = Definitions::default().apply(&file, false, Retention::default()).unwrap();
        applied.definitions.destination("d").cloned().unwrap()
    }

    #[test]
    fn a_clock_that_jumps_does_not_stop_deliveries() {
        let noon = Timestamp::from_secs(1_795_435_200); // 2026-11-23, 13:00 in Amsterdam
        let served = |at: Timestamp| Standing { served_ms: at.millis(), ..Standing::default() };
        let hourly = destination("every 1h");
        assert!(Standing::default().is_due(&hourly, noon), "at first at once");
        for (last_s, is_due) in [(0, false), (-3599, false), (-3600, true), (3600, true)] {
            let own = served(noon.plus_secs(last_s));
            assert_eq!(own.is_due(&hourly, noon), is_due, "{last_s}");
        }
        let daily = destination("daily 03:30");
        let today = noon.plus_secs(-9 * 3600); // 04:00 there
        assert!(!served(today).is_due(&daily, noon));
        assert!(served(today.plus_secs(-3600)).is_due(&daily, noon));
        assert!(served(noon.plus_secs(86_400 * 400)).is_due(&daily, noon), "it was ahead");
        // What failed waits as long as it was asked to, unless the clock was ahead then.
        for (retry_s, is_due) in [(-1, true), (1, false), (86_400, false), (86_401, true)] {
            let retry_ms = Some(noon.plus_secs(retry_s).millis());
            let own = Standing { retry_ms, ..served(noon) };
            assert_eq!(own.is_due(&hourly, noon), is_due, "{retry_s}");
        }
    }

    #[test]
    fn a_pause_that_withholds_removals_is_told_after_a_day() {
        let noon = Timestamp::from_secs(1_795_435_200);
        let paused = Destination { paused: true, ..destination("on change") };
        let told = |hours: i64| Standing {
            told_ms: noon.plus_secs(-3600 * hours).millis(),
            ..Standing::default()
        };
        assert_eq!(told(24).withheld_since(&paused, noon), None);
        assert_eq!(told(25).withheld_since(&paused, noon), Some(noon.plus_secs(-25 * 3600)));
        assert_eq!(told(25).withheld_since(&destination("on change"), noon), None);
        assert_eq!(Standing::default().withheld_since(&paused, noon), None, "told of nobody yet");
    }

    #[test]
    fn usage_is_counted_by_month_and_forgotten_after_two_years() {
        let mut own = Standing::default();
        let month = |n: i64| Timestamp::from_secs(1_795_435_200 + n * 86_400 * 31);
        let more = |added, most| Usage { added, most, ..Usage::default() };
        own.bill("11", month(0), more(3, 3));
        own.bill("11", month(0), more(2, 5));
        own.bill("11", month(0), more(0, 4));
        own.bill("12", month(0), more(1, 1));
        assert_eq!(own.usage["2026-11"]["11"], more(5, 5));
        (1..40).for_each(|n| own.bill("11", month(n), more(1, 1)));
        assert_eq!(own.usage.len(), USAGE_MONTHS);
        assert!(!own.usage.contains_key("2026-11"));
    }
}
