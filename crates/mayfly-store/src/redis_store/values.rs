//! Reading values of many kinds: pages, consent states, cells.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use mayfly_core::{
    CategoryId, ConsentKey, ConsentState, Day, DayCells, Page, PageKey, Partition, Visitor, limits,
};
use redis::Value;

use super::conn::{Command, Load};
use super::read::TRIES;
use super::{RedisStore, damaged, keys, scripts};
use crate::codec::{cells, records};
use crate::{DayHeader, Result, StoreError, StoredDay};

/// The most pages or consent states asked for at a time.
const VALUES_MAX: usize = 1024;
/// Days whose cells are asked for beside one another.
const DAYS_AT_ONCE: usize = 8;

impl RedisStore {
    /// See [`crate::Store::pages`].
    pub async fn pages(&self, keys: &[PageKey]) -> Result<Vec<Option<Page>>> {
        let names = keys.iter().map(|&key| keys::page(key));
        let values = self.values(names.collect()).await?;
        let page = |v: Vec<u8>| records::decode_page(&v).map(|(page, _)| page);
        values.into_iter().map(|v| v.map(page).transpose()).collect()
    }

    /// Forgets the pages that nobody but these visitors read.
    pub(super) async fn forget_pages(&self, read: &[(PageKey, Visitor)]) -> Result<()> {
        let names: Vec<String> = read.iter().map(|(key, _)| keys::page(*key)).collect();
        let values = self.values(names.clone()).await?;
        let mut calls = Vec::new();
        for ((value, name), (_, visitor)) in values.into_iter().zip(names).zip(read) {
            let Some(value) = value else { continue };
            if records::decode_page(&value)?.1 == Some(*visitor) {
                calls.push(scripts::FORGET.on(&[name]).bytes(&value));
            }
        }
        self.conn().run(calls, Load::Small).await.map(|_| ())
    }

    /// See [`crate::Store::consents`].
    pub async fn consents(&self, keys: &[ConsentKey]) -> Result<Vec<Option<ConsentState>>> {
        let names = keys.iter().map(|&key| keys::consent(key));
        let values = self.values(names.collect()).await?;
        values.into_iter().map(|v| v.map(|v| records::decode_consent(&v)).transpose()).collect()
    }

    async fn values(&self, names: Vec<String>) -> Result<Vec<Option<Vec<u8>>>> {
        let mut all = Vec::with_capacity(names.len());
        for names in names.chunks(VALUES_MAX) {
            let gets = names.iter().map(|name| Command::new("GET", name)).collect();
            for value in self.conn().run(gets, Load::Big).await? {
                all.push(self.conn().read(value)?);
            }
        }
        Ok(all)
    }

    /// See [`crate::Store::cells`]. Begins again when a checkpoint came between two pieces.
    pub async fn cells(
        &self,
        partition: Partition,
        day: Day,
        categories: Option<&[CategoryId]>,
    ) -> Result<StoredDay> {
        for _ in 0..TRIES {
            if let Some(stored) = self.cells_at_once(partition, day, categories).await? {
                return Ok(stored);
            }
        }
        Err(StoreError::DayMoved)
    }

    /// See [`crate::Store::cells_of_days`].
    pub async fn cells_of_days(
        &self,
        partition: Partition,
        wanted: &BTreeMap<Day, Vec<CategoryId>>,
    ) -> Result<BTreeMap<Day, DayCells>> {
        let of = |(&day, categories): (&Day, &Vec<CategoryId>)| {
            let categories = categories.clone();
            async move { Ok((day, self.cells(partition, day, Some(&categories)).await?.cells)) }
        };
        stream::iter(wanted.iter().map(of)).buffered(DAYS_AT_ONCE).try_collect().await
    }

    async fn cells_at_once(
        &self,
        p: Partition,
        day: Day,
        categories: Option<&[CategoryId]>,
    ) -> Result<Option<StoredDay>> {
        let key = self.keys().cells(p, day);
        let header = Command::new("HGET", &key).text(&cells::Field::Header.name());
        let fields = Command::new("HKEYS", &key);
        let values = self.conn().run(vec![header, fields], Load::Small).await?;
        let [header, fields] = <[Value; 2]>::try_from(values).map_err(|_| damaged())?;
        let (before, fields): (Option<Vec<u8>>, Vec<String>) =
            (self.conn().read(header)?, self.conn().read(fields)?);
        let wanted: Option<BTreeSet<String>> = categories
            .map(|list| cells::fields_for(list).into_iter().map(cells::Field::name).collect());
        let fields: Vec<String> = fields
            .into_iter()
            .filter(|f| *f != cells::Field::Header.name())
            .filter(|f| wanted.as_ref().is_none_or(|wanted| wanted.contains(f)))
            .collect();
        let mut stored = StoredDay::default();
        let (mut after, mut marker) = (before.clone(), self.conn().one(self.marker(p)).await?);
        for piece in self.pieces(&key, &fields).await? {
            (after, marker) = self.read_cells(p, &key, piece, &mut stored).await?;
        }
        if before != after {
            return Ok(None);
        }
        stored.header = before.map(|h| cells::decode_header(&h)).transpose()?.unwrap_or_default();
        let erased = self.living(p, marker).await?;
        if let Some(list) = categories {
            let list: BTreeSet<CategoryId> = list.iter().copied().collect();
            stored.cells.retain(|id, _| list.contains(&id.category));
        }
        for cell in stored.cells.values_mut() {
            cell.entries.retain(|entry| !erased.contains(entry.ordinal));
        }
        stored.cells.retain(|_, cell| !cell.entries.is_empty());
        Ok(Some(stored))
    }

    /// Reads some fields of a day's cells in one step with its header; then the marker.
    async fn read_cells(
        &self,
        p: Partition,
        key: &str,
        fields: &[String],
        into: &mut StoredDay,
    ) -> Result<(Option<Vec<u8>>, Value)> {
        let get = Command::new("HMGET", key).text(&cells::Field::Header.name());
        let get = fields.iter().fold(get, |get, field| get.text(field));
        let values = self.conn().run(vec![get, self.marker(p)], Load::Big).await?;
        let [fields, marker] = <[Value; 2]>::try_from(values).map_err(|_| damaged())?;
        let mut fields = self.conn().read::<Vec<Option<Vec<u8>>>>(fields)?.into_iter();
        let header = fields.next().flatten();
        for bytes in fields.flatten() {
            cells::decode(&bytes, &mut into.cells)?;
        }
        Ok((header, marker))
    }

    /// Fields of a hash in pieces of at most [`limits::READ_BYTES`] (or one larger field each).
    pub(super) async fn pieces<'a>(
        &self,
        key: &str,
        fields: &'a [String],
    ) -> Result<Vec<&'a [String]>> {
        let size = |field: &String| Command::new("HSTRLEN", key).text(field);
        let sizes = self.conn().run(fields.iter().map(size).collect(), Load::Small).await?;
        let (mut pieces, mut begin, mut bytes) = (Vec::new(), 0, 0usize);
        for (i, size) in sizes.into_iter().enumerate() {
            let size: usize = self.conn().read(size)?;
            if bytes > 0 && bytes.saturating_add(size) > limits::READ_BYTES {
                pieces.push(&fields[begin..i]);
                (begin, bytes) = (i, 0);
            }
            bytes = bytes.saturating_add(size);
        }
        pieces.push(&fields[begin..]);
        pieces.retain(|piece| !piece.is_empty());
        Ok(pieces)
    }
}

/// The header of a day that has no cells.
pub(super) fn no_header() -> Vec<u8> {
    cells::encode_header(&DayHeader::default())
}
