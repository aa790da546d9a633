//! What the store is: made once, then only its number of partitions grows.

use std::collections::HashMap;
use std::sync::PoisonError;

use mayfly_core::{Partition, RealmId, StoreId, Timestamp};
use redis::Value;

use super::conn::{Command, Conn, Load};
use super::keys::{self, Keys};
use super::{RedisStore, damaged, scripts};
use crate::codec::{self, records};
use crate::{Identity, Result, StoreConfig, StoreError};

/// Reads what the store is, or makes it. A store is ready once every partition has its marker;
/// one whose maker died before is finished here. Later a missing marker means lost data.
pub(super) async fn open(conn: &Conn, config: &StoreConfig, now: Timestamp) -> Result<Identity> {
    let key = keys::identity();
    let mut fields: HashMap<String, Vec<u8>> = conn.one(Command::new("HGETALL", &key)).await?;
    if fields.is_empty() {
        if !config.create {
            return Err(StoreError::Missing { place: conn.place() });
        }
        let new = new_identity(config, now)?;
        let create = scripts::CREATE.on(std::slice::from_ref(&key));
        let create = create.text("store").text(&new.store.to_string());
        let create = create.text("record").bytes(&records::encode_identity(&new));
        fields = conn.one(create).await?;
    }
    let identity = read(conn, fields.get("record").ok_or_else(damaged)?)?;
    if *identity.realm_name != *config.realm {
        return Err(StoreError::OtherRealm {
            place: conn.place(),
            found: identity.realm_name,
            expected: config.realm.clone(),
        });
    }
    if !fields.contains_key("ready") {
        let keys = Keys::new(identity.realm);
        mark(conn, &keys, identity.store, 0..identity.partitions).await?;
        let ready = Command::new("HSET", &key).text("ready").text("1");
        conn.one::<Value>(ready).await?;
    }
    Ok(identity)
}

fn read(conn: &Conn, record: &[u8]) -> Result<Identity> {
    match record.first() {
        Some(&found) if found > codec::VERSION => {
            Err(StoreError::Format { place: conn.place(), found, supported: codec::VERSION })
        }
        Some(_) | None => records::decode_identity(record),
    }
}

fn new_identity(config: &StoreConfig, now: Timestamp) -> Result<Identity> {
    Ok(Identity {
        store: StoreId(super::random()?),
        realm: RealmId(1),
        realm_name: config.realm.clone(),
        partitions: config.partitions,
        seed: super::random()?,
        created: now,
    })
}

/// Gives these partitions their markers.
async fn mark(
    conn: &Conn,
    keys: &Keys,
    store: StoreId,
    partitions: std::ops::Range<u16>,
) -> Result<()> {
    let marks = partitions
        .map(|p| scripts::MARK.on(&[keys.next(Partition(p))]).text(&store.to_string()))
        .collect();
    for answer in conn.run(marks, Load::Small).await? {
        if conn.read::<i64>(answer)? != 0 {
            return Err(StoreError::Gone { expected: store });
        }
    }
    Ok(())
}

impl RedisStore {
    /// Another process may have raised the number of partitions meanwhile.
    pub(super) async fn follow_identity(&self) -> Result<()> {
        let get = Command::new("HGET", &keys::identity()).text("record");
        let record: Option<Vec<u8>> = self.conn().one(get).await?;
        let found = read(self.conn(), &record.ok_or_else(|| self.gone())?)?;
        let mut own = self.inner.identity.lock().unwrap_or_else(PoisonError::into_inner);
        if found.store == own.store && found.partitions > own.partitions {
            own.partitions = found.partitions;
        }
        Ok(())
    }

    /// See [`crate::Store::raise_partitions`]. The new partitions get their markers first, so
    /// that nobody who reads the higher number meets one without.
    pub async fn raise_partitions(&self, partitions: u16) -> Result<()> {
        let key = keys::identity();
        let record: Option<Vec<u8>> =
            self.conn().one(Command::new("HGET", &key).text("record")).await?;
        let old = record.ok_or_else(|| self.gone())?;
        let mut identity = read(self.conn(), &old)?;
        if identity.store != self.identity().store {
            return Err(self.gone());
        }
        let (expected, current) = (u64::from(partitions), u64::from(identity.partitions));
        if !partitions.is_power_of_two()
            || partitions > mayfly_core::limits::PARTITIONS_MAX
            || expected <= current
        {
            return Err(StoreError::Conflict { expected, current });
        }
        mark(self.conn(), self.keys(), identity.store, identity.partitions..partitions).await?;
        identity.partitions = partitions;
        let raise = scripts::RAISE.on(&[key]);
        let raise = raise.bytes(&old).bytes(&records::encode_identity(&identity));
        if self.conn().one::<i64>(raise).await? != 0 {
            return Err(StoreError::Conflict { expected, current });
        }
        *self.inner.identity.lock().unwrap_or_else(PoisonError::into_inner) = identity;
        Ok(())
    }
}
