//! Batches and lanes: the one mechanism behind retry, spill drain and resend.
//!
//! A collector appends through a *lane*: a random id made at each connection, with batches numbered
//! 1, 2, 3 … per partition. The store takes number = last + 1, answers [`Appended::Done`] to a
//! number it has, and [`Appended::Gap`] to any other. A batch whose fate is unknown keeps lane,
//! number and bytes and is sent again so.

use std::collections::{BTreeMap, HashSet};

use mayfly_core::{Day, Hit, Partition};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{self, hits};
use crate::error::{Corruption, StoreError};

/// A collector's way into a store: random, made at each connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LaneId(pub u64);

/// One partition's hits of a group commit, in the bytes that will be stored.
///
/// Made by [`Batch::encode`]; travels through the spill file by [`Batch::to_bytes`] and
/// [`Batch::from_bytes`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// The lane it goes through.
    pub lane: LaneId,
    /// Its number in the lane and partition, from 1.
    pub number: u64,
    /// The partition of all its hits.
    pub partition: Partition,
    /// One entry for each day, ascending.
    pub(crate) entries: Vec<DayEntry>,
    /// Hashes of the clients' hit ids, in the order of (entry, hit), for those that gave one.
    pub(crate) ids: Vec<BatchId>,
    /// The UTC day on which the hits were received: where their ids are remembered.
    pub(crate) received: Day,
    /// For each hit in the order of (entry, hit) its index in the `hits` given to
    /// [`Batch::encode`].
    pub(crate) order: Vec<u32>,
}

/// The bytes of one day's hits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DayEntry {
    pub(crate) day: Day,
    pub(crate) hits: u32,
    pub(crate) bytes: Vec<u8>,
}

/// A hit's id within a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BatchId {
    /// Index of the hit in the `hits` given to [`Batch::encode`].
    pub(crate) index: u32,
    /// Keyed hash of (realm, site or partner, id). Any 63-bit value fits a Redis intset.
    pub(crate) hash: i64,
}

/// A hit's index in the `hits` given to [`Batch::encode`], the hit, its id.
type Numbered<'a> = (u32, &'a Hit, Option<i64>);

/// The stored form of a batch, for the spill file.
#[derive(Serialize, Deserialize)]
struct BatchRow {
    lane: u64,
    number: u64,
    partition: u16,
    received: u16,
    /// Day, number of hits, bytes of the entry.
    entries: Vec<(u16, u32, ByteBuf)>,
    /// Index and hash.
    ids: Vec<(u32, i64)>,
    order: Vec<u32>,
}

impl Batch {
    /// Encodes hits of one partition, received on this day: one entry for each of their days.
    /// `number` is the next one of `lane` in `partition`.
    #[must_use]
    pub fn encode(
        lane: LaneId,
        number: u64,
        partition: Partition,
        received: Day,
        hits: &[NewHit],
    ) -> Self {
        let numbered = (0u32..).zip(hits).map(|(index, new)| (index, &new.hit, new.id));
        Self::of(lane, number, partition, received, numbered)
    }

    /// A batch of one entry without hits: it goes the way of all others, and tells how long that
    /// takes, but counts nowhere.
    #[must_use]
    pub fn heartbeat(lane: LaneId, number: u64, partition: Partition, day: Day) -> Self {
        let nobody = std::iter::empty();
        let entries = vec![DayEntry::encode(day, &[])];
        Self { entries, ..Self::of(lane, number, partition, day, nobody) }
    }

    /// The same batch without these hits (indexes into the `hits` given to [`Batch::encode`]),
    /// under the same number. The others keep their indexes.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the batch's own bytes are damaged.
    pub fn without(&self, indexes: &[u32]) -> Result<Self, StoreError> {
        let gone: HashSet<u32> = indexes.iter().copied().collect();
        let ids: BTreeMap<u32, i64> = self.ids.iter().map(|id| (id.index, id.hash)).collect();
        let mut decoded = Vec::new();
        for entry in &self.entries {
            let (day, what) = (entry.day, Corruption::Batch);
            decoded.extend(hits::decode(&entry.bytes, self.partition, day, what)?);
        }
        let kept = self
            .order
            .iter()
            .zip(&decoded)
            .filter(|(index, _)| !gone.contains(index))
            .map(|(&index, hit)| (index, hit, ids.get(&index).copied()));
        Ok(Self::of(self.lane, self.number, self.partition, self.received, kept))
    }

