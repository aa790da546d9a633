//! How large a segment was, day by day: worked out from what is kept as far as its windows reach,
//! before that as it was recorded in the last minutes of the day.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use futures_util::{StreamExt, TryStreamExt, stream};
use mayfly_core::{Day, SegmentId, Timestamp};
use mayfly_segments::{Expression, Segment};
use mayfly_store::{CatalogName, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::App;
use super::segments::{PARTITIONS_AT_ONCE, may_sample, rounded};
use crate::clock;
use crate::http::{ApiError, reading};
use crate::worker::evaluate;

/// From this second of a UTC day on its sizes are recorded.
const RECORDED_FROM_SECOND: u32 = 86_400 - 180;

/// The catalog's entry: a day's sizes.
#[derive(Serialize, Deserialize)]
struct Recorded {
    format: u8,
    /// By the segment's number.
    held: BTreeMap<u32, u64>,
}

/// A size, and how it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    /// Worked out now.
    Exactly(u64),
    /// Recorded at this instant.
    AsRecorded(u64, Timestamp),
}

impl App {
    /// How many members a segment of this name, else an expression, had at the end of each of the
    /// last `days` days (of today: has now).
    ///
    /// # Errors
    /// [`ApiError::Problems`], [`ApiError::Busy`], the store's.
    pub async fn sizes(&self, of: &str, days: u16, exact: bool) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        let today = now.day().unwrap_or_default();
        let (active, retention) = (self.active(), self.settings.store.retention);
        let segment = active.definitions().segment_named(of);
        let rule = segment.map_or(of, |segment| &segment.rule);
        let expression = Expression::parse(rule, active.definitions(), retention)?;
        may_sample(&expression, exact)?;
        let first = today.minus(days.saturating_sub(1));
        let mut known = BTreeMap::new();
        if let Some(segment) = segment {
            known = recorded(&self.store, segment.id).await?;
            known.insert(today, Known::Exactly(self.held(segment.id)));
        }
        // Whole windows are read: few at a time.
        let _turn = reading().await?;
        let is_worked_out = expression.traces() == 0 && segment.is_none_or(|own| !own.paused);
        if is_worked_out {
            let last = if segment.is_some() { today.minus(1) } else { today };
            let range = reachable(&expression, first, last, retention.oldest(today));
            for (day, held) in self.worked_out(&expression, range).await? {
                known.insert(day, Known::Exactly(if runs(segment, day) { held } else { 0 }));
            }
        }
        if self.active().version() != active.version() {
            return Err(ApiError::Busy);
        }
        let row = |day: Day| row(day, known.get(&day).copied(), exact);
        let rows: Vec<Value> = (first.0..=today.0).map(Day).map(row).collect();
        Ok(json!({"of": of, "sizes": rows, "as_of": clock::text(now), "exact": exact}))
    }

    /// The members of an expression at the end of each day.
    async fn worked_out(
        &self,
        expression: &Expression,
        days: RangeInclusive<Day>,
    ) -> Result<Vec<(Day, u64)>, ApiError> {
        let all: Vec<Day> = (days.start().0..=days.end().0).map(Day).collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let own = |slot: std::sync::Arc<crate::worker::Slot>| {
            let days = days.clone();
            async move {
                let but = self.hidden(slot.partition()) | slot.erased();
                evaluate::sizes(&self.store, &slot, expression, days, &but).await
            }
        };
        let partitions = stream::iter(self.slots()).map(own).buffered(PARTITIONS_AT_ONCE);
        let parts: Vec<Vec<u64>> = partitions.try_collect().await?;
        let sum = |at: usize| parts.iter().filter_map(|own| own.get(at)).sum();
        Ok(all.into_iter().enumerate().map(|(at, day)| (day, sum(at))).collect())
    }

    /// Records the sizes of all segments, once a day, in its last minutes.
    ///
    /// # Errors
    /// The store's.
    pub async fn record_sizes(&self, now: Timestamp) -> Result<(), StoreError> {
        let is_whole = self.slots().len() == self.partitions().count();
        if !is_time(now) || !is_whole || !self.slots().iter().all(|slot| slot.is_loaded()) {
            return Ok(());
        }
        let active = self.active();
        let held = active.definitions().segments().map(|own| (own.id.0, self.held(own.id)));
        record(&self.store, held.collect(), now).await
    }
}

