//! Real consent strings, with what the reference decoders read in them.
//!
//! The strings stand in the test suites of the IAB's own libraries and of Prebid's; the expected
//! values are those of `@iabtcf/core` 1.5.6 and `@iabgpp/cmpapi` 3.2.0, checked by an independent
//! reader of bits. Sets of vendors are written as ranges.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is wrong")]

use std::hint::black_box;

use mayfly_core::consent::ConsentError;
use mayfly_core::consent::gpp::Gpp;
use mayfly_core::consent::tcf::{Ids, Restriction, TcString, Vendors};
use mayfly_core::consent::us::{self, UsSection};
use mayfly_core::consent::usp::UsPrivacy;
use mayfly_core::limits;
use serde_json::{Value, json};

fn vectors(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn ids<N: Copy + Into<u64> + TryFrom<u64>>(ids: Ids<N>) -> Value {
    json!(ids.iter().collect::<Vec<_>>())
}

/// No vendor of the strings is above.
const VENDOR_MAX: u16 = 4096;

fn members(vendors: &Vendors<'_>) -> impl Iterator<Item = u16> {
    (0..=VENDOR_MAX).chain([u16::MAX]).filter(|vendor| vendors.contains(*vendor))
}

/// All vendors of a set, as ranges.
fn ranges(vendors: &Vendors<'_>) -> Value {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for vendor in members(vendors) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == vendor => *last = vendor,
            Some(_) | None => ranges.push((vendor, vendor)),
        }
    }
    json!(ranges)
}

fn flat(vendors: &Vendors<'_>) -> Value {
    let all: Vec<u16> = members(vendors).collect();
    assert_eq!(vendors.members(), all, "one by one and all at once");
    json!(all)
}

fn text(letters: [u8; 2]) -> Value {
    json!(std::str::from_utf8(&letters).unwrap())
}

