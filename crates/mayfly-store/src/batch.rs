//! Batches and lanes: the one mechanism behind retry, spill drain and resend.
//!
//! A collector appends through a *lane*: a random id made at each connection, with batches numbered
//! 1, 2, 3 … per partition. The store takes number = last + 1, answers [`Appended::Done`] to a
//! number it has, and [`Appended::Gap`] to any other. A batch whose fate is unknown keeps lane,
//! number and bytes and is sent again so.

use mayfly_core::{Day, Hit, Partition};

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
