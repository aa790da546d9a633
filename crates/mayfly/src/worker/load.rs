//! Loading a partition: stored cells into tallies, whole evaluation, then the tail folded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mayfly_core::{CategoryId, Day, Timestamp};
use mayfly_segments::{Compiled, Definitions, Index};
use mayfly_store::{CatalogName, Corruption, EntryId, StoreError};

use super::partition::{DayState, Task};
use super::rebuild::each_hit;
use super::slot::Slot;

impl Task {
    /// Builds the memory from the store, aside; when it is whole, and the definitions that were
    /// applied last are in force in it, it takes the place of what was there before. A failure
    /// leaves everything as it was.
    pub(super) async fn load(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let aside = self.slot.aside();
        let shown = std::mem::replace(&mut self.slot, Arc::new(aside));
        let before = (self.days.clone(), Arc::clone(&self.active), self.calendar);
        let loaded = self.load_aside(Some((&*shown, &before.0)), now).await;
        let aside = std::mem::replace(&mut self.slot, shown);
        if loaded.is_ok() {
            self.slot.adopt(&aside);
            // What the owner had folded further than this memory was not folded here.
            let folded = |day: &Day| before.0.get(day).map_or(EntryId::ZERO, |own| own.cursor);
            if self.days.iter().any(|(day, own)| folded(day) < own.stored.cursor) {
                self.slot.forget_consents();
            }
        } else {
            (self.days, self.active, self.calendar) = before;
            self.want(self.app.active());
        }
        self.show_left();
        loaded
    }

    async fn load_aside(
        &mut self,
        before: Option<(&Slot, &BTreeMap<Day, DayState>)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (store, partition) = (self.app.store().clone(), self.slot.partition());
        let wanted = self.app.active();
        self.pending = None;
        self.calendar.turn(now, crate::clock::stopwatch());
        let today = self.calendar.today();
        self.days = self.read_days(today, &wanted).await?;
        self.active = self.definitions_of_days(&wanted).await?;
        let erased = store.erased(partition).await?;
        let hour = now.hour().filter(|hour| hour.day() == today);
        let hour = hour.unwrap_or(today.first_hour());
        let mut index = Index::new(Arc::clone(&self.active), partition, hour);
        index.set_erased(erased.clone());
        let needed = needed(&self.active, today);
        for day in self.days.keys() {
            let stored = store.cells(partition, *day, Some(&needed)).await?;
            self.expect_cursor(*day, stored.header.cursor)?;
            index.load_day(*day, &stored.cells);
        }
        let saved = store.memberships(partition).await?;
        self.memberships = saved.iter().filter_map(|saved| saved.as_of.day()).min();
        self.note_recent(&mut index).await?;
        self.slot.put(index, erased, self.active.version());
        for (day, state) in &self.days {
            self.slot.set_cursor(*day, state.cursor);
        }
        self.fold_news(now).await?;
        self.recall(before, now).await?;
        // What a page asks about today hangs on who was here today already.
        if self.days.contains_key(&today) {
            self.bring(today).await?;
        }
        self.slot.write(|index| {
            for saved in saved {
                index.restore(saved.segment, saved.members);
            }
            index.evaluate();
        });
        self.want(wanted);
        while self.pending.is_some() {
            self.go_on(now).await?;
        }
        Ok(())
    }

    /// The days that have hits, as the store has them.
    async fn read_days(
        &self,
        today: Day,
        wanted: &Compiled,
    ) -> Result<BTreeMap<Day, DayState>, StoreError> {
        let (store, partition) = (self.app.store(), self.slot.partition());
        let heads = store.heads(&[partition]).await?.pop().unwrap_or_default();
        let mut days = BTreeMap::new();
        for head in heads {
            if !self.slot.retention().keeps(head.day, today) {
                continue;
            }
            let mut stored = store.cells(partition, head.day, Some(&[])).await?.header;
            if stored.cursor == EntryId::ZERO {
                // No cells yet: folding makes them, whatever the definitions.
                stored.complete = wanted.version();
            }
            let unsealed = Some(Timestamp::default());
            let state = DayState { stored, cursor: stored.cursor, unsealed };
            days.insert(head.day, state);
        }
        Ok(days)
    }

    /// The oldest definitions that a day's cells are of: where a change was cut off, it begins
    /// again from there.
    async fn definitions_of_days(
        &self,
        wanted: &Arc<Compiled>,
    ) -> Result<Arc<Compiled>, StoreError> {
        let oldest = self.days.values().map(|d| d.stored.complete).min();
        let version = match oldest {
            Some(version) if version < wanted.version() => version,
            Some(_) | None => return Ok(Arc::clone(wanted)),
        };
        let corrupt = || StoreError::Corrupt { what: Corruption::Catalog };
        let history = self.app.store().catalog_history(CatalogName::Definitions).await?;
        let found = history.iter().find(|v| v.version == u64::from(version));
        let definitions = match found {
            Some(found) => Definitions::from_bytes(&found.bytes).map_err(|_| corrupt())?,
            None => Definitions::default(),
        };
        let compiled = Compiled::new(&definitions, self.slot.retention());
        compiled.map(Arc::new).map_err(|_| corrupt())
    }

    /// "Seen in the last 24 hours" needs hours, which cells do not have: two days of hits do.
    async fn note_recent(&self, index: &mut Index) -> Result<(), StoreError> {
        let (store, partition) = (self.app.store(), self.slot.partition());
        let today = self.calendar.today();
        for day in [today.minus(1), today] {
            if !self.days.contains_key(&day) {
                continue;
            }
            each_hit(store, (partition, day), |hit| index.note_seen(hit)).await?;
        }
        Ok(())
    }

    /// Makes sure that the index has the whole day: its stored cells, where it has none yet.
    pub(super) async fn bring(&self, day: Day) -> Result<(), StoreError> {
        if self.slot.read(|index| index.has_day(day)) == Some(false) {
            let stored = self.app.store().cells(self.slot.partition(), day, None).await?;
            self.expect_cursor(day, stored.header.cursor)?;
            self.slot.write(|index| index.put_day(day, stored.cells));
            self.slot.kept().forget(day);
        }
        Ok(())
    }

    /// Cells belong to their cursor. Where the owner wrote a checkpoint since a follower looked,
    /// the memory is of another moment and is loaded anew.
    fn expect_cursor(&self, day: Day, found: EntryId) -> Result<(), StoreError> {
        let known = self.days.get(&day).map_or(EntryId::ZERO, |d| d.stored.cursor);
        if found == known {
            Ok(())
        } else {
            Err(StoreError::CursorMoved { partition: self.slot.partition() })
        }
    }
}

/// The categories that memberships and the counts of active visitors hang on.
fn needed(compiled: &Compiled, today: Day) -> Vec<CategoryId> {
    let mut all: BTreeSet<CategoryId> =
        compiled.needs(today).into_iter().map(|(cell, _)| cell.category).collect();
    all.insert(CategoryId::ALL);
    all.into_iter().collect()
}
