//! What a file changes, and the hits that say so.

use std::collections::BTreeMap;
use std::sync::Arc;

use mayfly_core::time::DAY_SECONDS;
use mayfly_core::{
    Admitted, CategoryId, CellId, Day, Partition, Partner, Timestamp, Visitor, limits,
};
use mayfly_segments::definitions::Import as Terms;
use mayfly_segments::destination::is_past;
use roaring::RoaringBitmap;

use super::reading::Named;
use super::{Import, ImportMode, Receipt, day};
use crate::app::App;
use crate::http::ApiError;
use crate::worker::{Slot, evaluate};

/// Hits that wait for the store at a time: a small part of its queue, for browsers use it, too.
const HITS_AT_ONCE: usize = 4096;

/// What is to become of one category in one partition.
#[derive(Debug, Default)]
struct Change {
    /// In it from today on.
    adds: RoaringBitmap,
    /// Was in it on these days, and is to be in it no more.
    leaves: BTreeMap<Day, RoaringBitmap>,
    /// Those of them that the file names.
    told: RoaringBitmap,
    /// Named, and nothing is to be done.
    unchanged: u64,
    /// Who is in it now.
    current: u64,
}

impl Change {
    /// Everyone who leaves.
    fn leavers(&self) -> RoaringBitmap {
        self.leaves.values().fold(RoaringBitmap::new(), |all, own| all | own)
    }
}

/// What is to become of categories.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// With the partner's code.
    all: BTreeMap<(CategoryId, Partition), (Box<str>, Change)>,
}

impl Changes {
    /// Refuses to empty most of an audience, unless that is wanted.
    pub(super) fn refuse_drop(&self, asked: &Import) -> Result<(), ApiError> {
        let mut sizes: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (code, change) in self.all.values() {
            let (current, lost) = sizes.entry(code).or_default();
            *current += change.current;
            *lost += (change.leavers() - &change.told).len();
        }
        let is_drop = |(current, lost): (u64, u64)| {
            current >= limits::DROP_MEMBERS && lost * 100 > current * limits::DROP_PERCENT
        };
        let drops = sizes.into_iter().filter(|(_, own)| is_drop(*own));
        let told = drops.map(|(code, (current, lost))| {
            format!("audience {code} would lose {lost} of its {current} members")
        });
        let told: Vec<String> = told.collect();
        if told.is_empty() || asked.allow_drop { Ok(()) } else { Err(ApiError::Drop(told)) }
    }
}

/// Whether a licence is over.
pub(super) fn is_over(import: &Terms, now: Timestamp) -> bool {
    import.ends.is_some_and(|last| is_past(last, now))
}

impl App {
    /// What a file changes.
    pub(super) async fn import_changes(
        &self,
        asked: &Import,
        partner: &Partner,
        named: &Named,
        now: Timestamp,
    ) -> Result<Changes, ApiError> {
        let nobody = (RoaringBitmap::new(), RoaringBitmap::new());
        let empty = RoaringBitmap::new();
        let slots = self.import_slots()?;
        let mut changes = Changes::default();
        for (category, code) in self.codes_of(asked, partner, named, now) {
            for slot in &slots {
                let partition = slot.partition();
                let (adds, outside) = named.pairs.get(&(category, partition)).unwrap_or(&nobody);
                let visitors = named.visitors.get(&partition).unwrap_or(&empty);
                let days = self.days_of(slot, category, now).await?;
                let all = days.values().fold(RoaringBitmap::new(), |all, own| all | own);
                let leaves = match asked.mode {
                    ImportMode::Add => &all & outside,
                    ImportMode::Overwrite => &all - adds,
                    ImportMode::OverwriteUsers => (&all & visitors) - adds,
                };
                let today = days.get(&day(now)).unwrap_or(&empty);
                let change = Change {
                    adds: adds - today,
                    told: &leaves & outside,
                    unchanged: adds.intersection_len(today) + (outside - &all).len(),
                    current: all.len(),
                    leaves: days.iter().map(|(day, own)| (*day, own & &leaves)).collect(),
                };
                changes.all.insert((category, partition), (code.clone(), change));
            }
        }
        Ok(changes)
    }

