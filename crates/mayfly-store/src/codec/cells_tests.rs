//! Equal cells have equal bytes and come back; any bytes are refused or read, never worse.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn cell() -> impl Strategy<Value = Cell> {
    let measures = prop_oneof![
        Just((1u8, 0u16)),
        (any::<u8>(), any::<u16>()).prop_filter("seen", |&m| m != (0, 0)),
    ];
    let ordinal = prop_oneof![0u32..500, any::<u32>()];
    btree_map(ordinal, measures, 1..20).prop_map(|entries| Cell {
        entries: entries
            .into_iter()
            .map(|(ordinal, (count, seconds))| CellEntry { ordinal, count, seconds })
            .collect(),
    })
}

fn cell_id() -> impl Strategy<Value = CellId> {
    (0u32..80, 0u32..3).prop_map(|(n, since)| CellId { category: CategoryId(n), since })
}

/// A cell of `n` entries: planes from [`PLANES_FROM`] on, alone when large.
fn large(n: u32) -> Cell {
    let entry = |i: u32| CellEntry {
        ordinal: i * 3,
        count: (i % 256) as u8,
        seconds: if i.is_multiple_of(256) { 1 } else { (i % 7 * 1000) as u16 },
    };
    Cell { entries: (0..n).map(entry).collect() }
}

/// A day's fields as a backend keeps them.
fn write(stored: &mut BTreeMap<Field, Vec<u8>>, cells: &DayCells, changed: &BTreeSet<CategoryId>) {
    for (field, bytes) in encode(cells, changed) {
        match bytes {
            Some(bytes) => stored.insert(field, bytes),
            None => stored.remove(&field),
        };
    }
}

fn read(stored: &BTreeMap<Field, Vec<u8>>) -> DayCells {
    let mut cells = DayCells::new();
    stored.values().for_each(|bytes| decode(bytes, &mut cells).unwrap());
    cells
}

fn categories(cells: &DayCells) -> BTreeSet<CategoryId> {
    cells.keys().map(|id| id.category).collect()
}

proptest! {
    #[test]
    fn bytes_depend_on_the_cells_and_not_on_their_history(
        first in btree_map(cell_id(), cell(), 0..30),
        second in btree_map(cell_id(), cell(), 0..30),
    ) {
        let mut stored = BTreeMap::new();
        write(&mut stored, &first, &categories(&first));
        prop_assert_eq!(read(&stored), first.clone());
        let changed = &categories(&first) | &categories(&second);
        write(&mut stored, &second, &changed);
        let mut at_once = BTreeMap::new();
        write(&mut at_once, &second, &categories(&second));
        prop_assert_eq!(stored, at_once);
    }

    #[test]
    fn cut_and_changed_bytes_never_panic(
        cells in btree_map(cell_id(), cell(), 1..4),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for bytes in encode(&cells, &categories(&cells)).into_iter().filter_map(|(_, b)| b) {
            for end in 0..bytes.len() {
                let mut part = DayCells::new();
                if decode(&bytes[..end], &mut part).is_ok() {
                    prop_assert!(part.len() < cells.len(), "a cut between cells loses some");
                }
            }
            let mut changed = bytes;
            for (at, byte) in &changes {
                let at = at.index(changed.len());
                changed[at] = *byte;
            }
            drop(decode(&changed, &mut DayCells::new()));
        }
    }

    #[test]
    fn changed_planes_never_panic(changes in vec((0usize..600, any::<u8>()), 1..6)) {
        let id = CellId { category: CategoryId(1), since: 1 };
        let cells = DayCells::from([(id, large(4096))]);
        for mut bytes in encode(&cells, &categories(&cells)).into_iter().filter_map(|(_, b)| b) {
            for (at, byte) in &changes {
                bytes[*at] = *byte;
            }
            drop(decode(&bytes, &mut DayCells::new()));
            drop(decode(&bytes[..changes[0].0], &mut DayCells::new()));
        }
    }
}

/// Everybody of a block of ordinals, and of its neighbours: stored as runs.
#[test]
fn full_blocks_come_back() {
    let entry = |ordinal| CellEntry { ordinal, count: 1 + (ordinal % 3) as u8, seconds: 0 };
    let id = CellId { category: CategoryId(0), since: 0 };
    for ordinals in [1..140_000u32, 0..65_536, 65_536..131_072] {
        let cells = DayCells::from([(id, Cell { entries: ordinals.map(entry).collect() })]);
        let mut read = DayCells::new();
        for (_, bytes) in encode(&cells, &BTreeSet::from([id.category])) {
            bytes.into_iter().for_each(|bytes| decode(&bytes, &mut read).unwrap());
        }
        assert!(read == cells);
    }
}

#[test]
fn planes_come_back_and_cost_less_than_a_list() {
    for n in [4095, 4096, 50_000] {
        let id = CellId { category: CategoryId(7), since: 9 };
        let cells = DayCells::from([(id, large(n))]);
        let mut stored = BTreeMap::new();
        write(&mut stored, &cells, &categories(&cells));
        assert!(read(&stored) == cells, "{n}");
        let alone = stored.contains_key(&Field::Alone(CategoryId(7)));
        let bytes: usize = stored.values().map(Vec::len).sum();
        assert_eq!(alone, bytes > limits::CHUNK_BYTES, "{n}: {bytes}");
    }
}

#[test]
fn runs_that_stand_for_more_than_was_claimed_are_refused() {
    let mut all = RoaringBitmap::new();
    all.insert_range(0..u32::MAX);
    all.optimize();
    let mut bytes = vec![VERSION];
    for n in [1, 1, u64::from(u32::MAX), 1] {
        varint::put(&mut bytes, n);
    }
    all.serialize_into(&mut bytes).unwrap();
    all.serialize_into(&mut bytes).unwrap();
    let read = decode(&bytes, &mut DayCells::new());
    assert!(matches!(read, Err(StoreError::Corrupt { what: Corruption::Cells })));
}

#[test]
fn fields_read_what_they_print() {
    for field in [Field::Header, Field::Chunk(0), Field::Chunk(31), Field::Alone(CategoryId(7))] {
        assert_eq!(Field::parse(field.name().as_bytes()), Some(field));
    }
    assert_eq!(Field::parse(b"y"), None);
    let fields = fields_for(&[CategoryId(1), CategoryId(33)]);
    assert_eq!(fields.len(), 3, "two categories share chunk 1");
}

#[test]
fn headers_come_back() {
    let header = DayHeader { cursor: EntryId { ms: u64::MAX, seq: 3 }, complete: 7 };
    assert_eq!(decode_header(&encode_header(&header)).unwrap(), header);
    assert!(decode_header(&encode_header(&header)[..5]).is_err());
}
