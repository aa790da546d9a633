//! Cells of one partition and day: which field each stands in, and its bytes.
//!
//! A day's cells are a hash of fields: a header, up to 32 chunks ([`chunk_of`]), and a field for
//! each category whose cells are larger than [`limits::CHUNK_BYTES`]. Where a cell stands follows
//! from the cells alone, and so do the bytes.
//!
//! A cell is `category, since, entries` as varints and its entries: below [`PLANES_FROM`] a list
//! of differences of ordinals, from there on roaring bitmaps, one for who is there and one for
//! each bit of count and seconds.

use std::collections::BTreeSet;
use std::ops::Range;

use mayfly_core::{CategoryId, Cell, CellEntry, CellId, DayCells, limits};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::{VERSION, body, corrupt, row_from_bytes, row_to_bytes, varint};
use crate::chunk_of;
use crate::day::{DayHeader, EntryId};
use crate::error::{Corruption, StoreError};

/// From so many entries on a cell is stored as bit planes.
pub(crate) const PLANES_FROM: usize = 4096;

/// A field of a day's cells. Its bytes are `c`, the chunk's number, or `x` and the category's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Field {
    /// Cursor and completeness.
    Header,
    /// The cells of all categories of this [`chunk_of`], but for those that stand alone.
    Chunk(u16),
    /// The cells (of every `since`) of one category that are too large for a chunk.
    Alone(CategoryId),
}

impl Field {
    /// Its name at rest.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Header => "c".into(),
            Self::Chunk(n) => n.to_string(),
            Self::Alone(category) => format!("x{}", category.0),
        }
    }

    /// Reads a name back.
    #[cfg(test)]
    pub(crate) fn parse(name: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(name).ok()?;
        if name == "c" {
            return Some(Self::Header);
        }
        match name.strip_prefix('x') {
            Some(category) => category.parse().ok().map(|n| Self::Alone(CategoryId(n))),
            None => name.parse().ok().map(Self::Chunk),
        }
    }
}

/// The fields that hold the cells of these categories. Some may not exist.
pub(crate) fn fields_for(categories: &[CategoryId]) -> BTreeSet<Field> {
    categories.iter().flat_map(|&c| [Field::Chunk(chunk_of(c)), Field::Alone(c)]).collect()
}

/// What to write for these changed categories, all their chunk neighbours included; `None` = the
/// field must not be there. Costs the size of the chunks concerned.
pub(crate) fn encode(
    cells: &DayCells,
    changed: &BTreeSet<CategoryId>,
) -> Vec<(Field, Option<Vec<u8>>)> {
    let chunks: BTreeSet<u16> = changed.iter().map(|&c| chunk_of(c)).collect();
    let mut shared: Vec<Vec<u8>> = vec![vec![VERSION]; chunks.len()];
    let mut alone: BTreeSet<CategoryId> = BTreeSet::new();
    let mut fields = Vec::new();
    for (category, of_category) in by_category(cells) {
        let Some(at) = chunks.iter().position(|&n| n == chunk_of(category)) else { continue };
        let bytes = encode_cells(of_category);
        if bytes.len() <= limits::CHUNK_BYTES {
            shared[at].extend_from_slice(&bytes);
            continue;
        }
        alone.insert(category);
        if changed.contains(&category) {
            let mut value = vec![VERSION];
            value.extend_from_slice(&bytes);
            fields.push((Field::Alone(category), Some(value)));
        }
    }
    fields.extend(
        chunks
            .into_iter()
            .zip(shared)
            .map(|(n, bytes)| (Field::Chunk(n), (bytes.len() > 1).then_some(bytes))),
    );
    fields.extend(changed.difference(&alone).map(|&category| (Field::Alone(category), None)));
    fields
}

/// The cells of each category, in one pass.
fn by_category(cells: &DayCells) -> impl Iterator<Item = (CategoryId, Vec<(&CellId, &Cell)>)> {
    let mut rest = cells.iter().peekable();
    std::iter::from_fn(move || {
        let first = rest.next()?;
        let category = first.0.category;
        let mut all = vec![first];
        while let Some(next) = rest.next_if(|(id, _)| id.category == category) {
            all.push(next);
        }
        Some((category, all))
    })
}

