//! Settings: said → resolved. Defaults < file < `MAYFLY_STORE__URL`-style environment < flags.
//!
//! [`Settings::load`] reads all layers, checks everything at once and opens nothing. The default
//! file below is the one table of settings: `config show` prints it, `docs/config.md` equals it.

mod said;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mayfly_collector::{Ack, CookieNames, Placement};
use mayfly_core::{Retention, limits};
use mayfly_store::{StoreConfig, StoreUrl};

use said::{Said, SaidCollector, SaidDelivery, SaidHttp, SaidStore};

use crate::networks::Networks;

/// Every setting with its default and meaning.
pub const DEFAULTS: &str = include_str!("mayfly.default.toml");

/// What flags may say.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config FILE`.
    pub file: Option<PathBuf>,
    /// `--data DIR`.
    pub data: Option<PathBuf>,
    /// `--bind ADDR:PORT`.
    pub bind: Option<String>,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors of logs.
    Json,
}

/// How segments are delivered.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// Where destinations with files have their folders.
    pub exports: PathBuf,
    /// Where secrets lie.
    pub secrets: PathBuf,
    /// Hosts that may be reached wherever they are.
    pub allow_hosts: Vec<String>,
    /// Certificates that are believed besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a receiver may take to answer.
    pub timeout: Duration,
}

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of the embedded store, the spill and the admin token.
    pub data: PathBuf,
    /// The store.
    pub store: StoreConfig,
    /// Listener for browsers (and for everything, when there is no private one).
    pub public: String,
    /// Listener for API, console and metrics.
    pub private: Option<String>,
    /// What stands before every path for browsers: empty, or `/m`.
    pub prefix: String,
    /// What names us in OpenRTB answers; empty = the host that was asked.
    pub domain: String,
    /// Hops whose word on the client is believed.
    pub trusted: Networks,
    /// Requests a second of one address; 0 = any number.
    pub address_requests_per_s: u32,
    /// Pixel requests that a site's pages may make, a second; 0 = any number.
    pub site_requests_per_s: u32,
    /// Files of the certificate chain and its key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Server threads; at least 1.
    pub workers: usize,
    /// Open connections a server thread takes.
    pub connections_max: usize,
    /// How long a connection may go without an answer.
    pub stuck: Duration,
    /// How long a stop waits for requests under way.
    pub shutdown: Duration,
    /// When a hit is acknowledged.
    pub ack: Ack,
    /// Where the visitor cookie is set.
    pub placement: Placement,
    /// What our cookies are called.
    pub cookies: CookieNames,
    /// Cookies are for https alone.
    pub cookie_secure: bool,
    /// Hits a minute of one visitor; 0 = any number.
    pub hits_per_minute_max: u32,
    /// Hits a second of one token; 0 = any number.
    pub token_hits_per_s: u32,
    /// The operator's file of networks.
    pub geo_file: Option<PathBuf>,
    /// Whether hits get a token of their network.
    pub network_token: bool,
    /// Whether the privacy role may export hits.
    pub raw_export: bool,
    /// Who is responsible, as visitors read it.
    pub controller: String,
    /// Where visitors can ask.
    pub contact: Option<String>,
    /// From a withdrawn consent to its erasure.
    pub withdrawal_grace: Duration,
    /// How segments are delivered.
    pub delivery: DeliverySettings,
    /// The spill's limit, bytes.
    pub spill_bytes_max: u64,
    /// Time between checkpoints.
    pub checkpoint: Duration,
    /// Time between looks for news.
    pub poll: Duration,
    /// How long a lease lasts without renewal, seconds.
    pub lease_s: u32,
    /// Filter of log lines.
    pub log_level: String,
    /// Look of log lines.
    pub log_format: LogFormat,
    /// Where each value came from: key → (value with secrets hidden, source).
    pub sources: BTreeMap<String, (String, String)>,
}

/// Settings that cannot be: every fault at once.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file, or an unknown or ill-typed key.
    #[error("{0}")]
    Read(#[from] config::ConfigError),
    /// Values out of their range.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Values(Vec<BadValue>),
}