    fn of<'a>(
        lane: LaneId,
        number: u64,
        partition: Partition,
        received: Day,
        hits: impl Iterator<Item = Numbered<'a>>,
    ) -> Self {
        let mut days: BTreeMap<Day, Vec<Numbered<'_>>> = BTreeMap::new();
        for hit in hits {
            debug_assert_eq!(hit.1.visitor.partition, partition);
            days.entry(hit.1.day()).or_default().push(hit);
        }
        let entries = days.iter().map(|(&day, hits)| DayEntry::encode(day, hits)).collect();
        let in_order = || days.values().flatten();
        let ids = in_order()
            .filter_map(|&(index, _, id)| id.map(|hash| BatchId { index, hash }))
            .collect();
        let order = in_order().map(|&(index, _, _)| index).collect();
        Self { lane, number, partition, entries, ids, received, order }
    }

    /// The number of hits.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.order.len()
    }

    /// The days of the hits, ascending.
    pub fn days(&self) -> impl Iterator<Item = Day> {
        self.entries.iter().map(|entry| entry.day)
    }

    /// The batch as bytes that notice damage: for the spill file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let entry = |e: &DayEntry| (e.day.0, e.hits, ByteBuf::from(e.bytes.clone()));
        let mut bytes = codec::row_to_bytes(&BatchRow {
            lane: self.lane.0,
            number: self.number,
            partition: self.partition.0,
            received: self.received.0,
            entries: self.entries.iter().map(entry).collect(),
            ids: self.ids.iter().map(|id| (id.index, id.hash)).collect(),
            order: self.order.clone(),
        });
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    /// Reads a batch back.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when any byte is missing, added or changed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = || codec::corrupt(Corruption::Batch);
        let (row, sum) = bytes.split_last_chunk::<8>().ok_or_else(damaged)?;
        if xxh3_64(row) != u64::from_le_bytes(*sum) {
            return Err(damaged());
        }
        let row: BatchRow = codec::row_from_bytes(row, Corruption::Batch)?;
        let entry = |(day, hits, bytes): (u16, u32, ByteBuf)| DayEntry {
            day: Day(day),
            hits,
            bytes: bytes.into_vec(),
        };
        let id = |(index, hash)| BatchId { index, hash };
        Ok(Self {
            lane: LaneId(row.lane),
            number: row.number,
            partition: Partition(row.partition),
            received: Day(row.received),
            entries: row.entries.into_iter().map(entry).collect(),
            ids: row.ids.into_iter().map(id).collect(),
            order: row.order,
        })
    }
}

impl DayEntry {
    fn encode(day: Day, hits: &[Numbered<'_>]) -> Self {
        let hits: Vec<&Hit> = hits.iter().map(|&(_, hit, _)| hit).collect();
        Self { day, hits: hits.len() as u32, bytes: hits::encode(&hits) }
    }
}

/// A hit on its way into a batch.
#[derive(Clone, PartialEq, Debug)]
pub struct NewHit {
    /// The hit.
    pub hit: Hit,
    /// Keyed hash of the client's hit id, when it gave one.
    pub id: Option<i64>,
}

/// The store's answer to a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Appended {
    /// Taken, exactly once.
    Stored,
    /// This number was taken before; nothing was done.
    Done,
    /// The number is not last + 1; nothing was done.
    Gap {
        /// The last number taken in this lane and partition.
        last: u64,
    },
    /// These hits (indexes into the batch) carry ids that were seen before; nothing was done.
    /// Send [`Batch::without`] them under the same number.
    Duplicates(Vec<u32>),
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