/// Cells one after another; empty ones are left out.
fn encode_cells(cells: Vec<(&CellId, &Cell)>) -> Vec<u8> {
    let mut out = Vec::new();
    for (id, cell) in cells.into_iter().filter(|(_, cell)| !cell.entries.is_empty()) {
        varint::put(&mut out, u64::from(id.category.0));
        varint::put(&mut out, u64::from(id.since));
        varint::put(&mut out, cell.entries.len() as u64);
        if cell.entries.len() < PLANES_FROM {
            encode_list(&cell.entries, &mut out);
        } else {
            encode_planes(&cell.entries, &mut out);
        }
    }
    out
}

/// `difference << 1 | more`, and where there is more than one hit without engagement:
/// `count << 1 | engaged`, and the seconds if engaged.
fn encode_list(entries: &[CellEntry], out: &mut Vec<u8>) {
    let mut last = 0;
    for entry in entries {
        let more = (entry.count, entry.seconds) != (1, 0);
        varint::put(out, u64::from(entry.ordinal.wrapping_sub(last)) << 1 | u64::from(more));
        last = entry.ordinal;
        if more {
            let engaged = entry.seconds > 0;
            varint::put(out, u64::from(entry.count) << 1 | u64::from(engaged));
            if engaged {
                varint::put(out, u64::from(entry.seconds));
            }
        }
    }
}

/// A mask of the planes that hold anything (8 of count, then 16 of seconds), who is there, and
/// those planes.
fn encode_planes(entries: &[CellEntry], out: &mut Vec<u8>) {
    let planes: Vec<RoaringBitmap> =
        (0..24).map(|bit| bitmap_of(entries.iter().filter(|e| bits(e) >> bit & 1 == 1))).collect();
    let used = |plane: &RoaringBitmap| !plane.is_empty();
    let mask = (0..24).filter(|&bit| used(&planes[bit])).fold(0u64, |mask, bit| mask | 1 << bit);
    varint::put(out, mask);
    let here = bitmap_of(entries.iter());
    for plane in std::iter::once(&here).chain(planes.iter().filter(|p| used(p))) {
        #[expect(clippy::expect_used, reason = "memory takes every byte")]
        plane.serialize_into(&mut *out).expect("writing a bitmap to memory cannot fail");
    }
}

/// Count in the low 8 bits, seconds in the next 16.
const fn bits(entry: &CellEntry) -> u32 {
    entry.count as u32 | (entry.seconds as u32) << 8
}

/// The ordinals, in canonical form.
fn bitmap_of<'a>(entries: impl Iterator<Item = &'a CellEntry>) -> RoaringBitmap {
    let mut bitmap: RoaringBitmap = entries.map(|e| e.ordinal).collect();
    bitmap.optimize();
    bitmap
}

/// Adds the cells of a chunk, or of a category that stands alone.
pub(crate) fn decode(bytes: &[u8], into: &mut DayCells) -> Result<(), StoreError> {
    decode_some(bytes, &|_| true, into)
}

/// As [`decode`], for the cells of these categories alone: a chunk has those of others, too.
pub(crate) fn decode_some(
    bytes: &[u8],
    wanted: &impl Fn(CategoryId) -> bool,
    into: &mut DayCells,
) -> Result<(), StoreError> {
    let mut rest = body(bytes, Corruption::Cells)?;
    while !rest.is_empty() {
        let cell = decode_cell(&mut rest, wanted).ok_or_else(|| corrupt(Corruption::Cells))?;
        into.extend(cell);
    }
    Ok(())
}

/// The next cell; nothing of a category that is not wanted.
#[expect(clippy::option_option, reason = "corrupt, or passed over")]
fn decode_cell(
    bytes: &mut &[u8],
    wanted: &impl Fn(CategoryId) -> bool,
) -> Option<Option<(CellId, Cell)>> {
    let category = CategoryId(varint::take_u32(bytes)?);
    let since = varint::take_u32(bytes)?;
    let count = usize::try_from(varint::take(bytes)?).ok()?;
    if count < PLANES_FROM && !wanted(category) {
        skip_list(bytes, count)?;
        return Some(None);
    }
    let entries =
        if count < PLANES_FROM { decode_list(bytes, count)? } else { decode_planes(bytes, count)? };
    Some(wanted(category).then_some((CellId { category, since }, Cell { entries })))
}

fn skip_list(bytes: &mut &[u8], count: usize) -> Option<()> {
    for _ in 0..count {
        if varint::take(bytes)? & 1 == 1 {
            take_measures(bytes)?;
        }
    }
    Some(())
}

