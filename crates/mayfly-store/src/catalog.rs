//! The catalog: what the store holds that is no behaviour. Versioned, history kept.

use mayfly_core::{RealmId, StoreId, Timestamp};

/// The entries of the catalog. Their bytes belong to the crates above; the store versions them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CatalogName {
    /// Sites, taxonomy, segments, with their stable ids.
    Definitions,
    /// Cookie signing, pseudonym and id keys.
    Keys,
    /// Access tokens (hashed).
    Tokens,
    /// Files that were replayed or imported (by content hash).
    Files,
    /// How many members each segment had: one version a day.
    Sizes,
}

impl CatalogName {
    /// Every entry.
    pub const ALL: [Self; 5] =
        [Self::Definitions, Self::Keys, Self::Tokens, Self::Files, Self::Sizes];

    /// Its name at rest.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Definitions => "definitions",
            Self::Keys => "keys",
            Self::Tokens => "tokens",
            Self::Files => "files",
            Self::Sizes => "sizes",
        }
    }
}

/// One version of a catalog entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CatalogVersion {
    /// 1, 2, 3 …
    pub version: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Who wrote it: a token's name, or the system user of a local command.
    pub by: Box<str>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a store is, fixed when it is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Random, made with the store.
    pub store: StoreId,
    /// The realm it holds.
    pub realm: RealmId,
    /// The realm's name.
    pub realm_name: Box<str>,
    /// Number of partitions; a power of two; may be raised ([`crate::Store::raise_partitions`]).
    pub partitions: u16,
    /// The secret seed of page and consent keys.
    pub seed: u64,
    /// When the store was made.
    pub created: Timestamp,
}
