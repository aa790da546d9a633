//! The embedded store: one folder, one process, no server.
//!
//! Constraints. One thread writes ([`writer`]), in the order of its answers; each group of writes
//! is one engine batch with one sync. Readers use snapshots and what [`state`] holds in memory.
//! A day's keyspaces are made on first write and dropped whole.
//!
//! | keyspace | key (partition first, numbers big-endian) | value | goes |
//! |---|---|---|---|
//! | `hits-<day>` | partition, ms, sequence | entry of hits | with its day |
//! | `past-<day>` | partition, first ordinal | sealed block | with its day |
//! | | partition | generation of the sealing, last entry in it | |
//! | `cells-<day>` | partition, field | header, chunk of cells, large category | with its day |
//! | `hitids-<day received>` | partition, hash | – | end of the next day |
//! | `lanes` | partition, lane | last batch number, day | 91 days after |
//! | `segments` | partition, segment | membership | end of the day after `as_of` |
//! | `pages` | `p` or `c`, key | page or consent state, youngest day using it | with that day |
//! | `ids` | hash, space | visitor, last day | after that day |
//! | `names` | partition, ordinal, hash, space | last day | after that day |
//! | `matches` | partition, ordinal, partner | day last seen, generation, id | with that day |
//! | `news` | partner, partition, ms, sequence | what happened to a match | 30 days after |
//! | `sent` | destination, partition, code | visitors by the day they are forgotten there | after the last |
//! | `ledger` | destination, number | counts of a delivery | after 1,000 others |
//! | `visitors` | `n`, partition | next ordinal | – |
//! | | `e`, partition | bitmap of erased ordinals | – |
//! | `catalog` | `identity`, `current/<name>`, `version/<name>/`version | catalog | – |
//! | `scratch` | – | random bytes, only during a purge | – |
//! | `meta` | `clock`, `owed` | the trusted day; keyspaces to purge | – |

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use mayfly_core::Timestamp;
use tokio::sync::mpsc;

use crate::Result;
use crate::catalog::Identity;
use crate::config::{StoreConfig, StoreUrl};
use crate::error::StoreError;

mod append;
mod audit;
mod catalog;
mod cells;
mod clock;
mod delivered;
mod expire;
mod folder;
mod ids;
mod intern;
mod keys;
mod keyspaces;
mod matches;
mod purge;
mod read;
mod seal;
mod state;
mod visitors;
mod writer;

use keyspaces::Keyspaces;
use state::{Shared, WriterState};
use writer::{Job, Tx, Writer};

/// The embedded store; clones share it. It is let go when it is closed, or with its last clone.
#[derive(Clone)]
pub struct EmbeddedStore {
    open: Arc<RwLock<Option<Arc<Open>>>>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedStore").field("store", &self.shared.identity().store).finish()
    }
}

/// What is let go by closing.
struct Open {
    keyspaces: Arc<Keyspaces>,
    /// `None` only while it is let go.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Open {
    /// Waits for the writer, so that the folder is free afterwards.
    fn drop(&mut self) {
        self.jobs = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's writer panicked");
        }
    }
}

/// What every operation works with.
#[derive(Clone)]
struct Readers {
    keyspaces: Arc<Keyspaces>,
    shared: Arc<Shared>,
}

impl EmbeddedStore {
    /// Opens the store in the folder of `config.url`.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Locked`], [`StoreError::Format`],
    /// [`StoreError::ReadOnly`], [`StoreError::OtherRealm`], [`StoreError::Full`].
    pub async fn open(config: &StoreConfig, now: Timestamp) -> Result<Self> {
        let StoreUrl::File(path) = &config.url else {
            return Err(StoreError::BadUrl { url: config.url.place().into() });
        };
        let (path, config) = (path.clone(), config.clone());
        blocking(move || Self::open_blocking(&path, &config, now)).await
    }

    fn open_blocking(path: &Path, config: &StoreConfig, now: Timestamp) -> Result<Self> {
        let (keyspaces, identity) = folder::open(path, config, now)?;
        let keyspaces = Arc::new(keyspaces);
        let shared = Arc::new(Shared::load(&keyspaces, identity, config.retention)?);
        let state = WriterState {
            last: shared.newest(),
            leases: Default::default(),
            clock: expire::load_clock(&keyspaces)?,
            swept: None,
        };
        let writer = Writer {
            keyspaces: Arc::clone(&keyspaces),
            shared: Arc::clone(&shared),
            state,
            poisoned: Arc::new(AtomicBool::new(false)),
            dirty: Default::default(),
            dirty_bytes: 0,
        };
        let (jobs, waiting) = mpsc::channel(writer::JOBS);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run(waiting))
            .map_err(keyspaces::files)?;
        let open = Open { keyspaces, jobs: Some(jobs), thread: Some(thread) };
        Ok(Self { open: Arc::new(RwLock::new(Some(Arc::new(open)))), shared })
    }

    /// What the store is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.shared.identity()
    }

    /// Lets the folder go; every clone then answers [`StoreError::Poisoned`].
    ///
    /// # Errors
    /// None of its own: what was answered is on disk already.
    pub async fn close(&self) -> Result<()> {
        let open = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        blocking(move || {
            drop(open);
            Ok(())
        })
        .await
    }

    fn opened(&self) -> Result<Arc<Open>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.clone().ok_or(StoreError::Poisoned)
    }

    /// Runs `work` on a thread that may wait for the disk.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Readers) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let open = self.opened()?;
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let keyspaces = Arc::clone(&open.keyspaces);
            let result = work(&Readers { keyspaces, shared });
            drop(open);
            result
        })
        .await
    }

    /// Has the writer do `work` and waits until it is on disk.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(false, work).await
    }

    /// The same for work that iterates.
    async fn write_alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(true, work).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        alone: bool,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (job, answered) = Job::new(alone, work);
        let open = self.opened()?;
        let jobs = open.jobs.as_ref().ok_or(StoreError::Poisoned)?;
        jobs.send(job).await.map_err(|_| StoreError::Poisoned)?;
        drop(open);
        answered.await.map_err(|_| StoreError::Poisoned)?
    }
}

/// Runs work that waits for the disk beside the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The work panicked (already reported), or the runtime is going down.
        Err(_) => Err(StoreError::Poisoned),
    }
}

#[cfg(test)]
mod tests;
