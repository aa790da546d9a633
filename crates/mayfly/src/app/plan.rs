//! What a change of definitions would do: members per segment, visitors per category.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mayfly_core::{CategoryId, CellId, Day, DayCells, SegmentId, Timestamp, limits};
use mayfly_segments::{Applied, CellsBuilder, Compiled, Index};
use roaring::RoaringBitmap;
use serde_json::{Value, json};

use super::App;
use super::definitions::{PATIENCE, texts};
use crate::http::ApiError;
use crate::worker::evaluate::Visitors;
use crate::worker::rebuild::Trial;
use crate::worker::{Slot, evaluate};

/// Members of a segment, or visitors of a category: now, after, entered, left.
#[derive(Debug)]
struct Difference {
    name: String,
    counts: [u64; 4],
}

impl Difference {
    fn json(&self) -> Value {
        let [now, after, entered, left] = self.counts;
        json!({
            "name": self.name, "now": now, "after": after, "entered": entered, "left": left,
        })
    }
}

/// Segments that lose so many members that it may be a mistake.
fn drops(segments: &[Difference]) -> Vec<String> {
    let is_drop = |own: &&Difference| {
        let [now, after, ..] = own.counts;
        let least = now.saturating_sub(now * limits::DROP_PERCENT / 100);
        now >= limits::DROP_MEMBERS && after < least
    };
    let text = |own: &Difference| {
        let [now, after, ..] = own.counts;
        format!("segment {} would go from {now} to {after} members", own.name)
    };
    segments.iter().filter(is_drop).map(text).collect()
}