fn decode_list(bytes: &mut &[u8], count: usize) -> Option<Vec<CellEntry>> {
    let mut entries: Vec<CellEntry> = Vec::with_capacity(count.min(bytes.len()));
    for _ in 0..count {
        let head = varint::take(bytes)?;
        let delta = u32::try_from(head >> 1).ok()?;
        let ordinal = match entries.last() {
            Some(_) if delta == 0 => return None,
            Some(last) => last.ordinal.checked_add(delta)?,
            None => delta,
        };
        let (count, seconds) = if head & 1 == 1 { take_measures(bytes)? } else { (1, 0) };
        entries.push(CellEntry { ordinal, count, seconds });
    }
    Some(entries)
}

fn take_measures(bytes: &mut &[u8]) -> Option<(u8, u16)> {
    let head = varint::take(bytes)?;
    let count = u8::try_from(head >> 1).ok()?;
    let seconds = if head & 1 == 1 { u16::try_from(varint::take(bytes)?).ok()? } else { 0 };
    ((count, seconds) != (0, 0)).then_some((count, seconds))
}

/// Every plane's bits are put in place for a block of 65,536 ordinals at a time: looking for the
/// place of each was nine tenths of reading a long window.
fn decode_planes(bytes: &mut &[u8], count: usize) -> Option<Vec<CellEntry>> {
    let mask = varint::take_u32(bytes).filter(|mask| mask >> 24 == 0)?;
    let here = take_ordinals(bytes, count)?;
    if here.len() != count {
        return None;
    }
    let mut planes = Vec::new();
    for bit in bits_of(mask) {
        planes.push((bit, take_ordinals(bytes, count)?, 0));
    }
    let low = |ordinal: u32| (ordinal & 0xffff) as usize;
    let mut values = vec![0u32; 1 << 16];
    let mut entries = Vec::with_capacity(count);
    for block in here.chunk_by(|a, b| a >> 16 == b >> 16) {
        let high = block.first().map_or(0, |ordinal| ordinal >> 16);
        let mut left = 0usize;
        for (bit, plane, at) in &mut planes {
            while let Some(ordinal) = plane.get(*at).filter(|own| **own >> 16 == high) {
                values[low(*ordinal)] |= 1 << *bit;
                (*at, left) = (*at + 1, left + 1);
            }
        }
        for &ordinal in block {
            let value = std::mem::take(&mut values[low(ordinal)]);
            if value == 0 {
                return None;
            }
            left -= value.count_ones() as usize;
            let (count, seconds) = ((value & 0xff) as u8, (value >> 8) as u16);
            entries.push(CellEntry { ordinal, count, seconds });
        }
        // A plane has somebody who is not here.
        if left > 0 {
            return None;
        }
    }
    planes.iter().all(|(_, plane, at)| *at == plane.len()).then_some(entries)
}

fn bits_of(mask: u32) -> impl Iterator<Item = u32> {
    let all: Range<u32> = 0..24;
    all.filter(move |bit| mask >> bit & 1 == 1)
}

/// The ordinals of one bitmap off the front; none of more than [`limits::CELL_ENTRIES`], since a
/// few bytes of runs can stand for four thousand million.
fn take_ordinals(bytes: &mut &[u8], count: usize) -> Option<Vec<u32>> {
    let bitmap = RoaringBitmap::deserialize_from(&mut *bytes).ok()?;
    let len = usize::try_from(bitmap.len()).ok()?;
    if count > limits::CELL_ENTRIES || len > count {
        return None;
    }
    // Not by `next_many`: roaring 0.12 passes over a run that fills a container.
    let mut ordinals = Vec::with_capacity(len);
    bitmap.iter().for_each(|ordinal| ordinals.push(ordinal));
    Some(ordinals)
}

/// Cursor (milliseconds, sequence) and `complete`.
#[derive(Serialize, Deserialize)]
struct HeaderRow(u64, u64, u32);

/// The value of [`Field::Header`].
pub(crate) fn encode_header(header: &DayHeader) -> Vec<u8> {
    row_to_bytes(&HeaderRow(header.cursor.ms, header.cursor.seq, header.complete))
}

/// Reads it back.
pub(crate) fn decode_header(bytes: &[u8]) -> Result<DayHeader, StoreError> {
    let HeaderRow(ms, seq, complete) = row_from_bytes(bytes, Corruption::Cells)?;
    Ok(DayHeader { cursor: EntryId { ms, seq }, complete })
}

#[cfg(test)]
#[path = "cells_tests.rs"]
mod tests;
