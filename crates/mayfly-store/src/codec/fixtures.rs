//! Values as versions 1 and 2 of their kinds wrote them (`fixtures/v1/`, `fixtures/v2/`): every
//! later program must read them so. Version 2 is of hits, blocks, batches and consent states.
//!
//! The files were written once by `write_fixtures` and are never written again; a new version
//! adds a folder of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mayfly_core::{
    Allowed, Attribute, Browser, Campaign, CategoryId, Cell, CellEntry, CellId, Choice, Client,
    ConsentKey, ConsentState, Context, Day, DayCells, Device, Event, Geo, Hit, HitParts, Language,
    Os, Page, PageKey, Partition, RealmId, Referrer, ReferrerKind, SegmentId, SiteId, StoreId,
    Timestamp, Value, Visitor,
};

use super::{blocks, cells, hits, records};
use crate::error::Corruption;
use crate::{Batch, CatalogVersion, DayHeader, EntryId, Identity, LaneId, Membership, NewHit};

const PARTITION: Partition = Partition(3);
const DAY: Day = Day(20_778);

fn folder(version: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(version)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder("v1").join(name)).unwrap()
}

fn read_2(name: &str) -> Vec<u8> {
    std::fs::read(folder("v2").join(name)).unwrap()
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
            Referrer { host: "a.example".into(), kind: ReferrerKind::Search, campaign: None }
        } else {
            Referrer::default()
        },
        context: Context::default(),
        attributes: if odd { vec![text, number] } else { Vec::new() },
        consent: ConsentKey(u64::MAX - u64::from(ordinal % 2)),
        fired: if odd { Vec::new() } else { vec![CategoryId(9), CategoryId(70_000)] },
    })
}

fn all_hits() -> Vec<Hit> {
    [4, 0, 3, 1, 2, 1].map(hit).to_vec()
}

/// The same hit with what version 2 knows besides.
fn hit_2(ordinal: u32) -> Hit {
    let mut parts = HitParts::clone(&hit(ordinal));
    if ordinal.is_multiple_of(2) {
        let campaign =
            Campaign { source: "mail".into(), name: "may".into(), ..Campaign::default() };
        parts.referrer.kind = ReferrerKind::Campaign;
        parts.referrer.campaign = Some(Box::new(campaign));
        parts.context = Context {
            client: Client {
                device: Device::Phone,
                os: Os::Android,
                browser: Browser::SamsungInternet,
            },
            language: Language::parse("nl-be"),
            geo: Geo::new("BE", "VLG"),
            network: None,
        };
    }
    Hit::restore(parts)
}

fn all_hits_2() -> Vec<Hit> {
    [4, 0, 3, 1, 2, 1].map(hit_2).to_vec()
}

/// Everything that a consent state may say.
pub(super) fn consent() -> ConsentState {
    let choice = Choice {
        gdpr: Some(true),
        tcf: Some("CPA9dwAPA9dwAKjACBENAPCIAEBAAECAAIAAAAAAAAAA".into()),
        additional: Some("2~1.35~dv.9".into()),
        gpp: Some("DBABTA~1YNN".into()),
        gpp_sid: Some("6".into()),
        us_privacy: Some("1YNN".into()),
        gpc: Some(false),
        coppa: Some(false),
    };
    ConsentState { choice, allowed: Allowed { content: true, measure: false, share: true } }
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

fn batch(hits: Vec<Hit>) -> Batch {
    let new = |(i, hit)| NewHit { hit, id: (i % 2 == 0).then_some(-7 - i) };
    let hits: Vec<NewHit> = (0i64..).zip(hits).map(new).collect();
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

/// Every fixture as this program writes it, by the version of its kind.
fn written() -> BTreeMap<&'static str, (&'static str, Vec<u8>)> {
    let hits = all_hits_2();
    let block = blocks::seal(hits.clone(), &Default::default()).blocks.remove(0).1;
    let changed = all_cells().keys().map(|id| id.category).collect();
    let chunk = cells::encode(&all_cells(), &changed)
        .into_iter()
        .find_map(|(field, bytes)| bytes.filter(|_| field == cells::Field::Chunk(0)))
        .unwrap();
    BTreeMap::from([
        ("entry.bin", ("v2", hits::encode(&hits.iter().collect::<Vec<_>>()))),
        ("block.bin", ("v2", block)),
        ("cells.bin", ("v1", chunk)),
        ("header.bin", ("v1", cells::encode_header(&header()))),
        ("page.bin", ("v1", records::encode_page(&page()))),
        ("consent.bin", ("v2", records::encode_consent(&consent()))),
        ("membership.bin", ("v1", records::encode_membership(&membership()))),
        ("catalog.bin", ("v1", records::encode_catalog(&catalog_version()))),
        ("identity.bin", ("v1", records::encode_identity(&identity()))),
        ("erased.bin", ("v1", records::encode_bitmap(&membership().members))),
        ("batch.bin", ("v2", batch(hits).to_bytes())),
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
    let state = records::decode_consent(&read("consent.bin")).unwrap();
    let choice = Choice { gpc: Some(false), ..Choice::default() };
    assert_eq!(state, ConsentState { choice, allowed: Allowed::default() });
    let members = records::decode_membership(SegmentId(4), &read("membership.bin")).unwrap();
    assert_eq!(members, membership());
    let version = records::decode_catalog(3, &read("catalog.bin")).unwrap();
    assert_eq!(version, catalog_version());
    assert_eq!(records::decode_identity(&read("identity.bin")).unwrap(), identity());
    assert_eq!(records::decode_bitmap(&read("erased.bin")).unwrap(), membership().members);
    let old = Batch::from_bytes(&read("batch.bin")).unwrap();
    let hits_of = |batch: &Batch| {
        let read = |entry: &crate::batch::DayEntry| {
            hits::decode(&entry.bytes, PARTITION, entry.day, Corruption::Entry).unwrap()
        };
        batch.entries.iter().flat_map(read).collect::<Vec<_>>()
    };
    assert_eq!(hits_of(&old), hits_of(&batch(all_hits())));
    assert_eq!(old.ids, batch(all_hits()).ids);
}

#[test]
fn version_2_is_read() {
    let entry = hits::decode(&read_2("entry.bin"), PARTITION, DAY, Corruption::Entry).unwrap();
    assert_eq!(entry, all_hits_2());
    let block = hits::decode(&read_2("block.bin"), PARTITION, DAY, Corruption::Block).unwrap();
    assert_eq!(block, [0, 1, 1, 2, 3, 4].map(hit_2));
    assert_eq!(records::decode_consent(&read_2("consent.bin")).unwrap(), consent());
    assert_eq!(Batch::from_bytes(&read_2("batch.bin")).unwrap(), batch(all_hits_2()));
}

/// While these are the versions that are written, their bytes do not change by accident.
#[test]
fn values_are_written_to_the_byte() {
    for (name, (version, bytes)) in written() {
        let known = std::fs::read(folder(version).join(name)).unwrap();
        assert!(bytes == known, "{name} is written otherwise than before");
    }
}

#[test]
#[ignore = "writes the fixtures: only for a new version, into a new folder"]
fn write_fixtures() {
    for (name, (version, bytes)) in written() {
        let file = folder(version).join(name);
        if !file.exists() {
            std::fs::create_dir_all(folder(version)).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
    }
}
