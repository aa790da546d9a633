//! The bytes of hits and cells by themselves, without a store: for benches.

use std::collections::BTreeSet;

use mayfly_core::{CategoryId, Day, DayCells, Hit, Partition};

use crate::Result;
use crate::codec::{cells, hits};
use crate::error::Corruption;

/// An entry of the log, or a sealed block: hits of one partition and day, in this order.
#[must_use]
pub fn of_hits(hits: &[&Hit]) -> Vec<u8> {
    hits::encode(hits)
}

/// Reads [`of_hits`].
///
/// # Errors
/// [`crate::StoreError::Corrupt`].
pub fn hits_of(bytes: &[u8], partition: Partition, day: Day) -> Result<Vec<Hit>> {
    hits::decode(bytes, partition, day, Corruption::Entry)
}

/// The number of bytes of a day's cells, without the names of their fields.
#[must_use]
pub fn of_cells(day: &DayCells) -> usize {
    let all: BTreeSet<CategoryId> = day.keys().map(|id| id.category).collect();
    let fields = cells::encode(day, &all);
    fields.iter().filter_map(|(_, bytes)| bytes.as_ref()).map(Vec::len).sum()
}
