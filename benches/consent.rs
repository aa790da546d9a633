//! Consent strings: read what the reference decoders read, and how fast.
//!
//! `consent/run.sh` makes the strings with the IAB's own libraries and names them in
//! `MAYFLY_CONSENT_STRINGS`; without it there is nothing to compare with, and that is said. Every
//! field of every string is compared; the figures are medians of rounds over all strings. The last
//! line is JSON, for the table.

#![expect(clippy::unwrap_used, reason = "benches stop at the first thing that is wrong")]
#![expect(clippy::print_stdout, reason = "the figures are set beside those of another program")]

use std::hint::black_box;
use std::time::Instant;

use mayfly::explain::Kind;
use mayfly_core::consent::gpp::Gpp;
use mayfly_core::consent::tcf::TcString;
use mayfly_core::consent::us;
use mayfly_core::consent::{ConsentPolicy, ConsentRole, ConsentRules, Signals, decide};
use serde_json::{Value, json};

/// The vendor that asks.
const VENDOR: u16 = 755;
const ROUNDS: usize = 9;
/// Rounds over a string alone are short: so many in a row.
const REPEATS: usize = 50;
/// So many differences are named.
const NAMED: usize = 20;

/// A line of the file.
struct Case {
    kind: String,
    string: String,
    expected: Value,
}

fn main() {
    let Ok(file) = std::env::var("MAYFLY_CONSENT_STRINGS") else {
        println!("consent: left out, MAYFLY_CONSENT_STRINGS names no strings (consent/run.sh)");
        return;
    };
    let text = std::fs::read_to_string(file).unwrap();
    let cases: Vec<Case> = text.lines().map(case).collect();
    let different = compare(&cases);
    println!("{}", figures(&cases));
    if different > 0 {
        std::process::exit(1);
    }
}

fn case(line: &str) -> Case {
    let mut line: Value = serde_json::from_str(line).unwrap();
    let text = |field: &str| line[field].as_str().unwrap().to_owned();
    let (kind, string) = (text("kind"), text("string"));
    Case { kind, string, expected: line["expected"].take() }
}

/// Names the first differences; how many strings differ.
fn compare(cases: &[Case]) -> usize {
    let mut different = 0;
    for (case, faults) in cases.iter().map(|case| (case, faults(case))) {
        if !faults.is_empty() && different < NAMED {
            println!("consent: {} differs in {}", case.string, faults.join(", "));
        }
        different += usize::from(!faults.is_empty());
    }
    println!("consent: {} of {} strings are equal", cases.len() - different, cases.len());
    different
}

/// Fields in which a string differs.
fn faults(case: &Case) -> Vec<String> {
    let kind = if case.kind == "gpp" { Kind::Gpp } else { Kind::Tcf };
    let Ok(mut read) = kind.decode(&case.string) else { return vec!["all: it is refused".into()] };
    if kind == Kind::Tcf {
        ask_one_by_one(&TcString::decode(&case.string).unwrap());
        return differences(&in_ranges(read), &case.expected);
    }
    let gpp = Gpp::decode(&case.string).unwrap();
    let has_gpc = |name: &str| {
        let mut sections = gpp.us().filter(|(id, _)| us::name(*id) == Some(name));
        sections.any(|(_, section)| section.is_ok_and(|section| section.gpc.is_some()))
    };
    let ids = json!({"section_ids": case.expected["section_ids"]});
    let mut faults = differences(&read, &ids);
    let of_europe = read["tcfeuv2"].take();
    for (name, expected) in case.expected["sections"].as_object().unwrap() {
        let read = match &name[..] {
            "tcfeuv2" => in_ranges(of_europe.clone()),
            _ => as_the_reference(read["sections"][name].take(), expected, has_gpc(name)),
        };
        let found = differences(&read, expected);
        faults.extend(found.into_iter().map(|fault| format!("{name}.{fault}")));
    }
    faults
}

/// Asking for one vendor, as [`decide`] does, gives what writing all out does: at both ends of each
/// range.
fn ask_one_by_one(tc: &TcString<'_>) {
    let own = [tc.vendor_consents, tc.vendor_li].into_iter();
    for set in own.chain(tc.disclosed_vendors).chain(tc.allowed_vendors) {
        let members = set.members();
        for (at, vendor) in members.iter().enumerate() {
            let near = [vendor.checked_sub(1), vendor.checked_add(1)];
            let is_member = |id: &u16| {
                let here = &members[at.saturating_sub(1)..members.len().min(at + 2)];
                here.contains(id)
            };
            if near.into_iter().flatten().all(|id| is_member(&id)) {
                continue;
            }
            assert!(set.contains(*vendor));
            assert!(near.into_iter().flatten().all(|id| set.contains(id) == is_member(&id)));
        }
    }
}