/// One value that cannot be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{key} = {value:?}: {wanted}")]
pub struct BadValue {
    key: &'static str,
    value: String,
    wanted: &'static str,
}

impl Settings {
    /// Reads file, environment and flags over the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] names every fault with its key.
    pub fn load(
        flags: &Flags,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let merged = merge(flags, environment)?;
        let sources = sources(&merged);
        let said: Said = merged.try_deserialize()?;
        resolve(&said, sources).map_err(ConfigError::Values)
    }

    /// The admin token's file.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.data.join("admin.token")
    }

    /// Where a running server writes its address, for commands on the same machine.
    #[must_use]
    pub fn address_file(&self) -> PathBuf {
        self.data.join("server.address")
    }

    /// The folder of the spill.
    #[must_use]
    pub fn spill_folder(&self) -> PathBuf {
        self.data.join("spill")
    }
}

/// All layers, not yet checked.
fn merge(
    flags: &Flags,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<config::Config, ConfigError> {
    // Only names with a section (`MAYFLY_STORE__URL`) are settings: MAYFLY_ADMIN_TOKEN is none.
    let ours: config::Map<String, String> = environment
        .filter(|(name, _)| name.starts_with("MAYFLY_") && name.contains("__"))
        .collect();
    let mut all = config::Config::builder()
        .add_source(config::File::from_str(DEFAULTS, config::FileFormat::Toml));
    if let Some(file) = &flags.file {
        all = all.add_source(config::File::new(&lossy(file), config::FileFormat::Toml));
    }
    let variables = config::Environment::with_prefix("MAYFLY")
        .prefix_separator("_")
        .separator("__")
        .try_parsing(true)
        .source(Some(ours));
    let mut all = all.add_source(variables);
    if let Some(data) = &flags.data {
        all = all.set_override("data", lossy(data))?;
    }
    if let Some(bind) = &flags.bind {
        all = all.set_override("http.public", bind.as_str())?;
    }
    Ok(all.build()?)
}

fn lossy(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Where each value came from, passwords hidden.
fn sources(merged: &config::Config) -> BTreeMap<String, (String, String)> {
    let mut found = BTreeMap::new();
    for section in ["", "store", "http", "collector", "privacy", "delivery", "worker", "log"] {
        let table = if section.is_empty() {
            merged.cache.clone().into_table()
        } else {
            merged.get_table(section)
        };
        for (key, value) in table.unwrap_or_default() {
            let key = if section.is_empty() { key } else { format!("{section}.{key}") };
            let from = match value.origin() {
                None => "flag or default".to_owned(),
                Some(origin) => origin.to_owned(),
            };
            if matches!(value.kind, config::ValueKind::Table(_)) {
                continue;
            }
            let text = value.to_string();
            let text = if key == "store.url" && !text.is_empty() {
                StoreUrl::parse(&text).map_or_else(|_| "(unreadable)".into(), |u| u.place())
            } else {
                text
            };
            found.insert(key, (text, from));
        }
    }
    found
}

/// Faults found so far.
#[derive(Default)]
struct Faults(Vec<BadValue>);

impl Faults {
    fn add(&mut self, key: &'static str, value: &dyn ToString, wanted: &'static str) {
        self.0.push(BadValue { key, value: value.to_string(), wanted });
    }

    /// One of a few words; the first where it is none of them.
    fn word<T: Copy>(
        &mut self,
        key: &'static str,
        said: &str,
        words: &[(&str, T)],
        wanted: &'static str,
        otherwise: T,
    ) -> T {
        let found = words.iter().find(|(word, _)| *word == said);
        found.map_or_else(
            || {
                self.add(key, &said, wanted);
                otherwise
            },
            |(_, value)| *value,
        )
    }
}

/// Checks every value; collects all faults.
fn resolve(
    said: &Said,
    sources: BTreeMap<String, (String, String)>,
) -> Result<Settings, Vec<BadValue>> {
    let mut faults = Faults::default();
    let data = PathBuf::from(&said.data);
    let store = resolve_store(said, &data, &mut faults);
    let acks = [("stored", Ack::Stored), ("queued", Ack::Queued)];
    let places = [
        ("first_party", Placement::FirstParty),
        ("third_party", Placement::ThirdParty),
        ("chips", Placement::Chips),
    ];
    let looks = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let SaidCollector { ack, placement, cookie_prefix, spill_bytes_max, .. } = &said.collector;
    let ack = faults.word("collector.ack", ack, &acks, "stored or queued", Ack::Stored);
    let wanted = "first_party, third_party or chips";
    let first = Placement::FirstParty;
    let placement = faults.word("collector.placement", placement, &places, wanted, first);
    let (look, first) = (&said.log.format, LogFormat::Text);
    let log_format = faults.word("log.format", look, &looks, "text or json", first);
    check_worker(said, &mut faults);
    if !mayfly_core::event::is_name(cookie_prefix, 32) {
        let wanted = "a name of a-z 0-9 _ - . up to 32 bytes";
        faults.add("collector.cookie_prefix", cookie_prefix, wanted);
    }
    let (trusted, tls) = resolve_edge(&said.http, &mut faults);
    if !faults.0.is_empty() {
        return Err(faults.0);
    }
    let filled = |text: &String| Some(text.clone()).filter(|t| !t.is_empty());
    let (cookie_secure, privacy) = (said.collector.cookie_secure, &said.privacy);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Settings {
        data,
        store,
        public: said.http.public.clone(),
        private: Some(said.http.private.clone()).filter(|p| !p.is_empty()),
        prefix: said.http.prefix.clone(),
        domain: said.http.domain.clone(),
        trusted,
        address_requests_per_s: said.http.address_requests_per_s,
        site_requests_per_s: said.http.site_requests_per_s,
        tls,
        workers: if said.http.workers == 0 { cores } else { said.http.workers },
        connections_max: said.http.connections_max.max(1),
        stuck: Duration::from_secs(said.http.stuck_s.max(1)),
        shutdown: Duration::from_secs(said.http.shutdown_s),
        ack,
        placement,
        cookies: CookieNames::new(cookie_prefix, cookie_secure),
        cookie_secure,
        hits_per_minute_max: said.collector.hits_per_minute_max,
        token_hits_per_s: said.collector.token_hits_per_s,
        geo_file: filled(&said.collector.geo_file).map(PathBuf::from),
        network_token: privacy.network_token,
        raw_export: privacy.raw_export,
        controller: privacy.controller.clone(),
        contact: filled(&privacy.contact),
        withdrawal_grace: Duration::from_secs(privacy.withdrawal_grace_s),
        delivery: resolve_delivery(&said.delivery, &said.data),
        spill_bytes_max: (*spill_bytes_max).min(limits::SPILL_BYTES),
        checkpoint: Duration::from_secs(said.worker.checkpoint_s),
        poll: Duration::from_millis(said.worker.poll_ms),
        lease_s: said.worker.lease_s,
        log_level: said.log.level.clone(),
        log_format,
        sources,
    })
}

/// How segments are delivered.
fn check_worker(said: &Said, faults: &mut Faults) {
    if said.worker.poll_ms == 0 || said.worker.checkpoint_s == 0 {
        let wanted = "poll_ms and checkpoint_s are at least 1";
        faults.add("worker.poll_ms", &said.worker.poll_ms, wanted);
    }
    if !(5..=600).contains(&said.worker.lease_s) {
        faults.add("worker.lease_s", &said.worker.lease_s, "5 to 600 seconds");
    }
}

fn resolve_delivery(said: &SaidDelivery, data: &str) -> DeliverySettings {
    let data = Path::new(data);
    let filled =
        |text: &String| Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty());
    DeliverySettings {
        exports: filled(&said.exports).unwrap_or_else(|| data.join("exports")),
        secrets: filled(&said.secrets).unwrap_or_else(|| data.join("secrets")),
        allow_hosts: words(&said.allow_hosts),
        ca_file: filled(&said.ca_file),
        timeout: Duration::from_secs(said.timeout_s.max(1)),
    }
}

