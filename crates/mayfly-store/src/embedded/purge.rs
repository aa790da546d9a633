//! Purging: what was removed leaves the files, too.
//!
//! The engine keeps a removed value's bytes in older tables until they are merged, and in its
//! journal until that is replaced. Jobs that remove behaviour note the keyspace as *owed* in the
//! same step; a purge merges those and has the journal replaced.

use std::collections::BTreeMap;

use fjall::Keyspace;
use serde::{Deserialize, Serialize};

use super::keyspaces::{Keyspaces, engine, files};
use super::{EmbeddedStore, Tx, keys};
use crate::Result;
use crate::codec::{row_from_bytes, row_to_bytes};
use crate::error::Corruption;

/// The engine replaces its journal when more than this stands in it, and only then.
const JOURNAL_FULL_BYTES: usize = 64_000_000;
/// Written at once into the journal to fill it.
const FILLER_BYTES: usize = 1 << 20;

/// Names of keyspaces, each with the number of times it was noted.
#[derive(Serialize, Deserialize, Default)]
struct OwedRow((BTreeMap<String, u64>,));

fn owed(tx: &Tx<'_>) -> Result<BTreeMap<String, u64>> {
    match tx.get(&tx.keyspaces.make(keys::META)?, keys::OWED)? {
        Some(bytes) => row_from_bytes(&bytes, Corruption::Record).map(|OwedRow((owed,))| owed),
        None => Ok(BTreeMap::new()),
    }
}

fn set_owed(tx: &mut Tx<'_>, owed: BTreeMap<String, u64>) -> Result<()> {
    let meta = tx.keyspaces.make(keys::META)?;
    tx.put(&meta, keys::OWED.to_vec(), row_to_bytes(&OwedRow((owed,))));
    Ok(())
}

/// Notes that bytes were removed from these keyspaces, or with them.
pub(super) fn owe(tx: &mut Tx<'_>, names: &[impl AsRef<str>]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut owed = owed(tx)?;
    for name in names {
        *owed.entry(name.as_ref().to_owned()).or_default() += 1;
    }
    set_owed(tx, owed)
}

impl EmbeddedStore {
    /// See [`crate::Store::purge`]. Writes 64 MB when anything is owed.
    ///
    /// # Errors
    /// [`crate::StoreError::Files`], [`crate::StoreError::Engine`].
    pub async fn purge(&self) -> Result<()> {
        let before = self.write(|tx| owed(tx)).await?;
        if before.is_empty() {
            return Ok(());
        }
        let scratch = self.write(|tx| tx.keyspaces.make(keys::SCRATCH)).await?;
        let names: Vec<String> = before.keys().cloned().collect();
        self.read(move |readers| {
            replace_journal(&readers.keyspaces, &scratch)?;
            merge(&readers.keyspaces, &names)?;
            tidy(&scratch)
        })
        .await?;
        self.write_alone(move |tx| {
            let mut owed = owed(tx)?;
            owed.retain(|name, times| before.get(name) != Some(times));
            set_owed(tx, owed)?;
            tx.drop_keyspace(keys::SCRATCH.to_owned());
            Ok(())
        })
        .await
    }
}

/// Fills the journal until the engine begins another, then writes every keyspace to files of its
/// own: that is when the engine lets the full one go.
fn replace_journal(keyspaces: &Keyspaces, scratch: &Keyspace) -> Result<()> {
    let mut filler = vec![0; FILLER_BYTES];
    for n in 0..=JOURNAL_FULL_BYTES / FILLER_BYTES {
        getrandom::fill(&mut filler).map_err(|e| files(e.into()))?;
        scratch.insert(n.to_be_bytes(), &filler[..]).map_err(engine)?;
    }
    scratch.rotate_memtable_and_wait().map_err(engine)?;
    for name in keyspaces.names() {
        if let Some(keyspace) = keyspaces.get(&name) {
            keyspace.rotate_memtable_and_wait().map_err(engine)?;
        }
    }
    tidy(scratch)
}

/// The engine removes journals and merged tables that nothing needs any more when some keyspace
/// is written out, and only those from before: hence twice.
fn tidy(scratch: &Keyspace) -> Result<()> {
    for _ in 0..2 {
        scratch.insert("tidy", "").map_err(engine)?;
        scratch.rotate_memtable_and_wait().map_err(engine)?;
    }
    Ok(())
}

/// Merges all tables of each keyspace into one level: removed values are left behind.
fn merge(keyspaces: &Keyspaces, names: &[String]) -> Result<()> {
    for keyspace in names.iter().filter_map(|name| keyspaces.get(name)) {
        keyspace.major_compact().map_err(engine)?;
    }
    Ok(())
}
