//! Hits are read: a day's news, a whole day, a visitor.

use std::ops::Range;

use fjall::{Readable, Snapshot};
use futures_util::future::try_join;
use mayfly_core::{Day, Hit, Ordinal, Partition, Visitor};

use super::keys::{self, Kind};
use super::keyspaces::engine;
use super::seal::Generation;
use super::{EmbeddedStore, Readers};
use crate::Result;
use crate::codec::{corrupt, hits};
use crate::day::{DayCursor, DayPage, Entry, EntryId, Head};
use crate::error::{Corruption, StoreError};

impl EmbeddedStore {
    /// See [`crate::Store::heads`].
    ///
    /// # Errors
    /// None of its own.
    #[expect(clippy::unused_async, reason = "the other backend has to wait")]
    pub async fn heads(&self, partitions: &[Partition]) -> Result<Vec<Vec<Head>>> {
        let head = |(day, last)| Head { day, last };
        let of = |&partition| self.shared.heads(partition).into_iter().map(head).collect();
        Ok(partitions.iter().map(of).collect())
    }

    /// See [`crate::Store::read_new`].
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn read_new(
        &self,
        partition: Partition,
        day: Day,
        after: EntryId,
        max_hits: usize,
    ) -> Result<Vec<Entry>> {
        self.read(move |readers| {
            let snapshot = readers.keyspaces.db.snapshot();
            let mut entries = Vec::new();
            let mut hits = 0;
            for entry in readers.log(&snapshot, partition, day, after) {
                let (id, entry) = entry?;
                hits += entry.len().max(1);
                let hits_left = readers.without_erased(partition, entry);
                entries.push(Entry { id, hits: hits_left });
                if hits >= max_hits {
                    break;
                }
            }
            Ok(entries)
        })
        .await
    }

    /// See [`crate::Store::read_day`].
    ///
    /// # Errors
    /// [`StoreError::DayMoved`], [`StoreError::Corrupt`].
    pub async fn read_day(
        &self,
        partition: Partition,
        day: Day,
        from: DayCursor,
        max_hits: usize,
    ) -> Result<DayPage> {
        self.read(move |readers| {
            let snapshot = readers.keyspaces.db.snapshot();
            let sealed = Generation::at(&snapshot, &readers.keyspaces, partition, day)?;
            let expected = match from {
                DayCursor::Start => sealed.number,
                DayCursor::Sealed { generation, .. } | DayCursor::Log { generation, .. } => {
                    generation
                }
            };
            if expected != sealed.number {
                return Err(StoreError::DayMoved);
            }
            match from {
                DayCursor::Start if sealed.number > 0 => {
                    readers.sealed_page(&snapshot, partition, day, sealed, 0, max_hits)
                }
                DayCursor::Sealed { ordinal, .. } => {
                    readers.sealed_page(&snapshot, partition, day, sealed, ordinal, max_hits)
                }
                DayCursor::Start => {
                    readers.log_page(&snapshot, partition, day, sealed, EntryId::ZERO, max_hits)
                }
                DayCursor::Log { after, .. } => {
                    readers.log_page(&snapshot, partition, day, sealed, after, max_hits)
                }
            }
        })
        .await
    }

    /// See [`crate::Store::read_visitor`].
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn read_visitor(&self, visitor: Visitor, days: Range<Day>) -> Result<Vec<Hit>> {
        // Beside one another: somebody waits for the answer.
        let middle = Day(days.start.0.midpoint(days.end.0));
        let older = self.read_visitor_on(visitor, days.start..middle);
        let newer = self.read_visitor_on(visitor, middle..days.end);
        let (mut hits, newer) = try_join(older, newer).await?;
        hits.extend(newer);
        Ok(hits)
    }

    async fn read_visitor_on(&self, visitor: Visitor, days: Range<Day>) -> Result<Vec<Hit>> {
        self.read(move |readers| {
            if readers.shared.is_erased(visitor) {
                return Ok(Vec::new());
            }
            let snapshot = readers.keyspaces.db.snapshot();
            let mut all = Vec::new();
            for day in (days.start.0..days.end.0).map(Day) {
                all.extend(readers.visitor_on(&snapshot, visitor, day)?);
            }
            Ok(all)
        })
        .await
    }
}

