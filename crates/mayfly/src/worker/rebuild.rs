//! A change of definitions in one partition: new and changed categories' cells made from all hits,
//! day by day, newest first, while new hits keep coming; then one switch.
//!
//! The index keeps both versions meanwhile ([`Index::prepare`]). A day is prepared from exactly the
//! hits that its cells hold: all its hits are read, and the index is folded up to the same entry.
//! After the switch the days' headers follow, one a round. A crash in between leaves days of two
//! versions; loading begins with the older one and changes again.
//!
//! [`Index::prepare`]: mayfly_segments::Index::prepare

use std::collections::BTreeSet;
use std::sync::Arc;

use mayfly_core::{CellId, Day, DayCells, Partition, Timestamp};
use mayfly_segments::{CellsBuilder, Compiled, Preparation};
use mayfly_store::{DayCursor, EntryId, Store, StoreError};

use super::checkpoint;
use super::pages::Pages;
use super::partition::{FOLD_HITS, Task};

/// A change under way.
#[derive(Debug)]
pub(super) struct Pending {
    wanted: Arc<Compiled>,
    preparation: Preparation,
    done: BTreeSet<Day>,
}

impl Pending {
    /// The newest of these days that is still to be prepared.
    fn next(&self, days: impl DoubleEndedIterator<Item = Day>) -> Option<Day> {
        let range = self.preparation.days.as_ref()?;
        days.rev().find(|day| range.contains(day) && !self.done.contains(day))
    }
}

/// Makes cells from hits for whoever wants to see them; nothing is written.
#[derive(Debug)]
pub struct Trial {
    builder: CellsBuilder,
    pages: Pages,
}

impl Trial {
    /// Cells of these names under these definitions.
    #[must_use]
    pub fn new(wanted: &Compiled, names: &BTreeSet<CellId>) -> Self {
        Self { builder: CellsBuilder::new(wanted, names), pages: Pages::default() }
    }

    /// A day's cells, made from all its hits. `None` while a page is awaited.
    ///
    /// # Errors
    /// The store's.
    pub async fn day(
        &mut self,
        store: &Store,
        partition: Partition,
        day: Day,
    ) -> Result<Option<DayCells>, StoreError> {
        let at = (partition, day);
        let read = read_all(store, &mut self.pages, &mut self.builder, at).await?;
        Ok(read.map(|(cells, _)| cells))
    }
}

/// Every hit of a day into the builder's cells; and the last entry read.
async fn read_all(
    store: &Store,
    pages: &mut Pages,
    builder: &mut CellsBuilder,
    (partition, day): (Partition, Day),
) -> Result<Option<(DayCells, EntryId)>, StoreError> {
    let mut last = EntryId::ZERO;
    let mut next = Some(DayCursor::Start);
    while let Some(cursor) = next {
        let page = match store.read_day(partition, day, cursor, FOLD_HITS).await {
            Ok(page) => page,
            // Sealed in between: what was read so far is read again.
            Err(StoreError::DayMoved) => {
                builder.finish();
                (last, next) = (EntryId::ZERO, Some(DayCursor::Start));
                continue;
            }
            Err(error) => return Err(error),
        };
        if pages.fetch(store, &page.hits).await? > 0 {
            builder.finish();
            return Ok(None);
        }
        builder.add(&pages.of(&page.hits));
        last = last.max(page.last);
        next = page.next;
        tokio::task::yield_now().await;
    }
    Ok(Some((builder.finish(), last)))
}

impl Task {
    /// Begins the change to `wanted`, unless that is what is in force.
    pub(super) fn want(&mut self, wanted: Arc<Compiled>) {
        self.pending = None;
        if wanted.version() == self.active.version() {
            return;
        }
        let prepared = self.slot.write(|index| index.prepare(Arc::clone(&wanted)));
        self.pending = prepared.map(|preparation| {
            let done = BTreeSet::new();
            Pending { wanted, preparation, done }
        });
    }

    /// One day of a change, or its switch; whether there is more to do.
    pub(super) async fn go_on(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let Some(pending) = &self.pending else { return self.renew_header(now).await };
        match pending.next(self.days.keys().copied()) {
            Some(day) => self.prepare_day(day, now).await?,
            None => self.switch(),
        }
        Ok(true)
    }

    async fn prepare_day(&mut self, day: Day, now: Timestamp) -> Result<(), StoreError> {
        let Some(pending) = &self.pending else { return Ok(()) };
        let (wanted, fill) = (Arc::clone(&pending.wanted), pending.preparation.fill.clone());
        let mut built = DayCells::new();
        if !fill.is_empty() {
            let (store, at) = (self.app.store().clone(), (self.slot.partition(), day));
            let mut builder = CellsBuilder::new(&wanted, &fill);
            let read = read_all(&store, &mut self.pages, &mut builder, at).await?;
            let Some((cells, last)) = read else { return Ok(()) };
            built = cells;
            if !self.fold_upto(day, last, now).await? {
                return Ok(());
            }
        }
        self.bring(day).await?;
        self.slot.write(|index| index.prepared(day, built));
        if let Some(pending) = &mut self.pending {
            pending.done.insert(day);
        }
        Ok(())
    }

    /// Folds a day into the index up to exactly this entry; `false` where a page is awaited.
    async fn fold_upto(
        &mut self,
        day: Day,
        last: EntryId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.bring(day).await?;
        loop {
            let after = self.days.get(&day).map_or(EntryId::ZERO, |d| d.cursor);
            let (store, partition) = (self.app.store().clone(), self.slot.partition());
            if after >= last {
                return Ok(true);
            }
            let entries = store.read_new(partition, day, after, FOLD_HITS).await?;
            if entries.is_empty() {
                return Ok(true);
            }
            for entry in entries.iter().filter(|entry| entry.id <= last) {
                if self.pages.fetch(&store, &entry.hits).await? > 0 {
                    return Ok(false);
                }
                self.fold_entry(day, entry, now);
            }
        }
    }

    /// Puts the wanted definitions in force: one step for readers.
    fn switch(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.slot.write(mayfly_segments::Index::switch);
            self.active = pending.wanted;
            self.slot.set_version(self.active.version());
        }
    }

    /// Writes one day that the store still has under older definitions; whether there was one.
    async fn renew_header(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let version = self.active.version();
        let old = |d: &super::partition::DayState| d.stored.complete < version;
        let day = self.days.iter().rev().find(|(_, d)| old(d)).map(|(day, _)| *day);
        match (day, self.lease.is_some()) {
            (Some(day), true) => {
                self.bring(day).await?;
                checkpoint::write_day(self, day, checkpoint::Scope::Changed, now).await?;
                Ok(true)
            }
            (Some(_), false) | (None, _) => Ok(false),
        }
    }
}
