//! Names of keyspaces and forms of keys, built nowhere else. The table stands in [`super`].
//!
//! Numbers in keys are big-endian, so that keys sort as their numbers do.

use mayfly_core::{Day, Ordinal, Partition, PartnerId, SegmentId, Visitor};

use crate::day::EntryId;
use crate::{CatalogName, ForeignId, LaneId};

/// Version, identity and history of the catalog.
pub(super) const CATALOG: &str = "catalog";
/// Ordinal counters and erased ordinals.
pub(super) const VISITORS: &str = "visitors";
/// Foreign ids.
pub(super) const IDS: &str = "ids";
/// Each visitor's foreign ids.
pub(super) const NAMES: &str = "names";
/// Matches with partners.
pub(super) const MATCHES: &str = "matches";
/// Interned pages and consent states.
pub(super) const PAGES: &str = "pages";
/// News of matches.
pub(super) const NEWS: &str = "news";
/// Who was sent to destinations.
pub(super) const SENT: &str = "sent";
/// The ledger of deliveries.
pub(super) const LEDGER: &str = "ledger";
/// Last batch numbers.
pub(super) const LANES: &str = "lanes";
/// Memberships.
pub(super) const SEGMENTS: &str = "segments";
/// What this program keeps about its own work: the trusted day, what is still to be purged.
pub(super) const META: &str = "meta";

/// Random bytes, only during a purge.
pub(super) const SCRATCH: &str = "scratch";

/// Every keyspace that is always there.
pub(super) const FIXED: [&str; 12] =
    [CATALOG, VISITORS, IDS, NAMES, MATCHES, NEWS, SENT, LEDGER, PAGES, LANES, SEGMENTS, META];

/// Kinds of keyspaces of a day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Kind {
    /// The log.
    Hits,
    /// Sealed blocks.
    Past,
    /// Cells.
    Cells,
    /// Ids of hits, by the day on which they were received.
    HitIds,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Hits, Self::Past, Self::Cells, Self::HitIds];

    /// Its name, without the day.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Hits => "hits",
            Self::Past => "past",
            Self::Cells => "cells",
            Self::HitIds => "hitids",
        }
    }

    /// The keyspace of this kind and day.
    pub(super) fn of(self, day: Day) -> String {
        format!("{}-{}", self.label(), day.0)
    }
}

/// Reads a name made by [`Kind::of`].
pub(super) fn parse(name: &str) -> Option<(Kind, Day)> {
    let (label, day) = name.split_once('-')?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.label() == label)?;
    day.parse().ok().map(|day| (kind, Day(day)))
}

/// The partition, first in the key of everything that belongs to one.
pub(super) fn partition(partition: Partition) -> [u8; 2] {
    partition.0.to_be_bytes()
}

/// An entry of the log.
pub(super) fn entry(p: Partition, id: EntryId) -> Vec<u8> {
    [&partition(p)[..], &id.ms.to_be_bytes(), &id.seq.to_be_bytes()].concat()
}

/// The place of an entry, from its key.
pub(super) fn entry_id(key: &[u8]) -> Option<EntryId> {
    let (ms, seq) = key.get(2..18).filter(|_| key.len() == 18)?.split_at(8);
    Some(EntryId {
        ms: u64::from_be_bytes(ms.try_into().ok()?),
        seq: u64::from_be_bytes(seq.try_into().ok()?),
    })
}

/// A sealed block by its first ordinal. The record of the sealing itself has the bare partition.
pub(super) fn block(p: Partition, first: Ordinal) -> Vec<u8> {
    [&partition(p)[..], &first.to_be_bytes()].concat()
}

/// The first ordinal of a block, from its key.
pub(super) fn block_ordinal(key: &[u8]) -> Option<Ordinal> {
    key.get(2..).and_then(|o| o.try_into().ok()).map(u32::from_be_bytes)
}

/// A field of a day's cells.
pub(super) fn cells(p: Partition, field: &str) -> Vec<u8> {
    [&partition(p)[..], field.as_bytes()].concat()
}

/// The next ordinal of a partition.
pub(super) fn next_ordinal(p: Partition) -> Vec<u8> {
    [&b"n"[..], &partition(p)].concat()
}

