//! What segments have in common, what their members do, who they are: exact, as of now.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use mayfly_core::{CategoryId, Day, Event, Ordinal, Partition, Timestamp, Visitor, limits};
use mayfly_segments::{Compiled, Expression, Fact};
use roaring::RoaringBitmap;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::App;
use super::segments::{PARTITIONS_AT_ONCE, may_sample, rounded};
use crate::clock;
use crate::http::ApiError;
use crate::worker::evaluate::Visitors;
use crate::worker::{Slot, evaluate, rebuild};

/// One breakdown at a time reads all hits of its days: what else reads hits goes on beside it.
static BREAKDOWNS: Semaphore = Semaphore::const_new(1);
/// How long another one waits.
const BREAKDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// Members of one segment or expression, by partition.
pub(super) type Members = BTreeMap<Partition, RoaringBitmap>;

impl App {
    /// How many visitors each two of these have in common; each is a segment's name or an
    /// expression.
    ///
    /// # Errors
    /// [`ApiError::TooMany`], [`ApiError::Problems`], [`ApiError::Busy`].
    pub async fn overlap(&self, of: &[String], exact: bool) -> Result<Value, ApiError> {
        if of.len() > limits::OVERLAP_SEGMENTS {
            let limit = limits::OVERLAP_SEGMENTS;
            return Err(ApiError::TooMany { what: "segments", limit });
        }
        let now = self.catch_up().await?;
        let active = self.active();
        let mut all = Vec::with_capacity(of.len());
        for name in of {
            all.push(self.members_of(name, now, exact).await?);
        }
        self.still(&active)?;
        let show = |n| if exact { Some(n) } else { rounded(n) };
        let rows: Vec<Value> = of
            .iter()
            .zip(&all)
            .map(|(name, own)| {
                let with: Vec<_> = all.iter().map(|other| show(common(own, other))).collect();
                json!({"segment": name, "held": show(held(own)), "with": with})
            })
            .collect();
        Ok(json!({"segments": rows, "as_of": clock::text(now), "exact": exact}))
    }

