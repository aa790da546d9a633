//! Cells and memberships: read, and written by checkpoints.

use std::collections::{BTreeMap, BTreeSet};

use fjall::{Readable, Snapshot};
use mayfly_core::{CategoryId, Day, DayCells, Partition, Timestamp};

use super::keys::{self, Kind};
use super::keyspaces::engine;
use super::{EmbeddedStore, Readers, Tx};
use crate::codec::cells::{self, Field};
use crate::codec::records;
use crate::day::{DayCheckpoint, DayHeader, EntryId, Lease};
use crate::error::{Corruption, StoreError};
use crate::{Membership, Result, StoredDay};

/// What a checkpoint writes of one day, encoded.
struct NewDay {
    day: Day,
    from: EntryId,
    fields: Vec<(Field, Option<Vec<u8>>)>,
}

impl NewDay {
    fn of(day: &DayCheckpoint<'_>) -> Self {
        let mut fields = cells::encode(day.cells, day.changed);
        fields.push((Field::Header, Some(cells::encode_header(&day.header))));
        Self { day: day.day, from: day.from, fields }
    }
}

impl EmbeddedStore {
    /// See [`crate::Store::cells`].
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn cells(
        &self,
        partition: Partition,
        day: Day,
        categories: Option<&[CategoryId]>,
    ) -> Result<StoredDay> {
        let wanted = categories.map(<[CategoryId]>::to_vec);
        self.read(move |readers| {
            let snapshot = readers.keyspaces.db.snapshot();
            readers.cells(&snapshot, partition, day, wanted.as_deref())
        })
        .await
    }

    /// See [`crate::Store::cells_of_days`].
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn cells_of_days(
        &self,
        partition: Partition,
        wanted: &BTreeMap<Day, Vec<CategoryId>>,
    ) -> Result<BTreeMap<Day, DayCells>> {
        let wanted = wanted.clone();
        self.read(move |readers| {
            let snapshot = readers.keyspaces.db.snapshot();
            let of = |(day, categories): (Day, Vec<CategoryId>)| {
                let stored = readers.cells(&snapshot, partition, day, Some(&categories))?;
                Ok((day, stored.cells))
            };
            wanted.into_iter().map(of).collect()
        })
        .await
    }

    /// See [`crate::Store::checkpoint`]. Encodes on the caller's thread; all days and memberships
    /// are one step.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], [`StoreError::CursorMoved`].
    pub async fn checkpoint(
        &self,
        lease: &Lease,
        days: &[DayCheckpoint<'_>],
        memberships: &[Membership],
        _now: Timestamp,
    ) -> Result<()> {
        let lease = lease.clone();
        let days: Vec<NewDay> = days.iter().map(NewDay::of).collect();
        let memberships: Vec<_> = memberships
            .iter()
            .map(|m| (keys::segment(lease.partition, m.segment), records::encode_membership(m)))
            .collect();
        self.write(move |tx| {
            tx.state.holds(&lease)?;
            for day in &days {
                if header(tx, lease.partition, day.day)?.cursor != day.from {
                    return Err(StoreError::CursorMoved { partition: lease.partition });
                }
            }
            for day in days {
                write_day(tx, lease.partition, day)?;
            }
            let segments = tx.keyspaces.make(keys::SEGMENTS)?;
            for (key, bytes) in memberships {
                tx.put(&segments, key, bytes);
            }
            Ok(())
        })
        .await
    }

    /// See [`crate::Store::memberships`].
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn memberships(&self, partition: Partition) -> Result<Vec<Membership>> {
        self.read(move |readers| {
            let segments = readers.keyspaces.make(keys::SEGMENTS)?;
            let erased = readers.shared.erased(partition);
            let mut memberships = Vec::new();
            for item in segments.prefix(keys::partition(partition)) {
                let (key, bytes) = item.into_inner().map_err(engine)?;
                let segment = keys::segment_id(&key)
                    .ok_or_else(|| crate::codec::corrupt(Corruption::Membership))?;
                let mut membership = records::decode_membership(segment, &bytes)?;
                membership.members -= &*erased;
                memberships.push(membership);
            }
            Ok(memberships)
        })
        .await
    }
}

/// The stored header of a day.
pub(super) fn header(tx: &Tx<'_>, partition: Partition, day: Day) -> Result<DayHeader> {
    let Some(keyspace) = tx.keyspaces.day(Kind::Cells, day) else {
        return Ok(DayHeader::default());
    };
    match tx.get(&keyspace, &keys::cells(partition, &Field::Header.name()))? {
        Some(bytes) => cells::decode_header(&bytes),
        None => Ok(DayHeader::default()),
    }
}

fn write_day(tx: &mut Tx<'_>, partition: Partition, day: NewDay) -> Result<()> {
    let keyspace = tx.keyspaces.make(&Kind::Cells.of(day.day))?;
    for (field, bytes) in day.fields {
        let key = keys::cells(partition, &field.name());
        match bytes {
            Some(bytes) => tx.put(&keyspace, key, bytes),
            // Most categories never stood alone: no tombstone for what is not there.
            None if tx.get(&keyspace, &key)?.is_none() => {}
            None => tx.remove(&keyspace, key),
        }
    }
    Ok(())
}

impl Readers {
    /// A day's header, and its cells or those of some categories.
    fn cells(
        &self,
        snapshot: &Snapshot,
        partition: Partition,
        day: Day,
        categories: Option<&[CategoryId]>,
    ) -> Result<StoredDay> {
        let Some(keyspace) = self.keyspaces.day(Kind::Cells, day) else {
            return Ok(StoredDay::default());
        };
        let get = |field: Field| {
            snapshot.get(&keyspace, keys::cells(partition, &field.name())).map_err(engine)
        };
        let header = match get(Field::Header)? {
            Some(bytes) => cells::decode_header(&bytes)?,
            None => DayHeader::default(),
        };
        let mut all = DayCells::new();
        if let Some(categories) = categories {
            let wanted: BTreeSet<CategoryId> = categories.iter().copied().collect();
            for field in cells::fields_for(categories) {
                if let Some(bytes) = get(field)? {
                    cells::decode_some(&bytes, &|id| wanted.contains(&id), &mut all)?;
                }
            }
        } else {
            let header = keys::cells(partition, &Field::Header.name());
            for item in snapshot.prefix(&keyspace, keys::partition(partition)) {
                let (key, bytes) = item.into_inner().map_err(engine)?;
                if *key != header[..] {
                    cells::decode(&bytes, &mut all)?;
                }
            }
        }
        let erased = self.shared.erased(partition);
        if !erased.is_empty() {
            all.retain(|_, cell| {
                cell.entries.retain(|entry| !erased.contains(entry.ordinal));
                !cell.entries.is_empty()
            });
        }
        Ok(StoredDay { header, cells: all })
    }
}
