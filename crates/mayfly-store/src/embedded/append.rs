//! Hits come in: lanes, ids of hits, entries of the log.

use std::collections::HashSet;

use fjall::Slice;
use mayfly_core::{Day, Partition, Timestamp};
use serde::{Deserialize, Serialize};

use super::keys::{self, Kind};
use super::{EmbeddedStore, Tx};
use crate::Result;
use crate::batch::{Appended, Batch, BatchId, LaneId};
use crate::codec::{row_from_bytes, row_to_bytes};
use crate::error::Corruption;

/// A batch as the writer takes it.
struct NewBatch {
    lane: LaneId,
    number: u64,
    partition: Partition,
    received: Day,
    ids: Vec<BatchId>,
    entries: Vec<(Day, Slice)>,
}

impl NewBatch {
    fn of(batch: &Batch) -> Self {
        let entries = batch.entries.iter().map(|e| (e.day, Slice::from(&e.bytes))).collect();
        Self {
            lane: batch.lane,
            number: batch.number,
            partition: batch.partition,
            received: batch.received,
            ids: batch.ids.clone(),
            entries,
        }
    }
}

/// Last batch number of a lane, and the day on which it came.
#[derive(Serialize, Deserialize)]
pub(super) struct LaneRow(pub(super) u64, pub(super) u16);

impl LaneRow {
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        row_from_bytes(bytes, Corruption::Record)
    }
}

impl EmbeddedStore {
    /// See [`crate::Store::append`]. Hits of days that the retention no longer keeps are let go.
    ///
    /// # Errors
    /// [`crate::StoreError::Poisoned`], [`crate::StoreError::Full`].
    pub async fn append(&self, batches: &[&Batch], now: Timestamp) -> Result<Vec<Appended>> {
        let batches: Vec<NewBatch> = batches.iter().map(|batch| NewBatch::of(batch)).collect();
        self.write(move |tx| {
            let today = now.day().unwrap_or_default();
            batches.into_iter().map(|batch| append(tx, batch, now, today)).collect()
        })
        .await
    }
}

fn append(tx: &mut Tx<'_>, batch: NewBatch, now: Timestamp, today: Day) -> Result<Appended> {
    let lanes = tx.keyspaces.make(keys::LANES)?;
    let lane = keys::lane(batch.partition, batch.lane);
    let last = match tx.get(&lanes, &lane)? {
        Some(row) => LaneRow::read(&row)?.0,
        None => 0,
    };
    if batch.number <= last {
        return Ok(Appended::Done);
    }
    if batch.number != last + 1 {
        return Ok(Appended::Gap { last });
    }
    let duplicates = duplicates(tx, &batch)?;
    if !duplicates.is_empty() {
        return Ok(Appended::Duplicates(duplicates));
    }
    if !batch.ids.is_empty() {
        let ids = tx.keyspaces.make(&Kind::HitIds.of(batch.received))?;
        for id in &batch.ids {
            tx.put(&ids, keys::hit_id(batch.partition, id.hash), Slice::empty());
        }
    }
    let kept_on = tx.state.clock.today().map_or(today, |trusted| trusted.min(today));
    for (day, bytes) in batch.entries {
        if !tx.shared.retention.keeps(day, kept_on) {
            continue;
        }
        let id = tx.state.next_id(now);
        let log = tx.keyspaces.make(&Kind::Hits.of(day))?;
        tx.put(&log, keys::entry(batch.partition, id), bytes);
        tx.after(move |shared| shared.set_head(batch.partition, day, id));
    }
    tx.put(&lanes, lane, row_to_bytes(&LaneRow(batch.number, today.0)));
    Ok(Appended::Stored)
}

/// The hits whose ids were seen on the day they were received, on the day before, or before in
/// the batch itself.
fn duplicates(tx: &Tx<'_>, batch: &NewBatch) -> Result<Vec<u32>> {
    let days = [batch.received, batch.received.minus(1)];
    let seen: Vec<_> = days.iter().filter_map(|&d| tx.keyspaces.day(Kind::HitIds, d)).collect();
    let mut own = HashSet::new();
    let mut duplicates = Vec::new();
    for id in &batch.ids {
        let key = keys::hit_id(batch.partition, id.hash);
        let mut known = !own.insert(id.hash);
        for ids in &seen {
            known = known || tx.get(ids, &key)?.is_some();
        }
        if known {
            duplicates.push(id.index);
        }
    }
    Ok(duplicates)
}
