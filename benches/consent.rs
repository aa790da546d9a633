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

use mayfly_core::consent::gpp::Gpp;
use mayfly_core::consent::tcf::{Ids, TcString, Vendors};
use mayfly_core::consent::us::{self, UsSection};
use mayfly_core::consent::usp::UsPrivacy;
use mayfly_core::consent::{ConsentPolicy, ConsentRole, ConsentRules, Signals, decide};
use serde_json::{Map, Value, json};

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
    let faults = |case: &Case| match &case.kind[..] {
        "gpp" => of_gpp(&case.string, &case.expected),
        _ => of_tcf(&case.string, &case.expected),
    };
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

/// Fields in which a TC string differs.
fn of_tcf(string: &str, expected: &Value) -> Vec<String> {
    match TcString::decode(string) {
        Ok(tc) => differences(&read(&tc), expected),
        Err(error) => vec![format!("all: it {error}")],
    }
}

/// Fields of the reference that are not the same here.
fn differences(read: &Value, expected: &Value) -> Vec<String> {
    let fields = expected.as_object().unwrap().iter();
    let differ = fields.filter(|(field, value)| read[field] != **value);
    differ.map(|(field, value)| format!("{field}: {} is not {value}", read[field])).collect()
}

fn ids<N: Copy + Into<u64> + TryFrom<u64>>(ids: Ids<N>) -> Value {
    json!(ids.iter().collect::<Vec<_>>())
}

fn letters(two: [u8; 2]) -> String {
    two.iter().map(|letter| char::from(*letter)).collect()
}

/// All vendors of a set, as ranges; that asking for one, as [`decide`] does, gives the same is
/// tried at the ends of each.
fn ranges(vendors: &Vendors<'_>) -> Value {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for vendor in vendors.members() {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == vendor => *last = vendor,
            Some(_) | None => ranges.push((vendor, vendor)),
        }
    }
    for (first, last) in &ranges {
        let has = |vendor: Option<u16>| vendor.is_some_and(|id| vendors.contains(id));
        assert!(vendors.contains(*first) && vendors.contains(*last));
        assert!(!has(first.checked_sub(1)) && !has(last.checked_add(1)));
    }
    json!(ranges)
}

/// What we read, under the names of the reference. Restrictions of no vendors restrict nothing: the
/// reference forgets them.
fn read(tc: &TcString<'_>) -> Value {
    let restrictions = tc.restrictions.iter().map(|(purpose, kind, vendors)| {
        let kind = kind.map_or(3, |kind| kind as u8);
        json!({"purpose": purpose, "type": kind, "vendors": ranges(&vendors)})
    });
    let restrictions: Vec<Value> = restrictions.filter(|r| r["vendors"] != json!([])).collect();
    json!({
        "version": 2,
        "created_ds": tc.created_ds,
        "last_updated_ds": tc.last_updated_ds,
        "cmp_id": tc.cmp_id,
        "cmp_version": tc.cmp_version,
        "consent_screen": tc.consent_screen,
        "consent_language": letters(tc.consent_language),
        "vendor_list_version": tc.vendor_list_version,
        "tcf_policy_version": tc.tcf_policy_version,
        "is_service_specific": tc.is_service_specific,
        "use_non_standard_texts": tc.use_non_standard_texts,
        "special_feature_opt_ins": ids(tc.special_features),
        "purposes_consent": ids(tc.purposes_consent),
        "purposes_li": ids(tc.purposes_li),
        "purpose_one_treatment": tc.purpose_one_treatment,
        "publisher_cc": letters(tc.publisher_cc),
        "vendor_consent_max_id": tc.vendor_consents.max(),
        "vendor_consents": ranges(&tc.vendor_consents),
        "vendor_li_max_id": tc.vendor_li.max(),
        "vendor_li": ranges(&tc.vendor_li),
        "publisher_restrictions": restrictions,
        "disclosed_vendors": tc.disclosed_vendors.as_ref().map(ranges),
        "allowed_vendors": tc.allowed_vendors.as_ref().map(ranges),
        "publisher_tc": tc.publisher.map(|own| json!({
            "purposes_consent": ids(own.purposes_consent),
            "purposes_li": ids(own.purposes_li),
            "num_custom_purposes": own.custom_consent.width(),
            "custom_consent": ids(own.custom_consent),
            "custom_li": ids(own.custom_li),
        })),
    })
}

