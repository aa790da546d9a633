//! How the system is, for people and for the demo.

use std::collections::BTreeMap;

use mayfly_core::Outcome;
use mayfly_store::Warning;
use serde_json::{Value, json};

use super::App;
use crate::worker::Mode;

impl App {
    /// Hits received since the start, by outcome.
    #[must_use]
    pub fn hits_by_outcome(&self) -> BTreeMap<&'static str, u64> {
        Outcome::ALL.into_iter().map(|o| (o.label(), self.counts.hits(o))).collect()
    }

    /// What `mayfly status` prints.
    pub async fn status(&self) -> Value {
        let identity = self.store.identity();
        // Asked now where the store answers; else how it was when it last did.
        let health = match self.store.health(Self::now()).await {
            Ok(health) => health,
            Err(_) => self.health(),
        };
        let slots = self.slots();
        let visitors: u64 = slots.iter().filter_map(|s| s.read(|index| index.all().len())).sum();
        let oldest_fold = slots.iter().map(|s| s.as_of()).min().unwrap_or_default();
        let lag_s = Self::now().secs().saturating_sub(oldest_fold.secs());
        let owned = slots.iter().filter(|s| s.mode() == Mode::Owner).count();
        json!({
            "store": identity.store.to_string(),
            "place": self.settings.store.url.place(),
            "realm": identity.realm_name,
            "retention_days": self.settings.store.retention.days(),
            "partitions": identity.partitions,
            "owned": owned,
            "definitions": self.active().version(),
            "changing_days": slots.iter().map(|s| s.left()).sum::<usize>(),
            "visitors": visitors,
            "lag_s": lag_s,
            "spill_bytes": self.counts.spill_bytes(),
            "lost_hits": self.counts.lost_hits(),
            "store_bytes": health.bytes,
            "hits": self.hits_by_outcome(),
            "warnings": health.warnings.iter().map(|w| warning(*w)).collect::<Vec<_>>(),
        })
    }
}

/// What an operator should do.
fn warning(warning: Warning) -> &'static str {
    match warning {
        Warning::NotDurable => {
            "redis keeps nothing durable: run `redis-cli CONFIG SET appendonly yes`, and put it \
             into its configuration file"
        }
        Warning::ClockSkew => "the store server's clock is more than 2 s off: run NTP on both",
        Warning::AlmostFull => "more than 80 % of the store's memory or disk is used",
    }
}
