//! Opening: token, collector, store, catalog, workers, the once-a-second tick.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use mayfly_collector::{Collector, CollectorConfig, CollectorMetrics, KeyRing, SiteTable};
use mayfly_segments::Compiled;
use mayfly_store::{Store, StoreUrl};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::issued::Issued;
use super::{Options, RETRY, Role, Shared, cache};
use crate::app::App;
use crate::config::Settings;
use crate::delivery::{self, connect::Connector};
use crate::import;
use crate::worker::{self, Worker};
use crate::{clock, tokens};

/// How long the embedded store may take at least: the first hits of ninety days make as many
/// keyspaces.
const EMBEDDED_DEADLINE: Duration = Duration::from_secs(20);

/// The admin token: from the environment, the file, or new (then printed once).
pub(super) fn admin_token(settings: &Settings, private: bool) -> anyhow::Result<String> {
    if private {
        return tokens::new_secret().context("no randomness");
    }
    if let Ok(token) = std::env::var("MAYFLY_ADMIN_TOKEN") {
        return Ok(token);
    }
    let file = settings.token_file();
    if let Ok(token) = fs::read_to_string(&file) {
        return Ok(token.trim().to_owned());
    }
    let token = tokens::new_secret().context("no randomness")?;
    let cannot = || format!("{} cannot be written", file.display());
    fs::create_dir_all(&settings.data).with_context(cannot)?;
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut f| writeln!(f, "{token}"))
        .with_context(cannot)?;
    tracing::info!(token, file = %file.display(), "made an admin token; it is printed only now");
    Ok(token)
}

/// The collector, before the store is there.
pub(super) fn collector(settings: &Settings, metrics: CollectorMetrics) -> Collector {
    let mut config = CollectorConfig::new(settings.spill_folder(), clock::stopwatch);
    config.retention = settings.store.retention;
    config.placement = settings.placement;
    config.ack = settings.ack;
    config.cookies = settings.cookies.clone();
    config.is_secure = settings.cookie_secure;
    config.hits_per_minute_max = settings.hits_per_minute_max;
    config.network_tokens = settings.network_token;
    config.store_deadline = match settings.store.url {
        // On the same disk a spill is no faster than the store: waiting is better.
        StoreUrl::File(_) => settings.store.deadline.max(EMBEDDED_DEADLINE),
        StoreUrl::Redis(_) | StoreUrl::Cluster(_) => settings.store.deadline,
    };
    config.spill_bytes = settings.spill_bytes_max;
    Collector::new(config, metrics)
}

