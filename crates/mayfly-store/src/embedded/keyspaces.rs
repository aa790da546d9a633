//! The open keyspaces of the engine. Those of a day are made on first write and dropped whole.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use fjall::compaction::Leveled;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, LsmError};
use mayfly_core::Day;

use super::keys::{self, Kind};
use crate::error::StoreError;

/// The engine's journal goes only when every keyspace that stands in it was written to its own
/// files; small buffers and [`super::writer`]'s rotation see to that.
const BUFFER_BYTES: u64 = 8 << 20;
/// Files that are merged into: the level that buffers are merged into is four of them. Keys are
/// mostly hashes, so that each merge rewrites that level whole: it should be no larger than what
/// comes at a time.
const TABLE_BYTES: u64 = 8 << 20;

/// The engine and its keyspaces by name.
pub(super) struct Keyspaces {
    pub(super) db: Database,
    by_name: RwLock<BTreeMap<String, Keyspace>>,
}

impl Keyspaces {
    /// Opens every keyspace that is there, and makes the fixed ones.
    pub(super) fn open(db: Database) -> Result<Self, StoreError> {
        let there: Vec<String> =
            db.list_keyspace_names().iter().map(|name| name.to_string()).collect();
        let keyspaces = Self { db, by_name: RwLock::default() };
        for name in keys::FIXED.into_iter().chain(there.iter().map(String::as_str)) {
            keyspaces.make(name)?;
        }
        // Left over from a purge that a crash cut short.
        keyspaces.drop_keyspace(keys::SCRATCH)?;
        Ok(keyspaces)
    }

    /// A keyspace that is there.
    pub(super) fn get(&self, name: &str) -> Option<Keyspace> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// A day's keyspace that is there.
    pub(super) fn day(&self, kind: Kind, day: Day) -> Option<Keyspace> {
        self.get(&kind.of(day))
    }

    /// A keyspace, made when it is not there. Only the writer thread makes keyspaces.
    pub(super) fn make(&self, name: &str) -> Result<Keyspace, StoreError> {
        if let Some(keyspace) = self.get(name) {
            return Ok(keyspace);
        }
        let options = || {
            let merged = Leveled::default().with_table_target_size(TABLE_BYTES);
            KeyspaceCreateOptions::default()
                .max_memtable_size(BUFFER_BYTES)
                .compaction_strategy(Arc::new(merged))
        };
        let keyspace = self.db.keyspace(name, options).map_err(engine)?;
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.insert(name.to_owned(), keyspace.clone());
        Ok(keyspace)
    }

    /// Drops a keyspace; its files go when the last reader lets go of it.
    pub(super) fn drop_keyspace(&self, name: &str) -> Result<(), StoreError> {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        match by_name.remove(name) {
            Some(keyspace) => self.db.delete_keyspace(keyspace).map_err(engine),
            None => Ok(()),
        }
    }

    /// The names of all keyspaces.
    pub(super) fn names(&self) -> Vec<String> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The days that have a keyspace of this kind, ascending.
    pub(super) fn days(&self, kind: Kind) -> Vec<Day> {
        let mut days: Vec<Day> = self
            .names()
            .iter()
            .filter_map(|name| keys::parse(name))
            .filter(|(of, _)| *of == kind)
            .map(|(_, day)| day)
            .collect();
        days.sort();
        days
    }
}

/// The store's error for the engine's.
pub(super) fn engine(error: fjall::Error) -> StoreError {
    if let fjall::Error::Poisoned = error {
        return StoreError::Poisoned;
    }
    if let fjall::Error::Io(source) | fjall::Error::Storage(LsmError::Io(source)) = error {
        return files(source);
    }
    StoreError::Engine { source: Box::new(error) }
}

/// The store's error for the system's.
pub(super) fn files(source: std::io::Error) -> StoreError {
    if source.kind() == std::io::ErrorKind::StorageFull {
        StoreError::Full { source }
    } else {
        StoreError::Files { source }
    }
}
