//! The servers behind the store: whether they may be used, how they are, whether they changed.

use std::sync::PoisonError;

use mayfly_core::{Partition, Timestamp};

use super::conn::{Command, Conn, Load};
use super::{RedisStore, keys};
use crate::{Health, Result, StoreError, Warning};

/// The oldest major version that has `EXPIREAT … GT`, `EXPIRETIME` and `SET … NX GET`.
const VERSION_MIN: u32 = 7;
/// Beyond this the clocks are said to differ, milliseconds.
const SKEW_MS: i64 = 2000;

/// The primaries as last seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    generation: u64,
    /// Their `run_id`s, sorted.
    runs: Vec<Box<str>>,
}

/// One primary's `INFO`.
struct Info {
    address: Box<str>,
    text: String,
}

impl Info {
    fn get(&self, field: &str) -> Option<&str> {
        self.text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .map(str::trim_end)
    }

    fn number(&self, field: &str) -> u64 {
        self.get(field).and_then(|n| n.parse().ok()).unwrap_or_default()
    }
}

async fn info(conn: &Conn) -> Result<Vec<Info>> {
    let mut all = Vec::new();
    for (address, value) in conn.primaries(&Command::routed("INFO", "")).await? {
        all.push(Info { address, text: conn.read(value)? });
    }
    Ok(all)
}

fn runs(infos: &[Info]) -> Vec<Box<str>> {
    let mut runs: Vec<Box<str>> =
        infos.iter().filter_map(|info| info.get("run_id")).map(Into::into).collect();
    runs.sort();
    runs
}

/// Refuses servers that cannot hold a store: too old, replicas, and those that evict keys.
pub(super) async fn check(conn: &Conn) -> Result<Seen> {
    let infos = info(conn).await?;
    for info in &infos {
        let place = info.address.clone();
        let version = info.get("redis_version").unwrap_or_default();
        let major = version.split('.').next().and_then(|n| n.parse::<u32>().ok());
        if major.is_none_or(|major| major < VERSION_MIN) {
            return Err(StoreError::Outdated { place, found: version.into() });
        }
        if info.get("cluster_enabled") == Some("1") && !conn.is_cluster() {
            return Err(StoreError::ClusterNode { place });
        }
        if info.get("role") != Some("master") {
            return Err(StoreError::Replica { place });
        }
        let policy = info.get("maxmemory_policy").unwrap_or_default();
        if policy != "noeviction" {
            return Err(StoreError::Evicting { place, policy: policy.into() });
        }
    }
    Ok(Seen { generation: 0, runs: runs(&infos) })
}

impl RedisStore {
    /// See [`crate::Store::health`].
    pub async fn health(&self, now: Timestamp) -> Result<Health> {
        let infos = info(self.conn()).await?;
        self.follow_identity().await?;
        self.all_there().await?;
        let skew_ms = self.server_time().await?.millis().saturating_sub(now.millis());
        let sum = |field: &str| infos.iter().map(|info| info.number(field)).sum();
        let mut warnings = Vec::new();
        if infos.iter().any(|info| info.number("aof_enabled") == 0) {
            warnings.push(Warning::NotDurable);
        }
        if infos.iter().any(almost_full) {
            warnings.push(Warning::AlmostFull);
        }
        if skew_ms.abs() > SKEW_MS {
            warnings.push(Warning::ClockSkew);
        }
        let generation = self.generation(runs(&infos));
        Ok(Health { generation, skew_ms: Some(skew_ms), bytes: sum("used_memory"), warnings })
    }

    /// The clock of the server that has the catalog.
    pub(super) async fn server_time(&self) -> Result<Timestamp> {
        let time = Command::routed("TIME", &keys::identity());
        let (secs, micros): (i64, i64) = self.conn().one(time).await?;
        Ok(Timestamp::from_millis(secs.saturating_mul(1000).saturating_add(micros / 1000)))
    }

    /// Grows when the primaries are not those seen last.
    fn generation(&self, runs: Vec<Box<str>>) -> u64 {
        let mut seen = self.inner.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.runs != runs {
            // A resumed store sees them for the first time: that is no restart.
            seen.generation += u64::from(!seen.runs.is_empty());
            seen.runs = runs;
        }
        seen.generation
    }

    /// The identity and every partition's marker are still the opened store's.
    async fn all_there(&self) -> Result<()> {
        let identity = self.identity();
        let get = |key: String| Command::new("HGET", &key).text("store");
        let mut commands = vec![get(keys::identity())];
        commands.extend((0..identity.partitions).map(|p| get(self.keys().next(Partition(p)))));
        let expected = identity.store.to_string();
        for value in self.conn().run(commands, Load::Small).await? {
            let found: Option<String> = self.conn().read::<Option<String>>(value)?;
            if found.as_deref() != Some(expected.as_str()) {
                return Err(self.gone());
            }
        }
        Ok(())
    }
}

/// More than 80 % of `maxmemory` is used; without one there is no telling.
fn almost_full(info: &Info) -> bool {
    let (used, max) = (info.number("used_memory"), info.number("maxmemory"));
    max > 0 && used / 4 > max / 5
}