/// The erased ordinals of a partition.
pub(super) fn erased(p: Partition) -> Vec<u8> {
    [&ERASED[..], &partition(p)].concat()
}

/// What all keys of [`erased`] begin with.
pub(super) const ERASED: [u8; 1] = *b"e";

/// A lane in a partition.
pub(super) fn lane(p: Partition, lane: LaneId) -> Vec<u8> {
    [&partition(p)[..], &lane.0.to_be_bytes()].concat()
}

/// A hit's id in a partition.
pub(super) fn hit_id(p: Partition, hash: i64) -> Vec<u8> {
    [&partition(p)[..], &hash.to_be_bytes()].concat()
}

/// An interned page (`p`) or consent state (`c`).
pub(super) fn interned(kind: u8, key: u64) -> Vec<u8> {
    [&[kind][..], &key.to_be_bytes()].concat()
}

/// A foreign id.
pub(super) fn foreign(id: &ForeignId) -> Vec<u8> {
    [&id.hash.to_be_bytes()[..], id.space.as_bytes()].concat()
}

/// What all the names and matches of a visitor begin with.
pub(super) fn visitor(visitor: Visitor) -> Vec<u8> {
    [&partition(visitor.partition)[..], &visitor.ordinal.to_be_bytes()].concat()
}

/// One foreign id of a visitor.
pub(super) fn name(of: Visitor, id: &ForeignId) -> Vec<u8> {
    [visitor(of), foreign(id)].concat()
}

/// A partner's match of a visitor.
pub(super) fn matched(of: Visitor, partner: PartnerId) -> Vec<u8> {
    [visitor(of), partner.0.to_be_bytes().to_vec()].concat()
}

/// The partner of a match, from its key.
pub(super) fn partner_of(key: &[u8]) -> Option<PartnerId> {
    key.last_chunk::<4>().map(|p| PartnerId(u32::from_be_bytes(*p)))
}

/// News of a match.
pub(super) fn news(partner: PartnerId, p: Partition, id: EntryId) -> Vec<u8> {
    [&partner.0.to_be_bytes()[..], &entry(p, id)].concat()
}

/// The place of news, from its key.
pub(super) fn news_id(key: &[u8]) -> Option<EntryId> {
    key.get(4..).and_then(entry_id)
}

/// Who was sent to a destination under a code.
pub(super) fn sent(destination: u32, p: Partition, code: &str) -> Vec<u8> {
    [&destination.to_be_bytes()[..], &partition(p), code.as_bytes()].concat()
}

/// A delivery to a destination.
pub(super) fn ledger(destination: u32, number: u64) -> Vec<u8> {
    [&destination.to_be_bytes()[..], &number.to_be_bytes()].concat()
}

/// The key of the foreign id that a name stands for.
pub(super) fn foreign_of_name(key: &[u8]) -> Option<&[u8]> {
    key.get(6..)
}

/// A membership.
pub(super) fn segment(p: Partition, segment: SegmentId) -> Vec<u8> {
    [&partition(p)[..], &segment.0.to_be_bytes()].concat()
}

/// The segment of a membership, from its key.
pub(super) fn segment_id(key: &[u8]) -> Option<SegmentId> {
    key.get(2..).and_then(|s| s.try_into().ok()).map(|s| SegmentId(u32::from_be_bytes(s)))
}

/// What the store is.
pub(super) const IDENTITY: &[u8] = b"identity";

/// The current version number of a catalog entry.
pub(super) fn catalog_current(name: CatalogName) -> Vec<u8> {
    [b"current/", name.label().as_bytes()].concat()
}

/// What all versions of a catalog entry begin with.
pub(super) fn catalog_versions(name: CatalogName) -> Vec<u8> {
    [b"version/", name.label().as_bytes(), b"/"].concat()
}

/// One version of a catalog entry.
pub(super) fn catalog_version(name: CatalogName, version: u64) -> Vec<u8> {
    [&catalog_versions(name)[..], &version.to_be_bytes()].concat()
}

/// The version number, from its key.
pub(super) fn version_of(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|v| u64::from_be_bytes(*v))
}

/// The day that the store trusts to be today.
pub(super) const CLOCK: &[u8] = b"clock";
/// Keyspaces whose removed bytes are still in files.
pub(super) const OWED: &[u8] = b"owed";
