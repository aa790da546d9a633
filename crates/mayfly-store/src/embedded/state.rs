//! What is held in memory: for readers what is asked for at every read, for the writer what only
//! it decides.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use mayfly_core::{Day, Ordinal, Partition, PartnerId, Retention, Timestamp};
use roaring::RoaringBitmap;

use super::clock::TrustedClock;
use super::keys::{self, Kind};
use super::keyspaces::{Keyspaces, engine};
use super::seal::Generation;
use crate::catalog::Identity;
use crate::codec::{self, records};
use crate::day::EntryId;
use crate::error::{Corruption, StoreError};

/// Follows each commit; readers look here first.
pub(super) struct Shared {
    pub(super) retention: Retention,
    identity: RwLock<Identity>,
    heads: RwLock<BTreeMap<(Partition, Day), EntryId>>,
    erased: RwLock<HashMap<Partition, Arc<RoaringBitmap>>>,
    /// The partners of whose matches news are kept.
    told: RwLock<BTreeSet<PartnerId>>,
    /// The newest news when the store was opened.
    news: EntryId,
}

impl Shared {
    /// Loads it from the keyspaces.
    pub(super) fn load(
        keyspaces: &Keyspaces,
        identity: Identity,
        retention: Retention,
    ) -> Result<Self, StoreError> {
        let heads = load_heads(keyspaces, identity.partitions)?;
        let erased = load_erased(keyspaces)?;
        Ok(Self {
            retention,
            identity: RwLock::new(identity),
            heads: RwLock::new(heads),
            erased: RwLock::new(erased),
            told: RwLock::default(),
            news: newest_news(keyspaces)?,
        })
    }

    /// What the store is.
    pub(super) fn identity(&self) -> Identity {
        read(&self.identity).clone()
    }

    pub(super) fn set_partitions(&self, partitions: u16) {
        write(&self.identity).partitions = partitions;
    }

    /// The newest entry of each day of a partition.
    pub(super) fn heads(&self, partition: Partition) -> Vec<(Day, EntryId)> {
        let days = (partition, Day(0))..=(partition, Day(u16::MAX));
        read(&self.heads).range(days).map(|(&(_, day), &last)| (day, last)).collect()
    }

    /// The newest entry of all.
    pub(super) fn newest(&self) -> EntryId {
        read(&self.heads).values().max().copied().unwrap_or_default().max(self.news)
    }

    pub(super) fn set_head(&self, partition: Partition, day: Day, last: EntryId) {
        write(&self.heads).insert((partition, day), last);
    }

    pub(super) fn forget_day(&self, day: Day) {
        write(&self.heads).retain(|(_, of), _| *of != day);
    }

    pub(super) fn tell(&self, partners: &[PartnerId]) {
        *write(&self.told) = partners.iter().copied().collect();
    }

    /// Whether news are kept of a partner's matches.
    pub(super) fn is_told(&self, partner: PartnerId) -> bool {
        read(&self.told).contains(&partner)
    }

    /// The erased ordinals of a partition.
    pub(super) fn erased(&self, partition: Partition) -> Arc<RoaringBitmap> {
        read(&self.erased).get(&partition).cloned().unwrap_or_default()
    }

    pub(super) fn set_erased(&self, partition: Partition, erased: RoaringBitmap) {
        write(&self.erased).insert(partition, Arc::new(erased));
    }

    /// Whether this visitor is erased.
    pub(super) fn is_erased(&self, visitor: mayfly_core::Visitor) -> bool {
        let erased = read(&self.erased);
        erased.get(&visitor.partition).is_some_and(|e| e.contains(visitor.ordinal))
    }
}

/// The writer thread's own.
pub(super) struct WriterState {
    /// The last entry given out; the next is after it, whatever the clock says.
    pub(super) last: EntryId,
    /// Who owns which partition. In memory: another process cannot hold the folder.
    pub(super) leases: HashMap<Partition, HeldLease>,
    pub(super) clock: TrustedClock,
    /// The day for which expired records were last looked for.
    pub(super) swept: Option<Day>,
}

/// The owner of a partition.
pub(super) struct HeldLease {
    pub(super) token: u64,
    pub(super) address: Box<str>,
    pub(super) until: Timestamp,
}

impl WriterState {
    /// The place of the next entry.
    pub(super) fn next_id(&mut self, now: Timestamp) -> EntryId {
        let ms = u64::try_from(now.millis()).unwrap_or(0);
        self.last = if ms > self.last.ms {
            EntryId { ms, seq: 0 }
        } else {
            EntryId { ms: self.last.ms, seq: self.last.seq + 1 }
        };
        self.last
    }

    /// Whether the lease of a partition has this token.
    pub(super) fn holds(&self, lease: &crate::day::Lease) -> Result<(), StoreError> {
        match self.leases.get(&lease.partition) {
            Some(held) if held.token == lease.token => Ok(()),
            Some(_) | None => Err(StoreError::LeaseLost { partition: lease.partition }),
        }
    }
}

fn load_heads(
    keyspaces: &Keyspaces,
    partitions: u16,
) -> Result<BTreeMap<(Partition, Day), EntryId>, StoreError> {
    let mut heads = BTreeMap::new();
    for partition in (0..partitions).map(Partition) {
        for day in keyspaces.days(Kind::Past) {
            if let Some(generation) = Generation::read(keyspaces, partition, day)? {
                heads.insert((partition, day), generation.upto);
            }
        }
        for day in keyspaces.days(Kind::Hits) {
            let Some(log) = keyspaces.day(Kind::Hits, day) else { continue };
            if let Some(last) = log.prefix(keys::partition(partition)).next_back() {
                let key = last.key().map_err(engine)?;
                let id = keys::entry_id(&key).ok_or_else(|| codec::corrupt(Corruption::Entry))?;
                heads.insert((partition, day), id);
            }
        }
    }
    Ok(heads)
}

/// The newest news of any match.
fn newest_news(keyspaces: &Keyspaces) -> Result<EntryId, StoreError> {
    let mut newest = EntryId::ZERO;
    for item in keyspaces.make(keys::NEWS)?.iter() {
        let key = item.key().map_err(engine)?;
        newest = newest.max(keys::news_id(&key).ok_or_else(records::bad_news)?);
    }
    Ok(newest)
}

fn load_erased(
    keyspaces: &Keyspaces,
) -> Result<HashMap<Partition, Arc<RoaringBitmap>>, StoreError> {
    let mut erased = HashMap::new();
    for item in keyspaces.make(keys::VISITORS)?.prefix(keys::ERASED) {
        let (key, value) = item.into_inner().map_err(engine)?;
        let partition = key
            .get(1..)
            .and_then(|p| p.try_into().ok())
            .map(|p| Partition(u16::from_be_bytes(p)))
            .ok_or_else(|| codec::corrupt(Corruption::Record))?;
        erased.insert(partition, Arc::new(records::decode_bitmap(&value)?));
    }
    Ok(erased)
}

/// What is held is whole after every change, so a panic elsewhere does not spoil it.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// The next ordinal after a block.
pub(super) fn block_end(start: Ordinal) -> Option<Ordinal> {
    start.checked_add(mayfly_core::limits::ORDINAL_BLOCK)
}
