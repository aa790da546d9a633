//! How the store is, and what an audit of the retention finds.

use std::collections::BTreeMap;

use mayfly_core::Day;

/// How the store is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Health {
    /// Grows by one whenever a server behind the store was restarted, failed over or replaced
    /// (its `run_id` changed): what was read must be read anew, recent batches sent again.
    pub generation: u64,
    /// The server's clock minus ours, milliseconds; `None` for the embedded store.
    pub skew_ms: Option<i64>,
    /// Bytes in use: the server's memory, or the folder's size.
    pub bytes: u64,
    /// What an operator should change, loudest first.
    pub warnings: Vec<Warning>,
}

/// What an operator should change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Warning {
    /// Redis keeps nothing on disk, or only RDB snapshots: turn on `appendonly`.
    NotDurable,
    /// The server's clock is more than two seconds off ours.
    ClockSkew,
    /// More than 80 % of `maxmemory`, or of the disk, is used.
    AlmostFull,
}

/// A breach of the retention that `audit` found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// A key or keyspace that holds behaviour has no expiry.
    NoExpiry(Box<str>),
    /// It outlives what the table of keys allows.
    LivesTooLong(Box<str>),
    /// A name that this program does not know.
    Unknown(Box<str>),
}

/// What `audit` saw.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    /// Keys or keyspaces looked at, by kind.
    pub seen: BTreeMap<&'static str, u64>,
    /// The oldest day that holds behaviour.
    pub oldest: Option<Day>,
    /// What breaks the promise.
    pub findings: Vec<Finding>,
}
