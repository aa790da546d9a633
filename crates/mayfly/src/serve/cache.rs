//! What a collector needs to take hits before its store answers: identity, keys, sites. Written
//! beside the admin token (mode 600) whenever a Redis store was opened or its definitions changed;
//! it holds no behaviour.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mayfly_collector::KeyRing;
use mayfly_core::{RealmId, StoreId, Timestamp};
use mayfly_segments::Definitions;
use mayfly_store::Identity;
use serde::{Deserialize, Serialize};

use crate::config::Settings;

/// Format of the file.
const FORMAT: u8 = 1;

/// The file's content.
#[derive(Serialize, Deserialize)]
struct File {
    format: u8,
    place: String,
    store: u64,
    realm: u32,
    realm_name: String,
    partitions: u16,
    seed: u64,
    created_ms: i64,
    keys: Vec<u8>,
    definitions: Vec<u8>,
}

/// What was known of a store when it last answered.
pub(super) struct Known {
    pub(super) identity: Identity,
    pub(super) keys: KeyRing,
    pub(super) definitions: Definitions,
}

fn path(settings: &Settings) -> PathBuf {
    settings.data.join("catalog.cache")
}

/// What is known of the store at this place; `None` when nothing, or nothing readable, is.
pub(super) fn read(settings: &Settings) -> Option<Known> {
    let file: File = serde_json::from_slice(&fs::read(path(settings)).ok()?).ok()?;
    if file.format != FORMAT || file.place != settings.store.url.place() {
        return None;
    }
    let identity = Identity {
        store: StoreId(file.store),
        realm: RealmId(file.realm),
        realm_name: file.realm_name.into(),
        partitions: file.partitions,
        seed: file.seed,
        created: Timestamp::from_millis(file.created_ms),
    };
    let keys = KeyRing::from_bytes(&file.keys).ok()?;
    let definitions = Definitions::from_bytes(&file.definitions).ok()?;
    Some(Known { identity, keys, definitions })
}

/// Writes what is known, aside first. A failure costs only the head start of the next start.
pub(super) fn write(
    settings: &Settings,
    identity: &Identity,
    keys: &KeyRing,
    definitions: &Definitions,
) {
    let Ok(definitions) = definitions.to_bytes() else { return };
    let file = File {
        format: FORMAT,
        place: settings.store.url.place(),
        store: identity.store.0,
        realm: identity.realm.0,
        realm_name: identity.realm_name.to_string(),
        partitions: identity.partitions,
        seed: identity.seed,
        created_ms: identity.created.millis(),
        keys: keys.to_bytes(),
        definitions,
    };
    if let Err(error) = write_private(&path(settings), &file) {
        tracing::warn!(%error, "catalog.cache cannot be written");
    }
}

fn write_private(path: &Path, file: &File) -> std::io::Result<()> {
    let aside = path.with_extension("part");
    let mut out =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    out.write_all(&serde_json::to_vec(file)?)?;
    out.sync_all()?;
    fs::rename(aside, path)
}
