//! What is read and written of one partition and day: entries of hits, cells, checkpoints.

use std::collections::BTreeSet;

use mayfly_core::{CategoryId, Day, DayCells, Hit, Ordinal, Partition, SegmentId, Timestamp};
use roaring::RoaringBitmap;

/// A segment's members in one partition, as last saved.
#[derive(Clone, PartialEq, Debug)]
pub struct Membership {
    /// The segment.
    pub segment: SegmentId,
    /// The definitions version it was evaluated under.
    pub version: u32,
    /// The instant it is exact for.
    pub as_of: Timestamp,
    /// The members' ordinals.
    pub members: RoaringBitmap,
}

/// The place of an entry in a day's log: milliseconds and a sequence within them, ascending in
/// commit order (Redis: the stream's automatic id; embedded: given by the one writer).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct EntryId {
    /// Milliseconds since 1970 at which the store took the entry (never going back).
    pub ms: u64,
    /// Sequence within the millisecond.
    pub seq: u64,
}

impl EntryId {
    /// Before every entry.
    pub const ZERO: Self = Self { ms: 0, seq: 0 };

    /// The first place after it.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.seq.checked_add(1) {
            Some(seq) => Self { ms: self.ms, seq },
            None => Self { ms: self.ms.saturating_add(1), seq: 0 },
        }
    }
}

/// One entry: the hits of one batch on one day.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Its place.
    pub id: EntryId,
    /// Its hits, in the order of the batch.
    pub hits: Vec<Hit>,
}

/// How far a day's cells go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DayHeader {
    /// Every hit up to this entry (sealed or not) is in the cells, and none after it.
    pub cursor: EntryId,
    /// The definitions version for which all categories' cells are complete.
    pub complete: u32,
}

/// What a checkpoint writes of one day.
#[derive(Clone, Copy, Debug)]
pub struct DayCheckpoint<'a> {
    /// The day.
    pub day: Day,
    /// The cursor that the stored cells must still have ([`EntryId::ZERO`]: no cells yet).
    pub from: EntryId,
    /// The header to write.
    pub header: DayHeader,
    /// All cells of the day.
    pub cells: &'a DayCells,
    /// The categories whose cells changed since `from` (also those that are gone from `cells`).
    /// Only chunks that hold one of these are written.
    pub changed: &'a BTreeSet<CategoryId>,
}

/// A position while reading a whole day: sealed blocks first, then the entries after them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DayCursor {
    /// The beginning.
    Start,
    /// In the sealed blocks of this generation, from the block that begins at or after `ordinal`.
    Sealed {
        /// Which sealing.
        generation: u32,
        /// First ordinal still to read.
        ordinal: Ordinal,
    },
    /// In the log, after this entry.
    Log {
        /// Which sealing the log continues.
        generation: u32,
        /// The last entry read.
        after: EntryId,
    },
}

/// A piece of a day.
#[derive(Clone, PartialEq, Debug)]
pub struct DayPage {
    /// Hits; those of erased visitors are left out.
    pub hits: Vec<Hit>,
    /// The last entry included, once the log is reached. For sealed pieces [`EntryId::ZERO`].
    pub last: EntryId,
    /// Where to go on; `None` = that was all.
    pub next: Option<DayCursor>,
}

/// The newest entry of a day that has any: what a worker compares with its cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The day.
    pub day: Day,
    /// Its newest entry, whether or not sealed since.
    pub last: EntryId,
}

/// The right to own a partition for a while; fenced by its token in every write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The partition.
    pub partition: Partition,
    /// Random; another owner has another.
    pub token: u64,
}

/// What became of a request for a lease.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Leased {
    /// Ours.
    Granted(Lease),
    /// Another's; its address for lookups.
    Held {
        /// The owner's address, as it gave it.
        address: Box<str>,
    },
}

/// What sealing did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sealed {
    /// Hits in the blocks now.
    pub hits: u64,
    /// Hits of erased visitors left out.
    pub dropped: u64,
    /// Blocks written.
    pub blocks: u32,
}
