//! Values as version 1 wrote them (`fixtures/v1/`): every later program must read them so.
//!
//! The files were written once by `write_fixtures` and are never written again; a new version
//! adds a folder of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mayfly_core::{
    Attribute, CategoryId, Cell, CellEntry, CellId, ConsentKey, ConsentState, Day, DayCells, Event,
    Hit, HitParts, Page, PageKey, Partition, RealmId, Referrer, ReferrerKind, SegmentId, SiteId,
    StoreId, Timestamp, Value, Visitor,
};

use super::{blocks, cells, hits, records};
use crate::error::Corruption;
use crate::{Batch, CatalogVersion, DayHeader, EntryId, Identity, LaneId, Membership, NewHit};

const PARTITION: Partition = Partition(3);
const DAY: Day = Day(20_778);

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn hit(ordinal: u32) -> Hit {
    let events = [Event::PageView, Event::Engagement, Event::Own("add-to-cart".into())];
    let text = Attribute { name: "section".into(), value: Value::Text("sport".into()) };
    let number = Attribute { name: "price".into(), value: Value::Number(-12.5) };
    let odd = ordinal % 2 == 1;
    Hit::restore(HitParts {
        visitor: Visitor { partition: PARTITION, ordinal: ordinal * 1000 },
        time: DAY.at_second(86_399 - ordinal),
        site: SiteId(ordinal % 2),
        page: (ordinal != 2).then_some(PageKey(0x0123_4567_89ab_cdef ^ u64::from(ordinal % 3))),
        event: events[ordinal as usize % 3].clone(),
        engaged_s: (ordinal * 700) as u16,
        referrer: if odd {
            Referrer { host: "a.example".into(), kind: ReferrerKind::Search }
        } else {
            Referrer::default()
        },
        attributes: if odd { vec![text, number] } else { Vec::new() },
        consent: ConsentKey(u64::MAX - u64::from(ordinal % 2)),
        fired: if odd { Vec::new() } else { vec![CategoryId(9), CategoryId(70_000)] },
    })
}

fn all_hits() -> Vec<Hit> {
    [4, 0, 3, 1, 2, 1].map(hit).to_vec()
}

/// One small cell, one of planes.
fn all_cells() -> DayCells {
    let id = |category, since| CellId { category: CategoryId(category), since };
    let entry = |ordinal, count, seconds| CellEntry { ordinal, count, seconds };
    let few = vec![entry(0, 1, 0), entry(7, 255, 65_535), entry(u32::MAX, 0, 1)];
    let many = (0..5000).map(|i| entry(i + 50, (i / 700 + 1) as u8, (i / 1000) as u16)).collect();
    DayCells::from([
        (id(0, 1), Cell { entries: few.clone() }),
        (id(32, 1), Cell { entries: few }),
        (id(32, 2), Cell { entries: many }),
    ])
}

fn page() -> Page {
    Page {
        url: "https://a.example/ä".into(),
        title: "Derby".into(),
        keywords: vec!["goal".into(), "".into()],
        categories: vec!["IAB17".into()],
    }
}

fn batch() -> Batch {
    let new = |(i, hit)| NewHit { hit, id: (i % 2 == 0).then_some(-7 - i) };
    let hits: Vec<NewHit> = (0i64..).zip(all_hits()).map(new).collect();
    Batch::encode(LaneId(5), 6, PARTITION, DAY.plus(1), &hits)
}

fn membership() -> Membership {
    Membership {
        segment: SegmentId(4),
        version: 2,
        as_of: DAY.at_second(5),
        members: (0..300).chain([70_000, u32::MAX]).collect(),
    }
}

fn catalog_version() -> CatalogVersion {
    CatalogVersion { version: 3, at: DAY.at_second(1), by: "ann".into(), bytes: vec![0, 255] }
}

fn identity() -> Identity {
    Identity {
        store: StoreId(1),
        realm: RealmId(1),
        realm_name: "main".into(),
        partitions: 16,
        seed: 99,
        created: Timestamp::from_millis(1_795_219_200_123),
    }
}

fn header() -> DayHeader {
    DayHeader { cursor: EntryId { ms: 1_795_219_200_123, seq: 4 }, complete: 12 }
}

/// Every fixture as this program writes it.
fn written() -> BTreeMap<&'static str, Vec<u8>> {
    let hits = all_hits();
    let block = blocks::seal(hits.clone(), &Default::default()).blocks.remove(0).1;
    let changed = all_cells().keys().map(|id| id.category).collect();
    let chunk = cells::encode(&all_cells(), &changed)
        .into_iter()
        .find_map(|(field, bytes)| bytes.filter(|_| field == cells::Field::Chunk(0)))
        .unwrap();
    BTreeMap::from([
        ("entry.bin", hits::encode(&hits.iter().collect::<Vec<_>>())),
        ("block.bin", block),
        ("cells.bin", chunk),
        ("header.bin", cells::encode_header(&header())),
        ("page.bin", records::encode_page(&page())),
        ("consent.bin", records::encode_consent(&ConsentState { gpc: Some(false) })),
        ("membership.bin", records::encode_membership(&membership())),
        ("catalog.bin", records::encode_catalog(&catalog_version())),
        ("identity.bin", records::encode_identity(&identity())),
        ("erased.bin", records::encode_bitmap(&membership().members)),
        ("batch.bin", batch().to_bytes()),
    ])
}

#[test]
fn version_1_is_read() {
    let entry = hits::decode(&read("entry.bin"), PARTITION, DAY, Corruption::Entry).unwrap();
    assert_eq!(entry, all_hits());
    let block = hits::decode(&read("block.bin"), PARTITION, DAY, Corruption::Block).unwrap();
    assert_eq!(block, [0, 1, 1, 2, 3, 4].map(hit));
    let mut stored = DayCells::new();
    cells::decode(&read("cells.bin"), &mut stored).unwrap();
    assert_eq!(stored, all_cells());
    assert_eq!(cells::decode_header(&read("header.bin")).unwrap(), header());
    assert_eq!(records::decode_page(&read("page.bin")).unwrap(), (page(), None));
    let consent = records::decode_consent(&read("consent.bin")).unwrap();
    assert_eq!(consent, ConsentState { gpc: Some(false) });
    let members = records::decode_membership(SegmentId(4), &read("membership.bin")).unwrap();
    assert_eq!(members, membership());
    let version = records::decode_catalog(3, &read("catalog.bin")).unwrap();
    assert_eq!(version, catalog_version());
    assert_eq!(records::decode_identity(&read("identity.bin")).unwrap(), identity());
    assert_eq!(records::decode_bitmap(&read("erased.bin")).unwrap(), membership().members);
    assert_eq!(Batch::from_bytes(&read("batch.bin")).unwrap(), batch());
}

/// While this is the version that is written, its bytes do not change by accident.
#[test]
fn version_1_is_written_to_the_byte() {
    for (name, bytes) in written() {
        assert!(bytes == read(name), "{name} is written otherwise than before");
    }
}

#[test]
#[ignore = "writes the fixtures: only for a new version, into a new folder"]
fn write_fixtures() {
    std::fs::create_dir_all(folder()).unwrap();
    for (name, bytes) in written() {
        std::fs::write(folder().join(name), bytes).unwrap();
    }
}