/// Fields of the reference that are not the same here.
fn differences(read: &Value, expected: &Value) -> Vec<String> {
    let fields = expected.as_object().unwrap().iter();
    let differ = fields.filter(|(field, value)| read[field] != **value);
    differ.map(|(field, value)| format!("{field}: {} is not {value}", read[field])).collect()
}

/// A TC string with its sets of vendors as ranges. Restrictions of no vendors restrict nothing: the
/// reference forgets them.
fn in_ranges(mut tc: Value) -> Value {
    for field in ["vendor_consents", "vendor_li", "disclosed_vendors", "allowed_vendors"] {
        tc[field] = ranges(&tc[field]);
    }
    let restrictions = tc["publisher_restrictions"].as_array_mut().unwrap();
    restrictions.retain(|own| own["vendors"] != json!([]));
    for own in restrictions {
        own["vendors"] = ranges(&own["vendors"]);
    }
    tc
}

fn ranges(vendors: &Value) -> Value {
    let Some(vendors) = vendors.as_array() else { return Value::Null };
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for vendor in vendors.iter().map(|vendor| vendor.as_u64().unwrap()) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == vendor => *last = vendor,
            Some(_) | None => ranges.push((vendor, vendor)),
        }
    }
    json!(ranges)
}

/// A state's section with what the reference says even where it does not stand there.
fn as_the_reference(mut section: Value, expected: &Value, has_gpc: bool) -> Value {
    if expected["SensitiveDataConsentSegmentIncluded"].is_boolean() {
        let sensitive = &mut section["SensitiveDataProcessing"];
        let has_sensitive = !sensitive.is_null();
        if !has_sensitive {
            *sensitive = json!(vec![0; 8]);
        }
        section["SensitiveDataConsentSegmentIncluded"] = json!(has_sensitive);
    }
    if !expected["GpcSegmentIncluded"].is_null() {
        section["GpcSegmentIncluded"] = json!(has_gpc);
    }
    section
}

/// ns a string of each kind, as JSON.
fn figures(cases: &[Case]) -> Value {
    let of = |kind: &str| -> Vec<&Case> { cases.iter().filter(|c| c.kind == kind).collect() };
    let (tcf, gpp, worst) = (of("tcf"), of("gpp"), of("worst"));
    let is_plain = |case: &&&Case| case.expected["publisher_restrictions"] == json!([]);
    let plain: Vec<&Case> = tcf.iter().filter(is_plain).copied().collect();
    let decode = |text: &str| TcString::decode(text).is_ok();
    let signals = |cases: &[&Case]| cases.iter().map(|case| said(&case.string)).collect::<Vec<_>>();
    let role = Some(ConsentRole::Vendor(VENDOR));
    let rules = ConsentRules { policy: ConsentPolicy::Tcf, role, ..ConsentRules::default() };
    let decision = |said: &Signals| decide(&rules, said).is_ok();
    json!({
        "tcf": time(&texts(&tcf), 1, |text| decode(text)),
        "tcf_unrestricted": time(&texts(&plain), 1, |text| decode(text)),
        "tcf_decide": time(&signals(&tcf), 1, decision),
        "tcf_members": time(&texts(&tcf), 1, |text| members(text)),
        "gpp": time(&texts(&gpp), 1, |text| sections(text)),
        "worst": time(&texts(&worst), REPEATS, |text| decode(text)),
        "worst_decide": time(&signals(&worst), REPEATS, decision),
    })
}

fn texts<'c>(cases: &[&'c Case]) -> Vec<&'c str> {
    cases.iter().map(|case| &case.string[..]).collect()
}

/// What a browser says with a TC string.
fn said(text: &str) -> Signals {
    let mut said = Signals::default();
    said.choice.take("gdpr_consent", text);
    said
}

/// Every vendor written out, as the reference does: what no request does here.
fn members(text: &str) -> usize {
    let tc = TcString::decode(text).unwrap();
    let own = [tc.vendor_consents, tc.vendor_li].into_iter();
    let sets = own.chain(tc.disclosed_vendors).chain(tc.allowed_vendors);
    let restricted = tc.restrictions.iter().map(|(_, _, vendors)| vendors);
    sets.chain(restricted).map(|vendors| vendors.members().len()).sum()
}

/// Every section of a GPP string.
fn sections(text: &str) -> usize {
    let gpp = Gpp::decode(text).unwrap();
    let read = gpp.us().filter(|(_, section)| black_box(section).is_ok()).count();
    read + usize::from(gpp.tcf_eu().is_some()) + usize::from(gpp.us_privacy().is_some())
}

/// Median ns of one, after one round that is not counted.
fn time<T, R>(all: &[T], repeats: usize, one: impl Fn(&T) -> R) -> f64 {
    let round = |_| {
        let start = Instant::now();
        for _ in 0..repeats {
            for each in all {
                black_box(one(black_box(each)));
            }
        }
        start.elapsed().as_nanos() as f64 / (all.len() * repeats) as f64
    };
    let mut rounds: Vec<f64> = (0..=ROUNDS).map(round).skip(1).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2].round()
}
