//! The settings as said, key by key as in the default file.

use serde::Deserialize;

/// The settings as said; unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    pub(super) data: String,
    pub(super) store: SaidStore,
    pub(super) http: SaidHttp,
    pub(super) collector: SaidCollector,
    pub(super) privacy: SaidPrivacy,
    pub(super) delivery: SaidDelivery,
    pub(super) worker: SaidWorker,
    pub(super) log: SaidLog,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidStore {
    pub(super) url: String,
    pub(super) retention_days: u16,
    pub(super) partitions: u16,
    pub(super) realm: String,
    pub(super) deadline_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidHttp {
    pub(super) public: String,
    pub(super) private: String,
    pub(super) prefix: String,
    pub(super) domain: String,
    pub(super) trusted_proxies: String,
    pub(super) address_requests_per_s: u32,
    pub(super) site_requests_per_s: u32,
    pub(super) tls_certificate: String,
    pub(super) tls_key: String,
    pub(super) workers: usize,
    pub(super) connections_max: usize,
    pub(super) stuck_s: u64,
    pub(super) shutdown_s: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidCollector {
    pub(super) ack: String,
    pub(super) placement: String,
    pub(super) cookie_prefix: String,
    pub(super) cookie_secure: bool,
    pub(super) hits_per_minute_max: u32,
    pub(super) token_hits_per_s: u32,
    pub(super) geo_file: String,
    pub(super) spill_bytes_max: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidPrivacy {
    pub(super) network_token: bool,
    pub(super) raw_export: bool,
    pub(super) controller: String,
    pub(super) contact: String,
    pub(super) withdrawal_grace_s: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidDelivery {
    pub(super) exports: String,
    pub(super) secrets: String,
    pub(super) allow_hosts: String,
    pub(super) ca_file: String,
    pub(super) timeout_s: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidWorker {
    pub(super) checkpoint_s: u64,
    pub(super) poll_ms: u64,
    pub(super) lease_s: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidLog {
    pub(super) level: String,
    pub(super) format: String,
}
