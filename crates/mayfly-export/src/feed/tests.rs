//! Files are written, packed, split, and read back.

use std::fs;
use std::io::Read;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::RowAccessor;
use flate2::read::GzDecoder;
use mayfly_core::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::aside::hex;
use crate::batch::{Add, SegmentKey};

const NASTY: &str = "a\tb\"c,d\ne";

fn batch(uids: &[&str]) -> Batch {
    let segments = ["101", "x,\"y"].map(|code| SegmentKey { code: code.into(), name: "f".into() });
    let change = |uid: &&str| UserChange {
        uid: (*uid).into(),
        adds: vec![Add { segment: 0, ttl_s: 86_400 }],
        removes: vec![1],
    };
    let now = Timestamp::from_secs(1_767_693_600);
    Batch {
        id: "b".into(),
        now,
        segments: segments.to_vec(),
        changes: uids.iter().map(change).collect(),
    }
}

fn files(format: FeedLayout, packing: Packing, part_bytes: u64) -> FilesSettings {
    let folder = "acme".into();
    FilesSettings { folder, format, packing, part_bytes, keep_days: 7, full: false, upload: None }
}

fn about() -> About {
    let as_of_ms = 1_767_693_600_000;
    About { realm: "main".into(), version: 7, as_of_ms, delete_by_ms: as_of_ms + 86_400_000 }
}

struct Wrote {
    folder: tempfile::TempDir,
    feed: Feed,
}

impl Wrote {
    fn new(layout: FeedLayout, packing: Packing, is_full: bool, batches: &[Batch]) -> Self {
        Self::split(layout, packing, is_full, batches, u64::MAX)
    }

    fn split(
        layout: FeedLayout,
        packing: Packing,
        is_full: bool,
        batches: &[Batch],
        part_bytes: u64,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = files(layout, packing, part_bytes);
        let name = FeedName {
            destination: "acme".into(),
            is_full,
            at_ms: 1_767_693_600_123,
            about: Some(about()),
        };
        let mut writer = FeedWriter::new(folder.path(), name, &settings).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        Self { feed: writer.finish().unwrap(), folder }
    }

    fn bytes(&self, part: usize) -> Vec<u8> {
        let part = &self.feed.parts[part];
        let bytes = fs::read(self.folder.path().join(&part.name)).unwrap();
        assert_eq!((part.bytes, &part.sha256), (bytes.len() as u64, &hex(&Sha256::digest(&bytes))));
        bytes
    }

