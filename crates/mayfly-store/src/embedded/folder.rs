//! The store's folder: is there a store, of which format, and may it be opened?
//!
//! Beside the engine's files stands `format`: the format's version byte and the store id as text.
//! It is written last when a store is made, so a folder without it is no store yet.

use std::io::{self, ErrorKind};
use std::path::Path;

use mayfly_core::{RealmId, StoreId, Timestamp};

use super::keys;
use super::keyspaces::{Keyspaces, engine, files};
use crate::catalog::Identity;
use crate::codec::{self, records};
use crate::config::StoreConfig;
use crate::error::{Corruption, StoreError};

/// The format of the folder that this program writes and reads.
const FORMAT: u8 = 1;
/// The file that names it.
const FORMAT_FILE: &str = "format";
/// Memory for blocks read from files.
const CACHE_BYTES: u64 = 64 << 20;
/// The engine's own bound on its journal; ours (see `writer`) is far below.
const JOURNAL_BYTES: u64 = 256 << 20;

/// Opens the engine in the folder, making a store where there is none if that is allowed.
pub(super) fn open(
    path: &Path,
    config: &StoreConfig,
    now: Timestamp,
) -> Result<(Keyspaces, Identity), StoreError> {
    let place = || path.display().to_string().into_boxed_str();
    let stored = read_format(path)?;
    if stored.is_none() && !config.create {
        return Err(StoreError::Missing { place: place() });
    }
    std::fs::create_dir_all(path).map_err(|e| unwritable(path, e))?;
    let db = fjall::Database::builder(path)
        .cache_size(CACHE_BYTES)
        .max_journaling_size(JOURNAL_BYTES)
        // Entries are packed already.
        .journal_compression(fjall::CompressionType::None)
        // Of several threads one hands the others' work back to them as fast as it can while they
        // compact: on two cores that took a sixth of all time.
        .worker_threads(1)
        .open()
        .map_err(|e| not_opened(path, e))?;
    let keyspaces = Keyspaces::open(db)?;
    let identity = match stored {
        Some(store) => {
            let identity = read_identity(&keyspaces)?;
            if identity.store.to_string() != store {
                return Err(codec::corrupt(Corruption::Record));
            }
            identity
        }
        None => make(path, &keyspaces, config, now)?,
    };
    if identity.realm_name != config.realm {
        let (found, expected) = (identity.realm_name, config.realm.clone());
        return Err(StoreError::OtherRealm { place: place(), found, expected });
    }
    Ok((keyspaces, identity))
}

/// The store id that the format file names; `None` when there is no store.
fn read_format(path: &Path) -> Result<Option<String>, StoreError> {
    let bytes = match std::fs::read(path.join(FORMAT_FILE)) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unwritable(path, e)),
    };
    match bytes.split_first() {
        Some((&FORMAT, id)) => Ok(Some(String::from_utf8_lossy(id).trim_end().to_owned())),
        found => Err(StoreError::Format {
            place: path.display().to_string().into(),
            found: found.map_or(0, |(&version, _)| version),
            supported: FORMAT,
        }),
    }
}

fn read_identity(keyspaces: &Keyspaces) -> Result<Identity, StoreError> {
    let bytes = keyspaces.make(keys::CATALOG)?.get(keys::IDENTITY).map_err(engine)?;
    records::decode_identity(&bytes.ok_or_else(|| codec::corrupt(Corruption::Record))?)
}

/// Makes a store: its identity, then the file that says it is one.
fn make(
    path: &Path,
    keyspaces: &Keyspaces,
    config: &StoreConfig,
    now: Timestamp,
) -> Result<Identity, StoreError> {
    let random = || getrandom::u64().map_err(|e| files(e.into()));
    let identity = Identity {
        store: StoreId(random()?),
        realm: RealmId(1),
        realm_name: config.realm.clone(),
        partitions: config.partitions,
        seed: random()?,
        created: now,
    };
    let mut batch = keyspaces.db.batch().durability(Some(fjall::PersistMode::SyncAll));
    let catalog = keyspaces.make(keys::CATALOG)?;
    batch.insert(&catalog, keys::IDENTITY, records::encode_identity(&identity));
    batch.commit().map_err(engine)?;
    let text = [&[FORMAT][..], identity.store.to_string().as_bytes(), b"\n"].concat();
    write_synced(&path.join(FORMAT_FILE), &text).map_err(|e| unwritable(path, e))?;
    Ok(identity)
}

/// Writes a file aside, syncs it, renames it, syncs the folder.
fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    std::fs::write(&aside, bytes)?;
    std::fs::File::open(&aside)?.sync_all()?;
    std::fs::rename(&aside, path)?;
    path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

fn not_opened(path: &Path, error: fjall::Error) -> StoreError {
    if let fjall::Error::Locked = error {
        return StoreError::Locked { path: path.into() };
    }
    let error = engine(error);
    if let StoreError::Files { source } = error { unwritable(path, source) } else { error }
}

fn unwritable(path: &Path, source: io::Error) -> StoreError {
    let is_the_place = [
        ErrorKind::PermissionDenied,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::NotADirectory,
        ErrorKind::AlreadyExists,
    ]
    .contains(&source.kind());
    if is_the_place { StoreError::ReadOnly { path: path.into(), source } } else { files(source) }
}
