//! The one thread that writes. It takes all jobs that wait, runs them against one engine batch,
//! commits the batch with one sync, and then answers each.
//!
//! Constraints. A job checks before it writes: once it has written something it may not fail. It
//! sees the writes of the jobs before it in the same group ([`Tx::get`]), but iterates only over
//! what is committed; jobs that iterate run in a group of their own. After a failed commit
//! nothing is taken any more: what is on disk is then unknown until the folder is opened anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fjall::{Keyspace, OwnedWriteBatch, PersistMode, Slice};
use tokio::sync::{mpsc, oneshot};

use super::keyspaces::{Keyspaces, engine};
use super::state::{Shared, WriterState};
use crate::error::StoreError;

/// Jobs that may wait; more callers wait in line.
pub(super) const JOBS: usize = 1024;
/// Jobs in one group commit.
const GROUP_JOBS: usize = 256;
/// For so many bytes of journal, everything dirty is written to its own files, so that the
/// journal can go. Without this, 90 small days keep 594 MB of journal and reopen in 25 s.
const ROTATE_BYTES: u64 = 16 << 20;
/// Bytes of a record in the journal besides key and value, about.
const RECORD_BYTES: u64 = 24;

/// What is told to the caller, after the commit.
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What readers see in memory changes so, once what is written is on disk.
type Change = Box<dyn FnOnce(&Shared)>;

/// Something to write.
pub(super) struct Job {
    run: Box<dyn FnOnce(&mut Tx<'_>) -> Reply + Send>,
    alone: bool,
}

impl Job {
    /// A job and where its answer will come. `alone`: it iterates, so nothing may be pending.
    pub(super) fn new<T: Send + 'static>(
        alone: bool,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let run = move |tx: &mut Tx<'_>| -> Reply {
            let result = work(tx);
            Box::new(move |committed| {
                // A caller that no longer waits is told nothing.
                drop(answer.send(committed.and(result)));
            })
        };
        (Self { run: Box::new(run), alone }, answered)
    }
}

/// What jobs write into: one engine batch, and the memory that follows once it is committed.
pub(super) struct Tx<'a> {
    pub(super) keyspaces: &'a Keyspaces,
    pub(super) state: &'a mut WriterState,
    pub(super) shared: &'a Shared,
    batch: OwnedWriteBatch,
    pending: HashMap<(u64, Vec<u8>), Option<Slice>>,
    after: Vec<Change>,
    touched: BTreeMap<u64, Keyspace>,
    drops: Vec<String>,
    bytes: u64,
}

impl Tx<'_> {
    /// The value under a key, as the jobs before this one leave it.
    pub(super) fn get(&self, keyspace: &Keyspace, key: &[u8]) -> Result<Option<Slice>, StoreError> {
        match self.pending.get(&(keyspace.id(), key.to_vec())) {
            Some(value) => Ok(value.clone()),
            None => keyspace.get(key).map_err(engine),
        }
    }

    /// Writes a value.
    pub(super) fn put(&mut self, keyspace: &Keyspace, key: Vec<u8>, value: impl Into<Slice>) {
        let value = value.into();
        self.note(keyspace, (key.len() + value.len()) as u64);
        self.batch.insert(keyspace, &key[..], value.clone());
        self.pending.insert((keyspace.id(), key), Some(value));
    }

    /// Removes a value.
    pub(super) fn remove(&mut self, keyspace: &Keyspace, key: Vec<u8>) {
        self.note(keyspace, key.len() as u64);
        self.batch.remove(keyspace, &key[..]);
        self.pending.insert((keyspace.id(), key), None);
    }

    /// Changes what readers see in memory, once the batch is committed.
    pub(super) fn after(&mut self, change: impl FnOnce(&Shared) + 'static) {
        self.after.push(Box::new(change));
    }

    /// Drops a whole keyspace, once the batch is committed.
    pub(super) fn drop_keyspace(&mut self, name: String) {
        self.drops.push(name);
    }

    fn note(&mut self, keyspace: &Keyspace, bytes: u64) {
        self.bytes += bytes + RECORD_BYTES;
        self.touched.entry(keyspace.id()).or_insert_with(|| keyspace.clone());
    }
}

/// The thread's own.
pub(super) struct Writer {
    pub(super) keyspaces: Arc<Keyspaces>,
    pub(super) shared: Arc<Shared>,
    pub(super) state: WriterState,
    pub(super) poisoned: Arc<AtomicBool>,
    /// Written to since everything was last written out.
    pub(super) dirty: BTreeMap<u64, Keyspace>,
    pub(super) dirty_bytes: u64,
}

impl Writer {
    /// Works until every sender is gone.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut held: Option<Job> = None;
        while let Some(first) = held.take().or_else(|| jobs.blocking_recv()) {
            let mut group = vec![first];
            while group.len() < GROUP_JOBS && group.last().is_some_and(|job| !job.alone) {
                let Ok(next) = jobs.try_recv() else { break };
                if next.alone {
                    held = Some(next);
                    break;
                }
                group.push(next);
            }
            self.commit(group);
        }
    }

    fn commit(&mut self, group: Vec<Job>) {
        if self.poisoned.load(Ordering::Acquire) {
            // Dropping a job tells its caller that the store takes nothing.
            return;
        }
        let batch = self.keyspaces.db.batch().durability(Some(PersistMode::SyncData));
        let mut tx = Tx {
            keyspaces: &self.keyspaces,
            state: &mut self.state,
            shared: &self.shared,
            batch,
            pending: HashMap::new(),
            after: Vec::new(),
            touched: BTreeMap::new(),
            drops: Vec::new(),
            bytes: 0,
        };
        let replies: Vec<Reply> = group.into_iter().map(|job| (job.run)(&mut tx)).collect();
        let Tx { batch, after, touched, drops, bytes, .. } = tx;
        let mut committed =
            batch.commit().map_err(engine).and_then(|()| self.drop_keyspaces(drops));
        if committed.is_ok() {
            after.into_iter().for_each(|change| change(&self.shared));
            self.dirty.extend(touched);
            self.dirty_bytes += bytes;
        } else {
            self.poisoned.store(true, Ordering::Release);
        }
        for reply in replies {
            let rest = if committed.is_ok() { Ok(()) } else { Err(StoreError::Poisoned) };
            reply(std::mem::replace(&mut committed, rest));
        }
        if self.dirty_bytes >= ROTATE_BYTES {
            self.rotate();
        }
    }

    fn drop_keyspaces(&mut self, names: Vec<String>) -> Result<(), StoreError> {
        for name in names {
            self.dirty.retain(|_, keyspace| **keyspace.name() != *name);
            self.keyspaces.drop_keyspace(&name)?;
        }
        Ok(())
    }

    /// Has the engine write every dirty keyspace to files of its own.
    fn rotate(&mut self) {
        self.dirty_bytes = 0;
        for keyspace in std::mem::take(&mut self.dirty).into_values() {
            if let Err(error) = keyspace.rotate_memtable() {
                tracing::error!(%error, "writing a keyspace out failed");
                self.poisoned.store(true, Ordering::Release);
            }
        }
    }
}
