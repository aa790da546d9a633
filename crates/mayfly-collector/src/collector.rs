//! The collector: what the listeners call, shared by all of them.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use mayfly_core::{Admitted, Ordinal, Partition, Retention, SiteId, Timestamp, Visitor, limits};
use mayfly_store::{ForeignId, Store, StoreError};
use roaring::RoaringBitmap;
use tokio::sync::{mpsc, watch};

use crate::agents::Agents;
use crate::batcher::{Batcher, Command};
use crate::behaviour::Behaviour;
use crate::cookie_header::{CookieNames, OwnCookies, Placement, set_cookie};
use crate::enrichment::Geography;
use crate::intake::{Due, Received};
use crate::intern::Interner;
use crate::keys::KeyRing;
use crate::lanes::{Acknowledged, Lane};
use crate::metrics::CollectorMetrics;
use crate::network::NetworkKeys;
use crate::no::No;
use crate::ordinals::Ordinals;
use crate::recent::Recent;
use crate::refusal::{Reason, Verdict};
use crate::signals::{Signal, Signals};
use crate::sites::SiteTable;
use crate::spill::SpillError;
use crate::spill_gate::SpillGate;
use crate::sync::UidChanges;
use crate::tail::Tail;
use crate::visitors::{Erased, Visitors};

/// When a pixel is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ack {
    /// When the hit is stored or spilled.
    #[default]
    Stored,
    /// When it is queued: lower latency, and a crash loses what waits.
    Queued,
}

/// Settings of a collector, resolved.
#[derive(Clone, Debug)]
pub struct CollectorConfig {
    /// How long behaviour is kept; also the life of the visitor's cookie.
    pub retention: Retention,
    /// Where the cookie stands with respect to the page.
    pub placement: Placement,
    /// What our cookies are called.
    pub cookies: CookieNames,
    /// Cookies are for https alone, also where a proxy speaks https for us.
    pub is_secure: bool,
    /// Hits a minute that a visitor may make; 0 = any number.
    pub hits_per_minute_max: u32,
    /// Whether hits get a token of their network.
    pub network_tokens: bool,
    /// When a pixel is answered.
    pub ack: Ack,
    /// How long the store may take for one operation before hits go to the spill.
    pub store_deadline: Duration,
    /// The spill's folder; made when the first record comes.
    pub spill_dir: PathBuf,
    /// What the spill may hold, bytes.
    pub spill_bytes: u64,
    /// Time since any fixed instant, never going back: for measuring latency only.
    pub stopwatch: fn() -> Duration,
}

impl CollectorConfig {
    /// The defaults: 90 days, first party, ack when stored, 2 s, 1 GiB of spill.
    #[must_use]
    pub fn new(spill_dir: PathBuf, stopwatch: fn() -> Duration) -> Self {
        Self {
            retention: Retention::default(),
            placement: Placement::default(),
            cookies: CookieNames::default(),
            is_secure: false,
            hits_per_minute_max: 0,
            network_tokens: false,
            ack: Ack::default(),
            store_deadline: Duration::from_secs(2),
            spill_dir,
            spill_bytes: limits::SPILL_BYTES,
            stopwatch,
        }
    }
}

/// Why a store could not be attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// There is one already.
    #[error("the collector has a store already")]
    Twice,
    /// No ordinals could be leased.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The spill could not be opened.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// No random bytes for a lane.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// What attaching a store gives.
#[derive(Debug)]
pub struct Attached {
    /// To be run, or nothing is stored.
    pub runner: Runner,
    /// Spill files of another store: left alone, for the operator to look at.
    pub spill_aside: Vec<PathBuf>,
}

/// The way of a hit, from the request to the store. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Collector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: CollectorConfig,
    metrics: CollectorMetrics,
    sites: RwLock<Arc<SiteTable>>,
    erased: Arc<Erased>,
    agents: Agents,
    geography: RwLock<Option<Arc<Geography>>>,
    behaviour: Behaviour,
    networks: NetworkKeys,
    noes: Mutex<VecDeque<No>>,
    signals: Signals,
    tail: Tail,
    uid_changes: UidChanges,
    ready: OnceLock<Ready>,
}

/// What there is once the store is open.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) visitors: Arc<Visitors>,
    intake: mpsc::Sender<Received>,
    commands: mpsc::Sender<Command>,
    /// Becomes true when the runner has ended.
    ended: watch::Receiver<bool>,
}

impl Ready {
    /// Queues a hit.
    ///
    /// # Errors
    /// The verdict of a hit that the queue did not take; it is counted.
    pub(crate) fn enqueue(
        &self,
        hit: Admitted,
        visitor: Visitor,
        id: Option<i64>,
        now: Timestamp,
        due: Due,
    ) -> Result<(), Verdict> {
        let received = Received { hit, visitor, id, now, due };
        match self.intake.try_send(received) {
            Ok(()) => Ok(()),
            Err(
                mpsc::error::TrySendError::Full(received)
                | mpsc::error::TrySendError::Closed(received),
            ) => Err(received.due.decide(Reason::Busy)),
        }
    }

