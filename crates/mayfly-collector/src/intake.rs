//! The bounded queue between the listener and the batcher, and the promise that each hit in it is
//! decided exactly once.

use mayfly_core::{Admitted, Outcome, Timestamp, Visitor};
use tokio::sync::oneshot;

use crate::metrics::CollectorMetrics;
use crate::refusal::Verdict;

/// An admitted hit on its way to the store.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) hit: Admitted,
    pub(crate) visitor: Visitor,
    /// Keyed hash of the client's hit id.
    pub(crate) id: Option<i64>,
    /// When it came.
    pub(crate) now: Timestamp,
    pub(crate) due: Due,
}

/// The outcome that one hit still has to get. Dropped without one, the hit counts as
/// [`Outcome::StoreFailed`]: nothing vanishes from the sum, whatever was cancelled.
#[must_use = "every hit gets exactly one outcome"]
#[derive(Debug)]
pub(crate) struct Due {
    /// `None` once decided.
    metrics: Option<CollectorMetrics>,
    reply: Option<oneshot::Sender<Verdict>>,
}

impl Due {
    /// A hit to be decided.
    pub(crate) fn new(metrics: &CollectorMetrics) -> Self {
        Self { metrics: Some(metrics.clone()), reply: None }
    }

    /// A hit that was counted when it first came.
    pub(crate) fn counted() -> Self {
        Self { metrics: None, reply: None }
    }

    /// Asks to be told the verdict.
    pub(crate) fn reply(&mut self) -> oneshot::Receiver<Verdict> {
        let (tell, told) = oneshot::channel();
        self.reply = Some(tell);
        told
    }

    /// Decides: counts the outcome and tells who waits.
    pub(crate) fn decide(mut self, verdict: impl Into<Verdict>) -> Verdict {
        let verdict = verdict.into();
        self.settle(verdict);
        verdict
    }

    fn settle(&mut self, verdict: Verdict) {
        if let Some(metrics) = self.metrics.take() {
            metrics.count(verdict);
        }
        if let Some(reply) = self.reply.take() {
            // Nobody listens any more when the client has gone; the outcome is counted.
            reply.send(verdict).unwrap_or_default();
        }
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        self.settle(Outcome::StoreFailed.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hit_is_counted_once_decided_or_dropped() {
        let metrics = CollectorMetrics::new().unwrap();
        let mut due = Due::new(&metrics);
        let mut told = due.reply();
        due.decide(Outcome::Stored);
        assert_eq!(told.try_recv().unwrap().outcome, Outcome::Stored);
        drop(Due::new(&metrics));
        let all: u64 = Outcome::ALL.into_iter().map(|o| metrics.hits(o)).sum();
        assert_eq!((metrics.hits(Outcome::StoreFailed), all), (1, 2));
    }
}
