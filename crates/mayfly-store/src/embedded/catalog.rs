//! The catalog and the store's own settings: versioned, history kept.

use mayfly_core::{Timestamp, limits};
use serde::{Deserialize, Serialize};

use super::keyspaces::engine;
use super::{EmbeddedStore, keys};
use crate::Result;
use crate::catalog::{CatalogName, CatalogVersion};
use crate::codec::{corrupt, records, row_from_bytes, row_to_bytes};
use crate::error::{Corruption, StoreError};

/// The current version's number.
#[derive(Serialize, Deserialize)]
struct CurrentRow((u64,));

fn current(bytes: Option<fjall::Slice>) -> Result<u64> {
    match bytes {
        Some(bytes) => {
            row_from_bytes(&bytes, Corruption::Catalog).map(|CurrentRow((version,))| version)
        }
        None => Ok(0),
    }
}

impl EmbeddedStore {
    /// See [`crate::Store::catalog`].
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn catalog(&self, name: CatalogName) -> Result<Option<CatalogVersion>> {
        self.read(move |readers| {
            let catalog = readers.keyspaces.make(keys::CATALOG)?;
            let version = current(catalog.get(keys::catalog_current(name)).map_err(engine)?)?;
            let bytes = catalog.get(keys::catalog_version(name, version)).map_err(engine)?;
            bytes.map(|bytes| records::decode_catalog(version, &bytes)).transpose()
        })
        .await
    }

    /// See [`crate::Store::catalog_history`].
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn catalog_history(&self, name: CatalogName) -> Result<Vec<CatalogVersion>> {
        self.read(move |readers| {
            let catalog = readers.keyspaces.make(keys::CATALOG)?;
            let mut versions = Vec::new();
            for item in catalog.prefix(keys::catalog_versions(name)) {
                let (key, bytes) = item.into_inner().map_err(engine)?;
                let version = keys::version_of(&key).ok_or_else(|| corrupt(Corruption::Catalog))?;
                versions.push(records::decode_catalog(version, &bytes)?);
            }
            Ok(versions)
        })
        .await
    }

    /// See [`crate::Store::write_catalog`].
    ///
    /// # Errors
    /// [`StoreError::Conflict`].
    pub async fn write_catalog(
        &self,
        name: CatalogName,
        expected: u64,
        bytes: Vec<u8>,
        by: &str,
        now: Timestamp,
    ) -> Result<u64> {
        let entry = CatalogVersion { version: expected + 1, at: now, by: by.into(), bytes };
        self.write(move |tx| {
            let catalog = tx.keyspaces.make(keys::CATALOG)?;
            let current = current(tx.get(&catalog, &keys::catalog_current(name))?)?;
            if current != expected {
                return Err(StoreError::Conflict { expected, current });
            }
            let key = keys::catalog_version(name, entry.version);
            tx.put(&catalog, key, records::encode_catalog(&entry));
            let current = row_to_bytes(&CurrentRow((entry.version,)));
            tx.put(&catalog, keys::catalog_current(name), current);
            Ok(entry.version)
        })
        .await
    }

    /// See [`crate::Store::raise_partitions`].
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not a raise.
    pub async fn raise_partitions(&self, partitions: u16) -> Result<()> {
        self.write(move |tx| {
            let mut identity = tx.shared.identity();
            let possible = partitions.is_power_of_two() && partitions <= limits::PARTITIONS_MAX;
            if !possible || partitions <= identity.partitions {
                let (expected, current) = (u64::from(partitions), u64::from(identity.partitions));
                return Err(StoreError::Conflict { expected, current });
            }
            identity.partitions = partitions;
            let catalog = tx.keyspaces.make(keys::CATALOG)?;
            tx.put(&catalog, keys::IDENTITY.to_vec(), records::encode_identity(&identity));
            tx.after(move |shared| shared.set_partitions(partitions));
            Ok(())
        })
        .await
    }
}
