//! The store: everything that holds behaviour, keyed by partition and UTC day; plus the catalog.
//!
//! One enum, two backends ([`embedded`] and [`redis_store`]), one contract suite (`contract`,
//! feature `testing`) that runs on the embedded store, on Redis and on a Redis Cluster. Read
//! [`batch`] (how hits come in), [`day`] (how they are read, folded and sealed), [`catalog`],
//! [`error`].
//!
//! Constraints. (partition, day) is the unit of commit, rebuild and expiry. Only this crate knows
//! bytes at rest (`codec`) and Redis. Time is an argument of every operation that needs it; a
//! server's own clock is used for nothing but its ids and key expiry.

use std::collections::BTreeMap;
use std::ops::Range;

use mayfly_core::{
    CategoryId, ConsentKey, ConsentState, Day, DayCells, Hit, Ordinal, Page, PageKey, Partition,
    PartnerId, Timestamp, Visitor,
};
use roaring::RoaringBitmap;

pub mod batch;
pub mod catalog;
mod codec;
pub mod config;
#[cfg(feature = "testing")]
pub mod contract;
pub mod day;
pub mod delivered;
pub mod embedded;
pub mod error;
pub mod foreign;
pub mod health;
pub mod matches;
pub mod redis_store;

pub use batch::{Appended, Batch, LaneId, NewHit};
pub use catalog::{CatalogName, CatalogVersion, Identity};
pub use codec::records::{decode_consent, encode_consent};
pub use config::{StoreConfig, StoreUrl};
pub use day::{
    DayCheckpoint, DayCursor, DayHeader, DayPage, Entry, EntryId, Head, Lease, Leased, Membership,
    Sealed,
};
pub use delivered::{LedgerRow, MatchNews, Sent};
pub use embedded::EmbeddedStore;
pub use error::{Corruption, StoreError};
pub use foreign::{Claim, ForeignId};
pub use health::{Audit, Finding, Health, Warning};
pub use matches::{Match, MatchNote, Noted};
pub use redis_store::RedisStore;

/// The result of every operation.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What is to be interned, with the youngest day that refers to it (it lives as long as that day).
#[derive(Clone, Debug, Default)]
pub struct ToIntern<'a> {
    /// Pages, each with its reader.
    pub pages: Vec<(&'a Page, Day, Reader)>,
    /// Consent states.
    pub consents: Vec<(&'a ConsentState, Day)>,
}

/// Who reads a page: the one visitor who does, as far as is known; `None` when several do, which
/// stays so. What only one reads may tell who he is (`/orders/4711`): it goes with him.
pub type Reader = Option<Visitor>;

/// The keys, in the order of [`ToIntern`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Interned {
    /// Keys of the pages.
    pub pages: Vec<PageKey>,
    /// Keys of the consent states.
    pub consents: Vec<ConsentKey>,
}

/// A day's cells as stored.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct StoredDay {
    /// How far they go.
    pub header: DayHeader,
    /// The cells asked for.
    pub cells: DayCells,
}

/// The store.
#[derive(Clone, Debug)]
pub enum Store {
    /// In one folder, in this process.
    Embedded(EmbeddedStore),
    /// On Redis or Redis Cluster.
    Redis(RedisStore),
}

macro_rules! on {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            Store::Embedded($store) => $call.await,
            Store::Redis($store) => $call.await,
        }
    };
}

impl Store {
    /// Opens the store at `config.url`, or makes it when `config.create` allows.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Locked`], [`StoreError::Format`],
    /// [`StoreError::ReadOnly`], [`StoreError::Login`], [`StoreError::Evicting`],
    /// [`StoreError::Replica`], [`StoreError::Unreachable`] …
    pub async fn open(config: &StoreConfig, now: Timestamp) -> Result<Self> {
        Ok(match &config.url {
            StoreUrl::File(_) => Self::Embedded(EmbeddedStore::open(config, now).await?),
            StoreUrl::Redis(_) | StoreUrl::Cluster(_) => {
                Self::Redis(RedisStore::open(config, now).await?)
            }
        })
    }

