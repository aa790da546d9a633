//! Bytes at rest: how each value is written, on every backend. `docs/store-format.md` is the
//! reference for readers of the bytes.
//!
//! Every value starts with the version of its kind: [`VERSION`], or 2 for hits and consent states,
//! whose version 1 is read, too. Rows are written by `rmp-serde` positionally from structs that
//! live here (core types are not `Serialize`); [`hits`] and [`cells`], which are nearly all of the
//! bytes, pack their columns as varints.
//!
//! Constraints. Decoding takes any bytes: it answers [`StoreError::Corrupt`], never panics, and
//! allocates no more than a constant times its input (or the limit in `mayfly_core::limits`).
//! Equal values have equal bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Corruption, StoreError};

pub(crate) mod blocks;
pub(crate) mod cells;
#[cfg(test)]
mod fixtures;
pub(crate) mod hits;
pub(crate) mod records;
pub(crate) mod varint;

/// The version of most kinds of value, and the oldest that is read of any.
pub(crate) const VERSION: u8 = 1;

/// The error for damaged bytes of this kind.
pub(crate) const fn corrupt(what: Corruption) -> StoreError {
    StoreError::Corrupt { what }
}

/// Checks the version byte and answers what comes after it.
pub(crate) fn body(bytes: &[u8], what: Corruption) -> Result<&[u8], StoreError> {
    versioned(bytes, VERSION, what).map(|(_, body)| body)
}

/// The version byte, at most `newest`, and what comes after it.
pub(crate) fn versioned(
    bytes: &[u8],
    newest: u8,
    what: Corruption,
) -> Result<(u8, &[u8]), StoreError> {
    match bytes.split_first() {
        Some((&version, _)) if version > newest => Err(corrupt(Corruption::Version)),
        Some((&version, body)) if version >= VERSION => Ok((version, body)),
        Some(_) | None => Err(corrupt(what)),
    }
}

/// A row as version byte and positional MessagePack.
pub(crate) fn row_to_bytes<T: Serialize>(row: &T) -> Vec<u8> {
    versioned_row(VERSION, row)
}

/// The same, of this version.
pub(crate) fn versioned_row<T: Serialize>(version: u8, row: &T) -> Vec<u8> {
    let mut bytes = vec![version];
    #[expect(clippy::expect_used, reason = "rows hold only numbers, texts, bytes and lists")]
    rmp_serde::encode::write(&mut bytes, row).expect("writing a row to memory cannot fail");
    bytes
}

/// Reads a row back; every byte must belong to it.
pub(crate) fn row_from_bytes<T: DeserializeOwned>(
    bytes: &[u8],
    what: Corruption,
) -> Result<T, StoreError> {
    let (row, rest) = row_and_rest(bytes, what)?;
    if rest.is_empty() { Ok(row) } else { Err(corrupt(what)) }
}

/// Reads a row, and answers what stands behind it.
pub(crate) fn row_and_rest<T: DeserializeOwned>(
    bytes: &[u8],
    what: Corruption,
) -> Result<(T, &[u8]), StoreError> {
    take_row(body(bytes, what)?, what)
}

/// Reads a row that has no version byte in front (any more), and answers what stands behind it.
pub(crate) fn take_row<T: DeserializeOwned>(
    mut bytes: &[u8],
    what: Corruption,
) -> Result<(T, &[u8]), StoreError> {
    let row =
        T::deserialize(&mut rmp_serde::Deserializer::new(&mut bytes)).map_err(|_| corrupt(what))?;
    Ok((row, bytes))
}
