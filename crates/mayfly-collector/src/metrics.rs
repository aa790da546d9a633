//! The collector's metrics: one table, made once, handed to the registry of the binary.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use mayfly_core::{Outcome, Timestamp};
use mayfly_store::StoreError;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    exponential_buckets,
};

use crate::hygiene::Stripped;
use crate::refusal::{Reason, Verdict};

/// Every metric of this crate: name and help.
pub const METRICS: [(&str, &str); 14] = [
    ("mayfly_hits_total", "Hits received, by outcome; the sum is all hits received."),
    ("mayfly_refusals_total", "Hits refused for a reason beyond their outcome, by reason."),
    ("mayfly_stripped_total", "What was taken out of hits before they were stored, by kind."),
    ("mayfly_probes_total", "First requests answered with a probe cookie and a redirect."),
    ("mayfly_commit_seconds", "Time from a group's forming to the store's answer."),
    ("mayfly_intake_hits", "Hits waiting between listener and store."),
    ("mayfly_intake_oldest_seconds", "Age of the oldest hit of the group in flight."),
    ("mayfly_spill_bytes", "Bytes in the spill files."),
    ("mayfly_spill_oldest_seconds", "Age of the oldest spill file that is not drained."),
    ("mayfly_resent_batches_total", "Acknowledged batches stored again after a failover."),
    ("mayfly_lost_hits_total", "Acknowledged hits that a failover lost and nobody could resend."),
    ("mayfly_store_errors_total", "Failed operations on the store, by kind."),
    ("mayfly_sync_total", "Id syncs, by partner and result."),
    ("mayfly_sync_refusals_total", "Id syncs that came to nothing, by partner and reason."),
];

/// The metrics; cheap to clone.
#[derive(Clone, Debug)]
pub struct CollectorMetrics(Arc<Table>);

#[derive(Debug)]
struct Table {
    hits: IntCounterVec,
    by_outcome: [IntCounter; Outcome::ALL.len()],
    refusals: IntCounterVec,
    /// Attributes, query parameters, parts of URLs, events outside the plan.
    stripped: [IntCounter; 4],
    stripped_by_kind: IntCounterVec,
    probes: IntCounter,
    commit_seconds: Histogram,
    intake_hits: IntGauge,
    intake_oldest: IntGauge,
    spill_bytes: IntGauge,
    spill_oldest: IntGauge,
    resent: IntCounter,
    lost: IntCounter,
    store_errors: IntCounterVec,
    syncs: IntCounterVec,
    sync_refusals: IntCounterVec,
    /// When the oldest hit of the group in flight came, ms; [`IDLE`] when there is none.
    in_flight: AtomicI64,
}

/// No group is in flight.
const IDLE: i64 = i64::MAX;

