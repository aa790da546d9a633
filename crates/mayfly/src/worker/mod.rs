//! The worker: ahead in memory, checkpoints behind.
//!
//! One task a partition ([`partition`]) owns it by a lease, folds new hits at once, and writes a
//! checkpoint now and then. What it holds in memory can be read by everyone here through its
//! [`Slot`]. Where another process holds the lease, the task follows without writing: it loads the
//! last checkpoint and folds the tail ([`Mode::Follower`]).
//!
//! A day's cells are rebuilt, for new and changed categories, by [`rebuild`]; expressions that are
//! not saved are evaluated by [`evaluate`].

mod calendar;
mod checkpoint;
pub mod evaluate;
mod load;
mod pages;
mod partition;
pub mod rebuild;
mod seal;
mod slot;

use std::sync::Arc;

use mayfly_store::StoreError;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use slot::{Mode, Slot};

use crate::app::App;

/// The tasks of all partitions.
pub struct Worker {
    tasks: Vec<JoinHandle<()>>,
}

/// Starts a task a partition, and waits until each has its memory loaded.
///
/// # Errors
/// The store's, while loading.
pub async fn start(app: &Arc<App>, stopping: watch::Receiver<bool>) -> Result<Worker, StoreError> {
    let mut tasks = Vec::new();
    for partition in app.partitions() {
        let slot = Arc::new(Slot::new(partition, app.settings().store.retention));
        app.add_slot(Arc::clone(&slot));
        let task = partition::Task::new(Arc::clone(app), slot, stopping.clone());
        tasks.push(tokio::spawn(task.run()));
    }
    for slot in app.slots() {
        slot.loaded().await;
    }
    Ok(Worker { tasks })
}

impl Worker {
    /// Waits until every task has written its checkpoint and given its lease back.
    pub async fn stopped(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a worker task failed");
            }
        }
    }
}