/// What we read, in the form of the vectors.
fn read(tc: &TcString<'_>) -> Value {
    let restriction = |(purpose, restriction, vendors): (u8, Option<Restriction>, Vendors<'_>)| json!({"purpose": purpose, "type": restriction.map_or(3, |r| r as u8), "vendors": flat(&vendors)});
    json!({
        "version": 2, "created_ds": tc.created_ds, "last_updated_ds": tc.last_updated_ds,
        "cmp_id": tc.cmp_id, "cmp_version": tc.cmp_version, "consent_screen": tc.consent_screen,
        "consent_language": text(tc.consent_language),
        "vendor_list_version": tc.vendor_list_version,
        "tcf_policy_version": tc.tcf_policy_version,
        "is_service_specific": tc.is_service_specific,
        "use_non_standard_texts": tc.use_non_standard_texts,
        "special_feature_opt_ins": ids(tc.special_features),
        "purposes_consent": ids(tc.purposes_consent), "purposes_li": ids(tc.purposes_li),
        "purpose_one_treatment": tc.purpose_one_treatment, "publisher_cc": text(tc.publisher_cc),
        "vendor_consents": ranges(&tc.vendor_consents), "vendor_li": ranges(&tc.vendor_li),
        "publisher_restrictions": tc.restrictions.iter().map(restriction).collect::<Vec<_>>(),
        "disclosed_vendors": tc.disclosed_vendors.as_ref().map(ranges),
        "allowed_vendors": tc.allowed_vendors.as_ref().map(ranges),
        "publisher_tc": tc.publisher.map(|publisher| json!({
            "purposes_consent": ids(publisher.purposes_consent),
            "purposes_li": ids(publisher.purposes_li),
            "num_custom_purposes": publisher.custom_consent.width(),
            "custom_consent": ids(publisher.custom_consent),
            "custom_li": ids(publisher.custom_li),
        })),
    })
}

#[test]
fn tc_strings_are_read_as_the_reference_reads_them() {
    let all = [include_str!("consent/tcf_valid.json"), include_str!("consent/tcf_lenient.json")];
    let mut seen = 0;
    for vector in all.into_iter().flat_map(vectors) {
        let string = vector["string"].as_str().unwrap();
        let read = read(&TcString::decode(string).unwrap_or_else(|e| panic!("{string}: {e}")));
        for (field, expected) in vector["expected"].as_object().unwrap() {
            assert_eq!(&read[field], expected, "{field} of {string}");
        }
        seen += 1;
    }
    assert_eq!(seen, 103);
}

#[test]
fn broken_tc_strings_are_refused() {
    let malformed = vectors(include_str!("consent/tcf_malformed.json"));
    assert_eq!(malformed.len(), 13);
    for string in malformed {
        assert!(TcString::decode(string.as_str().unwrap()).is_err(), "{string}");
    }
}

/// A section's fields in the form of the vectors: a single value stands alone.
fn fields(section: &UsSection) -> Value {
    let mut all = serde_json::Map::new();
    for (field, values) in section.fields() {
        let value = if let [one] = values { json!(one) } else { json!(values) };
        all.insert(format!("{field:?}"), value);
    }
    Value::Object(all)
}

#[test]
fn gpp_strings_are_read_as_the_reference_reads_them() {
    let all = vectors(include_str!("consent/gpp_valid.json"));
    let mut sections = 0;
    for vector in &all {
        let string = vector["string"].as_str().unwrap();
        let gpp = Gpp::decode(string).unwrap_or_else(|e| panic!("{string}: {e}"));
        assert_eq!(json!(gpp.ids().collect::<Vec<_>>()), vector["ids"], "{string}");
        for (id, section) in gpp.us() {
            let expected = &vector["sections"][us::name(id).unwrap()];
            let section = section.unwrap_or_else(|e| panic!("{id} of {string}: {e}"));
            let read = fields(&section);
            for (field, value) in expected.as_object().unwrap() {
                match field.as_str() {
                    "Version" | "MspaVersion" => assert_eq!(json!(section.version), *value),
                    "GpcSegmentType" => {}
                    "Gpc" => assert_eq!(section.gpc.unwrap_or(false), *value, "{string}"),
                    _ => assert_eq!(read[field], *value, "{field} of {string}"),
                }
            }
            sections += 1;
        }
        if let Some(privacy) = gpp.us_privacy() {
            let UsPrivacy { notice, opted_out, lspa } = privacy.unwrap();
            let sign = |answer| {
                json!(match answer {
                    Some(true) => "Y",
                    Some(false) => "N",
                    None => "-",
                })
            };
            let expected = &vector["sections"]["uspv1"];
            assert_eq!(sign(notice), expected["Notice"], "{string}");
            assert_eq!(sign(opted_out), expected["OptOutSale"], "{string}");
            assert_eq!(sign(lspa), expected["LspaCovered"], "{string}");
        }
    }
    assert_eq!((all.len(), sections > 30), (59, true), "{sections} sections");
}

/// The reference refuses a string as soon as any section is broken; we refuse the section.
#[test]
fn broken_gpp_strings_are_refused_at_least_where_they_are_broken() {
    for vector in vectors(include_str!("consent/gpp_rejected.json")) {
        let string = vector["string"].as_str().unwrap();
        let error = vector["error"].as_str().unwrap();
        let Ok(gpp) = Gpp::decode(string) else { continue };
        assert!(!error.contains("Header") && !error.contains("number of sections"), "{string}");
        let is_unread = error.contains("TcfCaV1");
        let broken = gpp.us().any(|(_, section)| section.is_err())
            || gpp.us_privacy().is_some_and(|privacy| privacy.is_err());
        assert!(is_unread || broken, "{string}");
    }
}

/// Strings beyond this are only cut off, not changed: that takes too long.
const LONG: usize = 120;

/// Every beginning of a real string, and every character of one changed: an answer, never a panic.
#[test]
fn nothing_panics_on_what_is_nearly_a_string() {
    let tcf = vectors(include_str!("consent/tcf_valid.json"));
    let gpp = vectors(include_str!("consent/gpp_valid.json"));
    for vector in tcf.iter().chain(&gpp) {
        let string = vector["string"].as_str().unwrap();
        for end in 0..string.len() {
            poke(&string[..end]);
            if string.len() > LONG {
                continue;
            }
            for other in ["A", "_", ".", "~", "="] {
                poke(&format!("{}{other}{}", &string[..end], &string[end + 1..]));
            }
        }
    }
}

fn poke(string: &str) {
    if let Ok(tc) = TcString::decode(string) {
        let vendors = [tc.vendor_consents, tc.vendor_li];
        for set in vendors.iter().chain(&tc.disclosed_vendors) {
            black_box((set.contains(0), set.contains(u16::MAX)));
        }
        black_box(tc.restrictions.of(1, 1).count());
    }
    if let Ok(gpp) = Gpp::decode(string) {
        black_box((gpp.us().count(), gpp.tcf_eu(), gpp.us_privacy()));
    }
    black_box(UsPrivacy::decode(string).is_ok());
}

/// As many of the widest ranges as the longest string holds: none is written out.
#[test]
fn the_widest_ranges_cost_no_more_than_their_bits() {
    let mut bits = format!("{:06b}{}", 2, "0".repeat(207));
    // Vendors: 0 to 65535, as often as it may be said; then no more vendors, nor restrictions.
    bits += &format!("{:016b}1{:012b}", u16::MAX, 1400);
    bits += &format!("1{:016b}{:016b}", 0, u16::MAX).repeat(1400);
    bits += &"0".repeat(16 + 1 + 12);
    bits += &"0".repeat(24 - bits.len() % 24);
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let six = |at: usize| usize::from_str_radix(&bits[at..at + 6], 2).unwrap();
    let wide: String = (0..bits.len()).step_by(6).map(|at| char::from(alphabet[six(at)])).collect();
    assert!(wide.len() > 7_700 && wide.len() <= limits::CONSENT_BYTES);
    let tc = TcString::decode(&wide).unwrap();
    assert!(tc.vendor_consents.contains(7) && !tc.vendor_li.contains(7));
    let longer = wide + &"A".repeat(limits::CONSENT_BYTES);
    assert_eq!(TcString::decode(&longer), Err(ConsentError::TooLong));
}