    /// A store that was opened before and does not answer now, taken up again from what it is
    /// known to be. Nothing is connected or checked: every write compares the store's id, so that
    /// another store in its place takes nothing. `None` for the embedded store, which answers at
    /// once or not at all.
    #[must_use]
    pub fn resume(config: &StoreConfig, identity: Identity) -> Option<Self> {
        match &config.url {
            StoreUrl::File(_) => None,
            StoreUrl::Redis(_) | StoreUrl::Cluster(_) => {
                RedisStore::resume(config, identity).map(Self::Redis)
            }
        }
    }

    /// What the store is. `partitions` is as of opening or of the last `raise_partitions` here.
    #[must_use]
    pub fn identity(&self) -> Identity {
        match self {
            Self::Embedded(s) => s.identity(),
            Self::Redis(s) => s.identity(),
        }
    }

    /// Raises the number of partitions (a power of two, more than now). Nothing moves.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not a raise.
    pub async fn raise_partitions(&self, partitions: u16) -> Result<()> {
        on!(self, s => s.raise_partitions(partitions))
    }

    /// Writes everything out and lets the folder or the connections go.
    ///
    /// # Errors
    /// The last write's.
    pub async fn close(&self) -> Result<()> {
        on!(self, s => s.close())
    }

    // ---- hits come in -----------------------------------------------------------------------

    /// Leases a block of [`mayfly_core::limits::ORDINAL_BLOCK`] ordinals. `above` is the end of
    /// the highest block the caller knows of in this partition (0 = none): the block begins at or
    /// after it. When the server's `run_id` is not the one kept beside the counter, the counter
    /// first jumps by [`mayfly_core::limits::ORDINAL_JUMP`]. Ordinal 0 is never issued.
    ///
    /// # Errors
    /// [`StoreError::OrdinalsUsedUp`], [`StoreError::Gone`].
    pub async fn lease_ordinals(
        &self,
        partition: Partition,
        above: Ordinal,
    ) -> Result<Range<Ordinal>> {
        on!(self, s => s.lease_ordinals(partition, above))
    }

    /// Interns pages and consent states: stores what is new, compares bytes with what is under
    /// the key already (another value: key + 1, at most
    /// [`mayfly_core::limits::INTERN_STEPS`]), prolongs their life to that of the day given. A
    /// page that comes with another [`Reader`] than the one known has several from then on.
    ///
    /// # Errors
    /// [`StoreError::InternFull`].
    pub async fn intern(&self, values: &ToIntern<'_>) -> Result<Interned> {
        on!(self, s => s.intern(values))
    }

    /// Whom these foreign ids stand for; `None` also for ids of erased visitors.
    ///
    /// # Errors
    /// None of its own.
    pub async fn lookup_ids(&self, ids: &[ForeignId]) -> Result<Vec<Option<Visitor>>> {
        on!(self, s => s.lookup_ids(ids))
    }

    /// Claims foreign ids for visitors, first come first served; answers whom each stands for
    /// now. An id that stands for an erased visitor is free. The ids of a visitor are remembered
    /// with it, so that erasure finds them. Two equal ids in one call get the same visitor.
    ///
    /// # Errors
    /// None of its own.
    pub async fn claim_ids(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Visitor>> {
        on!(self, s => s.claim_ids(claims, now))
    }

    /// Notes what partners said about visitors, each atomically: two notes at once are as one after
    /// the other. The answers stand in the order of the notes. A match is kept as long as a hit of
    /// the day on which it was last noted.
    ///
    /// # Errors
    /// None of its own.
    pub async fn note_matches(&self, notes: &[MatchNote], now: Timestamp) -> Result<Vec<Noted>> {
        on!(self, s => s.note_matches(notes, now))
    }

    /// A visitor's matches with these partners. None for an erased visitor.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn matches_of(
        &self,
        visitor: Visitor,
        partners: &[PartnerId],
        now: Timestamp,
    ) -> Result<Vec<Option<Match>>> {
        on!(self, s => s.matches_of(visitor, partners, now))
    }

