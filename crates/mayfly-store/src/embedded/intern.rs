//! Pages and consent states: stored once, found by their key, kept as long as they are used.

use fjall::Slice;
use mayfly_core::{ConsentKey, ConsentState, Day, Page, PageKey, Visitor, limits};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::keyspaces::engine;
use super::{EmbeddedStore, Tx, keys};
use crate::codec::{records, row_from_bytes, row_to_bytes};
use crate::error::{Corruption, StoreError};
use crate::{Interned, Result, ToIntern};

/// Keys of pages begin so.
const PAGE: u8 = b'p';
/// Keys of consent states begin so.
const CONSENT: u8 = b'c';

/// Youngest day that uses the value, and the value's own bytes, its reader behind them.
#[derive(Serialize, Deserialize)]
pub(super) struct InternedRow(pub(super) u16, ByteBuf);

impl InternedRow {
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        row_from_bytes(bytes, Corruption::Record)
    }
}

/// A value to intern: what its key begins with, the first key to try, its bytes, those of the one
/// who reads it, its day.
struct Value {
    kind: u8,
    first_key: u64,
    bytes: Vec<u8>,
    reader: Vec<u8>,
    day: Day,
}

/// What stands under the keys of a value.
enum Found {
    /// The value, living long enough, with its reader.
    Fresh(u64),
    /// Nothing yet, or the value with too short a life or another reader: write this row here.
    Write(u64, InternedRow),
}

impl EmbeddedStore {
    /// See [`crate::Store::intern`].
    ///
    /// # Errors
    /// [`StoreError::InternFull`].
    pub async fn intern(&self, values: &ToIntern<'_>) -> Result<Interned> {
        let seed = self.shared.identity().seed;
        let pages = values.pages.iter().map(|&(page, day, reader)| Value {
            kind: PAGE,
            first_key: page.key(seed).0,
            bytes: records::encode_page(page),
            reader: records::encode_reader(reader),
            day,
        });
        let consents = values.consents.iter().map(|&(state, day)| Value {
            kind: CONSENT,
            first_key: state.key(seed).0,
            bytes: records::encode_consent(state),
            reader: Vec::new(),
            day,
        });
        let all: Vec<Value> = pages.chain(consents).collect();
        let mut keys = self.intern_values(all).await?;
        let consents = keys.split_off(values.pages.len());
        Ok(Interned {
            pages: keys.into_iter().map(PageKey).collect(),
            consents: consents.into_iter().map(ConsentKey).collect(),
        })
    }

    /// Nearly every value is there already: the writer is asked only if one is not.
    async fn intern_values(&self, values: Vec<Value>) -> Result<Vec<u64>> {
        let (values, fresh) = self
            .read(move |readers| {
                let pages = readers.keyspaces.make(keys::PAGES)?;
                let mut fresh = Vec::with_capacity(values.len());
                for value in &values {
                    match find(value, |key| pages.get(key).map_err(engine))? {
                        Found::Fresh(key) => fresh.push(key),
                        Found::Write(..) => return Ok((values, None)),
                    }
                }
                Ok((values, Some(fresh)))
            })
            .await?;
        match fresh {
            Some(keys) => Ok(keys),
            None => self.write(move |tx| write_values(tx, values)).await,
        }
    }

    /// See [`crate::Store::pages`].
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn pages(&self, keys: &[PageKey]) -> Result<Vec<Option<Page>>> {
        let keys = keys.iter().map(|key| key.0).collect();
        self.interned(PAGE, keys, |bytes| records::decode_page(bytes).map(|(page, _)| page)).await
    }

    /// See [`crate::Store::consents`].
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn consents(&self, keys: &[ConsentKey]) -> Result<Vec<Option<ConsentState>>> {
        let keys = keys.iter().map(|key| key.0).collect();
        self.interned(CONSENT, keys, records::decode_consent).await
    }

    async fn interned<T: Send + 'static>(
        &self,
        kind: u8,
        keys: Vec<u64>,
        decode: fn(&[u8]) -> Result<T>,
    ) -> Result<Vec<Option<T>>> {
        self.read(move |readers| {
            let pages = readers.keyspaces.make(keys::PAGES)?;
            let one = |key: u64| match pages.get(keys::interned(kind, key)).map_err(engine)? {
                Some(row) => decode(&InternedRow::read(&row)?.1).map(Some),
                None => Ok(None),
            };
            keys.into_iter().map(one).collect()
        })
        .await
    }
}

/// Finds all places before the first is written, so that the job fails whole or not at all.
fn write_values(tx: &mut Tx<'_>, values: Vec<Value>) -> Result<Vec<u64>> {
    let pages = tx.keyspaces.make(keys::PAGES)?;
    for value in &values {
        find(value, |key| tx.get(&pages, key))?;
    }
    let mut found = Vec::with_capacity(values.len());
    for value in values {
        match find(&value, |key| tx.get(&pages, key))? {
            Found::Fresh(key) => found.push(key),
            Found::Write(key, row) => {
                tx.put(&pages, keys::interned(value.kind, key), row_to_bytes(&row));
                found.push(key);
            }
        }
    }
    Ok(found)
}

/// Steps from key to key past other values.
fn find(value: &Value, get: impl Fn(&[u8]) -> Result<Option<Slice>>) -> Result<Found> {
    for step in 0..limits::INTERN_STEPS {
        let key = value.first_key.wrapping_add(step);
        let Some(bytes) = get(&keys::interned(value.kind, key))? else {
            let own = [&value.bytes[..], &value.reader].concat();
            return Ok(Found::Write(key, InternedRow(value.day.0, own.into())));
        };
        let InternedRow(day, mut stored) = InternedRow::read(&bytes)?;
        let Some(reader) = stored.strip_prefix(&value.bytes[..]) else { continue };
        let is_read_by_another = !reader.is_empty() && reader != value.reader;
        if day >= value.day.0 && !is_read_by_another {
            return Ok(Found::Fresh(key));
        }
        if is_read_by_another {
            stored.truncate(value.bytes.len());
        }
        return Ok(Found::Write(key, InternedRow(day.max(value.day.0), stored)));
    }
    Err(StoreError::InternFull)
}

/// Forgets the pages that nobody but these visitors read; whether there were any.
pub(super) fn forget_pages(tx: &mut Tx<'_>, read: &[(PageKey, Visitor)]) -> Result<bool> {
    let pages = tx.keyspaces.make(keys::PAGES)?;
    let mut any = false;
    for (key, visitor) in read {
        let key = keys::interned(PAGE, key.0);
        let Some(bytes) = tx.get(&pages, &key)? else { continue };
        if records::decode_page(&InternedRow::read(&bytes)?.1)?.1 == Some(*visitor) {
            tx.remove(&pages, key);
            any = true;
        }
    }
    Ok(any)
}

/// A page's stored row, to plant another page under its key.
#[cfg(test)]
pub(super) fn row_for_tests(page: &Page, day: Day) -> Vec<u8> {
    row_to_bytes(&InternedRow(day.0, records::encode_page(page).into()))
}