    /// Puts a hit into the queue, and waits where that is full.
    pub(crate) async fn queue(&self, received: Received) -> Result<(), Reason> {
        self.intake.send(received).await.map_err(|_| Reason::NotOpen)
    }
}

impl Collector {
    /// A collector without a store yet: it answers, and every hit is `store_failed` (`not_open`)
    /// until [`Self::attach`]: who a visitor is stands in no file but the store.
    #[must_use]
    pub fn new(config: CollectorConfig, metrics: CollectorMetrics) -> Self {
        Self(Arc::new(Inner {
            behaviour: Behaviour::new(config.hits_per_minute_max),
            networks: NetworkKeys::default(),
            config,
            metrics,
            sites: RwLock::default(),
            erased: Arc::default(),
            agents: Agents::new(),
            geography: RwLock::default(),
            noes: Mutex::default(),
            signals: Signals::default(),
            tail: Tail::default(),
            uid_changes: UidChanges::default(),
            ready: OnceLock::new(),
        }))
    }

    /// Gives the collector its store and keys: leases the first ordinals, opens the spill. Hits
    /// are taken from now on, and stored once the runner runs.
    ///
    /// # Errors
    /// [`AttachError`]; the collector is then as before.
    pub async fn attach(
        &self,
        store: Store,
        keys: KeyRing,
        issued: &[Ordinal],
        now: Timestamp,
    ) -> Result<Attached, AttachError> {
        let config = &self.0.config;
        let identity = store.identity();
        let oldest = config.retention.oldest(now.day().unwrap_or_default()).start();
        let (spill, spill_aside) =
            SpillGate::open(config.spill_dir.clone(), identity.store, config.spill_bytes, oldest)
                .await?;
        self.0.metrics.spill(spill.bytes(), spill.oldest(), now);
        let away = Arc::new(AtomicBool::new(false));
        let (intake, hits) = mpsc::channel(limits::INTAKE_HITS);
        let (commands, orders) = mpsc::channel(2);
        let (end, ended) = watch::channel(false);
        let visitors = Arc::new(self.visitors(store.clone(), keys, issued, Arc::clone(&away)));
        match visitors.refill().await {
            // A store that is known from before may be away: each tick asks again.
            Err(error) if error.is_transient() => {}
            refilled => refilled?,
        }
        let batcher = Batcher {
            store,
            visitors: Arc::clone(&visitors),
            deadline: config.store_deadline,
            stopwatch: config.stopwatch,
            metrics: self.0.metrics.clone(),
            interner: Interner::new(identity.seed),
            lane: Lane::random()?,
            acknowledged: Acknowledged::default(),
            spill: Arc::new(spill),
            generation: None,
            resend_due: false,
            away: false,
            gone: false,
            refusing: false,
            away_flag: away,
            intake: hits,
            commands: orders,
            now,
            answered: now,
            beaten: (config.stopwatch)(),
        };
        let ready = Ready { visitors: Arc::clone(&visitors), intake, commands, ended };
        self.0.ready.set(ready).map_err(|_| AttachError::Twice)?;
        Ok(Attached { runner: Runner { batcher, visitors, end }, spill_aside })
    }

    /// The ordinals that were leased up to now: the end of the highest block of each partition.
    #[must_use]
    pub fn issued(&self) -> Vec<Ordinal> {
        self.ready().map(|ready| ready.visitors.ordinals.ends()).unwrap_or_default()
    }

    fn visitors(
        &self,
        store: Store,
        keys: KeyRing,
        issued: &[Ordinal],
        away: Arc<AtomicBool>,
    ) -> Visitors {
        let identity = store.identity();
        Visitors {
            ordinals: Ordinals::new(identity.partitions, issued),
            store,
            identity,
            keys: RwLock::new(Arc::new(keys)),
            erased: Arc::clone(&self.0.erased),
            retention: self.0.config.retention,
            deadline: self.0.config.store_deadline,
            metrics: self.0.metrics.clone(),
            away,
            foreign: Mutex::new(Recent::new(limits::FOREIGN_IDS)),
            claimed: Mutex::default(),
        }
    }

    /// Swaps the table of sites.
    pub fn set_sites(&self, sites: SiteTable) {
        *self.0.sites.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(sites);
    }

