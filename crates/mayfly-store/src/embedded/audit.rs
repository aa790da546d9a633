//! What is held, and for how long: health and audit.

use mayfly_core::{Day, Timestamp};

use super::expire::{RECORDS, is_day_over, is_over};
use super::keys::{self, Kind};
use super::keyspaces::engine;
use super::{EmbeddedStore, Readers};
use crate::{Audit, Finding, Health, Result};

impl EmbeddedStore {
    /// See [`crate::Store::health`].
    ///
    /// # Errors
    /// [`crate::StoreError::Poisoned`] once a write failed.
    pub async fn health(&self, _now: Timestamp) -> Result<Health> {
        let bytes = self.read(|readers| readers.keyspaces.db.disk_space().map_err(engine)).await?;
        Ok(Health { bytes, ..Health::default() })
    }

    /// See [`crate::Store::audit`].
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`].
    pub async fn audit(&self, now: Timestamp) -> Result<Audit> {
        let today = now.day().unwrap_or_default();
        self.read(move |readers| {
            let mut audit = Audit::default();
            // Random bytes, while a purge is under way.
            let names = readers.keyspaces.names().into_iter();
            for name in names.filter(|name| name != keys::SCRATCH) {
                match keys::parse(&name) {
                    Some((kind, day)) => readers.audit_day(&mut audit, &name, kind, day, today),
                    None => readers.audit_records(&mut audit, &name, today)?,
                }
            }
            Ok(audit)
        })
        .await
    }
}

impl Readers {
    fn audit_day(&self, audit: &mut Audit, name: &str, kind: Kind, day: Day, today: Day) {
        *audit.seen.entry(kind.label()).or_default() += 1;
        if kind != Kind::HitIds {
            audit.oldest = Some(audit.oldest.map_or(day, |oldest| oldest.min(day)));
        }
        if is_day_over(kind, day, self.shared.retention, today) {
            audit.findings.push(Finding::LivesTooLong(name.into()));
        }
    }

    /// Every record of a keyspace that is not of a day.
    fn audit_records(&self, audit: &mut Audit, name: &str, today: Day) -> Result<()> {
        let Some(fixed) = keys::FIXED.into_iter().find(|fixed| *fixed == name) else {
            audit.findings.push(Finding::Unknown(name.into()));
            return Ok(());
        };
        let mut over = false;
        for item in self.keyspaces.make(fixed)?.iter() {
            let value = item.value().map_err(engine)?;
            *audit.seen.entry(fixed).or_default() += 1;
            over = over
                || RECORDS.contains(&fixed)
                    && is_over(fixed, &value, self.shared.retention, today)?;
        }
        if over {
            audit.findings.push(Finding::LivesTooLong(name.into()));
        }
        Ok(())
    }
}