    /// The matches of some visitors of a partition with a partner, by ordinal; who has none, or is
    /// erased, is left out. All are in memory at once: ask for a hundred thousand at a time.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn matches(
        &self,
        partition: Partition,
        partner: PartnerId,
        ordinals: &RoaringBitmap,
        now: Timestamp,
    ) -> Result<Vec<(Ordinal, Match)>> {
        on!(self, s => s.matches(partition, partner, ordinals, now))
    }

    /// Appends batches, each exactly once (see [`batch`]); one group commit for all. The answers
    /// stand in the order of the batches. Pages and consent states must be interned before.
    ///
    /// # Errors
    /// For the whole group: its fate is then unknown; send the same batches again.
    pub async fn append(&self, batches: &[&Batch], now: Timestamp) -> Result<Vec<Appended>> {
        on!(self, s => s.append(batches, now))
    }

    // ---- the worker -------------------------------------------------------------------------

    /// Asks for the lease of a partition, or renews `held`, until `now` + `seconds`.
    ///
    /// # Errors
    /// None of its own.
    pub async fn lease(
        &self,
        partition: Partition,
        held: Option<&Lease>,
        address: &str,
        seconds: u32,
        now: Timestamp,
    ) -> Result<Leased> {
        on!(self, s => s.lease(partition, held, address, seconds, now))
    }

    /// Gives a lease back.
    ///
    /// # Errors
    /// None of its own; a lease that is no longer ours is no error.
    pub async fn release(&self, lease: &Lease) -> Result<()> {
        on!(self, s => s.release(lease))
    }

    /// The newest entry of each day that has any, for each of the partitions.
    ///
    /// # Errors
    /// None of its own.
    pub async fn heads(&self, partitions: &[Partition]) -> Result<Vec<Vec<Head>>> {
        on!(self, s => s.heads(partitions))
    }

    /// The entries of a day's log after `after`, ascending, about `max_hits` hits (at least one
    /// entry when there is one). Erased visitors' hits are left out of the entries.
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
        on!(self, s => s.read_new(partition, day, after, max_hits))
    }

    /// Reads a whole day piece by piece: sealed blocks, then the log. Each hit exactly once.
    ///
    /// # Errors
    /// [`StoreError::DayMoved`] when the day was sealed in between: begin again.
    pub async fn read_day(
        &self,
        partition: Partition,
        day: Day,
        from: DayCursor,
        max_hits: usize,
    ) -> Result<DayPage> {
        on!(self, s => s.read_day(partition, day, from, max_hits))
    }

    /// A visitor's hits on these days, by time. Nothing for an erased visitor.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn read_visitor(&self, visitor: Visitor, days: Range<Day>) -> Result<Vec<Hit>> {
        on!(self, s => s.read_visitor(visitor, days))
    }

    /// Pages by key; `None` where there is none (any more, or yet).
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn pages(&self, keys: &[PageKey]) -> Result<Vec<Option<Page>>> {
        on!(self, s => s.pages(keys))
    }

    /// Consent states by key.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn consents(&self, keys: &[ConsentKey]) -> Result<Vec<Option<ConsentState>>> {
        on!(self, s => s.consents(keys))
    }

    /// A day's cells: all, or only those of some categories (every `since` of them).
    /// Entries of erased visitors are left out.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn cells(
        &self,
        partition: Partition,
        day: Day,
        categories: Option<&[CategoryId]>,
    ) -> Result<StoredDay> {
        on!(self, s => s.cells(partition, day, categories))
    }

    /// Some categories' cells of several days, as [`Store::cells`] has them: one trip for all where
    /// the backend can, a few at a time otherwise. The days may be of different moments.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn cells_of_days(
        &self,
        partition: Partition,
        wanted: &BTreeMap<Day, Vec<CategoryId>>,
    ) -> Result<BTreeMap<Day, DayCells>> {
        on!(self, s => s.cells_of_days(partition, wanted))
    }

    /// Writes changed cells and cursors, and the memberships, each day atomically, if and only if
    /// the lease is ours and each day's stored cursor is `from`. All days of a call in one step
    /// where the backend can; otherwise day by day, memberships last.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], [`StoreError::CursorMoved`]: drop what is in memory and reload.
    pub async fn checkpoint(
        &self,
        lease: &Lease,
        days: &[DayCheckpoint<'_>],
        memberships: &[Membership],
        now: Timestamp,
    ) -> Result<()> {
        on!(self, s => s.checkpoint(lease, days, memberships, now))
    }

    /// The memberships last saved for a partition.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn memberships(&self, partition: Partition) -> Result<Vec<Membership>> {
        on!(self, s => s.memberships(partition))
    }

    /// Seals a day: old blocks and the log's entries up to `upto` (at most the checkpointed
    /// cursor) become blocks sorted by ordinal and time; erased visitors are left out; the log is
    /// trimmed in the same step. Sealing again is how late hits and erasures reach the blocks.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], [`StoreError::CursorMoved`] when `upto` is after the cursor.
    pub async fn seal(&self, lease: &Lease, day: Day, upto: EntryId) -> Result<Sealed> {
        on!(self, s => s.seal(lease, day, upto))
    }

    // ---- people and time --------------------------------------------------------------------

    /// Erases visitors: at once invisible to every read here; their foreign ids and matches
    /// are forgotten, their ordinals dead for good. Bytes go when their days are sealed again.
    ///
    /// # Errors
    /// None of its own.
    pub async fn erase(&self, visitors: &[Visitor], now: Timestamp) -> Result<()> {
        on!(self, s => s.erase(visitors, now))
    }

    /// The erased ordinals of a partition.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn erased(&self, partition: Partition) -> Result<RoaringBitmap> {
        on!(self, s => s.erased(partition))
    }

    /// Drops what the retention no longer keeps on `today`. Redis does so by itself; what it
    /// leaves (fields of hashes) goes here. A `today` more than one day ahead of the last call
    /// drops nothing until it has been so for 24 h of calls: a clock that jumps loses no day.
    ///
    /// # Errors
    /// None of its own.
    pub async fn expire(&self, now: Timestamp) -> Result<Vec<Day>> {
        on!(self, s => s.expire(now))
    }

    /// Has the bytes of what was erased, sealed anew or expired leave the store's files: once a
    /// night, after sealing. On Redis they go with the next rewrite of its own files.
    ///
    /// # Errors
    /// Those of files.
    pub async fn purge(&self) -> Result<()> {
        match self {
            Self::Embedded(s) => s.purge().await,
            Self::Redis(_) => Ok(()),
        }
    }

    /// How the store is; cheap enough for once a second.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when the data of the opened store is no longer there.
    pub async fn health(&self, now: Timestamp) -> Result<Health> {
        on!(self, s => s.health(now))
    }

    /// Looks at every key and keyspace: what holds behaviour, and how long it will.
    ///
    /// # Errors
    /// None of its own.
    pub async fn audit(&self, now: Timestamp) -> Result<Audit> {
        on!(self, s => s.audit(now))
    }

    // ---- the catalog ------------------------------------------------------------------------

    /// The current version of a catalog entry.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn catalog(&self, name: CatalogName) -> Result<Option<CatalogVersion>> {
        on!(self, s => s.catalog(name))
    }

    /// All versions, ascending.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn catalog_history(&self, name: CatalogName) -> Result<Vec<CatalogVersion>> {
        on!(self, s => s.catalog_history(name))
    }

    /// Writes version `expected` + 1, if and only if `expected` is current (0 = there is none).
    ///
    /// # Errors
    /// [`StoreError::Conflict`].
    pub async fn write_catalog(
        &self,
        name: CatalogName,
        expected: u64,
        bytes: Vec<u8>,
        by: &str,
        now: Timestamp,
    ) -> Result<u64> {
        on!(self, s => s.write_catalog(name, expected, bytes, by, now))
    }
}

/// The chunk of a day's cells that a category's cells stand in (a cell above
/// [`mayfly_core::limits::CHUNK_BYTES`] stands alone). A pure function, so that equal cells have
/// equal bytes whatever the order in which they came.
#[must_use]
pub const fn chunk_of(category: CategoryId) -> u16 {
    (category.0 % 32) as u16
}