    /// The categories that a file speaks of: those that it names; of users all of the partner's;
    /// and of an empty one that of its lines without a code.
    fn codes_of(
        &self,
        asked: &Import,
        partner: &Partner,
        named: &Named,
        now: Timestamp,
    ) -> Vec<(CategoryId, Box<str>)> {
        let active = self.active();
        let all = active.definitions().imports_of(partner.id);
        let is_meant = |(category, import): &(&mayfly_segments::definitions::Category, &Terms)| {
            let is_open = !is_over(import, now);
            let is_default = asked.code.as_deref() == Some(&*import.code);
            is_open
                && (asked.mode == ImportMode::OverwriteUsers
                    || is_default
                    || named.categories.contains(&category.id))
        };
        all.filter(is_meant).map(|(category, own)| (category.id, own.code.clone())).collect()
    }

    /// That everybody leaves the partner's categories whose licence is over.
    pub(super) async fn ended(
        &self,
        partner: &Partner,
        now: Timestamp,
    ) -> Result<Changes, ApiError> {
        let active = self.active();
        let over = active.definitions().imports_of(partner.id);
        let over = over.filter(|(_, import)| is_over(import, now));
        let over: Vec<_> = over.map(|(category, own)| (category.id, own.code.clone())).collect();
        let slots = self.import_slots()?;
        let mut changes = Changes::default();
        for (category, code) in over {
            for slot in &slots {
                let leaves = self.days_of(slot, category, now).await?;
                let change = Change { leaves, ..Change::default() };
                changes.all.insert((category, slot.partition()), (code.clone(), change));
            }
        }
        Ok(changes)
    }

    /// All partitions; a part would be no answer.
    fn import_slots(&self) -> Result<Vec<Arc<Slot>>, ApiError> {
        let slots = self.slots();
        let is_whole = slots.len() == self.partitions().count();
        let is_ready = is_whole && slots.iter().all(|slot| slot.is_loaded());
        if is_ready { Ok(slots) } else { Err(ApiError::Busy) }
    }

    /// Who is in a category on which days.
    async fn days_of(
        &self,
        slot: &Slot,
        category: CategoryId,
        now: Timestamp,
    ) -> Result<BTreeMap<Day, RoaringBitmap>, ApiError> {
        let today = day(now);
        let oldest = slot.retention().oldest(today);
        let days = (oldest.0..=today.0).map(Day).filter(|day| slot.has_hits(*day));
        let wanted = days.map(|day| (day, vec![category])).collect();
        let cells = evaluate::cells_of_days(self.store(), slot, wanted).await?;
        let erased = slot.erased();
        let of = CellId { category, since: 0 }..=CellId { category, since: u32::MAX };
        let days = cells.into_iter().map(|(day, cells)| {
            let entries = cells.range(of.clone()).flat_map(|(_, cell)| &cell.entries);
            let own = entries.filter(|entry| entry.count > 0).map(|entry| entry.ordinal);
            (day, own.collect::<RoaringBitmap>() - &erased)
        });
        Ok(days.filter(|(_, own)| !own.is_empty()).collect())
    }

    /// Stores what a file changes: first who comes, then who leaves.
    pub(super) async fn store_import(
        &self,
        changes: &Changes,
        receipt: &mut Receipt,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let mut hits: Vec<(Visitor, Admitted)> = Vec::new();
        for ((category, partition), (code, change)) in &changes.all {
            let (leavers, counts) = (change.leavers(), &mut receipt.counts);
            counts.stored += change.adds.len();
            counts.unchanged += change.unchanged;
            counts.removed += change.told.len();
            counts.removed_unnamed += leavers.len() - change.told.len();
            let (came, left) = receipt.audiences.entry(code.to_string()).or_default();
            (*came, *left) = (*came + change.adds.len(), *left + leavers.len());
            let adds = change.adds.iter().map(|ordinal| (ordinal, true, now));
            let leaves = change.leaves.iter().flat_map(|(of, own)| {
                // After all that was said on that day.
                let last = of.at_second(u32::try_from(DAY_SECONDS).unwrap_or(u32::MAX) - 1);
                own.iter().map(move |ordinal| (ordinal, false, last.min(now)))
            });
            for (ordinal, is_in, time) in adds.chain(leaves) {
                let visitor = Visitor { partition: *partition, ordinal };
                hits.extend(Admitted::declared(*category, is_in, time).map(|hit| (visitor, hit)));
                if hits.len() >= HITS_AT_ONCE {
                    self.declare(&mut hits, now).await?;
                }
            }
        }
        self.declare(&mut hits, now).await
    }

    async fn declare(
        &self,
        hits: &mut Vec<(Visitor, Admitted)>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let hits = std::mem::take(hits);
        self.collector().declare(hits, now).await.map_err(|_| ApiError::Busy)
    }
}