/// Whether the day is about to end.
fn is_time(now: Timestamp) -> bool {
    now.second_of_day() >= RECORDED_FROM_SECOND
}

/// Writes a day's sizes, unless they are written already.
async fn record(store: &Store, held: BTreeMap<u32, u64>, now: Timestamp) -> Result<(), StoreError> {
    let last = store.catalog(CatalogName::Sizes).await?;
    if held.is_empty() || last.as_ref().is_some_and(|last| last.at.day() == now.day()) {
        return Ok(());
    }
    let bytes = serde_json::to_vec(&Recorded { format: 1, held }).unwrap_or_default();
    let before = last.map_or(0, |last| last.version);
    match store.write_catalog(CatalogName::Sizes, before, bytes, "worker", now).await {
        // Another process was faster.
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What was recorded of a segment, by day.
async fn recorded(store: &Store, segment: SegmentId) -> Result<BTreeMap<Day, Known>, StoreError> {
    let mut known = BTreeMap::new();
    for version in store.catalog_history(CatalogName::Sizes).await? {
        let Ok(own) = serde_json::from_slice::<Recorded>(&version.bytes) else { continue };
        if let (Some(day), Some(held)) = (version.at.day(), own.held.get(&segment.0)) {
            known.insert(day, Known::AsRecorded(*held, version.at));
        }
    }
    Ok(known)
}

/// Whether a segment runs at the end of a day.
fn runs(segment: Option<&Segment>, day: Day) -> bool {
    segment.is_none_or(|own| own.period.hours().contains(&day.first_hour().plus(23)))
}

/// The days on which no window reaches beyond the oldest day that is kept.
fn reachable(expression: &Expression, first: Day, last: Day, oldest: Day) -> RangeInclusive<Day> {
    let reaches = |day: &Day| {
        let needs = expression.needs(*day);
        // The oldest days of `earlier than` have gone, too.
        needs.iter().all(|(_, days)| *days.start() >= oldest)
    };
    let first = (first.0..=last.0).map(Day).find(reaches).unwrap_or(last.plus(1));
    first..=last
}

fn row(day: Day, known: Option<Known>, exact: bool) -> Value {
    let show = |n| if exact { Some(n) } else { rounded(n) };
    let (held, recorded) = match known {
        None => (None, None),
        Some(Known::Exactly(n)) => (show(n), None),
        Some(Known::AsRecorded(n, at)) => (show(n), Some(clock::text(at))),
    };
    json!({"day": day.to_string(), "held": held, "recorded_at": recorded, "known": known.is_some()})
}

#[cfg(test)]
mod tests {
    use mayfly_store::{StoreConfig, StoreUrl};

    use super::*;

    #[tokio::test]
    async fn a_size_is_recorded_once_a_day_and_told_with_its_instant() {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::new(StoreUrl::File(folder.path().join("store")));
        let (monday, tuesday) = (Day(20_779).at_second(86_300), Day(20_780).at_second(86_399));
        assert!(is_time(monday) && !is_time(Day(20_779).at_second(80_000)));
        let store = Store::open(&config, monday).await.unwrap();
        let held = |n| BTreeMap::from([(1, n), (2, 7)]);
        record(&store, BTreeMap::new(), monday).await.unwrap();
        for (n, at) in [(10, monday), (11, monday.plus_secs(5)), (12, tuesday)] {
            record(&store, held(n), at).await.unwrap();
        }
        let known = recorded(&store, SegmentId(1)).await.unwrap();
        let expected = [
            (Day(20_779), Known::AsRecorded(10, monday)),
            (Day(20_780), Known::AsRecorded(12, tuesday)),
        ];
        assert_eq!(known, BTreeMap::from(expected));
        assert!(recorded(&store, SegmentId(3)).await.unwrap().is_empty());
        let shown = row(Day(20_779), known.get(&Day(20_779)).copied(), false);
        assert_eq!((&shown["held"], &shown["known"]), (&Value::Null, &json!(true)), "few");
        assert_eq!(shown["recorded_at"], json!(clock::text(monday)));
        store.close().await.unwrap();
    }
}