impl App {
    /// What a file would change: definitions, and members per segment.
    ///
    /// # Errors
    /// [`ApiError::Problems`] with everything that is wrong.
    pub async fn plan(&self, text: &str, prune: bool) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        let applied = self.applied(text, prune)?;
        let wanted = self.compile(&applied.definitions)?;
        let segments = self.differences(&wanted, now).await?;
        let categories = self.category_differences(&wanted, now).await?;
        let dropped = [drops(&segments), self.left_there(&applied, now).await?].concat();
        let rows = |all: &[Difference]| all.iter().map(Difference::json).collect::<Vec<_>>();
        Ok(json!({
            "changes": texts(&applied),
            "segments": rows(&segments),
            "categories": rows(&categories),
            "drops": dropped,
            "lints": self.new_lints(&wanted).await?,
            "version": self.active().version(),
        }))
    }

    /// Destinations that would go, or be another receiver, while somebody is there, whom nobody
    /// could tell to leave then.
    async fn left_there(&self, applied: &Applied, now: Timestamp) -> Result<Vec<String>, ApiError> {
        let (active, today) = (self.active(), now.day().unwrap_or_default());
        let after = |id| applied.definitions.destinations().find(|own| own.id == id);
        let mut left = Vec::new();
        for own in active.definitions().destinations() {
            let (was, is) = (own.way.receiver(), after(own.id).map(|own| own.way.receiver()));
            if is.as_ref() == Some(&was) {
                continue;
            }
            let mut there = 0;
            for partition in self.partitions() {
                let sent = self.store.sent(own.id.0, partition).await?;
                let live = sent.iter().flat_map(|code| code.until.range(today.plus(1)..));
                there += live.map(|(_, who)| who.len()).sum::<u64>();
            }
            if there > 0 {
                let what = match is {
                    Some(is) => format!("go from {was} to {is}"),
                    None => "go".to_owned(),
                };
                left.push(format!(
                    "destination {} would {what} with {there} still there, who would stay \
                     until their time is over (apply it with `segments = []` first: they are told \
                     to leave)",
                    own.name
                ));
            }
        }
        Ok(left)
    }

    /// Members now and after, for each segment that is or would be.
    async fn differences(
        &self,
        wanted: &Arc<Compiled>,
        now: Timestamp,
    ) -> Result<Vec<Difference>, ApiError> {
        let active = self.active();
        let fresh = wanted.new_cells(&active);
        let mut trial = Trial::new(CellsBuilder::following(wanted, &active, &fresh));
        let all: BTreeSet<SegmentId> =
            active.segments().iter().chain(wanted.segments()).map(|segment| segment.id).collect();
        let mut sums: BTreeMap<SegmentId, [u64; 4]> = BTreeMap::new();
        for slot in self.slots() {
            let after = self.members_after(&slot, &active, wanted, &mut trial, now).await?;
            let hidden = self.hidden(slot.partition());
            for segment in &all {
                let now = slot.read(|index| index.members(*segment).cloned()).flatten();
                let now = now.unwrap_or_default() - &hidden;
                let after = after.get(segment).cloned().unwrap_or_default() - &hidden;
                add(sums.entry(*segment).or_default(), &now, &after);
            }
        }
        let of = |compiled: &Compiled, id| {
            compiled.definitions().segment(id).map(|segment| segment.name.to_string())
        };
        let name = |id| of(wanted, id).or_else(|| of(&active, id)).unwrap_or_default();
        Ok(sums.into_iter().map(|(id, counts)| Difference { name: name(id), counts }).collect())
    }

    /// Visitors with a hit now and after, for each category whose rules are new or others.
    async fn category_differences(
        &self,
        wanted: &Arc<Compiled>,
        now: Timestamp,
    ) -> Result<Vec<Difference>, ApiError> {
        let active = self.active();
        let fresh = wanted.new_cells(&active);
        let mut trial = Trial::new(CellsBuilder::new(wanted, &fresh));
        let known: Vec<CategoryId> = fresh.iter().map(|cell| cell.category).collect();
        let (today, retention) = (now.day().unwrap_or_default(), self.settings.store.retention);
        let mut sums: BTreeMap<CategoryId, [u64; 4]> = BTreeMap::new();
        for slot in self.slots().into_iter().filter(|_| !fresh.is_empty()) {
            let mut before = Visitors::default();
            let mut after = Visitors::default();
            for day in (retention.oldest(today).0..=today.0).map(Day) {
                if !slot.has_hits(day) {
                    continue;
                }
                let cells = evaluate::day_cells(&self.store, &slot, day, &known).await?;
                before.add(cells.into_iter().filter(|(id, _)| active.knows(*id)));
                let made = trial.day(&self.store, slot.partition(), day).await?;
                after.add(made.ok_or(ApiError::Busy)?.cells);
            }
            let erased = slot.erased() | self.hidden(slot.partition());
            for category in &known {
                let of =
                    |all: &Visitors| all.0.get(category).cloned().unwrap_or_default() - &erased;
                add(sums.entry(*category).or_default(), &of(&before), &of(&after));
            }
        }
        let path = |id| wanted.definitions().path(id);
        Ok(sums.into_iter().map(|(id, counts)| Difference { name: path(id), counts }).collect())
    }

    /// The members of every wanted segment in one partition, with new cells made from the hits.
    async fn members_after(
        &self,
        slot: &Slot,
        active: &Compiled,
        wanted: &Arc<Compiled>,
        trial: &mut Trial,
        now: Timestamp,
    ) -> Result<BTreeMap<SegmentId, RoaringBitmap>, ApiError> {
        let hour = now.hour().unwrap_or_default();
        let today = hour.day();
        let oldest = self.settings.store.retention.oldest(today);
        let fresh = wanted.new_cells(active);
        let mut days: BTreeMap<Day, BTreeSet<CellId>> = BTreeMap::new();
        for (cell, range) in wanted.needs(today) {
            for day in range.start().0.max(oldest.0)..=range.end().0 {
                days.entry(Day(day)).or_default().insert(cell);
            }
        }
        let traced = wanted.recalls_after(active, today);
        for day in traced.iter().flat_map(|range| range.start().0..=range.end().0) {
            days.entry(Day(day)).or_default();
        }
        let mut index = Index::new(Arc::clone(wanted), slot.partition(), hour);
        index.set_erased(slot.erased());
        let kept = (oldest.0..=today.0).map(Day).collect();
        slot.read(|live| index.inherit(live, &kept));
        // Of a paused segment those stay who are members.
        for segment in active.segments() {
            let members = slot.read(|live| live.members(segment.id).cloned()).flatten();
            index.restore(segment.id, members.unwrap_or_default());
        }
        for (day, cells) in days {
            let (new, known): (BTreeSet<CellId>, BTreeSet<CellId>) =
                cells.into_iter().partition(|cell| fresh.contains(cell));
            let known: Vec<_> = known.iter().map(|cell| cell.category).collect();
            let mut all: DayCells = evaluate::day_cells(&self.store, slot, day, &known).await?;
            if !new.is_empty() || traced.as_ref().is_some_and(|range| range.contains(&day)) {
                let made = trial.day(&self.store, slot.partition(), day).await?;
                let mut made = made.ok_or(ApiError::Busy)?;
                all.append(&mut made.cells);
                index.recall(day, made);
            }
            index.load_day(day, &all);
        }
        index.recalled();
        index.evaluate();
        let members = wanted.segments().iter().filter_map(|segment| {
            index.members(segment.id).map(|members| (segment.id, members.clone()))
        });
        Ok(members.collect())
    }

    /// Refuses a change that takes away most of a segment, where this process can tell, or a
    /// destination that has members.
    pub(super) async fn refuse_drops(&self, applied: &Applied) -> Result<(), ApiError> {
        let mut found = self.left_there(applied, Self::now()).await?;
        if self.slots().len() == self.partitions().count() {
            let now = self.caught_up(PATIENCE).await?;
            let wanted = self.compile(&applied.definitions)?;
            found.extend(drops(&self.differences(&wanted, now).await?));
        }
        if found.is_empty() { Ok(()) } else { Err(ApiError::Drop(found)) }
    }
}

/// Adds one partition's members: now, after, entered, left.
fn add(sum: &mut [u64; 4], now: &RoaringBitmap, after: &RoaringBitmap) {
    let stay = now.intersection_len(after);
    let more = [now.len(), after.len(), after.len() - stay, now.len() - stay];
    sum.iter_mut().zip(more).for_each(|(sum, n)| *sum += n);
}
