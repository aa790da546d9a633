//! Ordinals are leased, partitions are owned, visitors are erased.

use std::collections::BTreeMap;
use std::ops::Range;

use mayfly_core::{Ordinal, Partition, PartnerId, Timestamp, Visitor};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::ids::IdRow;
use super::keyspaces::{engine, files};
use super::state::{HeldLease, block_end};
use super::{EmbeddedStore, Tx, delivered, keys};
use crate::Result;
use crate::codec::{records, row_from_bytes, row_to_bytes};
use crate::day::{Lease, Leased};
use crate::delivered::MatchNews;
use crate::error::{Corruption, StoreError};

/// The next ordinal to issue.
#[derive(Serialize, Deserialize)]
struct NextRow((u32,));

impl EmbeddedStore {
    /// See [`crate::Store::lease_ordinals`]. Every block is on disk before it is given out, so
    /// the counter never has to jump.
    ///
    /// # Errors
    /// [`StoreError::OrdinalsUsedUp`].
    pub async fn lease_ordinals(
        &self,
        partition: Partition,
        above: Ordinal,
    ) -> Result<Range<Ordinal>> {
        self.write(move |tx| {
            let visitors = tx.keyspaces.make(keys::VISITORS)?;
            let key = keys::next_ordinal(partition);
            let next = match tx.get(&visitors, &key)? {
                Some(row) => row_from_bytes::<NextRow>(&row, Corruption::Record)?.0.0,
                None => 1,
            };
            let start = next.max(above).max(1);
            let end = block_end(start).ok_or(StoreError::OrdinalsUsedUp { partition })?;
            tx.put(&visitors, key, row_to_bytes(&NextRow((end,))));
            Ok(start..end)
        })
        .await
    }

    /// See [`crate::Store::lease`].
    ///
    /// # Errors
    /// None of its own.
    pub async fn lease(
        &self,
        partition: Partition,
        held: Option<&Lease>,
        address: &str,
        seconds: u32,
        now: Timestamp,
    ) -> Result<Leased> {
        let held = held.map(|lease| lease.token);
        let address: Box<str> = address.into();
        let fresh = getrandom::u64().map_err(|e| files(e.into()))?;
        self.write(move |tx| {
            let leases = &mut tx.state.leases;
            let token = match leases.get(&partition) {
                Some(owner) if held == Some(owner.token) => owner.token,
                Some(owner) if now < owner.until => {
                    return Ok(Leased::Held { address: owner.address.clone() });
                }
                Some(_) | None => fresh,
            };
            let until = now.plus_secs(i64::from(seconds));
            leases.insert(partition, HeldLease { token, address, until });
            Ok(Leased::Granted(Lease { partition, token }))
        })
        .await
    }

    /// See [`crate::Store::release`].
    ///
    /// # Errors
    /// None of its own.
    pub async fn release(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.write(move |tx| {
            if tx.state.holds(&lease).is_ok() {
                tx.state.leases.remove(&lease.partition);
            }
            Ok(())
        })
        .await
    }

    /// See [`crate::Store::erase`].
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn erase(&self, visitors: &[Visitor], now: Timestamp) -> Result<()> {
        let mut by_partition: BTreeMap<Partition, RoaringBitmap> = BTreeMap::new();
        for visitor in visitors {
            by_partition.entry(visitor.partition).or_default().insert(visitor.ordinal);
        }
        self.write_alone(move |tx| {
            let forgotten = foreign_ids(tx, &by_partition)?;
            let ids = tx.keyspaces.make(keys::IDS)?;
            let names = tx.keyspaces.make(keys::NAMES)?;
            for forgotten in forgotten {
                tx.remove(&names, forgotten.name);
                if let Some(id) = forgotten.id {
                    tx.remove(&ids, id);
                }
            }
            let matches = tx.keyspaces.make(keys::MATCHES)?;
            for (place, key, news) in matches_of(tx, &by_partition)? {
                delivered::note(tx, place, &news, now)?;
                tx.remove(&matches, key);
            }
            let keyspace = tx.keyspaces.make(keys::VISITORS)?;
            for (partition, new) in by_partition {
                let erased = &*tx.shared.erased(partition) | new;
                let bytes = records::encode_bitmap(&erased);
                tx.put(&keyspace, keys::erased(partition), bytes);
                tx.after(move |shared| shared.set_erased(partition, erased));
            }
            super::purge::owe(tx, &[keys::IDS, keys::NAMES, keys::MATCHES])
        })
        .await
    }

    /// See [`crate::Store::erased`].
    ///
    /// # Errors
    /// None of its own.
    #[expect(clippy::unused_async, reason = "the other backend has to wait")]
    pub async fn erased(&self, partition: Partition) -> Result<RoaringBitmap> {
        Ok((*self.shared.erased(partition)).clone())
    }
}

/// Keys of one foreign id of an erased visitor.
struct ToForget {
    /// In `names`.
    name: Vec<u8>,
    /// In `ids`, unless it stands for another visitor by now.
    id: Option<Vec<u8>>,
}

/// A match that goes: where it is told, its key, what is told.
type Going = ((Partition, PartnerId), Vec<u8>, MatchNews);

/// These visitors' matches.
fn matches_of(tx: &Tx<'_>, visitors: &BTreeMap<Partition, RoaringBitmap>) -> Result<Vec<Going>> {
    let matches = tx.keyspaces.make(keys::MATCHES)?;
    let mut found = Vec::new();
    for (&partition, ordinals) in visitors {
        for ordinal in ordinals {
            for item in matches.prefix(keys::visitor(Visitor { partition, ordinal })) {
                let (key, value) = item.into_inner().map_err(engine)?;
                let partner = keys::partner_of(&key).unwrap_or(PartnerId(0));
                let gone = MatchNews::Gone(records::decode_match(&value)?.uid);
                found.push(((partition, partner), key.to_vec(), gone));
            }
        }
    }
    Ok(found)
}

/// The foreign ids of these visitors.
fn foreign_ids(
    tx: &Tx<'_>,
    visitors: &BTreeMap<Partition, RoaringBitmap>,
) -> Result<Vec<ToForget>> {
    let ids = tx.keyspaces.make(keys::IDS)?;
    let names = tx.keyspaces.make(keys::NAMES)?;
    let mut found = Vec::new();
    for (&partition, ordinals) in visitors {
        for ordinal in ordinals {
            let visitor = Visitor { partition, ordinal };
            for item in names.prefix(keys::visitor(visitor)) {
                let name = item.key().map_err(engine)?;
                let id = keys::foreign_of_name(&name).unwrap_or_default().to_vec();
                let owner = match ids.get(&id).map_err(engine)? {
                    Some(row) => Some(IdRow::read(&row)?.visitor()),
                    None => None,
                };
                let id = (owner == Some(visitor)).then_some(id);
                found.push(ToForget { name: name.to_vec(), id });
            }
        }
    }
    Ok(found)
}