    /// A few members, spread evenly over all of them: the same ones until the membership changes.
    ///
    /// # Errors
    /// [`ApiError::NoSegment`], [`ApiError::TooMany`], [`ApiError::Busy`].
    pub async fn sample(&self, name: &str, number: u64) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        self.segment_id(name)?;
        let members = self.members_of(name, now, true).await?;
        let (all, number) = (held(&members), number.min(held(&members)));
        let places = (0..number).map(|nth| nth * all / number.max(1));
        let sample: Vec<String> =
            places.filter_map(|place| nth(&members, place)).map(|v| v.to_string()).collect();
        Ok(json!({"segment": name, "held": all, "sample": sample, "as_of": clock::text(now)}))
    }

    /// What the members do more or less than everybody: for each category the members with a hit
    /// in it in the last `days` days, beside everybody with one.
    ///
    /// # Errors
    /// [`ApiError::Problems`], [`ApiError::Busy`], the store's.
    pub async fn composition(&self, of: &str, days: u16, exact: bool) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        let today = now.day().unwrap_or_default();
        let active = self.active();
        let members = self.members_of(of, now, exact).await?;
        let mut counts: BTreeMap<CategoryId, (u64, u64)> = BTreeMap::new();
        for slot in self.slots() {
            let own = members.get(&slot.partition()).cloned().unwrap_or_default();
            let hidden = self.hidden(slot.partition()) | slot.erased();
            for (category, visitors) in self.visitors_of(&slot, &active, today, days).await?.0 {
                let visitors = visitors - &hidden;
                let sum = counts.entry(category).or_default();
                sum.0 += visitors.intersection_len(&own);
                sum.1 += visitors.len();
            }
        }
        self.still(&active)?;
        let everybody = counts.remove(&CategoryId::ALL).unwrap_or_default();
        let path = |category| ("category", active.definitions().path(category));
        let rows = rows(counts, everybody, exact, path);
        let show = |n| if exact { Some(n) } else { rounded(n) };
        Ok(json!({
            "of": of,
            "days": days,
            "members": show(everybody.0),
            "everybody": show(everybody.1),
            "categories": rows,
            "as_of": clock::text(now),
            "exact": exact,
        }))
    }

    /// As [`App::composition`], by what page views say of a fact: read off all of the last `days`
    /// days, whether or not categories are made of it. Beyond [`limits::FACT_VALUES`] values in a
    /// partition others are left out, and `complete` is false.
    ///
    /// # Errors
    /// As [`App::composition`].
    pub async fn breakdown(
        &self,
        of: &str,
        fact: &Fact,
        days: u16,
        exact: bool,
    ) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        let active = self.active();
        let members = self.members_of(of, now, exact).await?;
        let turn = tokio::time::timeout(BREAKDOWN_PATIENCE, BREAKDOWNS.acquire()).await;
        let _turn = turn.map_err(|_| ApiError::Busy)?;
        let today = now.day().unwrap_or_default();
        let read =
            |slot: Arc<Slot>| self.facts_of(slot, &active, fact, today.minus(days - 1)..=today);
        let mut all = stream::iter(self.slots()).map(read).buffered(PARTITIONS_AT_ONCE);
        let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let (mut everybody, mut complete) = ((0, 0), true);
        while let Some((partition, visitors)) = all.try_next().await? {
            complete &= visitors.len() <= limits::FACT_VALUES;
            let own = members.get(&partition).cloned().unwrap_or_default();
            for (value, visitors) in visitors {
                let sum = match value {
                    Some(value) => counts.entry(value).or_default(),
                    None => &mut everybody,
                };
                sum.0 += visitors.intersection_len(&own);
                sum.1 += visitors.len();
            }
        }
        self.still(&active)?;
        let rows = rows(counts, everybody, exact, |value| ("value", value));
        let show = |n| if exact { Some(n) } else { rounded(n) };
        Ok(json!({
            "of": of, "by": fact.name(), "days": days,
            "members": show(everybody.0), "everybody": show(everybody.1),
            "values": rows, "complete": complete, "as_of": clock::text(now), "exact": exact,
        }))
    }

    /// Who had hits with each value of a fact; `None` stands for any or none.
    async fn facts_of(
        &self,
        slot: Arc<Slot>,
        active: &Compiled,
        fact: &Fact,
        days: RangeInclusive<Day>,
    ) -> Result<(Partition, BTreeMap<Option<String>, RoaringBitmap>), ApiError> {
        let mut visitors: BTreeMap<Option<String>, RoaringBitmap> = BTreeMap::new();
        for day in (days.start().0..=days.end().0).map(Day).filter(|day| slot.has_hits(*day)) {
            rebuild::each_hit(&self.store, (slot.partition(), day), |hit| {
                if hit.event == Event::Engagement || hit.is_declared() {
                    return;
                }
                visitors.entry(None).or_default().insert(hit.visitor.ordinal);
                let Some(value) = active.classifier().fact(fact, hit) else { return };
                let is_full = visitors.len() > limits::FACT_VALUES;
                let value = Some(value);
                if !is_full || visitors.contains_key(&value) {
                    visitors.entry(value).or_default().insert(hit.visitor.ordinal);
                }
            })
            .await?;
        }
        let hidden = self.hidden(slot.partition()) | slot.erased();
        visitors.values_mut().for_each(|own| *own -= &hidden);
        Ok((slot.partition(), visitors))
    }

    /// Who had hits in each category in the last `days` days.
    pub(super) async fn visitors_of(
        &self,
        slot: &Slot,
        active: &Compiled,
        today: Day,
        days: u16,
    ) -> Result<Visitors, ApiError> {
        let categories: Vec<CategoryId> =
            active.cells().into_iter().map(|cell| cell.category).collect();
        let mut visitors = Visitors::default();
        for ago in 0..days {
            let day = today.minus(ago);
            if slot.has_hits(day) {
                let cells = evaluate::day_cells(&self.store, slot, day, &categories).await?;
                visitors.add(cells.into_iter().filter(|(id, _)| active.knows(*id)));
                tokio::task::yield_now().await;
            }
        }
        Ok(visitors)
    }

    /// Refuses an answer over partitions of different definitions.
    pub(super) fn still(&self, active: &Compiled) -> Result<(), ApiError> {
        if self.active().version() == active.version() { Ok(()) } else { Err(ApiError::Busy) }
    }

    /// The members of a segment of this name, else of this expression.
    pub(super) async fn members_of(
        &self,
        text: &str,
        now: Timestamp,
        exact: bool,
    ) -> Result<Members, ApiError> {
        let active = self.active();
        let mut all = Members::new();
        if let Some(segment) = active.definitions().segment_named(text) {
            for slot in self.slots() {
                let own = slot.read(|index| index.members(segment.id).cloned()).flatten();
                let own = own.unwrap_or_default() - self.hidden(slot.partition());
                all.insert(slot.partition(), own);
            }
            return Ok(all);
        }
        let retention = self.settings.store.retention;
        let expression = Expression::parse(text, active.definitions(), retention)?;
        may_sample(&expression, exact)?;
        for (slot, own) in self.members_by_slot(&active, &expression, now).await? {
            all.insert(slot.partition(), own);
        }
        Ok(all)
    }
}

