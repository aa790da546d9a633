//! Sealing: a day's log becomes blocks sorted by visitor, built aside and switched in one step.

use fjall::{Readable, Snapshot};
use mayfly_core::{Day, Ordinal, Partition, Visitor};
use serde::{Deserialize, Serialize};

use super::keys::{self, Kind};
use super::keyspaces::{Keyspaces, engine};
use super::{EmbeddedStore, Readers, Tx, cells, intern, purge};
use crate::Result;
use crate::codec::blocks::{self, Blocks};
use crate::codec::{row_from_bytes, row_to_bytes};
use crate::day::{EntryId, Lease, Sealed};
use crate::error::{Corruption, StoreError};

/// Which sealing of a partition and day stands; number 0 = none yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Generation {
    /// 1, 2, 3 …
    pub(super) number: u32,
    /// The last entry in the blocks; the log goes on after it.
    pub(super) upto: EntryId,
}

/// Number, then milliseconds and sequence of the last entry.
#[derive(Serialize, Deserialize)]
struct GenerationRow(u32, u64, u64);

impl Generation {
    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let GenerationRow(number, ms, seq) = row_from_bytes(bytes, Corruption::Record)?;
        Ok(Self { number, upto: EntryId { ms, seq } })
    }

    fn to_bytes(self) -> Vec<u8> {
        row_to_bytes(&GenerationRow(self.number, self.upto.ms, self.upto.seq))
    }

    /// The one that stands now.
    pub(super) fn read(
        keyspaces: &Keyspaces,
        partition: Partition,
        day: Day,
    ) -> Result<Option<Self>> {
        let Some(past) = keyspaces.day(Kind::Past, day) else { return Ok(None) };
        let bytes = past.get(keys::partition(partition)).map_err(engine)?;
        bytes.map(|bytes| Self::from_bytes(&bytes)).transpose()
    }

    /// The one that stands in a snapshot.
    pub(super) fn at(
        snapshot: &Snapshot,
        keyspaces: &Keyspaces,
        partition: Partition,
        day: Day,
    ) -> Result<Self> {
        let Some(past) = keyspaces.day(Kind::Past, day) else { return Ok(Self::default()) };
        match snapshot.get(&past, keys::partition(partition)).map_err(engine)? {
            Some(bytes) => Self::from_bytes(&bytes),
            None => Ok(Self::default()),
        }
    }
}

/// A sealing built aside.
struct Built {
    from: Generation,
    old_blocks: Vec<Ordinal>,
    old_entries: Vec<EntryId>,
    new: Blocks,
}

impl EmbeddedStore {
    /// See [`crate::Store::seal`].
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], [`StoreError::CursorMoved`], [`StoreError::DayMoved`] when it
    /// was sealed by another meanwhile.
    pub async fn seal(&self, lease: &Lease, day: Day, upto: EntryId) -> Result<Sealed> {
        let lease = lease.clone();
        let partition = lease.partition;
        let built = self.read(move |readers| readers.build(partition, day, upto)).await?;
        self.write(move |tx| {
            tx.state.holds(&lease)?;
            if cells::header(tx, partition, day)?.cursor < upto {
                return Err(StoreError::CursorMoved { partition });
            }
            let now = Generation::read(tx.keyspaces, partition, day)?.unwrap_or_default();
            if now != built.from {
                return Err(StoreError::DayMoved);
            }
            let sealed = built.new.sealed;
            switch(tx, partition, day, upto, built)?;
            Ok(sealed)
        })
        .await
    }
}

impl Readers {
    fn build(&self, partition: Partition, day: Day, upto: EntryId) -> Result<Built> {
        let snapshot = self.keyspaces.db.snapshot();
        let from = Generation::at(&snapshot, &self.keyspaces, partition, day)?;
        let mut hits = Vec::new();
        let mut old_blocks = Vec::new();
        for block in self.blocks(&snapshot, partition, day, 0) {
            let (first, block) = block?;
            old_blocks.push(first);
            hits.extend(block);
        }
        let mut old_entries = Vec::new();
        for (id, entry) in self.log_upto(&snapshot, partition, day, upto)? {
            old_entries.push(id);
            hits.extend(entry);
        }
        let new = blocks::seal(hits, &self.shared.erased(partition));
        Ok(Built { from, old_blocks, old_entries, new })
    }
}

/// New blocks for old blocks and entries, under the next generation.
fn switch(
    tx: &mut Tx<'_>,
    partition: Partition,
    day: Day,
    upto: EntryId,
    built: Built,
) -> Result<()> {
    let past = tx.keyspaces.make(&Kind::Past.of(day))?;
    let log = tx.keyspaces.make(&Kind::Hits.of(day))?;
    let mut touched = vec![Kind::Hits.of(day)];
    if built.new.sealed.dropped > 0 {
        touched.extend([Kind::Past.of(day), Kind::Cells.of(day), keys::SEGMENTS.into()]);
    }
    let visitor = |ordinal| Visitor { partition, ordinal };
    let read: Vec<_> = built.new.dropped.iter().map(|&(page, o)| (page, visitor(o))).collect();
    if intern::forget_pages(tx, &read)? {
        touched.push(keys::PAGES.into());
    }
    purge::owe(tx, &touched)?;
    for first in built.old_blocks {
        tx.remove(&past, keys::block(partition, first));
    }
    for (first, bytes) in built.new.blocks {
        tx.put(&past, keys::block(partition, first), bytes);
    }
    for id in built.old_entries {
        tx.remove(&log, keys::entry(partition, id));
    }
    let upto = upto.max(built.from.upto);
    let generation = Generation { number: built.from.number + 1, upto };
    tx.put(&past, keys::partition(partition).to_vec(), generation.to_bytes());
    Ok(())
}
