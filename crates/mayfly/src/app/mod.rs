//! What can be asked of the data: one struct, one method a question. HTTP and command line come
//! here; time comes from [`crate::clock`] once per question.

mod analysis;
mod categories;
mod debug;
pub mod definitions;
mod deliveries;
mod feeds;
mod insights;
mod journal;
mod lint;
pub(crate) use deliveries::PREVIEW_VISITORS;
pub(crate) use segments::rounded;
pub mod lookup;
mod partners;
mod people;
mod plan;
mod segments;
mod sizes;
mod status;
mod taxonomy;
mod why;
mod withdrawals;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use mayfly_collector::{Collector, CollectorMetrics, KeyRing, SiteTable};
use mayfly_core::{Partition, Timestamp, Visitor};
use mayfly_segments::destination::IdSpace;
use mayfly_segments::{Compiled, Definitions};
use mayfly_store::{CatalogName, Corruption, Health, Store, StoreError};
use tokio::sync::watch;

use journal::Journal;
use withdrawals::Withdrawals;

use crate::clock;
use crate::config::Settings;
use crate::metrics::Metrics;
use crate::tokens::{Token, Tokens};
use crate::worker::Slot;

/// The data of an open store.
pub struct App {
    settings: Settings,
    store: Store,
    collector: Collector,
    metrics: Metrics,
    counts: CollectorMetrics,
    keys: KeyRing,
    tokens: RwLock<Tokens>,
    active: watch::Sender<Arc<Compiled>>,
    slots: RwLock<Vec<Arc<Slot>>>,
    health: RwLock<Health>,
    /// Erased a moment ago, by this process.
    erased_lately: Mutex<VecDeque<(Timestamp, Visitor)>>,
    withdrawals: Withdrawals,
    journal: Journal,
    /// Held by whoever imports.
    importing: tokio::sync::Mutex<()>,
}

impl App {
    /// Reads the catalog, and makes keys where the store is new.
    ///
    /// # Errors
    /// The store's.
    pub async fn load(
        settings: Settings,
        store: Store,
        collector: Collector,
        metrics: Metrics,
        counts: CollectorMetrics,
    ) -> Result<Self, StoreError> {
        let keys = load_keys(&store).await?;
        let tokens = load_tokens(&store).await?;
        let active = load_definitions(&store, &settings).await?;
        let withdrawals = Withdrawals::open(settings.data.join("withdrawals.json"));
        let journal = Journal::new(settings.data.join("erasures.journal"), store.identity().store);
        let now = clock::now();
        // A store that was restored from a backup brings the erased back.
        let mut back = journal.read(settings.store.retention, now);
        if !back.is_empty() {
            for partition in (0..store.identity().partitions).map(Partition) {
                let erased = store.erased(partition).await?;
                back.retain(|v| v.partition != partition || !erased.contains(v.ordinal));
            }
        }
        if !back.is_empty() {
            tracing::info!(visitors = back.len(), "erased again by the journal of erasures");
            store.erase(&back, now).await?;
        }
        let app = Self {
            withdrawals,
            journal,
            settings,
            store,
            collector,
            metrics,
            counts,
            keys,
            tokens: RwLock::new(tokens),
            active: watch::Sender::new(Arc::new(active)),
            slots: RwLock::new(Vec::new()),
            health: RwLock::new(Health::default()),
            erased_lately: Mutex::default(),
            importing: tokio::sync::Mutex::default(),
        };
        app.set_sites();
        for partition in app.partitions() {
            app.collector.set_erased(partition, app.store.erased(partition).await?);
        }
        Ok(app)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What takes hits.
    pub(crate) fn collector(&self) -> &Collector {
        &self.collector
    }

    /// Waits until nobody else imports.
    pub(crate) async fn importing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.importing.lock().await
    }

    /// Whether hits of this process wait on disk for the store.
    pub(crate) fn spills(&self) -> bool {
        self.counts.spill_bytes() > 0
    }

