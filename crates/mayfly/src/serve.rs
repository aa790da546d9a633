//! What runs: listeners first, then the store, then the workers; and all of it stopped in an order
//! that loses nothing.
//!
//! The socket opens before the store does. Stop: listeners finish the requests under way, the
//! collector stores or spills what is queued, the workers write their checkpoints and give their
//! leases back, the store closes.

mod boot;
mod cache;
mod geography;
mod issued;
mod listen;
mod reaper;
mod tls;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use anyhow::Context;
use mayfly_collector::{Collector, CollectorMetrics};
use mayfly_core::StoreId;
use mayfly_store::StoreError;
use prometheus::Registry;
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::app::App;
use crate::config::{LogFormat, Settings};
use crate::http::ApiError;
use crate::http::access::Caller;
use crate::http::limiter::Shares;
use crate::metrics::Metrics;
use crate::tokens::{Role as TokenRole, Token};

/// Roles of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Role {
    /// Takes hits.
    Collector,
    /// Folds hits into cells and memberships; answers about segments.
    Worker,
    /// Delivers segments, if it owns the first partition: it needs the worker beside it.
    Export,
}

/// What handlers share: there from the first request on, while the store may still be opening.
pub struct Shared {
    collector: Collector,
    registry: Registry,
    metrics: Metrics,
    counts: CollectorMetrics,
    app: OnceLock<Arc<App>>,
    admin_token: String,
    settings: Settings,
    shares: Shares,
    demo: bool,
    /// Why the store is not open.
    fault: RwLock<Option<String>>,
    /// The store whose data is gone: for good, whatever its server holds later.
    gone: OnceLock<StoreId>,
}

impl Shared {
    /// The collector.
    #[must_use]
    pub fn collector(&self) -> &Collector {
        &self.collector
    }

    /// All metrics.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What clients and tokens may send.
    pub(crate) fn shares(&self) -> &Shares {
        &self.shares
    }

    /// Whether the demo is served.
    #[must_use]
    pub fn has_demo(&self) -> bool {
        self.demo
    }

    /// The data, once the store is open and as long as it is there: what is in memory of a store
    /// whose data is gone is not shown.
    ///
    /// # Errors
    /// [`ApiError::Starting`], [`StoreError::Gone`].
    pub fn app(&self) -> Result<&Arc<App>, ApiError> {
        match self.gone() {
            Some(error) => Err(error.into()),
            None => self.app.get().ok_or(ApiError::Starting),
        }
    }

    fn gone(&self) -> Option<StoreError> {
        self.gone.get().map(|&expected| StoreError::Gone { expected })
    }

    /// Whose token this is.
    pub(crate) fn caller(&self, secret: &str) -> Option<Caller> {
        if same(secret.as_bytes(), self.admin_token.as_bytes()) {
            let (name, role) = ("admin".to_owned(), TokenRole::Admin);
            return Some(Caller { name, role, sites: Vec::new(), partner: None });
        }
        let Token { name, role, sites, partner, .. } = self.app.get()?.token(secret)?;
        Some(Caller { name, role, sites, partner })
    }

    /// Why this process is not ready; empty when it is.
    #[must_use]
    pub fn not_ready(&self) -> Vec<String> {
        let fault = self.fault.read().ok().and_then(|f| f.clone());
        let fault = self.gone().map(|gone| gone.to_string()).or(fault);
        match (self.app.get(), fault) {
            (_, Some(fault)) => vec![fault],
            (None, None) => vec!["the store is being opened".to_owned()],
            (Some(app), None) => app.not_ready(),
        }
    }

    fn failed(&self, error: &StoreError) {
        if let StoreError::Gone { expected } = error {
            self.gone.get_or_init(|| *expected);
        }
        self.set_fault(Some(error.to_string()));
    }

    fn set_fault(&self, fault: Option<String>) {
        if let Ok(mut own) = self.fault.write() {
            *own = fault;
        }
    }
}

/// Compares in a time that does not tell where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

/// How a process was started.
#[derive(Clone, Debug, Default)]
struct Options {
    /// Roles; empty = all.
    roles: Vec<Role>,
    /// Serve the demo.
    demo: bool,
    /// The port of the public listener, once it is known.
    port: u16,
    /// Serves one command of the same process: no address file, no token file, no greeting.
    private: bool,
}

impl Options {
    fn has(&self, role: Role) -> bool {
        self.roles.is_empty() || self.roles.contains(&role)
    }
}

/// `mayfly serve`: runs until SIGTERM or SIGINT.
///
/// # Errors
/// A port that is taken, a store that cannot be opened and will not by waiting.
pub fn run(settings: Settings, roles: &[Role], demo: bool) -> anyhow::Result<()> {
    logs(&settings);
    let options = Options { roles: roles.to_vec(), demo, ..Options::default() };
    runtime()?.block_on(async {
        let (stop, stopping) = watch::channel(false);
        let serving = serve(settings, options, stopping, |_| {});
        tokio::pin!(serving);
        tokio::select! {
            done = &mut serving => return done,
            signal = signal() => signal?,
        }
        tracing::info!("stopping: finishing what is under way");
        stop.send_replace(true);
        tokio::select! {
            done = &mut serving => done,
            _ = signal() => anyhow::bail!("stopped at the second signal; some work may be undone"),
        }
    })
}

