//! Metrics of everything above the collector. Each is made in one line of [`Metrics::new`]: name,
//! help; `docs/metrics.md` equals it. Label values are few and known beforehand.

use mayfly_store::StoreError;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, exponential_buckets,
};

use crate::import::Counts;

/// Counters and gauges of worker and store.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Seconds since the oldest hit that is stored and not yet folded.
    pub fold_lag: Gauge,
    /// From the store's taking of a hit to its memberships.
    pub hit_to_segment: Histogram,
    /// The same of entries without hits, which come to each partition all the time.
    pub canary: Histogram,
    /// Age of the last such entry, of the partition that waits longest.
    pub canary_age: Gauge,
    /// Hits folded.
    pub folded: IntCounter,
    /// Membership changes.
    pub flips: IntCounter,
    /// How long lookups of segments take, from request to answer.
    pub lookup: Histogram,
    /// How long checkpoints take.
    pub checkpoint: Histogram,
    /// How long the windows of a partition take to move at midnight.
    pub midnight: Histogram,
    /// Days of partitions that a change of definitions has still to prepare.
    pub changing: IntGauge,
    /// Age of the oldest evaluation in force, seconds.
    pub freshness: Gauge,
    /// Age of the oldest day that holds hits, from its start.
    pub oldest_hit: Gauge,
    /// The store server's clock minus ours.
    pub skew: Gauge,
    /// Bytes the store uses.
    pub store_bytes: IntGauge,
    /// Restarts and failovers of the store's servers seen.
    pub generation: IntGauge,
    /// Partitions this process owns.
    pub owned: IntGauge,
    /// Hits whose page is missing and that wait for it.
    pub waiting: IntGauge,
    /// Visitors who took their consent back.
    pub withdrawals: IntCounter,
    /// Of these, who are held because there were too many.
    pub withdrawals_held: IntGauge,
    /// Failures of the store by kind, as the worker sees them.
    pub errors: IntCounterVec,
    /// Pairs of id and audience that partners brought, by what became of them.
    pub imported: IntCounterVec,
    /// Deliveries, by destination.
    pub deliveries: DeliveryMetrics,
}

/// Gauges and counters of deliveries, by destination.
#[derive(Clone, Debug)]
pub struct DeliveryMetrics {
    /// Since when a change waits that is not delivered, seconds ago.
    pub waiting: GaugeVec,
    /// Whether a person has to look.
    pub held: IntGaugeVec,
    /// When the receiver last took anything.
    pub accepted_at: GaugeVec,
    /// The share of allowed members of whom the partner has an id.
    pub match_ratio: GaugeVec,
    /// Pairs of visitor and segment, by what became of them.
    pub pairs: IntCounterVec,
}

