//! Foreign ids: whom they stand for, first come first served.

use mayfly_core::{Day, Timestamp, Visitor};
use serde::{Deserialize, Serialize};

use super::keyspaces::engine;
use super::{EmbeddedStore, Tx, keys};
use crate::codec::{row_from_bytes, row_to_bytes};
use crate::error::Corruption;
use crate::{Claim, ForeignId, Result};

/// Partition, ordinal, the last day on which the id is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct IdRow(u16, u32, pub(super) u16);

impl IdRow {
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        row_from_bytes(bytes, Corruption::Record)
    }

    pub(super) const fn visitor(&self) -> Visitor {
        Visitor { partition: mayfly_core::Partition(self.0), ordinal: self.1 }
    }
}

/// The last day on which one of a visitor's foreign ids is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct NameRow(pub(super) u16);

impl NameRow {
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        row_from_bytes(bytes, Corruption::Record)
    }
}

impl EmbeddedStore {
    /// See [`crate::Store::lookup_ids`].
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`].
    pub async fn lookup_ids(&self, ids: &[ForeignId]) -> Result<Vec<Option<Visitor>>> {
        let keys: Vec<Vec<u8>> = ids.iter().map(keys::foreign).collect();
        self.read(move |readers| {
            let ids = readers.keyspaces.make(keys::IDS)?;
            let one = |key: Vec<u8>| {
                let Some(row) = ids.get(key).map_err(engine)? else { return Ok(None) };
                let visitor = IdRow::read(&row)?.visitor();
                Ok((!readers.shared.is_erased(visitor)).then_some(visitor))
            };
            keys.into_iter().map(one).collect()
        })
        .await
    }

    /// See [`crate::Store::claim_ids`]. An id is kept to the end of the day of `until`.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`].
    pub async fn claim_ids(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Visitor>> {
        let claims = claims.to_vec();
        let today = now.day().unwrap_or_default();
        self.write(move |tx| claims.iter().map(|claim| take(tx, claim, today)).collect()).await
    }
}

fn take(tx: &mut Tx<'_>, claim: &Claim, today: Day) -> Result<Visitor> {
    let ids = tx.keyspaces.make(keys::IDS)?;
    let key = keys::foreign(&claim.id);
    let until = claim.until.day().unwrap_or(today);
    let held = match tx.get(&ids, &key)? {
        Some(row) => Some(IdRow::read(&row)?),
        None => None,
    };
    let held = held.filter(|row| row.2 >= today.0 && !tx.shared.is_erased(row.visitor()));
    // Who it stood for keeps its name; erasing him finds that it is his no more.
    let held = held.filter(|row| !claim.takes_over || row.visitor() == claim.visitor);
    let visitor = match held {
        Some(row) if row.2 >= until.0 => return Ok(row.visitor()),
        Some(row) => row.visitor(),
        None => claim.visitor,
    };
    tx.put(&ids, key, row_to_bytes(&IdRow(visitor.partition.0, visitor.ordinal, until.0)));
    let names = tx.keyspaces.make(keys::NAMES)?;
    tx.put(&names, keys::name(visitor, &claim.id), row_to_bytes(&NameRow(until.0)));
    Ok(visitor)
}