/// A server for one command of this process, on a loopback port of its own.
pub struct Running {
    started: Started,
    stop: watch::Sender<bool>,
    thread: std::thread::JoinHandle<anyhow::Result<()>>,
}

/// What a starter of a server learns.
#[derive(Clone, Debug)]
struct Started {
    address: SocketAddr,
    token: String,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.started.address
    }

    /// Its admin token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.started.token
    }

    /// Stops it: everything is written out when this returns.
    ///
    /// # Errors
    /// The server's.
    pub fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        self.thread.join().map_err(|_| anyhow::anyhow!("the server's thread panicked"))?
    }
}

/// Starts a server on a thread of its own; returns when it is ready.
///
/// # Errors
/// The store's, when it cannot be opened.
pub fn start_private(settings: Settings) -> anyhow::Result<Running> {
    // What a person asked for goes to standard output; of the rest only what is wrong is told.
    logs(&Settings { log_level: "warn".to_owned(), ..settings.clone() });
    let (stop, stopping) = watch::channel(false);
    let (tell, told) = std::sync::mpsc::channel();
    let options = Options { private: true, ..Options::default() };
    let thread = std::thread::Builder::new().name("server".into()).spawn(move || {
        runtime()?.block_on(serve(settings, options, stopping, move |started| {
            tell.send(started).ok();
        }))
    })?;
    match told.recv() {
        Ok(started) => Ok(Running { started, stop, thread }),
        // The sender is gone: the server ended before it was ready, and says why.
        Err(_) => match thread.join() {
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) | Err(_) => anyhow::bail!("the server ended before it was ready"),
        },
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")
}

/// Listens, opens the store, works, until `stopping` turns true.
async fn serve(
    settings: Settings,
    mut options: Options,
    mut stopping: watch::Receiver<bool>,
    started: impl FnOnce(Started),
) -> anyhow::Result<()> {
    let registry = Registry::new();
    let metrics = Metrics::new(&registry)?;
    let counts = CollectorMetrics::new()?;
    counts.register(&registry)?;
    let admin_token = boot::admin_token(&settings, options.private)?;
    let shared = Arc::new(Shared {
        collector: boot::collector(&settings, counts.clone()),
        counts,
        registry,
        metrics,
        app: OnceLock::new(),
        admin_token: admin_token.clone(),
        shares: Shares::of(&settings),
        settings: settings.clone(),
        demo: options.demo,
        fault: RwLock::new(None),
        gone: OnceLock::new(),
    });
    let certificate = match settings.tls.clone().filter(|_| !options.private) {
        Some(files) => Some(tls::Certificate::open(files)?),
        None => None,
    };
    let listeners = listen::bind(&settings, &shared, certificate.as_ref())?;
    let address = listeners.public;
    options.port = address.port();
    let private = listeners.private;
    let servers = listeners.spawn();
    let files = tokio::spawn(follow_files(settings.clone(), Arc::clone(&shared), certificate));
    let opened = tokio::select! {
        opened = boot::open(&settings, &options, &shared) => Some(opened),
        _ = stopping.wait_for(|stop| *stop) => None,
    };
    let running = match opened {
        Some(Ok(running)) => Some(running),
        Some(Err(error)) => {
            servers.stop(false).await;
            return Err(error);
        }
        None => None,
    };
    if running.is_some() && !options.private {
        let own = private.unwrap_or(address);
        std::fs::create_dir_all(&settings.data)
            .with_context(|| format!("{} cannot be made", settings.data.display()))?;
        std::fs::write(settings.address_file(), format!("{own}\n"))
            .with_context(|| format!("{} cannot be written", settings.address_file().display()))?;
        tracing::info!(%address, store = settings.store.url.place(), "ready");
        if options.demo {
            tracing::info!("the demo is at http://{address}/demo/");
        }
    }
    if let Some(running) = &running {
        // Ready means: every answer is there, also for the very first request.
        shared.app.set(Arc::clone(running.app())).ok();
        shared.set_fault(None);
        started(Started { address, token: admin_token });
        stopping.wait_for(|stop| *stop).await.ok();
    }
    servers.stop(true).await;
    if !options.private {
        std::fs::remove_file(settings.address_file()).ok();
    }
    shared.collector.shutdown().await;
    files.abort();
    match running {
        Some(running) => running.stop().await,
        None => Ok(()),
    }
}

/// Takes changed certificates and files of networks while it runs.
async fn follow_files(
    settings: Settings,
    shared: Arc<Shared>,
    certificate: Option<Arc<tls::Certificate>>,
) {
    let mut geography = geography::GeoFile::default();
    let mut every = tokio::time::interval(FILES_EVERY);
    loop {
        every.tick().await;
        if let Some(path) = &settings.geo_file {
            geography.refresh(path, &shared.collector);
        }
        if let Some(certificate) = &certificate {
            certificate.refresh();
        }
    }
}

async fn signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        done = tokio::signal::ctrl_c() => Ok(done?),
    }
}

/// Log lines go to standard error; a second call changes nothing.
fn logs(settings: &Settings) {
    let level = format!("actix_server=warn,actix_http=off,{}", settings.log_level);
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let done = match settings.log_format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    if done.is_err() {
        tracing::debug!("logs are set up already");
    }
}

/// Between looks at files that may change.
const FILES_EVERY: Duration = Duration::from_secs(2);
/// Between tries to reach a store.
const RETRY: Duration = Duration::from_secs(1);
