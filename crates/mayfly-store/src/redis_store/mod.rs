//! The store on Redis or Redis Cluster.
//!
//! `…` is `mf:{<realm>.<p>.<n>}`: all keys of partition p share one slot, p's 14 bits reversed
//! (`keys`). Every value is written by `codec` and begins with a version byte, but for counters,
//! ids and tokens, which stand as text. Atomic steps are the scripts of `scripts`.
//!
//! | key | type | holds | expires |
//! |---|---|---|---|
//! | `…:hits:<day>` | stream, automatic ids | entry = a batch's hits, field `h` | day + retention |
//! | `…:past:<day>` | hash | sealed: first ordinal → block; `g`, `i` below | day + retention |
//! | `…:past-aside:<day>:<lease>` | hash | blocks being built, renamed to the above | 1 h |
//! | `…:cells:<day>` | hash | `c` = cursor; chunk or `x<category>` → cells | day + retention |
//! | `…:lane:<id>` | string | last batch number taken through the lane | 91 d |
//! | `…:hitids:<day received>:<bucket>` | set | hashes of hit ids | end of the next day |
//! | `…:segments` | hash | segment id → membership | end of the day after as_of |
//! | `…:names:<10-day period>:<ordinal / 128>` | hash | ordinal → ids | period + retention |
//! | `…:matches:<first day of period>:<partner>:<ordinal / 128>` | hash | ordinal → id | first day + retention |
//! | `…:partners` | set | partners that have matches here | kept |
//! | `…:news:<partner>` | stream | what happened to matches, field `n` | 31 d after the last |
//! | `…:sent:<destination>` | hash | code → visitors by the day they are forgotten there | retention |
//! | `…:erased` | string | bitmap of erased ordinals | kept: it says nothing but "dead" |
//! | `…:next` | hash | the partition's marker, below | kept |
//! | `…:lease` | string | owner's token and address | when the lease runs out |
//! | `…:dirty` | hash | day → its newest entry | kept; fields go with their day |
//! | `mf:page:<key>` | string | page version | youngest day that uses it + retention |
//! | `mf:consent:<key>` | string | consent state | the same |
//! | `mf:ids:<space>:<hash>` | string | foreign id → visitor | as claimed, only prolonged |
//! | `mf:{catalog}:identity` | hash | `store` id, `record`, `ready` | kept |
//! | `mf:{catalog}:clock` | hash | how far `expire` has been asked | kept |
//! | `mf:{catalog}:entry:<name>` | hash | version → record; `v` = the current one | kept |
//! | `mf:{catalog}:ledger:<destination>` | hash | number → counts of a delivery | kept: the newest 1,000 |
//!
//! A day or period expires by the midnight at which it begins. `past`: `g` = generation, one more
//! with each sealing; `i` = the first ordinals of all blocks. `names`: the foreign ids claimed in
//! the period. `next`: `store` id, `next` ordinal and the `run` id of the server that issued the
//! last, `erased` = version of the bitmap.
//!
//! Constraints. No HGETALL of a day; big values go over a connection of their own, at most
//! [`mayfly_core::limits::READ_BYTES`] a call. Every script that writes to a partition compares
//! the store's id with the marker: an emptied or replaced server answers [`StoreError::Gone`],
//! and nothing is made anew by a running process. Each round trip has [`StoreConfig::deadline`].

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use mayfly_core::{Partition, PartnerId, Retention, Timestamp};
use redis::Value;
use roaring::RoaringBitmap;

use crate::codec::records;
use crate::error::Corruption;
use crate::{Identity, Result, StoreConfig, StoreError};

mod care;
mod catalog;
mod cluster;
mod conn;
mod delivered;
mod identity;
mod intake;
mod keys;
mod link;
mod matches;
mod people;
mod read;
mod scripts;
mod server;
mod values;
mod worker;

use conn::{Command, Conn, Load};
use keys::Keys;

