//! The catalog: versions of each entry, all kept.

use mayfly_core::Timestamp;
use redis::Value;

use super::conn::{Command, Load};
use super::{RedisStore, damaged, keys, scripts};
use crate::codec::records;
use crate::{CatalogName, CatalogVersion, Result, StoreError};

impl RedisStore {
    /// See [`crate::Store::catalog`].
    pub async fn catalog(&self, name: CatalogName) -> Result<Option<CatalogVersion>> {
        match self.current(name).await? {
            0 => Ok(None),
            version => self.version(name, version).await.map(Some),
        }
    }

    /// See [`crate::Store::catalog_history`]. One version a round trip: each may be large.
    pub async fn catalog_history(&self, name: CatalogName) -> Result<Vec<CatalogVersion>> {
        let mut all = Vec::new();
        for version in 1..=self.current(name).await? {
            all.push(self.version(name, version).await?);
        }
        Ok(all)
    }

    /// See [`crate::Store::write_catalog`].
    pub async fn write_catalog(
        &self,
        name: CatalogName,
        expected: u64,
        bytes: Vec<u8>,
        by: &str,
        now: Timestamp,
    ) -> Result<u64> {
        let version = expected.saturating_add(1);
        let record =
            records::encode_catalog(&CatalogVersion { version, at: now, by: by.into(), bytes });
        let write = scripts::WRITE_CATALOG.on(&[keys::identity(), keys::entry(name)]);
        let write = write.text(&self.store_id()).number(expected).number(version).bytes(&record);
        let answer: Vec<i64> = self.conn().one(write).await?;
        match answer[..] {
            [0] => Ok(version),
            [1, current] => {
                let current = u64::try_from(current).map_err(|_| damaged())?;
                Err(StoreError::Conflict { expected, current })
            }
            _ => Err(self.gone()),
        }
    }

    async fn current(&self, name: CatalogName) -> Result<u64> {
        let get = Command::new("HGET", &keys::entry(name)).text("v");
        let current: Option<u64> = self.conn().one(get).await?;
        Ok(current.unwrap_or_default())
    }

    async fn version(&self, name: CatalogName, version: u64) -> Result<CatalogVersion> {
        let get = vec![Command::new("HGET", &keys::entry(name)).number(version)];
        let value = self.conn().run(get, Load::Big).await?.pop().unwrap_or(Value::Nil);
        let bytes: Option<Vec<u8>> = self.conn().read(value)?;
        records::decode_catalog(version, &bytes.ok_or_else(damaged)?)
    }
}
