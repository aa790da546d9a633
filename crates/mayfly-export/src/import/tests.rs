use std::io::Write;

use super::*;

fn read(format: ImportFormat, bytes: &[u8]) -> Result<Vec<Read1>, ImportError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let mut all = Vec::new();
    read_import(file.path(), format, |row| {
        all.push(row);
        true
    })?;
    Ok(all)
}

fn pair(uid: &str, code: &str, is_in: bool) -> Read1 {
    Ok(ImportRow { uid: uid.into(), code: Some(code.into()), is_in })
}

fn alone(uid: &str) -> Read1 {
    Ok(ImportRow { uid: uid.into(), code: None, is_in: true })
}

#[test]
fn tables_are_read_by_their_header() {
    let text = "\u{feff}segment,uid,op\r\n11,a,add\n12,\"b,\"\"b\",remove\n\n11,c,\n";
    assert_eq!(
        read(ImportFormat::Csv, text.as_bytes()).unwrap(),
        [pair("a", "11", true), pair("b,\"b", "12", false), pair("c", "11", true)]
    );
    let text = "UID\na\n\"b\"\nc";
    let all = [alone("a"), alone("b"), alone("c")];
    assert_eq!(read(ImportFormat::Csv, text.as_bytes()).unwrap(), all);
    let text = "uid\tsegment\na,1\t11\n";
    assert_eq!(read(ImportFormat::Tsv, text.as_bytes()).unwrap(), [pair("a,1", "11", true)]);
    for text in ["", "name,age\n", "a\nb\n"] {
        let found = read(ImportFormat::Csv, text.as_bytes());
        assert!(matches!(found, Err(ImportError::Header)), "{text:?}");
    }
}

#[test]
fn lines_that_say_nothing_are_told_and_passed_over() {
    let long = "x".repeat(limits::IMPORT_LINE_BYTES * 3);
    let wide = ",".repeat(200);
    let text = format!("uid,op\n\n,add\na,twice\nb\n{long},add\n{wide}\n\"open,add\n a,\nc,add\n");
    let mut bytes = text.into_bytes();
    bytes.extend(b"\xff\xfe,add\n");
    assert_eq!(
        read(ImportFormat::Csv, &bytes).unwrap(),
        [
            Err((3, BadRow::BadId)),
            Err((4, BadRow::BadOp)),
            Err((5, BadRow::Columns)),
            Err((6, BadRow::TooLong)),
            Err((7, BadRow::Columns)),
            Err((8, BadRow::Columns)),
            Err((9, BadRow::BadId)),
            Ok(ImportRow { uid: "c".into(), code: None, is_in: true }),
            Err((11, BadRow::NotText)),
        ]
    );
}

#[test]
fn lines_of_json_are_those_that_feeds_have() {
    let text = concat!(
        r#"{"uid":"a","add":[{"segment":"11","expires":"2026-12-01T00:00:00Z"},"12"],"remove":["13"]}"#,
        "\n",
        r#"{"uid":"b\u0041"}"#,
        "\n[]\n{\"uid\":\"\"}\n",
        r#"{"uid":"c","add":[]}"#,
    );
    assert_eq!(
        read(ImportFormat::Jsonl, text.as_bytes()).unwrap(),
        [
            pair("a", "11", true),
            pair("a", "12", true),
            pair("a", "13", false),
            alone("bA"),
            Err((3, BadRow::NotJson)),
            Err((4, BadRow::BadId)),
        ]
    );
}

#[test]
fn adobes_entries_are_traits_that_come_or_go() {
    let text = "a\td_sid=24,d_unsid=26,ic=shoes,7,8:0,9:-1\nb:c\td_sid=1\nno tab\n\
                c\t\"color\"=\"red\",d_sid=,5\n";
    assert_eq!(
        read(ImportFormat::Adobe, text.as_bytes()).unwrap(),
        [
            pair("a", "24", true),
            pair("a", "26", false),
            pair("a", "shoes", true),
            pair("a", "7", true),
            pair("a", "8", false),
            pair("a", "9", false),
            Err((2, BadRow::BadId)),
            Err((3, BadRow::BadEntry)),
            Err((4, BadRow::BadEntry)),
            Err((4, BadRow::BadEntry)),
            pair("c", "5", true),
        ]
    );
}

#[test]
fn packed_files_are_known_by_their_first_bytes() {
    let text = b"uid\na\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text).unwrap();
    let gzip = gzip.finish().unwrap();
    // Two members, as parts joined by `cat` are.
    let twice = [gzip.clone(), gzip.clone()].concat();
    assert_eq!(read(ImportFormat::Csv, &gzip).unwrap(), [alone("a")]);
    assert_eq!(read(ImportFormat::Csv, &twice).unwrap(), [alone("a"), alone("uid"), alone("a")]);
    let zstd = zstd::encode_all(&text[..], 3).unwrap();
    assert_eq!(read(ImportFormat::Csv, &zstd).unwrap(), [alone("a")]);
    for cut in [gzip, zstd] {
        let cut = read(ImportFormat::Csv, &cut[..cut.len() - 3]);
        assert!(matches!(cut, Err(ImportError::File { .. })), "{cut:?}");
    }
    let none = read(ImportFormat::Parquet, text);
    assert!(matches!(none, Err(ImportError::Parquet { .. })), "{none:?}");
}

/// What one Mayfly delivers another one imports.
#[test]
fn feeds_are_read_as_they_were_written() {
    let changes = [("a,\"1\"", vec![0, 1], vec![]), ("b", vec![], vec![1])];
    let change = |(uid, adds, removes): &(&str, Vec<usize>, Vec<usize>)| crate::UserChange {
        uid: (*uid).into(),
        adds: adds.iter().map(|&segment| crate::Add { segment, ttl_s: 86_400 }).collect(),
        removes: removes.clone(),
    };
    let key = |code: &str| crate::SegmentKey { code: code.into(), name: "s".into() };
    let batch = crate::Batch {
        id: "x".into(),
        now: mayfly_core::Timestamp::from_secs(1_800_000_000),
        segments: vec![key("11"), key("12")],
        changes: changes.iter().map(change).collect(),
    };
    let expected =
        [pair("a,\"1\"", "11", true), pair("a,\"1\"", "12", true), pair("b", "12", false)];
    let folder = tempfile::tempdir().unwrap();
    for (layout, format, packing) in [
        ("csv", ImportFormat::Csv, "gzip"),
        ("tsv", ImportFormat::Tsv, "plain"),
        ("jsonl", ImportFormat::Jsonl, "zstd"),
        ("parquet", ImportFormat::Parquet, "plain"),
    ] {
        let settings = format!(r#"{{"folder":"f","format":"{layout}","packing":"{packing}"}}"#);
        let settings = serde_json::from_str(&settings).unwrap();
        let name =
            crate::FeedName { destination: layout.into(), is_full: false, at_ms: 1, about: None };
        let own = folder.path().join(layout);
        let mut writer = crate::FeedWriter::new(&own, name, &settings).unwrap();
        writer.write(&batch).unwrap();
        let part = writer.finish().unwrap().parts[0].name.clone();
        assert_eq!(ImportFormat::of(&part), Some(format), "{part}");
        let mut all = Vec::new();
        read_import(&own.join(part), format, |row| {
            all.push(row);
            true
        })
        .unwrap();
        assert_eq!(all, expected, "{layout}");
    }
}
