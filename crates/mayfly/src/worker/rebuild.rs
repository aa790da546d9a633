//! A change of definitions in one partition: new and changed categories' cells made from all hits,
//! day by day, newest first, while new hits keep coming; then one switch.
//!
//! The index keeps both versions meanwhile ([`Index::prepare`]). A day is prepared from exactly the
//! hits that its cells hold: all its hits are read, and the index is folded up to the same entry.
//! After the switch the days' headers follow, one a round. A crash in between leaves days of two
//! versions; loading begins with the older one and changes again.
//!
//! [`Index::prepare`]: mayfly_segments::Index::prepare

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mayfly_core::{Day, Hit, Partition, Timestamp};
use mayfly_segments::{Built, CellsBuilder, Compiled, Preparation};
use mayfly_store::{DayCursor, EntryId, Store, StoreError};

use super::checkpoint;
use super::pages::Pages;
use super::partition::{DayState, FOLD_HITS, Task};
use super::slot::Slot;

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
        self.left(days).next_back()
    }

    /// These of the days that are still to be prepared.
    fn left(
        &self,
        days: impl DoubleEndedIterator<Item = Day>,
    ) -> impl DoubleEndedIterator<Item = Day> {
        let range = self.preparation.days.as_ref();
        days.filter(move |day| {
            range.is_some_and(|range| range.contains(day)) && !self.done.contains(day)
        })
    }
}

/// Makes cells from hits for whoever wants to see them; nothing is written.
#[derive(Debug)]
pub struct Trial {
    builder: CellsBuilder,
    pages: Pages,
}

impl Trial {
    /// What this builder makes.
    #[must_use]
    pub fn new(builder: CellsBuilder) -> Self {
        Self { builder, pages: Pages::default() }
    }

    /// What all hits of a day give. `None` while a page is awaited.
    ///
    /// # Errors
    /// The store's.
    pub async fn day(
        &mut self,
        store: &Store,
        partition: Partition,
        day: Day,
    ) -> Result<Option<Built>, StoreError> {
        let at = (partition, day);
        let read = read_all(store, &mut self.pages, &mut self.builder, at).await?;
        Ok(read.map(|(built, _)| built))
    }
}

/// Gives all hits of a day, a few at a time; begins again where the day is sealed in between, so
/// that a hit may be given twice.
///
/// # Errors
/// The store's.
pub async fn each_hit(
    store: &Store,
    (partition, day): (Partition, Day),
    mut each: impl FnMut(&Hit),
) -> Result<(), StoreError> {
    let mut next = Some(DayCursor::Start);
    while let Some(cursor) = next {
        next = match store.read_day(partition, day, cursor, FOLD_HITS).await {
            Ok(page) => {
                page.hits.iter().for_each(&mut each);
                page.next
            }
            Err(StoreError::DayMoved) => Some(DayCursor::Start),
            Err(error) => return Err(error),
        };
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Every hit of a day into the builder; and the last entry read. `None` while a page is awaited.
async fn read_all(
    store: &Store,
    pages: &mut Pages,
    builder: &mut CellsBuilder,
    (partition, day): (Partition, Day),
) -> Result<Option<(Built, EntryId)>, StoreError> {
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
        self.show_left();
    }

    /// Tells how many days a change under way has to prepare.
    pub(super) fn show_left(&self) {
        let pending = self.pending.as_ref();
        self.slot.set_left(pending.map_or(0, |own| own.left(self.days.keys().copied()).count()));
    }

    /// The definitions of a change under way.
    pub(super) fn wanted(&self) -> Option<Arc<Compiled>> {
        self.pending.as_ref().map(|pending| Arc::clone(&pending.wanted))
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
        let mut built = Built::default();
        if pending.preparation.reads_hits() {
            let mut builder = CellsBuilder::preparing(&pending.wanted, &pending.preparation);
            let Some(found) = self.build_day(&mut builder, day, now).await? else { return Ok(()) };
            built = found;
        }
        self.bring(day).await?;
        self.slot.write(|index| index.prepared(day, built));
        if let Some(pending) = &mut self.pending {
            pending.done.insert(day);
        }
        self.show_left();
        Ok(())
    }

    /// What all hits of a day give, with the index folded up to exactly the same entry. `None`
    /// while a page is awaited.
    async fn build_day(
        &mut self,
        builder: &mut CellsBuilder,
        day: Day,
        now: Timestamp,
    ) -> Result<Option<Built>, StoreError> {
        let (store, at) = (self.app.store().clone(), (self.slot.partition(), day));
        let read = read_all(&store, &mut self.pages, builder, at).await?;
        let Some((built, last)) = read else { return Ok(None) };
        Ok(self.fold_upto(day, last, now).await?.then_some(built))
    }

    /// Fills the traces of a newly loaded index from the hits of their days: all but those that
    /// `before` has, which is of the same definitions and folded up to these cursors.
    pub(super) async fn recall(
        &mut self,
        before: Option<(&Slot, &BTreeMap<Day, DayState>)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let days = self.slot.read(mayfly_segments::Index::recalls).flatten();
        let Some(range) = days else { return Ok(()) };
        let mut known = BTreeSet::new();
        if let Some((before, days)) = before.filter(|(b, _)| b.version() == self.active.version()) {
            let same = |(day, own): (&Day, &DayState)| {
                days.get(day).is_some_and(|old| old.cursor == own.cursor).then_some(*day)
            };
            known = self.days.iter().filter_map(same).collect();
            let copied = before.read(|old| self.slot.write(|index| index.inherit(old, &known)));
            if copied.flatten().is_none() {
                known.clear();
            }
            for day in &known {
                self.slot.write(|index| index.recall(*day, Built::default()));
            }
        }
        let mut builder = CellsBuilder::recalling(&self.active);
        let days: Vec<Day> = self.days.keys().copied().filter(|day| range.contains(day)).collect();
        for day in days.into_iter().filter(|day| !known.contains(day)) {
            // Whole windows are read: somebody else is not to take the partition meanwhile.
            self.keep_lease(now).await?;
            let Some(built) = self.build_day(&mut builder, day, now).await? else {
                // A page is away, perhaps for good: all else must go on.
                tracing::warn!(%day, "hits of the day await a page; hours, tests and sequences \
                    miss them until the next start");
                continue;
            };
            self.slot.write(|index| index.recall(day, built));
        }
        self.slot.write(mayfly_segments::Index::recalled);
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
            // Those of other definitions are stored anew, whether or not any cell changes.
            self.memberships = None;
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