impl Readers {
    /// A day's log after an entry, decoded.
    fn log<'a>(
        &self,
        snapshot: &'a Snapshot,
        partition: Partition,
        day: Day,
        after: EntryId,
    ) -> impl Iterator<Item = Result<(EntryId, Vec<Hit>)>> + use<'a> {
        let log = self.keyspaces.day(Kind::Hits, day);
        log.into_iter()
            .flat_map(move |log| {
                let from = keys::entry(partition, EntryId { seq: after.seq + 1, ..after });
                let to = keys::entry(partition, EntryId { ms: u64::MAX, seq: u64::MAX });
                snapshot.range(&log, from..=to)
            })
            .map(move |item| {
                let (key, value) = item.into_inner().map_err(engine)?;
                let id = keys::entry_id(&key).ok_or_else(|| corrupt(Corruption::Entry))?;
                Ok((id, hits::decode(&value, partition, day, Corruption::Entry)?))
            })
    }

    /// Hits of erased visitors are seen by nobody.
    pub(super) fn without_erased(&self, partition: Partition, mut hits: Vec<Hit>) -> Vec<Hit> {
        let erased = self.shared.erased(partition);
        if !erased.is_empty() {
            hits.retain(|hit| !erased.contains(hit.visitor.ordinal));
        }
        hits
    }

    fn sealed_page(
        &self,
        snapshot: &Snapshot,
        partition: Partition,
        day: Day,
        sealed: Generation,
        from: Ordinal,
        max_hits: usize,
    ) -> Result<DayPage> {
        let generation = sealed.number;
        let mut hits = Vec::new();
        for block in self.blocks(snapshot, partition, day, from) {
            let (first, block) = block?;
            if hits.len() >= max_hits {
                let next = Some(DayCursor::Sealed { generation, ordinal: first });
                let hits = self.without_erased(partition, hits);
                return Ok(DayPage { hits, last: EntryId::ZERO, next });
            }
            hits.extend(block);
        }
        let next = Some(DayCursor::Log { generation, after: sealed.upto });
        let hits = self.without_erased(partition, hits);
        Ok(DayPage { hits, last: EntryId::ZERO, next })
    }

    fn log_page(
        &self,
        snapshot: &Snapshot,
        partition: Partition,
        day: Day,
        sealed: Generation,
        after: EntryId,
        max_hits: usize,
    ) -> Result<DayPage> {
        let mut hits = Vec::new();
        let mut last = after;
        for entry in self.log(snapshot, partition, day, after) {
            if hits.len() >= max_hits {
                let next = Some(DayCursor::Log { generation: sealed.number, after: last });
                return Ok(DayPage { hits: self.without_erased(partition, hits), last, next });
            }
            let (id, entry) = entry?;
            hits.extend(entry);
            last = id;
        }
        Ok(DayPage { hits: self.without_erased(partition, hits), last, next: None })
    }

    /// Sealed blocks that begin at or after an ordinal, decoded.
    pub(super) fn blocks<'a>(
        &self,
        snapshot: &'a Snapshot,
        partition: Partition,
        day: Day,
        from: Ordinal,
    ) -> impl Iterator<Item = Result<(Ordinal, Vec<Hit>)>> + use<'a> {
        let past = self.keyspaces.day(Kind::Past, day);
        past.into_iter()
            .flat_map(move |past| {
                snapshot
                    .range(&past, keys::block(partition, from)..=keys::block(partition, u32::MAX))
            })
            .map(move |item| {
                let (key, value) = item.into_inner().map_err(engine)?;
                let first = keys::block_ordinal(&key).ok_or_else(|| corrupt(Corruption::Block))?;
                Ok((first, hits::decode(&value, partition, day, Corruption::Block)?))
            })
    }

    /// Entries of a day's log up to one, decoded: what is sealed next.
    pub(super) fn log_upto(
        &self,
        snapshot: &Snapshot,
        partition: Partition,
        day: Day,
        upto: EntryId,
    ) -> Result<Vec<(EntryId, Vec<Hit>)>> {
        self.log(snapshot, partition, day, EntryId::ZERO)
            .take_while(|entry| entry.as_ref().map_or(true, |(id, _)| *id <= upto))
            .collect()
    }

    /// A visitor's hits of one day by time: in the block that would hold it, and in the log.
    fn visitor_on(&self, snapshot: &Snapshot, visitor: Visitor, day: Day) -> Result<Vec<Hit>> {
        let Visitor { partition, ordinal } = visitor;
        let mut hits = Vec::new();
        if let Some(past) = self.keyspaces.day(Kind::Past, day) {
            let upto = keys::block(partition, 0)..=keys::block(partition, ordinal);
            if let Some(block) = snapshot.range(&past, upto).next_back() {
                let bytes = block.value().map_err(engine)?;
                hits.extend(hits::decode_of(&bytes, visitor, day, Corruption::Block)?);
            }
        }
        if let Some(log) = self.keyspaces.day(Kind::Hits, day) {
            for entry in snapshot.prefix(&log, keys::partition(partition)) {
                let bytes = entry.value().map_err(engine)?;
                hits.extend(hits::decode_of(&bytes, visitor, day, Corruption::Entry)?);
            }
        }
        hits.sort_by_key(|hit| hit.time);
        Ok(hits)
    }
}
