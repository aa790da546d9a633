//! Rows of the ledger, as JSON.

use mayfly_segments::DestinationId;
use mayfly_store::{LedgerRow, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a row of the ledger.
pub(crate) async fn read<T: DeserializeOwned>(
    store: &mayfly_store::Store,
    id: DestinationId,
    number: u64,
) -> Result<Option<T>, StoreError> {
    let rows = store.ledger(id.0, number + 1, 1).await?;
    let found = rows.into_iter().find(|row| row.number == number);
    let what = mayfly_store::Corruption::Record;
    let read = |row: LedgerRow| serde_json::from_slice(&row.bytes);
    found.map(read).transpose().map_err(|_| StoreError::Corrupt { what })
}

/// Writes a row of the ledger.
pub(crate) async fn write<T: Serialize>(
    store: &mayfly_store::Store,
    id: DestinationId,
    number: u64,
    row: &T,
) -> Result<(), StoreError> {
    let what = mayfly_store::Corruption::Record;
    let bytes = serde_json::to_vec(row).map_err(|_| StoreError::Corrupt { what })?;
    store.write_ledger(id.0, &LedgerRow { number, bytes }).await
}