/// Everything that works behind the listeners.
pub(super) struct Backstage {
    app: Arc<App>,
    runner: JoinHandle<()>,
    worker: Option<Worker>,
    exporter: Option<JoinHandle<()>>,
    importer: Option<JoinHandle<()>>,
    ticker: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

/// Opens the store (waiting for one that does not answer yet) and starts what works on it.
///
/// # Errors
/// What waiting does not mend: wrong password, a locked folder, another format.
pub(super) async fn open(
    settings: &Settings,
    options: &Options,
    shared: &Arc<Shared>,
) -> anyhow::Result<Backstage> {
    let (store, resumed) = wait_for_store(settings, options, shared).await?;
    let (has, wants) = (store.identity().partitions, settings.store.partitions);
    if wants > has && !options.private {
        store.raise_partitions(wants).await?;
        tracing::info!(has, wants, "raised the number of partitions");
    }
    let app = Arc::new(
        App::load(
            settings.clone(),
            store,
            shared.collector.clone(),
            shared.metrics.clone(),
            shared.counts.clone(),
        )
        .await?,
    );
    let runner = match resumed {
        Some(runner) => runner,
        None => attach(shared, app.store().clone(), app.keys().clone()).await?,
    };
    if !options.private {
        cache::write(settings, &app.store().identity(), app.keys(), app.active().definitions());
    }
    let (stop, stopping) = watch::channel(false);
    let worker = if options.has(Role::Worker) {
        Some(worker::start(&app, stopping.clone()).await)
    } else {
        None
    };
    let exporter = if options.has(Role::Export) && worker.is_some() && !options.private {
        let own = &settings.delivery;
        let mut allowed = own.allow_hosts.clone();
        // The demo's partner is this very server.
        allowed.extend(options.demo.then(|| "127.0.0.1".to_owned()));
        let connector = Connector::new(own.timeout, own.ca_file.as_deref(), &allowed);
        let connector = connector.context("deliveries cannot connect")?;
        Some(tokio::spawn(delivery::run(Arc::clone(&app), connector, stopping.clone())))
    } else {
        None
    };
    let importer = (worker.is_some() && !options.private)
        .then(|| tokio::spawn(import::run(Arc::clone(&app), stopping.clone())));
    if options.demo {
        app.apply_demo(options.port).await?;
    }
    let ticker =
        tokio::spawn(tick(Arc::clone(&app), Arc::clone(shared), options.private, stopping));
    Ok(Backstage { app, runner, worker, exporter, importer, ticker, stop })
}

/// Has the collector take hits for this store from now on.
async fn attach(shared: &Shared, store: Store, keys: KeyRing) -> anyhow::Result<JoinHandle<()>> {
    let issued = Issued::open(shared.settings.data.join("ordinals.issued"), store.identity().store);
    let attached = shared
        .collector
        .attach(store, keys, issued.ends(), clock::now())
        .await
        .context("the collector cannot start")?;
    for file in &attached.spill_aside {
        tracing::warn!(file = %file.display(), "a spill of another store was left alone");
    }
    Ok(tokio::spawn(attached.runner.run()))
}

/// Opens the store, waiting for one that does not answer yet. Where it is known from before, hits
/// are taken meanwhile (they spill): the second answer is the collector's runner then.
async fn wait_for_store(
    settings: &Settings,
    options: &Options,
    shared: &Shared,
) -> anyhow::Result<(Store, Option<JoinHandle<()>>)> {
    let mut runner = None;
    loop {
        match Store::open(&settings.store, clock::now()).await {
            Ok(store) => return Ok((store, runner)),
            // A command for a person does not wait; a server does.
            Err(error) if error.is_transient() && !options.private => {
                tracing::warn!(%error, "the store does not answer yet; trying again");
                shared.set_fault(Some(error.to_string()));
                if runner.is_none() {
                    runner = resume(settings, shared).await?;
                }
                shared.collector.tick(clock::now(), None);
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Takes hits for a store that is known from before and does not answer yet.
async fn resume(settings: &Settings, shared: &Shared) -> anyhow::Result<Option<JoinHandle<()>>> {
    let Some(known) = cache::read(settings) else { return Ok(None) };
    let Some(store) = Store::resume(&settings.store, known.identity) else { return Ok(None) };
    let sites: SiteTable = known.definitions.sites().cloned().collect();
    let compiled = Compiled::new(&known.definitions, settings.store.retention);
    // Without their rules nobody knows what is sensitive: then nothing is taken meanwhile.
    let Ok(compiled) = compiled else { return Ok(None) };
    let sites = sites.with_partners(known.definitions.partners().cloned());
    shared.collector.set_sites(sites.with_arrival(Arc::clone(compiled.arrival())));
    let runner = attach(shared, store, known.keys).await?;
    tracing::warn!("hits are taken meanwhile and wait in the spill");
    Ok(Some(runner))
}

/// Once a second: health, definitions and erasures of other processes. Keeps the cache as the
/// definitions are.
async fn tick(
    app: Arc<App>,
    shared: Arc<Shared>,
    private: bool,
    mut stopping: watch::Receiver<bool>,
) {
    let known = || (app.active().version(), app.store().identity().partitions);
    let (mut cached, mut definitions) = (known(), app.watch_definitions());
    let store = app.store().identity().store;
    let mut issued = Issued::open(app.settings().data.join("ordinals.issued"), store);
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        let is_second = tokio::select! {
            _ = every.tick() => true,
            _ = definitions.changed() => false,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        if is_second {
            beat(&app, &shared).await;
            if let Err(error) = issued.keep(shared.collector.issued()) {
                tracing::warn!(%error, "ordinals.issued cannot be written");
            }
        }
        if !private && cached != known() {
            cached = known();
            let (identity, active) = (app.store().identity(), app.active());
            cache::write(app.settings(), &identity, app.keys(), active.definitions());
        }
    }
}

async fn beat(app: &App, shared: &Shared) {
    shared.shares.tidy();
    let now = clock::now();
    let done = match app.tick(now).await {
        Ok(()) => app.record_sizes(now).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => shared.set_fault(None),
        Err(error) => {
            shared.metrics.failed(&error);
            shared.failed(&error);
        }
    }
}

impl Backstage {
    /// The data.
    pub(super) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Stops workers and store; the collector is shut down already.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        self.ticker.await.ok();
        self.runner.await.ok();
        // Before the leases are given back: another process begins then.
        for task in self.exporter.into_iter().chain(self.importer) {
            task.await.ok();
        }
        if let Some(worker) = self.worker {
            worker.stopped().await;
        }
        self.app.store().close().await.context("the store did not close well")
    }
}