/// Fields in which a GPP string differs.
fn of_gpp(string: &str, expected: &Value) -> Vec<String> {
    let gpp = match Gpp::decode(string) {
        Ok(gpp) => gpp,
        Err(error) => return vec![format!("all: it {error}")],
    };
    let own = json!({"section_ids": gpp.ids().collect::<Vec<_>>()});
    let mut faults = differences(&own, &json!({"section_ids": expected["section_ids"]}));
    for id in gpp.ids() {
        let (name, found) = section(&gpp, id, expected);
        faults.extend(found.into_iter().map(|fault| format!("{name}.{fault}")));
    }
    faults
}

/// A section's name, and the fields in which it differs.
fn section(gpp: &Gpp<'_>, id: u16, expected: &Value) -> (&'static str, Vec<String>) {
    let text = gpp.section(id).unwrap();
    let all = &expected["sections"];
    match (id, us::name(id)) {
        (2, _) => ("tcfeuv2", of_tcf(text, &all["tcfeuv2"])),
        // Canada's is not read.
        (5, _) => ("tcfcav1", differences(&json!({"raw": text}), &all["tcfcav1"])),
        (6, _) => ("uspv1", of_privacy(text, &all["uspv1"])),
        (_, Some(name)) => (name, of_state(id, text, &all[name])),
        (_, None) => ("unknown", vec!["all: we do not know it".to_owned()]),
    }
}

fn of_privacy(text: &str, expected: &Value) -> Vec<String> {
    let UsPrivacy { notice, opted_out, lspa } = match UsPrivacy::decode(text) {
        Ok(privacy) => privacy,
        Err(error) => return vec![format!("all: it {error}")],
    };
    let sign = |answer| match answer {
        Some(true) => "Y",
        Some(false) => "N",
        None => "-",
    };
    let (notice, opted_out, lspa) = (sign(notice), sign(opted_out), sign(lspa));
    let read = json!({
        "Version": 1, "Notice": notice, "OptOutSale": opted_out, "LspaCovered": lspa,
    });
    differences(&read, expected)
}

fn of_state(id: u16, text: &str, expected: &Value) -> Vec<String> {
    match UsSection::decode(id, text) {
        Ok(section) => differences(&fields(&section, expected), expected),
        Err(error) => vec![format!("all: it {error}")],
    }
}

/// A section under the names of the reference, which has what stands behind the dot even where it
/// does not stand there.
fn fields(section: &UsSection, expected: &Value) -> Value {
    let mut all = Map::new();
    let version = if section.is_new { "MspaVersion" } else { "Version" };
    all.insert(version.to_owned(), json!(section.version));
    for (field, values) in section.fields() {
        let value = if let [one] = values { json!(one) } else { json!(values) };
        all.insert(format!("{field:?}"), value);
    }
    let has_sensitive = all.contains_key("SensitiveDataProcessing");
    if expected["SensitiveDataConsentSegmentIncluded"].is_boolean() {
        all.insert("SensitiveDataConsentSegmentIncluded".to_owned(), json!(has_sensitive));
        all.entry("SensitiveDataProcessing").or_insert_with(|| json!(vec![0; 8]));
    }
    if section.has_gpc {
        all.insert("GpcSegmentType".to_owned(), json!(1));
        all.insert("GpcSegmentIncluded".to_owned(), json!(section.gpc.is_some()));
        all.insert("Gpc".to_owned(), json!(section.gpc.unwrap_or(false)));
    }
    Value::Object(all)
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