    /// Whether this process owns the first partition: it does what one process does for all.
    /// Another number means that another process may have done it meanwhile.
    pub(crate) fn leads(&self) -> Option<u64> {
        self.slots().first()?.term(Instant::now())
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The metrics of worker and store.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The keys of cookies and ids.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The definitions that were applied last. A partition may still be rebuilding for them.
    #[must_use]
    pub fn active(&self) -> Arc<Compiled> {
        Arc::clone(&self.active.borrow())
    }

    /// Tells of every change of definitions.
    #[must_use]
    pub fn watch_definitions(&self) -> watch::Receiver<Arc<Compiled>> {
        self.active.subscribe()
    }

    /// Every partition of the store.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.store.identity().partitions).map(Partition)
    }

    /// Raises the number of partitions while everything runs: nothing moves, new visitors go to
    /// the new ones. Other processes follow within a second.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not a raise to a power of two within the limit.
    pub async fn raise_partitions(&self, partitions: u16) -> Result<(), StoreError> {
        self.store.raise_partitions(partitions).await?;
        self.collector.raise_partitions(partitions);
        Ok(())
    }

    /// The partitions that this process serves.
    #[must_use]
    pub fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.read().map(|s| s.clone()).unwrap_or_default()
    }

    /// Adds a partition that this process serves.
    pub fn add_slot(&self, slot: Arc<Slot>) {
        if let Ok(mut slots) = self.slots.write() {
            slots.push(slot);
        }
    }

    /// The token of this secret.
    #[must_use]
    pub fn token(&self, secret: &str) -> Option<Token> {
        self.tokens.read().ok()?.find(secret).cloned()
    }

    /// Puts the sites in force into the collector.
    fn set_sites(&self) {
        let active = self.active();
        let sites: SiteTable = active.definitions().sites().cloned().collect();
        let sites = sites.with_partners(active.definitions().partners().cloned());
        self.collector.set_sites(sites.with_arrival(Arc::clone(active.arrival())));
        let theirs = active.definitions().destinations();
        let theirs = theirs.filter(|own| own.ids == IdSpace::Partner);
        self.store.tell(&theirs.map(|own| own.partner).collect::<Vec<_>>());
    }

    /// Once a second: how the store is, what other processes changed, what is too old.
    ///
    /// # Errors
    /// The store's.
    pub async fn tick(&self, now: Timestamp) -> Result<(), StoreError> {
        let health = match self.store.health(now).await {
            Ok(health) => health,
            Err(error) => {
                self.collector.tick(now, None);
                return Err(error);
            }
        };
        self.collector.tick(now, health.generation);
        if health.generation != self.health().generation {
            self.erase_again(now).await?;
        }
        self.collector.raise_partitions(self.store.identity().partitions);
        self.show_health(&health);
        self.show_ages(now);
        self.set_health(health);
        self.store.expire(now).await?;
        self.refresh_catalog().await?;
        let slots = self.slots();
        for partition in self.partitions() {
            let erased = self.store.erased(partition).await?;
            if let Some(slot) = slots.iter().find(|slot| slot.partition() == partition) {
                slot.set_erased(&erased);
            }
            self.collector.set_erased(partition, erased);
        }
        if let Err(error) = self.follow_withdrawals(now).await {
            tracing::warn!(%error, "withdrawals are tried again");
        }
        Ok(())
    }

    /// How the store was a second ago.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.read().map(|h| h.clone()).unwrap_or_default()
    }

    fn set_health(&self, health: Health) {
        if let Ok(mut own) = self.health.write() {
            *own = health;
        }
    }

    fn show_health(&self, health: &Health) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        let skew = health.skew_ms.unwrap_or(0) as f64 / 1000.0;
        self.metrics.skew.set(skew);
        self.metrics.store_bytes.set(i64::try_from(health.bytes).unwrap_or(i64::MAX));
        self.metrics.generation.set(i64::try_from(health.generation).unwrap_or(i64::MAX));
    }

    fn show_ages(&self, now: Timestamp) {
        let age = |since: Timestamp| {
            let ms = now.millis().saturating_sub(since.millis()).max(0);
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            let seconds = ms as f64 / 1000.0;
            seconds
        };
        let slots = self.slots();
        let folded = slots.iter().map(|slot| slot.as_of()).min();
        self.metrics.freshness.set(folded.map_or(0.0, age));
        let left = slots.iter().map(|slot| slot.left()).sum::<usize>();
        self.metrics.changing.set(i64::try_from(left).unwrap_or(i64::MAX));
        let beaten = slots.iter().filter(|slot| slot.is_loaded()).map(|slot| slot.beat()).min();
        self.metrics.canary_age.set(beaten.map_or(0.0, age));
        let oldest = slots.iter().filter_map(|slot| slot.oldest_day()).min();
        self.metrics.oldest_hit.set(oldest.map_or(0.0, |day| age(day.start())));
    }

    /// Reads definitions and tokens anew when another process changed them.
    pub(crate) async fn refresh_catalog(&self) -> Result<(), StoreError> {
        let current = self.store.catalog(CatalogName::Definitions).await?;
        let version = current.as_ref().map_or(0, |c| c.version);
        if version > u64::from(self.active().version()) {
            let active = load_definitions(&self.store, &self.settings).await?;
            self.set_active(active);
        }
        let tokens = load_tokens(&self.store).await?;
        self.set_tokens(tokens);
        Ok(())
    }

    fn set_tokens(&self, tokens: Tokens) {
        if let Ok(mut own) = self.tokens.write() {
            *own = tokens;
        }
    }

    fn set_active(&self, active: Compiled) {
        self.active.send_replace(Arc::new(active));
        self.set_sites();
    }

    /// Why this process is not ready; empty when it is.
    #[must_use]
    pub fn not_ready(&self) -> Vec<String> {
        let slots = self.slots();
        let missing = self.partitions().count().saturating_sub(slots.len());
        let missing = if slots.is_empty() { 0 } else { missing };
        let loading = missing + slots.iter().filter(|slot| !slot.is_loaded()).count();
        if loading > 0 {
            return vec![format!("{loading} partitions are being loaded")];
        }
        if slots.iter().any(|slot| slot.doubts()) {
            return vec!["the clock jumped ahead; nothing moves for 24 hours".to_owned()];
        }
        Vec::new()
    }

    /// The instant of a question.
    fn now() -> Timestamp {
        clock::now()
    }
}