    /// The sites as they are now.
    #[must_use]
    pub fn sites(&self) -> Arc<SiteTable> {
        Arc::clone(&self.0.sites.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The store has more partitions now: new visitors go there, too.
    pub fn raise_partitions(&self, partitions: u16) {
        if let Some(ready) = self.ready() {
            ready.visitors.ordinals.raise(partitions.min(limits::PARTITIONS_MAX));
        }
    }

    /// The erased ordinals of a partition, as read from the store.
    pub fn set_erased(&self, partition: Partition, erased: RoaringBitmap) {
        self.0.erased.set(partition, erased);
    }

    /// One visitor was erased: its cookie and foreign ids count as none from now on.
    pub fn erase(&self, visitor: Visitor) {
        self.0.erased.add(visitor);
    }

    /// Our cookies in a header.
    pub(crate) fn own_cookies<'h>(&self, header: &'h str) -> Result<OwnCookies<'h>, Reason> {
        OwnCookies::find(header, &self.config().cookies)
    }

    /// What our cookies are called.
    #[must_use]
    pub fn cookie_names(&self) -> &CookieNames {
        &self.config().cookies
    }

    /// A foreign id as the store knows it; `None` before there is a store.
    #[must_use]
    pub fn foreign_id(&self, space: &str, id: &str) -> Option<ForeignId> {
        let hash = self.ready()?.visitors.foreign_hash(space, id);
        Some(ForeignId { space: space.into(), hash })
    }

    /// To be called once a second, with the store's [`mayfly_store::Health::generation`], or `None`
    /// when it did not answer: then nobody waits for it. Drains the spill, resends after a
    /// failover, refreshes gauges.
    pub fn tick(&self, now: Timestamp, generation: impl Into<Option<u64>>) {
        let generation = generation.into();
        self.0.networks.destroy_old(now);
        if let Some(ready) = self.ready() {
            let waiting = ready.intake.max_capacity().saturating_sub(ready.intake.capacity());
            self.0.metrics.intake(waiting, now);
            ready.visitors.ordinals.nudge();
            // A full channel means that the batcher is busy with earlier ticks.
            drop(ready.commands.try_send(Command::Tick { now, generation }));
        }
    }

    /// Closes the queue and waits until everything in it is stored or spilled.
    pub async fn shutdown(&self) {
        let Some(ready) = self.ready() else { return };
        if ready.commands.send(Command::Shutdown).await.is_ok() {
            let mut ended = ready.ended.clone();
            // An error means that the runner is gone: it ended, too.
            drop(ended.wait_for(|ended| *ended).await);
        }
    }

    pub(crate) fn ready(&self) -> Option<&Ready> {
        self.0.ready.get()
    }

    pub(crate) fn uid_changes(&self) -> &UidChanges {
        &self.0.uid_changes
    }

    pub(crate) fn metrics(&self) -> &CollectorMetrics {
        &self.0.metrics
    }

    pub(crate) fn config(&self) -> &CollectorConfig {
        &self.0.config
    }

    pub(crate) fn agents(&self) -> &Agents {
        &self.0.agents
    }

    pub(crate) fn networks(&self) -> Option<&NetworkKeys> {
        self.0.config.network_tokens.then_some(&self.0.networks)
    }

    pub(crate) fn behaviour(&self) -> &Behaviour {
        &self.0.behaviour
    }

    pub(crate) fn geography_cell(&self) -> &RwLock<Option<Arc<Geography>>> {
        &self.0.geography
    }

    pub(crate) fn signals_cell(&self) -> &Signals {
        &self.0.signals
    }

    pub(crate) fn tail_cell(&self) -> &Tail {
        &self.0.tail
    }

    /// What a site sent since the start, by name: the most frequent first.
    #[must_use]
    pub fn signals(&self, site: SiteId) -> Vec<Signal> {
        self.0.signals.of(site)
    }

    pub(crate) fn noes(&self) -> &Mutex<VecDeque<No>> {
        &self.0.noes
    }

    /// A `Set-Cookie` value in the placement of this collector.
    pub(crate) fn set_cookie(&self, name: &str, value: &str, age_s: i64, https: bool) -> String {
        let config = self.config();
        set_cookie(name, value, age_s, config.placement, https || config.is_secure)
    }

    /// Whether a pixel's answer waits for the store.
    pub(crate) fn waits(&self) -> bool {
        self.0.config.ack == Ack::Stored
    }
}

/// The collector's own work: batches, spill, resend, ordinals.
pub struct Runner {
    pub(crate) batcher: Batcher,
    visitors: Arc<Visitors>,
    end: watch::Sender<bool>,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

impl Runner {
    /// Runs until [`Collector::shutdown`], or until every clone of the collector is gone. Never
    /// blocks its thread. Spawned on the thread of the listener's worker, it wakes the requests
    /// that wait without a wake-up across threads.
    pub async fn run(self) {
        let Self { batcher, visitors, end } = self;
        let refill = async {
            loop {
                visitors.ordinals.low().await;
                if let Err(error) = visitors.refill().await {
                    tracing::warn!(%error, "no ordinals could be leased");
                }
            }
        };
        tokio::select! {
            () = batcher.run() => {}
            () = refill => {}
        }
        end.send_replace(true);
    }
}