impl CollectorMetrics {
    /// Makes all metrics, every outcome at 0.
    ///
    /// # Errors
    /// When a name or bucket of the table is not valid: a mistake of this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let [
            hits,
            refusals,
            stripped,
            probes,
            commit,
            intake,
            intake_age,
            spill,
            spill_age,
            resent,
            lost,
            errors,
            syncs,
            sync_refusals,
        ] = METRICS;
        let hits = IntCounterVec::new(opts(hits), &["outcome"])?;
        let by_outcome = Outcome::ALL.map(|o| hits.with_label_values(&[o.label()]));
        let stripped_by_kind = IntCounterVec::new(opts(stripped), &["kind"])?;
        let kinds = ["attribute", "query", "url_part", "event"];
        let buckets = exponential_buckets(0.0001, 2.0, 16)?;
        let syncs = IntCounterVec::new(opts(syncs), &["partner", "result"])?;
        let sync_refusals = IntCounterVec::new(opts(sync_refusals), &["partner", "reason"])?;
        // There from the start, of no partner.
        syncs.with_label_values(&["", "bad_request"]);
        sync_refusals.with_label_values(&["", ""]);
        let commit = HistogramOpts::new(commit.0, commit.1).buckets(buckets);
        Ok(Self(Arc::new(Table {
            hits,
            by_outcome,
            refusals: IntCounterVec::new(opts(refusals), &["reason"])?,
            stripped: kinds.map(|kind| stripped_by_kind.with_label_values(&[kind])),
            stripped_by_kind,
            probes: IntCounter::with_opts(opts(probes))?,
            commit_seconds: Histogram::with_opts(commit)?,
            intake_hits: IntGauge::with_opts(opts(intake))?,
            intake_oldest: IntGauge::with_opts(opts(intake_age))?,
            spill_bytes: IntGauge::with_opts(opts(spill))?,
            spill_oldest: IntGauge::with_opts(opts(spill_age))?,
            resent: IntCounter::with_opts(opts(resent))?,
            lost: IntCounter::with_opts(opts(lost))?,
            store_errors: IntCounterVec::new(opts(errors), &["kind"])?,
            syncs,
            sync_refusals,
            in_flight: AtomicI64::new(IDLE),
        })))
    }

    /// Registers all of them.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        let t = &*self.0;
        registry.register(Box::new(t.hits.clone()))?;
        registry.register(Box::new(t.refusals.clone()))?;
        registry.register(Box::new(t.stripped_by_kind.clone()))?;
        registry.register(Box::new(t.probes.clone()))?;
        registry.register(Box::new(t.commit_seconds.clone()))?;
        registry.register(Box::new(t.intake_hits.clone()))?;
        registry.register(Box::new(t.intake_oldest.clone()))?;
        registry.register(Box::new(t.spill_bytes.clone()))?;
        registry.register(Box::new(t.spill_oldest.clone()))?;
        registry.register(Box::new(t.resent.clone()))?;
        registry.register(Box::new(t.lost.clone()))?;
        registry.register(Box::new(t.store_errors.clone()))?;
        registry.register(Box::new(t.syncs.clone()))?;
        registry.register(Box::new(t.sync_refusals.clone()))
    }

    /// How many hits had this outcome so far.
    #[must_use]
    pub fn hits(&self, outcome: Outcome) -> u64 {
        self.0.by_outcome[outcome.index()].get()
    }

    /// How many probes were sent so far.
    #[must_use]
    pub fn probes(&self) -> u64 {
        self.0.probes.get()
    }

    /// How many acknowledged hits are known to be lost.
    #[must_use]
    pub fn lost_hits(&self) -> u64 {
        self.0.lost.get()
    }

    /// How many acknowledged batches were stored again.
    #[must_use]
    pub fn resent_batches(&self) -> u64 {
        self.0.resent.get()
    }

    /// Bytes that wait in the spill.
    #[must_use]
    pub fn spill_bytes(&self) -> i64 {
        self.0.spill_bytes.get()
    }

    /// How many hits were refused for this reason so far.
    #[must_use]
    pub fn refusals(&self, reason: Reason) -> u64 {
        self.0.refusals.with_label_values(&[reason.label()]).get()
    }

    pub(crate) fn count(&self, verdict: Verdict) {
        self.0.by_outcome[verdict.outcome.index()].inc();
        if let Some(reason) = verdict.reason {
            self.0.refusals.with_label_values(&[reason.label()]).inc();
        }
    }

    pub(crate) fn count_stripped(&self, stripped: &Stripped) {
        let Stripped { attributes, query, parts, event } = stripped;
        let counts = [attributes.len(), query.len(), *parts, usize::from(*event)];
        for (counter, count) in self.0.stripped.iter().zip(counts).filter(|(_, n)| *n > 0) {
            counter.inc_by(count as u64);
        }
    }

    pub(crate) fn count_probe(&self) {
        self.0.probes.inc();
    }

    pub(crate) fn count_error(&self, error: &StoreError) {
        self.0.store_errors.with_label_values(&[error.label()]).inc();
    }

    pub(crate) fn count_sync(&self, partner: &str, result: &str, reason: Option<&str>) {
        self.0.syncs.with_label_values(&[partner, result]).inc();
        if let Some(reason) = reason {
            self.0.sync_refusals.with_label_values(&[partner, reason]).inc();
        }
    }

    pub(crate) fn count_resent(&self) {
        self.0.resent.inc();
    }

    pub(crate) fn count_lost(&self, hits: u64) {
        self.0.lost.inc_by(hits);
    }

    pub(crate) fn commit_took(&self, seconds: f64) {
        self.0.commit_seconds.observe(seconds);
    }

    /// A group is in flight from now on; `None` = no longer.
    pub(crate) fn in_flight(&self, oldest: Option<Timestamp>) {
        self.0.in_flight.store(oldest.map_or(IDLE, Timestamp::millis), Ordering::Relaxed);
    }

    pub(crate) fn intake(&self, hits: usize, now: Timestamp) {
        self.0.intake_hits.set(i64::try_from(hits).unwrap_or(i64::MAX));
        let oldest = self.0.in_flight.load(Ordering::Relaxed);
        let oldest = (oldest != IDLE).then(|| Timestamp::from_millis(oldest));
        self.0.intake_oldest.set(age_s(oldest, now));
    }

    pub(crate) fn spill(&self, bytes: u64, oldest: Option<Timestamp>, now: Timestamp) {
        self.0.spill_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.0.spill_oldest.set(age_s(oldest, now));
    }
}

/// Whole seconds since then; 0 for nothing or the future.
fn age_s(then: Option<Timestamp>, now: Timestamp) -> i64 {
    then.map_or(0, |then| now.secs().saturating_sub(then.secs()).max(0))
}

fn opts((name, help): (&str, &str)) -> Opts {
    Opts::new(name, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_of_the_table_is_registered_and_every_outcome_starts_at_zero() {
        let (metrics, registry) = (CollectorMetrics::new().unwrap(), Registry::new());
        metrics.register(&registry).unwrap();
        metrics.count_error(&StoreError::Deadline);
        metrics.count(Reason::Busy.into());
        metrics.count_sync("p", "refused", Some("gpc"));
        let families = registry.gather();
        let names: Vec<_> = families.iter().map(|f| f.name()).collect();
        for (name, _) in METRICS {
            assert!(names.contains(&name), "{name}");
        }
        let hits = families.iter().find(|f| f.name() == "mayfly_hits_total").unwrap();
        assert_eq!(hits.get_metric().len(), Outcome::ALL.len());
    }
}