fn held(members: &Members) -> u64 {
    members.values().map(RoaringBitmap::len).sum()
}

fn common(a: &Members, b: &Members) -> u64 {
    let both =
        a.iter().filter_map(|(partition, own)| Some(own.intersection_len(b.get(partition)?)));
    both.sum()
}

/// The member at a place, by partition and ordinal.
fn nth(members: &Members, mut place: u64) -> Option<Visitor> {
    for (&partition, own) in members {
        if place < own.len() {
            let ordinal: Ordinal = own.select(u32::try_from(place).ok()?)?;
            return Some(Visitor { partition, ordinal });
        }
        place -= own.len();
    }
    None
}

/// A row for each that members and everybody were counted in, the largest first.
fn rows<K>(
    counts: BTreeMap<K, (u64, u64)>,
    everybody: (u64, u64),
    exact: bool,
    name: impl Fn(K) -> (&'static str, String),
) -> Vec<Value> {
    // That there is somebody at all is told by no row.
    let told = counts.into_iter().filter(|(_, (_, all))| exact || rounded(*all).is_some());
    let mut rows: Vec<Value> = told
        .map(|(key, (own, all))| {
            let mut row = index(own, all, everybody, exact);
            let (column, name) = name(key);
            row[column] = json!(name);
            row
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row["members"].as_u64()));
    rows
}

/// How much more often members are in a category than everybody is: 100 = as often.
fn index(own: u64, all: u64, everybody: (u64, u64), exact: bool) -> Value {
    let show = |n| if exact { Some(n) } else { rounded(n) };
    let (own, all) = (show(own), show(all));
    let (members, visitors) = (show(everybody.0), show(everybody.1));
    #[expect(clippy::cast_precision_loss, reason = "shares are told to a thousandth")]
    let share = |part: Option<u64>, of: Option<u64>| match (part, of) {
        (Some(part), Some(of)) if of > 0 => Some(part as f64 / of as f64),
        (Some(_) | None, Some(_) | None) => None,
    };
    let (share_of_members, share_of_all) = (share(own, members), share(all, visitors));
    let index = match (share_of_members, share_of_all) {
        (Some(own), Some(all)) if all > 0.0 => Some((own / all * 100.0).round()),
        (Some(_) | None, Some(_) | None) => None,
    };
    let thousandths = |share: Option<f64>| share.map(|share| (share * 1000.0).round() / 1000.0);
    json!({
        "members": own,
        "share": thousandths(share_of_members),
        "everybody": all,
        "share_of_everybody": thousandths(share_of_all),
        "index": index,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_of_100_is_as_often_as_everybody() {
        let row = index(50, 100, (200, 400), true);
        assert_eq!((&row["share"], &row["index"]), (&json!(0.25), &json!(100.0)));
        assert_eq!(index(60, 100, (200, 400), true)["index"], json!(120.0));
        assert_eq!(index(1, 0, (0, 0), true)["index"], Value::Null);
        let rough = index(49, 1234, (2000, 4000), false);
        assert_eq!((&rough["members"], &rough["index"]), (&Value::Null, &Value::Null));
        assert_eq!(rough["everybody"], json!(1200));
    }

    #[test]
    fn a_sample_goes_over_all_partitions() {
        let members = Members::from([
            (Partition(0), RoaringBitmap::from_iter([5, 9])),
            (Partition(3), RoaringBitmap::from_iter([1])),
        ]);
        let at = |place| nth(&members, place).map(|visitor| visitor.to_string());
        assert_eq!([at(0), at(1), at(2)].map(Option::unwrap), ["0.5", "0.9", "3.1"]);
        assert_eq!(at(3), None);
    }
}
