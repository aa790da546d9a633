use mayfly_core::{Event, Timestamp, Value};
use proptest::prelude::*;

use super::*;
use crate::submission::VisitorRef;

const HIT: &str =
    r#"{"visitor":{"space":"crm","id":"1"},"site":"news","url":"https://n.example/"}"#;

fn json(body: &str) -> Result<Items, Reason> {
    parse_body(body.as_bytes(), BodyFormat::Json)
}

fn one(fields: &str) -> Result<Submission, Reason> {
    let body = format!(r#"{{"visitor":{{"space":"crm","id":"1"}},"site":"news",{fields}}}"#);
    json(&body)?.pop().unwrap()
}

#[test]
fn every_field_is_read() {
    let got =
        one(r#""id":"h1","time":"2026-11-21T10:00:00Z","url":"https://N.example/a#x","referrer":
        "https://www.google.com/","title":"T","keywords":["a"," "],"categories":["c"],"event":
        "ad_click","engaged_ms":1600,"attributes":{"p":9.5,"q":"t","f":true,"x.s":1},"consent":
        {"gpc":false,"tcf":"C"},"user_agent":"u","ip":"192.0.2.1","language":"de","more":[1]"#)
        .unwrap();
    assert_eq!(got.visitor, VisitorRef::Foreign { space: "crm".into(), id: "1".into() });
    assert_eq!((got.hit_id.as_deref(), &*got.site), (Some("h1"), "news"));
    let c = got.candidate;
    assert_eq!(c.time, Some(Timestamp::from_secs(1_795_255_200)));
    assert_eq!((&*c.page.url, &*c.page.title), ("https://n.example/a", "T"));
    assert_eq!((c.page.keywords.len(), c.page.categories.len()), (1, 1));
    assert_eq!((c.event, c.engaged_s), (Event::AdClick, 2));
    assert_eq!(c.attributes.len(), 3, "x. is never kept");
    assert_eq!(c.attributes[0].value, Value::Number(9.5));
    assert_eq!(c.signals.choice.gpc, Some(false));
    assert_eq!(c.origin, None);
}

#[test]
fn each_fault_has_its_reason() {
    for (fields, reason) in [
        (r#""title":"no url""#, Reason::NoUrl),
        (r#""url":"ftp://a/""#, Reason::BadUrl),
        (r#""url":"https://n.example/","time":"yesterday""#, Reason::BadTime),
        (r#""url":"https://n.example/","event":"A B""#, Reason::BadEvent),
        (r#""url":"https://n.example/","id":"""#, Reason::BadHitId),
        (r#""url":"https://n.example/","attributes":{"A":1}"#, Reason::BadAttribute),
        (r#""url":"https://n.example/","attributes":{"a":[1]}"#, Reason::BadJson),
        (r#""url":7"#, Reason::BadJson),
    ] {
        assert_eq!(one(fields).map(|s| s.site), Err(reason), "{fields}");
    }
    for visitor in [
        r#"{}"#,
        r#"{"space":"crm"}"#,
        r#"{"space":"crm","id":"1","cookie":"c"}"#,
        r#"{"space":"probe","id":"1"}"#,
        r#"{"space":"CRM","id":"1"}"#,
    ] {
        let hit = format!(r#"{{"visitor":{visitor},"site":"n","url":"https://n.example/"}}"#);
        assert_eq!(parse_hit_line(hit.as_bytes()).map(|s| s.site), Err(Reason::BadVisitor));
    }
}

#[test]
fn arrays_lines_and_single_hits_are_told_apart() {
    let faults = |body: &str| json(body).map(|items| items.iter().filter(|i| i.is_err()).count());
    assert_eq!(json(&format!("[{HIT},{HIT}]")).unwrap().len(), 2);
    assert_eq!(json(&format!("{HIT}\n\n{HIT}\n")).unwrap().len(), 2);
    assert_eq!(json(&HIT.replace(',', ",\n")).unwrap().len(), 1, "one hit on several lines");
    assert_eq!(faults(&format!("[{HIT},{{}},7]")), Ok(2));
    assert_eq!(faults(&format!("{HIT}\n{{\n{HIT}")), Ok(1));
    assert_eq!(json("[]").map(|i| i.len()), Ok(0));
}

#[test]
fn half_a_body_is_refused_whole() {
    let body = format!("[{HIT},{HIT}]");
    for cut in 0..body.len() {
        assert_eq!(json(&body[..cut]).map(|i| i.len()), Err(Reason::BadJson), "{cut}");
    }
    assert_eq!(parse_body(b"[\xff]", BodyFormat::Json).map(|i| i.len()), Err(Reason::BadJson));
}

#[test]
fn deep_and_endless_bodies_are_refused_within_bounds() {
    let deep = "[".repeat(1_000_000);
    assert_eq!(json(&deep).map(|i| i.len()), Err(Reason::BadJson));
    let deep = format!("[{}{}]", r#"{"a":"#.repeat(100_000), "}".repeat(99_999));
    assert_eq!(json(&deep).map(|i| i.len()), Err(Reason::BadJson));
    let million = format!("[{}0]", "0,".repeat(1_000_000));
    assert_eq!(json(&million).map(|i| i.len()), Err(Reason::TooManyHits));
    let lines = "{}\n".repeat(limits::HITS_PER_BODY + 1);
    assert_eq!(json(&lines).map(|i| i.len()), Err(Reason::TooManyHits));
    let long = " ".repeat(limits::HITS_BODY_BYTES + 1);
    assert_eq!(json(&long).map(|i| i.len()), Err(Reason::BodyTooLong));
}

#[test]
fn message_pack_is_read_and_its_bombs_are_refused() {
    let pack = |body: &[u8]| parse_body(body, BodyFormat::MessagePack);
    let hit: serde_json::Value = serde_json::from_str(HIT).unwrap();
    let one = rmp_serde::to_vec_named(&hit).unwrap();
    let two = rmp_serde::to_vec_named(&[&hit, &hit]).unwrap();
    assert_eq!(&*pack(&one).unwrap()[0].as_ref().unwrap().site, "news");
    assert_eq!(pack(&two).unwrap().iter().filter(|i| i.is_ok()).count(), 2);
    for cut in 0..two.len() {
        assert!(pack(&two[..cut]).is_err(), "{cut}");
    }
    let four_billion_items = [0xdd, 0xff, 0xff, 0xff, 0xff];
    let long_text = [0x91, 0xdb, 0xff, 0xff, 0xff, 0xff];
    let nested = vec![0x91; 1_000_000];
    let nested_field = [&[0x91, 0x81, 0xa1, b'z'][..], &[0x91; 1_000_000][..]].concat();
    let maps = [&[0xdd, 0x00, 0x01, 0x00, 0x00][..], &[0x80; 65_536][..]].concat();
    for bomb in [&four_billion_items[..], &long_text, &nested, &nested_field, &maps] {
        assert!(pack(bomb).is_err());
    }
}

proptest! {
    #[test]
    fn any_body_is_survived(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        parse_body(&body, BodyFormat::Json).ok();
        parse_body(&body, BodyFormat::MessagePack).ok();
    }

    #[test]
    fn any_json_is_survived(
        body in r#"(\[|\]|\{|\}|"visitor":|"url":|"time":|"a"|1|,|\n|null){0,40}"#,
    ) {
        json(&body).ok();
    }
}
