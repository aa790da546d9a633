//! What can go wrong with a store. One enum; fields and sources, no free text.

use std::path::PathBuf;

use mayfly_core::{Partition, StoreId};

/// A store's failure. [`StoreError::is_transient`] carries the decision to retry.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL is none that a store has.
    #[error("store.url {url:?} is not file://, redis[s]:// or redis[s]+cluster://")]
    BadUrl {
        /// The URL, without its password.
        url: Box<str>,
    },
    /// There is no store, and creating one was not allowed.
    #[error("there is no store at {place}; `mayfly serve` makes one")]
    Missing {
        /// Folder or server, without password.
        place: Box<str>,
    },
    /// Another process has the folder.
    #[error(
        "{path} is in use by another process, and only one may open an embedded store; \
         ask that one (commands find it by themselves with the same --data), or stop it first"
    )]
    Locked {
        /// The store's folder.
        path: PathBuf,
    },
    /// Written by a version that this one cannot read.
    #[error("the store at {place} has format {found}; this program reads {supported}")]
    Format {
        /// Folder or server.
        place: Box<str>,
        /// The format found.
        found: u8,
        /// The newest format that can be read.
        supported: u8,
    },
    /// The store holds another realm's visitors.
    #[error("the store at {place} holds realm {found:?}, not {expected:?}")]
    OtherRealm {
        /// Folder or server.
        place: Box<str>,
        /// The realm of the store.
        found: Box<str>,
        /// The realm of the configuration.
        expected: Box<str>,
    },
    /// The folder cannot be written.
    #[error(
        "{path} cannot be written: {source}; give the user that runs mayfly the right to, \
         or name another folder in store.url"
    )]
    ReadOnly {
        /// The store's folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No space is left.
    #[error("no space is left for the store: {source}")]
    Full {
        /// What the system said.
        source: std::io::Error,
    },
    /// Another failure of files.
    #[error("the store's files failed: {source}")]
    Files {
        /// What the system said.
        source: std::io::Error,
    },
    /// The embedded engine failed.
    #[error("the embedded store failed: {source}")]
    Engine {
        /// What the engine said.
        source: Box<fjall::Error>,
    },
    /// A write failed before; nothing is taken until the process starts anew.
    #[error("an earlier write failed; the store takes nothing until restart")]
    Poisoned,
    /// Redis did not answer, or not in time.
    #[error("redis does not answer: {source}")]
    Unreachable {
        /// What the client said.
        source: redis::RedisError,
    },
    /// Redis answered with an error.
    #[error("redis refused a command: {source}")]
    Refused {
        /// What the server said.
        source: redis::RedisError,
    },
    /// The deadline passed; the operation may or may not have been carried out.
    #[error("the store did not answer within its deadline")]
    Deadline,
    /// User or password is wrong.
    #[error("redis at {place} refuses the login; check user and password in store.url")]
    Login {
        /// The server.
        place: Box<str>,
    },
    /// The server may throw our keys away.
    #[error(
        "redis at {place} may evict keys (maxmemory-policy {policy}); \
         run: redis-cli CONFIG SET maxmemory-policy noeviction"
    )]
    Evicting {
        /// The server.
        place: Box<str>,
        /// Its policy.
        policy: Box<str>,
    },
    /// The server is a read-only replica.
    #[error("redis at {place} is a read-only replica; name its primary in store.url")]
    Replica {
        /// The server.
        place: Box<str>,
    },
    /// The server is one of a cluster's, and was named as if it stood alone.
    #[error("redis at {place} is a node of a cluster; write redis+cluster:// in store.url")]
    ClusterNode {
        /// The server.
        place: Box<str>,
    },
    /// The server lacks commands that are needed.
    #[error("redis at {place} is {found}; version 7.0 or newer is needed")]
    Outdated {
        /// The server.
        place: Box<str>,
        /// Its version.
        found: Box<str>,
    },
    /// The server holds no data of the store that was opened: emptied or replaced.
    #[error(
        "the data of store {expected} is gone: the server was emptied or replaced. Nothing is \
         served from memory; restart to begin a new store"
    )]
    Gone {
        /// The store that was opened.
        expected: StoreId,
    },
    /// The lease is held by another, or ran out.
    #[error("the lease of partition {} is no longer ours", .partition.0)]
    LeaseLost {
        /// The partition.
        partition: Partition,
    },
    /// A checkpoint's starting cursor is not the stored one.
    #[error("the cells of partition {} were moved by another worker", .partition.0)]
    CursorMoved {
        /// The partition.
        partition: Partition,
    },
    /// The day was sealed while it was read: read it again.
    #[error("the day was sealed while it was read")]
    DayMoved,
    /// The catalog entry has another version by now.
    #[error("changed by another: version {current} is current, not {expected}")]
    Conflict {
        /// The version that the writer had read.
        expected: u64,
        /// The version that is current.
        current: u64,
    },
    /// More than [`mayfly_core::limits::INTERN_STEPS`] values share one key.
    #[error("too many values share one interning key")]
    InternFull,
    /// The partition's ordinals are used up.
    #[error("partition {} has no ordinals left; raise store.partitions", .partition.0)]
    OrdinalsUsedUp {
        /// The partition.
        partition: Partition,
    },
    /// Stored bytes cannot be read.
    #[error("stored bytes are damaged: {what}")]
    Corrupt {
        /// Which bytes, and where.
        what: Corruption,
    },
}

/// Which stored bytes cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Corruption {
    /// An entry of hits.
    #[error("an entry of hits")]
    Entry,
    /// A sealed block of hits.
    #[error("a sealed block of hits")]
    Block,
    /// Cells of a day.
    #[error("cells of a day")]
    Cells,
    /// A page.
    #[error("a page")]
    Page,
    /// A consent state.
    #[error("a consent state")]
    Consent,
    /// A segment's membership.
    #[error("a segment's membership")]
    Membership,
    /// A batch.
    #[error("a batch")]
    Batch,
    /// An entry of the catalog.
    #[error("an entry of the catalog")]
    Catalog,
    /// The bitmap of erased ordinals, a counter or another small record.
    #[error("a small record")]
    Record,
    /// A version byte that this program does not know.
    #[error("a value of a newer format")]
    Version,
}

impl StoreError {
    /// Whether the same call may succeed later without anybody's doing.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Deadline | Self::DayMoved)
    }

    /// The label of the metric `mayfly_store_errors_total{kind}`.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::BadUrl { .. } => "bad_url",
            Self::Missing { .. } => "missing",
            Self::Locked { .. } => "locked",
            Self::Format { .. } => "format",
            Self::OtherRealm { .. } => "other_realm",
            Self::ReadOnly { .. } => "read_only",
            Self::Full { .. } => "full",
            Self::Files { .. } => "files",
            Self::Engine { .. } => "engine",
            Self::Poisoned => "poisoned",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { .. } => "refused",
            Self::Deadline => "deadline",
            Self::Login { .. } => "login",
            Self::Evicting { .. } => "evicting",
            Self::Replica { .. } => "replica",
            Self::ClusterNode { .. } => "cluster_node",
            Self::Outdated { .. } => "outdated",
            Self::Gone { .. } => "gone",
            Self::LeaseLost { .. } => "lease_lost",
            Self::CursorMoved { .. } => "cursor_moved",
            Self::DayMoved => "day_moved",
            Self::Conflict { .. } => "conflict",
            Self::InternFull => "intern_full",
            Self::OrdinalsUsedUp { .. } => "ordinals_used_up",
            Self::Corrupt { .. } => "corrupt",
        }
    }
}