/// The words of a list with commas.
fn words(list: &str) -> Vec<String> {
    let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// What stands before the server.
fn resolve_edge(http: &SaidHttp, faults: &mut Faults) -> (Networks, Option<(PathBuf, PathBuf)>) {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-');
    let prefix = &http.prefix;
    let is_path = prefix.starts_with('/') && !prefix.ends_with('/') && prefix.chars().all(sound);
    if !prefix.is_empty() && !is_path {
        faults.add("http.prefix", prefix, "\"\" or a path such as /m, without a slash at its end");
    }
    let trusted = Networks::parse(&http.trusted_proxies).unwrap_or_else(|part| {
        faults.add("http.trusted_proxies", &part, "an address or a network such as 10.0.0.0/8");
        Networks::default()
    });
    let (certificate, key) = (&http.tls_certificate, &http.tls_key);
    if certificate.is_empty() != key.is_empty() {
        faults.add("http.tls_key", key, "a certificate and its key, or neither");
    }
    let files = || (PathBuf::from(certificate), PathBuf::from(key));
    (trusted, (!certificate.is_empty()).then(files))
}

fn resolve_store(said: &Said, data: &Path, faults: &mut Faults) -> StoreConfig {
    let SaidStore { url, retention_days, partitions, realm, deadline_ms } = &said.store;
    let own = || StoreUrl::File(data.join("store"));
    let url = if url.is_empty() {
        own()
    } else {
        StoreUrl::parse(url).unwrap_or_else(|_| {
            let wanted = "file://…, redis[s]://… or redis[s]+cluster://…";
            faults.add("store.url", &"(hidden)", wanted);
            own()
        })
    };
    let retention = Retention::new(*retention_days).unwrap_or_else(|| {
        faults.add("store.retention_days", retention_days, "1 to 90 days, never more");
        Retention::default()
    });
    if !partitions.is_power_of_two() || *partitions > limits::PARTITIONS_MAX {
        faults.add("store.partitions", partitions, "a power of two, 1 to 1024");
    }
    if *deadline_ms < 10 {
        faults.add("store.deadline_ms", deadline_ms, "at least 10 ms");
    }
    if !mayfly_core::event::is_name(realm, 32) {
        faults.add("store.realm", realm, "a name of a-z 0-9 _ - . up to 32 bytes");
    }
    StoreConfig {
        url,
        retention,
        partitions: *partitions,
        realm: realm.as_str().into(),
        deadline: Duration::from_millis(*deadline_ms),
        create: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let variables = variables.iter().map(|&(n, v)| (n.to_owned(), v.to_owned()));
        Settings::load(&Flags::default(), variables)
    }

    #[test]
    fn the_defaults_are_good_and_the_environment_wins_over_them() {
        let settings = load(&[]).unwrap();
        assert_eq!(settings.store.retention.days(), 90);
        assert_eq!(settings.store.url, StoreUrl::File("./mayfly-data/store".into()));
        let settings = load(&[
            ("MAYFLY_STORE__URL", "redis://:secret@h:1"),
            ("MAYFLY_STORE__RETENTION_DAYS", "30"),
            ("MAYFLY_ADMIN_TOKEN", "x"),
        ])
        .unwrap();
        assert_eq!(settings.store.retention.days(), 30);
        let (shown, from) = &settings.sources["store.url"];
        assert!(!shown.contains("secret"), "{shown}");
        assert!(from.contains("environment"), "{from}");
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let error = load(&[
            ("MAYFLY_STORE__RETENTION_DAYS", "91"),
            ("MAYFLY_STORE__PARTITIONS", "12"),
            ("MAYFLY_COLLECTOR__ACK", "maybe"),
        ])
        .unwrap_err()
        .to_string();
        for part in ["store.retention_days", "store.partitions", "collector.ack", "never more"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = load(&[("MAYFLY_STORE__RETENTOIN", "3")]).unwrap_err().to_string();
        assert!(error.contains("retentoin"), "{error}");
    }
}
