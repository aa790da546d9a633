//! Deliveries: what changed in segments goes to their destinations.
//!
//! One task a destination ([`runner`]), in the process that owns the first partition; where it
//! stood is read and ended at a start, after a gap, after an error of the store ([`resume`]). A
//! delivery compares who is to be there ([`audience`]) with who was sent, which the store
//! remembers, and sends the difference in batches ([`changes`], [`push`], [`sender`], [`files`]).
//! What a receiver took is noted batch by batch: a crash repeats at most one, and only where that
//! does no harm. Each delivery is a row of the ledger ([`record`]); counts alone, nobody's id.
//!
//! ```text
//! members ─► allowed by consent ─► with an id ─► wanted ─┐
//!                                     who was sent ──────┴─► adds, refreshes, removals ─► batches
//! ids that are nobody's any more (news of matches) ────────► removals ─────────────────►
//! ```

pub(crate) mod audience;
pub(crate) mod changes;
pub(crate) mod connect;
mod files;
pub(crate) mod held;
pub(crate) mod ledger;
mod news;
pub(crate) mod preview;
mod push;
pub(crate) mod record;
mod resume;
pub(crate) mod runner;
pub(crate) mod secrets;
mod sender;
mod shared;
mod upload;
mod usage;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mayfly_segments::DestinationId;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::clock;
use connect::Connector;
use runner::Runner;

/// Between looks for destinations that were added.
const LOOK: Duration = Duration::from_millis(500);

/// Serves every destination until told to stop.
pub(crate) async fn run(app: Arc<App>, connector: Connector, mut stopping: watch::Receiver<bool>) {
    let mut tasks: HashMap<DestinationId, JoinHandle<()>> = HashMap::new();
    let mut has_cleaned = false;
    while tokio::time::timeout(LOOK, stopping.wait_for(|stop| *stop)).await.is_err() {
        if !has_cleaned {
            // Tried again while the store is away.
            has_cleaned = files::remove_left(&app, clock::now()).await.is_ok();
        }
        tasks.retain(|_, task| !task.is_finished());
        let active = app.active();
        for destination in active.definitions().destinations() {
            tasks.entry(destination.id).or_insert_with(|| {
                let runner = Runner::new(&app, destination.id, connector.clone());
                tokio::spawn(runner.run(stopping.clone()))
            });
        }
    }
    for (_, task) in tasks {
        if let Err(error) = task.await {
            tracing::error!(%error, "a delivery's task failed");
        }
    }
}