/// The store on Redis or Redis Cluster; cheap to clone.
#[derive(Clone, Debug)]
pub struct RedisStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    conn: Conn,
    keys: Keys,
    retention: Retention,
    identity: Mutex<Identity>,
    /// Erased ordinals as last read, with the version of the bitmap.
    erased: Mutex<HashMap<Partition, (u64, Arc<RoaringBitmap>)>>,
    servers: Mutex<server::Seen>,
    /// The partners of whose matches news are kept.
    told: RwLock<BTreeSet<PartnerId>>,
}

impl RedisStore {
    /// See [`crate::Store::open`].
    pub async fn open(config: &StoreConfig, now: Timestamp) -> Result<Self> {
        let conn = Conn::new(&config.url, config.deadline)?;
        let seen = server::check(&conn).await?;
        let identity = identity::open(&conn, config, now).await?;
        Ok(Self::of(conn, config, identity, seen))
    }

    /// See [`crate::Store::resume`].
    #[must_use]
    pub fn resume(config: &StoreConfig, identity: Identity) -> Option<Self> {
        let conn = Conn::new(&config.url, config.deadline).ok()?;
        Some(Self::of(conn, config, identity, server::Seen::default()))
    }

    fn of(conn: Conn, config: &StoreConfig, identity: Identity, seen: server::Seen) -> Self {
        let inner = Inner {
            conn,
            keys: Keys::new(identity.realm),
            retention: config.retention,
            identity: Mutex::new(identity),
            erased: Mutex::new(HashMap::new()),
            servers: Mutex::new(seen),
            told: RwLock::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// See [`crate::Store::identity`].
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.inner.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// See [`crate::Store::close`]. Nothing is buffered here; the connections go with the last
    /// clone.
    #[expect(clippy::unused_async, reason = "the embedded store writes out")]
    pub async fn close(&self) -> Result<()> {
        Ok(())
    }

    fn conn(&self) -> &Conn {
        &self.inner.conn
    }

    fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// The store's id as scripts compare it.
    fn store_id(&self) -> String {
        self.identity().store.to_string()
    }

    fn gone(&self) -> StoreError {
        StoreError::Gone { expected: self.identity().store }
    }

    /// Reads the marker of a partition; sent after the reads whose answer [`Self::living`] judges.
    fn marker(&self, p: Partition) -> Command {
        Command::new("HMGET", &self.keys().next(p)).text("store").text("erased")
    }

    /// The erased ordinals of a partition, given its marker. What was acknowledged as erased
    /// before the marker was read is among them.
    async fn living(&self, p: Partition, marker: Value) -> Result<Arc<RoaringBitmap>> {
        let (store, version): (Option<String>, Option<u64>) = self.conn().read(marker)?;
        if store != Some(self.store_id()) {
            return Err(self.gone());
        }
        let version = version.unwrap_or_default();
        let cache = &self.inner.erased;
        let cached = cache.lock().unwrap_or_else(PoisonError::into_inner).get(&p).cloned();
        if let Some((_, bitmap)) = cached.filter(|(at, _)| *at == version) {
            return Ok(bitmap);
        }
        let get = vec![Command::new("GET", &self.keys().erased(p))];
        let value = self.conn().run(get, Load::Big).await?.pop().unwrap_or(Value::Nil);
        let bitmap = match self.conn().read::<Option<Vec<u8>>>(value)? {
            Some(bytes) => records::decode_bitmap(&bytes)?,
            None => RoaringBitmap::new(),
        };
        let bitmap = Arc::new(bitmap);
        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(p, (version, bitmap.clone()));
        Ok(bitmap)
    }
}

/// The error for a small record that cannot be read.
const fn damaged() -> StoreError {
    StoreError::Corrupt { what: Corruption::Record }
}

/// Random bits of the system's generator: ids, tokens, the seed.
fn random() -> Result<u64> {
    getrandom::u64().map_err(|e| StoreError::Files {
        source: e
            .raw_os_error()
            .map_or_else(|| std::io::ErrorKind::Other.into(), std::io::Error::from_raw_os_error),
    })
}

#[cfg(test)]
mod tests;