    fn names(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn separated_values_come_back_whatever_an_id_holds() {
    for (layout, separator) in [(FeedLayout::Csv, b','), (FeedLayout::Tsv, b'\t')] {
        let wrote = Wrote::new(layout, Packing::Plain, false, &[batch(&["u1", NASTY])]);
        let bytes = wrote.bytes(0);
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(&bytes[..]);
        assert_eq!(reader.headers().unwrap(), ["uid", "segment", "op", "expires"].as_slice());
        let rows: Vec<Vec<String>> =
            reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
        let expected = |uid| {
            [vec![uid, "101", "add", "2026-01-07T10:00:00Z"], vec![uid, "x,\"y", "remove", ""]]
        };
        assert_eq!(rows, ["u1", NASTY].map(expected).concat());
        assert_eq!((wrote.feed.pairs, wrote.feed.unfit), (4, 0));
    }
}

#[test]
fn a_line_of_json_is_a_visitor() {
    let wrote =
        Wrote::new(FeedLayout::Jsonl, Packing::Gzip, true, &[batch(&[NASTY]), batch(&["z"])]);
    assert_eq!(wrote.feed.parts[0].name, "mayfly_acme_full_1767693600123-001.jsonl.gz");
    let control = wrote.folder.path().join(&wrote.feed.controls[0]);
    let control: Value = serde_json::from_slice(&fs::read(control).unwrap()).unwrap();
    assert_eq!((&control["realm"], &control["definitions"]), (&json!("main"), &json!(7)));
    assert_eq!(control["as_of"], json!("2026-01-06T10:00:00Z"));
    let until = about().delete_by_ms;
    let overdue = |now_ms| crate::overdue(wrote.folder.path(), now_ms).unwrap().len();
    assert_eq!((overdue(until - 1), overdue(until)), (0, 1));
    let mut text = String::new();
    GzDecoder::new(&wrote.bytes(0)[..]).read_to_string(&mut text).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let add = json!([{"segment": "101", "expires": "2026-01-07T10:00:00Z"}]);
    assert_eq!(rows[0], json!({"uid": NASTY, "add": add, "remove": ["x,\"y"]}));
    assert_eq!((rows.len(), wrote.feed.parts[0].lines), (2, 2));
    let packed = Wrote::new(FeedLayout::Jsonl, Packing::Zstd, false, &[batch(&[NASTY, "z"])]);
    let stem = "mayfly_acme_iter_1767693600123";
    assert_eq!(packed.names(), [format!("{stem}-001.jsonl.zst"), format!("{stem}.info")]);
    assert_eq!(zstd::decode_all(&packed.bytes(0)[..]).unwrap(), text.as_bytes());
}

#[test]
fn parquet_has_the_same_rows_as_columns() {
    let wrote = Wrote::new(FeedLayout::Parquet, Packing::Gzip, false, &[batch(&["u1", NASTY])]);
    assert_eq!(wrote.names()[0], "mayfly_acme_iter_1767693600123-001.parquet");
    let file = fs::File::open(wrote.folder.path().join(&wrote.names()[0])).unwrap();
    let rows: Vec<_> = SerializedFileReader::new(file)
        .unwrap()
        .get_row_iter(None)
        .unwrap()
        .map(|row| {
            let row = row.unwrap();
            let text = |at| row.get_string(at).unwrap().clone();
            (text(0), text(1), text(2), row.get_timestamp_millis(3).ok())
        })
        .collect();
    let at = Some(1_767_780_000_000);
    let row = |uid: &str, segment: &str, op: &str, at| (uid.into(), segment.into(), op.into(), at);
    let expected = |uid| [row(uid, "101", "add", at), row(uid, "x,\"y", "remove", None)];
    assert_eq!(rows, ["u1", NASTY].map(expected).concat());
    assert_eq!((wrote.feed.parts[0].lines, wrote.feed.pairs), (4, 4));
}

#[test]
fn adobes_files_have_its_names_lines_and_control_file() {
    let adobe = || FeedLayout::Adobe { data_source: "4321".into() };
    let mut own = batch(&["visitor-77", "a:b", "c%3Ad"]);
    own.segments[1].code = "103".into();
    let wrote = Wrote::new(adobe(), Packing::Plain, false, &[own.clone()]);
    let (name, info) = ("ftp_dpm_4321_1767693600.sync.1", "ftp_dpm_4321_1767693600.sync.info");
    assert_eq!(wrote.names(), [name, info]);
    assert_eq!(wrote.bytes(0), b"visitor-77\td_sid=101,d_unsid=103\n");
    assert_eq!((wrote.feed.pairs, wrote.feed.unfit), (2, 4), "ids with colons are told");
    let about: Value =
        serde_json::from_slice(&fs::read(wrote.folder.path().join(info)).unwrap()).unwrap();
    assert_eq!(about["Totals"]["TotalNumberLines"], json!(1));
    assert_eq!(about["Files"][0]["FileName"], json!(name));
    let full = Wrote::new(adobe(), Packing::Gzip, true, &[own.clone()]);
    assert_eq!(full.feed.parts[0].name, "ftp_dpm_4321_1767693600.overwrite.1.gz");
    let mut text = String::new();
    GzDecoder::new(&full.bytes(0)[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, "visitor-77\td_sid=101\n", "what replaces removes nothing");
    let mut gone = own.clone();
    gone.changes.iter_mut().for_each(|change| change.adds.clear());
    // An empty file is invalid, and what replaces says nothing of who is not in it.
    let none = Wrote::new(adobe(), Packing::Plain, true, &[gone.clone()]);
    assert_eq!(none.names(), [name, info]);
    assert_eq!(none.bytes(0), b"visitor-77\td_unsid=103\n");
    assert_eq!((none.feed.pairs, none.feed.unfit), (1, 2));
    gone.changes[0].uid = "visitor-78".into();
    let both = Wrote::new(adobe(), Packing::Plain, true, &[own.clone(), gone]);
    let replaced = "ftp_dpm_4321_1767693600.overwrite";
    let expected = [&format!("{replaced}.1"), &format!("{replaced}.info"), name, info];
    assert_eq!(both.names(), expected);
    assert_eq!(both.feed.files().collect::<Vec<_>>(), [name, expected[0], info, expected[1]]);
    assert_eq!(both.bytes(0), b"visitor-78\td_unsid=103\n");
    assert_eq!((both.bytes(1), both.feed.pairs), (b"visitor-77\td_sid=101\n".to_vec(), 3));
    // A visitor in more segments than a line takes.
    let change =
        UserChange { adds: vec![own.changes[0].adds[0]; 20_000], ..own.changes[0].clone() };
    own.changes = vec![change];
    let wrote = Wrote::new(adobe(), Packing::Plain, false, &[own]);
    let text = String::from_utf8(wrote.bytes(0)).unwrap();
    assert!(text.lines().count() > 1 && text.lines().all(|line| line.len() <= 102_400));
    assert!(text.lines().all(|line| line.starts_with("visitor-77\td_")));
    assert_eq!(text.matches("d_sid=101").count(), 20_000);
}

#[test]
fn a_set_is_split_and_is_whole_or_not_there() {
    let uids: Vec<String> = (0..1000).map(|n| format!("user-{n:04}")).collect();
    let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
    let batches: Vec<Batch> = uids.chunks(100).map(batch).collect();
    for layout in [FeedLayout::Csv, FeedLayout::Parquet] {
        let wrote = Wrote::split(layout, Packing::Plain, false, &batches, 10_000);
        assert!(wrote.feed.parts.len() > 3, "{:?}", wrote.feed.parts);
        let lines: u64 = wrote.feed.parts.iter().map(|part| part.lines).sum();
        assert_eq!((lines, wrote.feed.pairs), (2000, 2000));
        let names: Vec<&String> = wrote.feed.parts.iter().map(|part| &part.name).collect();
        assert!(names.is_sorted(), "{names:?}");
    }
    let none = Wrote::new(FeedLayout::Csv, Packing::Plain, false, &[]);
    assert!(none.names().is_empty() && none.feed == Feed::default(), "an empty file is none");
    // Given up in the middle: nothing is left.
    let folder = tempfile::tempdir().unwrap();
    let settings = files(FeedLayout::Csv, Packing::Gzip, u64::MAX);
    let name = FeedName { destination: "d".into(), is_full: true, at_ms: 1, about: None };
    let mut writer = FeedWriter::new(folder.path(), name, &settings).unwrap();
    writer.write(&batches[0]).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "aside");
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let small = FilesSettings { part_bytes: 1000, ..settings.clone() };
    let name = FeedName { destination: "d".into(), is_full: true, at_ms: 1, about: None };
    let mut writer = FeedWriter::new(folder.path(), name, &small).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    assert!(fs::read_dir(folder.path()).unwrap().count() > 2, "parts that are whole");
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