impl Metrics {
    /// Makes and registers all.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let seconds = exponential_buckets(0.001, 2.0, 14)?;
        let gauge = |name: &str, help: &str| Gauge::new(name, help);
        let whole = |name: &str, help: &str| IntGauge::new(name, help);
        let histogram = |name: &str, help: &str| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(seconds.clone()))
        };
        let all = Self {
            fold_lag: gauge("mayfly_fold_lag_seconds", "Age of the oldest hit not yet folded")?,
            hit_to_segment: histogram(
                "mayfly_hit_to_segment_seconds",
                "From the store's taking of a hit to its memberships",
            )?,
            canary: histogram(
                "mayfly_canary_seconds",
                "From the store's taking of an entry without hits to its folding",
            )?,
            canary_age: gauge(
                "mayfly_canary_age_seconds",
                "Since a partition folded an entry without hits; they come every 30 s",
            )?,
            folded: IntCounter::new("mayfly_folded_hits_total", "Hits folded into cells")?,
            flips: IntCounter::new("mayfly_membership_changes_total", "Entries and leavings")?,
            lookup: Histogram::with_opts(
                HistogramOpts::new(
                    "mayfly_lookup_seconds",
                    "Time to answer who is in which segments, to pages and to servers",
                )
                .buckets(exponential_buckets(0.00005, 2.0, 14)?),
            )?,
            checkpoint: histogram("mayfly_checkpoint_seconds", "Time to write a checkpoint")?,
            midnight: histogram(
                "mayfly_midnight_seconds",
                "Time that a partition's readers wait while its windows move at midnight",
            )?,
            changing: whole(
                "mayfly_change_left",
                "Days of all partitions that a change of definitions has still to prepare",
            )?,
            freshness: gauge(
                "mayfly_segment_freshness_seconds",
                "Age of the oldest evaluation in force",
            )?,
            oldest_hit: gauge("mayfly_oldest_hit_seconds", "Age of the oldest day with entries")?,
            skew: gauge("mayfly_clock_skew_seconds", "The store server's clock minus ours")?,
            store_bytes: whole("mayfly_store_bytes", "Bytes that the store uses")?,
            generation: whole("mayfly_store_generation", "Server restarts and failovers seen")?,
            owned: whole("mayfly_partitions_owned", "Partitions that this process owns")?,
            waiting: whole("mayfly_waiting_hits", "Hits that wait for their page")?,
            withdrawals: IntCounter::new(
                "mayfly_withdrawals_total",
                "Visitors who took their consent back",
            )?,
            withdrawals_held: whole(
                "mayfly_withdrawals_held",
                "Withdrawals held for a day because there were too many at once",
            )?,
            errors: IntCounterVec::new(
                Opts::new("mayfly_worker_errors_total", "Store failures seen by the worker"),
                &["kind"],
            )?,
            imported: imported()?,
            deliveries: DeliveryMetrics::new()?,
        };
        all.register(registry)?;
        all.deliveries.register(registry)?;
        Ok(all)
    }

    /// Counts what became of a file's pairs.
    pub(crate) fn count_import(&self, counts: &Counts) {
        for (result, n) in counts.rows() {
            self.imported.with_label_values(&[result]).inc_by(n);
        }
    }

    fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        let build = IntGaugeVec::new(
            Opts::new("mayfly_build_info", "Always 1; the version is a label"),
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        for label in ["unreachable", "deadline", "corrupt", "lease_lost", "cursor_moved"] {
            self.errors.with_label_values(&[label]).inc_by(0);
        }
        self.count_import(&Counts::default());
        let collectors: [Box<dyn prometheus::core::Collector>; 23] = [
            Box::new(self.imported.clone()),
            Box::new(self.fold_lag.clone()),
            Box::new(self.hit_to_segment.clone()),
            Box::new(self.canary.clone()),
            Box::new(self.canary_age.clone()),
            Box::new(self.folded.clone()),
            Box::new(self.flips.clone()),
            Box::new(self.lookup.clone()),
            Box::new(self.checkpoint.clone()),
            Box::new(self.midnight.clone()),
            Box::new(self.changing.clone()),
            Box::new(self.freshness.clone()),
            Box::new(self.oldest_hit.clone()),
            Box::new(self.skew.clone()),
            Box::new(self.store_bytes.clone()),
            Box::new(self.generation.clone()),
            Box::new(self.owned.clone()),
            Box::new(self.waiting.clone()),
            Box::new(self.withdrawals.clone()),
            Box::new(self.withdrawals_held.clone()),
            Box::new(self.errors.clone()),
            Box::new(build),
            Box::new(prometheus::process_collector::ProcessCollector::for_self()),
        ];
        collectors.into_iter().try_for_each(|c| registry.register(c))
    }

    /// Counts a failure of the store.
    pub fn failed(&self, error: &StoreError) {
        self.errors.with_label_values(&[error.label()]).inc();
    }
}

fn imported() -> Result<IntCounterVec, prometheus::Error> {
    let opts = Opts::new(
        "mayfly_import_pairs_total",
        "Pairs of id and audience that partners brought, by what became of them",
    );
    IntCounterVec::new(opts, &["result"])
}

impl DeliveryMetrics {
    /// What became of pairs.
    const RESULTS: [&str; 3] = ["accepted", "rejected", "left_out"];

    fn new() -> Result<Self, prometheus::Error> {
        let by = &["destination"];
        let all = Self {
            waiting: GaugeVec::new(
                Opts::new(
                    "mayfly_delivery_waiting_seconds",
                    "Age of the oldest change that a destination was not told of",
                ),
                by,
            )?,
            held: IntGaugeVec::new(
                Opts::new("mayfly_delivery_held", "1 while a delivery waits for a person"),
                by,
            )?,
            accepted_at: GaugeVec::new(
                Opts::new(
                    "mayfly_delivery_accepted_timestamp_seconds",
                    "When a destination last took anything",
                ),
                by,
            )?,
            match_ratio: GaugeVec::new(
                Opts::new(
                    "mayfly_delivery_match_ratio",
                    "Share of allowed members of whom the partner has an id",
                ),
                by,
            )?,
            pairs: IntCounterVec::new(
                Opts::new(
                    "mayfly_delivery_pairs_total",
                    "Pairs of visitor and segment, by what became of them",
                ),
                &["destination", "result"],
            )?,
        };
        // There from the start, of no destination.
        all.forget("");
        all.waiting.with_label_values(&[""]);
        all.held.with_label_values(&[""]);
        all.accepted_at.with_label_values(&[""]);
        all.match_ratio.with_label_values(&[""]);
        Self::RESULTS.iter().for_each(|result| drop(all.pairs.with_label_values(&["", *result])));
        Ok(all)
    }

    fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.waiting.clone()))?;
        registry.register(Box::new(self.held.clone()))?;
        registry.register(Box::new(self.accepted_at.clone()))?;
        registry.register(Box::new(self.match_ratio.clone()))?;
        registry.register(Box::new(self.pairs.clone()))
    }

    /// A destination that is gone is shown no more.
    pub fn forget(&self, destination: &str) {
        // What was never shown cannot be taken away.
        self.waiting.remove_label_values(&[destination]).ok();
        self.held.remove_label_values(&[destination]).ok();
        self.accepted_at.remove_label_values(&[destination]).ok();
        self.match_ratio.remove_label_values(&[destination]).ok();
    }
}