async fn load_keys(store: &Store) -> Result<KeyRing, StoreError> {
    let corrupt = |_| StoreError::Corrupt { what: Corruption::Catalog };
    loop {
        if let Some(found) = store.catalog(CatalogName::Keys).await? {
            return KeyRing::from_bytes(&found.bytes).map_err(corrupt);
        }
        let keys = KeyRing::generate().map_err(corrupt)?;
        // Two processes may start on a new store at once: the first one's keys count.
        let bytes = keys.to_bytes();
        match store.write_catalog(CatalogName::Keys, 0, bytes, "mayfly", clock::now()).await {
            Ok(_) => return Ok(keys),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

async fn load_tokens(store: &Store) -> Result<Tokens, StoreError> {
    match store.catalog(CatalogName::Tokens).await? {
        None => Ok(Tokens::default()),
        Some(found) => Tokens::from_bytes(&found.bytes)
            .ok_or(StoreError::Corrupt { what: Corruption::Catalog }),
    }
}

async fn load_definitions(store: &Store, settings: &Settings) -> Result<Compiled, StoreError> {
    let corrupt = || StoreError::Corrupt { what: Corruption::Catalog };
    let definitions = match store.catalog(CatalogName::Definitions).await? {
        None => Definitions::default(),
        Some(found) => Definitions::from_bytes(&found.bytes).map_err(|_| corrupt())?,
    };
    Compiled::new(&definitions, settings.store.retention).map_err(|_| corrupt())
}
