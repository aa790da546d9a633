//! The spill, off the async threads: its files are written and fsynced on the blocking pool.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mayfly_core::{StoreId, Timestamp};

use crate::spill::{Record, Spill, SpillError};

/// One owner's handle on the spill. Its figures answer without waiting for the files.
#[derive(Debug)]
pub(crate) struct SpillGate {
    spill: Arc<Mutex<Spill>>,
}

impl SpillGate {
    /// See [`Spill::open`].
    pub(crate) async fn open(
        folder: PathBuf,
        store: StoreId,
        limit: u64,
        oldest: Timestamp,
    ) -> Result<(Self, Vec<PathBuf>), SpillError> {
        let opened =
            tokio::task::spawn_blocking(move || Spill::open(&folder, store, limit, oldest));
        let (spill, aside) = opened.await.map_err(std::io::Error::from)??;
        Ok((Self { spill: Arc::new(Mutex::new(spill)) }, aside))
    }

    /// See [`Spill::append`].
    pub(crate) async fn append(
        &self,
        records: Vec<Record>,
        now: Timestamp,
    ) -> Result<(), SpillError> {
        self.on_files(move |spill| spill.append(&records, now)).await
    }

    /// See [`Spill::peek`].
    pub(crate) async fn peek(&self, most: usize) -> Result<Vec<Record>, SpillError> {
        self.on_files(move |spill| spill.peek(most)).await
    }

    /// See [`Spill::advance`].
    pub(crate) async fn advance(&self, sent: usize) -> Result<(), SpillError> {
        self.on_files(move |spill| spill.advance(sent)).await
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes()
    }

    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.lock().oldest()
    }

    async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spill) -> Result<T, SpillError> + Send + 'static,
    ) -> Result<T, SpillError> {
        let spill = Arc::clone(&self.spill);
        let done = tokio::task::spawn_blocking(move || {
            work(&mut spill.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await.map_err(std::io::Error::from)?
    }

    fn lock(&self) -> MutexGuard<'_, Spill> {
        self.spill.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
