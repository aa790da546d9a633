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
pub mod consents;
pub mod evaluate;
mod kept;
mod load;
mod pages;
mod partition;
pub mod rebuild;
mod seal;
mod slot;

use std::sync::Arc;
use std::time::Duration;

use mayfly_core::Partition;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub use slot::{Mode, Slot};

use crate::app::App;

/// Between looks for partitions that were added.
const LOOK: Duration = Duration::from_millis(200);

/// The tasks of all partitions.
pub struct Worker {
    supervisor: JoinHandle<()>,
}

/// Starts a task a partition, also for partitions that are added later; returns when each of the
/// present ones has its memory loaded.
pub async fn start(app: &Arc<App>, stopping: watch::Receiver<bool>) -> Worker {
    let mut tasks = JoinSet::new();
    add(app, &stopping, &mut tasks);
    let supervisor = tokio::spawn(supervise(Arc::clone(app), stopping, tasks));
    for slot in app.slots() {
        slot.loaded().await;
    }
    Worker { supervisor }
}

/// A task for each partition that has none.
fn add(app: &Arc<App>, stopping: &watch::Receiver<bool>, tasks: &mut JoinSet<()>) {
    let known: Vec<Partition> = app.slots().iter().map(|slot| slot.partition()).collect();
    for partition in app.partitions().filter(|p| !known.contains(p)) {
        let slot = Arc::new(Slot::new(partition, app.settings().store.retention));
        app.add_slot(Arc::clone(&slot));
        tasks.spawn(partition::Task::new(Arc::clone(app), slot, stopping.clone()).run());
    }
}

/// Adds tasks as partitions are added; ends when all tasks have ended.
async fn supervise(app: Arc<App>, mut stopping: watch::Receiver<bool>, mut tasks: JoinSet<()>) {
    while tokio::time::timeout(LOOK, stopping.wait_for(|stop| *stop)).await.is_err() {
        add(&app, &stopping, &mut tasks);
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a worker task failed");
        }
    }
}

impl Worker {
    /// Waits until every task has written its checkpoint and given its lease back.
    pub async fn stopped(self) {
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, "the worker failed");
        }
    }
}
