//! The decision of consent: every policy, role and reason, on strings that are written here bit by
//! bit as the specification has them.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is wrong")]

use mayfly_core::consent::{
    Audience, ConsentRole, Ground, Receiver, Refusal, decide, tcf::TcString, withdraws,
};
use mayfly_core::{Allowed, Choice, ConsentPolicy, ConsentRules, ConsentState, Signals};

/// Our number in the vendor list.
const WE: u16 = 999;
const VENDOR: Option<ConsentRole> = Some(ConsentRole::Vendor(WE));
const EVERYTHING: &[u8] = &[1, 3, 5, 9];

/// What a TC string shall say.
#[derive(Clone)]
struct Tc {
    updated_ds: u64,
    policy_version: u8,
    is_service_specific: bool,
    consent: Vec<u8>,
    interest: Vec<u8>,
    vendors: Vec<u16>,
    interest_vendors: Vec<u16>,
    /// Purpose, kind, vendor.
    restriction: Option<(u8, u8, u16)>,
    disclosed: Option<Vec<u16>>,
    publisher: Option<Vec<u8>>,
}

impl Tc {
    fn granting(purposes: &[u8]) -> Self {
        Self {
            updated_ds: 17_000_000_000,
            policy_version: 5,
            is_service_specific: true,
            consent: purposes.to_vec(),
            interest: Vec::new(),
            vendors: vec![WE],
            interest_vendors: Vec::new(),
            restriction: None,
            disclosed: Some(vec![WE]),
            publisher: None,
        }
    }

    fn text(&self) -> String {
        let updated = self.updated_ds;
        let mut bits = format!("{:06b}{updated:036b}{updated:036b}", 2);
        bits += &format!("{:012b}{:012b}{:06b}{}{:012b}", 7, 1, 1, "0".repeat(12), 300);
        bits += &format!("{:06b}{}0", self.policy_version, u8::from(self.is_service_specific));
        bits += &"0".repeat(12);
        bits += &row(&self.consent);
        bits += &row(&self.interest);
        bits += &format!("0{}", "0".repeat(12));
        bits += &vendors(&self.vendors);
        bits += &vendors(&self.interest_vendors);
        match self.restriction {
            None => bits += &"0".repeat(12),
            Some((purpose, kind, vendor)) => {
                bits += &format!("{:012b}{purpose:06b}{kind:02b}{:012b}0{vendor:016b}", 1, 1);
            }
        }
        let mut text = base64(&bits);
        if let Some(disclosed) = &self.disclosed {
            text += &format!(".{}", base64(&format!("001{}", vendors(disclosed))));
        }
        if let Some(own) = &self.publisher {
            let none = "0".repeat(24 + 6);
            text += &format!(".{}", base64(&format!("011{}{none}", row(own))));
        }
        TcString::decode(&text).unwrap();
        text
    }

    fn choice(&self) -> Choice {
        Choice { gdpr: Some(true), tcf: Some(self.text().into()), ..Choice::default() }
    }
}

/// Twenty-four bits.
fn row(purposes: &[u8]) -> String {
    (1..=24).map(|p| if purposes.contains(&p) { '1' } else { '0' }).collect()
}

/// A set of vendors as single entries.
fn vendors(all: &[u16]) -> String {
    let entries: String = all.iter().map(|v| format!("0{v:016b}")).collect();
    format!("{:016b}1{:012b}{entries}", all.iter().max().unwrap_or(&0), all.len())
}

fn base64(bits: &str) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let padded = format!("{bits}{}", "0".repeat((24 - bits.len() % 24) % 24));
    let six = |at: usize| usize::from_str_radix(&padded[at..at + 6], 2).unwrap();
    (0..padded.len()).step_by(6).map(|at| char::from(alphabet[six(at)])).collect()
}

fn rules(policy: ConsentPolicy, role: Option<ConsentRole>) -> ConsentRules {
    ConsentRules { policy, role, ..ConsentRules::default() }
}

fn tcf() -> ConsentRules {
    rules(ConsentPolicy::Tcf, VENDOR)
}

fn said(choice: Choice) -> Signals {
    Signals { choice, ..Signals::default() }
}

/// The reason, or `kept`.
fn reason(rules: &ConsentRules, signals: &Signals) -> &'static str {
    decide(rules, signals).map_or_else(Refusal::label, |_| "kept")
}

/// Parameters of a query.
type Pairs<'a> = &'a [(&'a str, &'a str)];

fn of(pairs: Pairs<'_>) -> Choice {
    let mut choice = Choice::default();
    assert!(pairs.iter().all(|(name, value)| choice.take(name, value)));
    choice
}

#[test]
fn a_vendor_needs_storage_profiles_himself_and_to_have_been_shown() {
    let all = Tc::granting(EVERYTHING);
    let cases: [(&str, Tc, &str); 13] = [
        ("everything", all.clone(), "kept"),
        ("no storage", Tc::granting(&[3]), "refused"),
        ("no profiles", Tc::granting(&[1]), "refused"),
        ("another vendor", Tc { vendors: vec![7], ..all.clone() }, "refused"),
        ("not shown", Tc { disclosed: Some(vec![7]), ..all.clone() }, "not_disclosed"),
        ("nobody shown", Tc { disclosed: None, ..all.clone() }, "not_disclosed"),
        ("before 2.3", Tc { disclosed: None, policy_version: 4, ..all.clone() }, "kept"),
        ("for many sites", Tc { is_service_specific: false, ..all.clone() }, "invalid"),
        ("restricted", Tc { restriction: Some((3, 0, WE)), ..all.clone() }, "refused"),
        ("asks consent", Tc { restriction: Some((3, 1, WE)), ..all.clone() }, "kept"),
        ("asks interest", Tc { restriction: Some((3, 2, WE)), ..all.clone() }, "refused"),
        ("other restricted", Tc { restriction: Some((3, 0, 7)), ..all.clone() }, "kept"),
        ("undefined", Tc { restriction: Some((3, 3, WE)), ..all }, "kept"),
    ];
    for (what, tc, expected) in cases {
        assert_eq!(reason(&tcf(), &said(tc.choice())), expected, "{what}");
    }
}

#[test]
fn measurement_may_stand_on_legitimate_interest_and_content_may_not() {
    let tc = Tc { interest: vec![5, 9], interest_vendors: vec![WE], ..Tc::granting(&[1, 3]) };
    let allowed = |tc: &Tc| decide(&tcf(), &said(tc.choice())).unwrap();
    assert_eq!(allowed(&tc), Allowed { content: false, measure: true, share: true });
    let objected = Tc { restriction: Some((9, 0, WE)), ..tc.clone() };
    assert!(!allowed(&objected).measure);
    let objected = Tc { interest_vendors: vec![7], ..tc };
    assert!(!allowed(&objected).measure);
    assert_eq!(allowed(&Tc::granting(EVERYTHING)), Allowed::default());
}

#[test]
fn a_publisher_reads_his_own_segment() {
    let rules = rules(ConsentPolicy::Tcf, Some(ConsentRole::Publisher));
    let none = Tc { vendors: vec![], disclosed: None, ..Tc::granting(&[]) };
    let own = |purposes: &[u8]| Tc { publisher: Some(purposes.to_vec()), ..none.clone() };
    for (what, tc, expected) in [
        ("granted", own(&[1, 3]), "kept"),
        ("no profiles", own(&[1]), "refused"),
        ("no segment", none.clone(), "absent"),
        ("vendors only", Tc::granting(EVERYTHING), "absent"),
    ] {
        assert_eq!(reason(&rules, &said(tc.choice())), expected, "{what}");
    }
}

#[test]
fn policies_differ_in_what_silence_means_and_never_in_a_no() {
    let yes = Tc::granting(EVERYTHING).text();
    let no = Tc::granting(&[]).text();
    let in_gpp = format!("DBABMA~{yes}");
    // none, tcf, gpp, any
    let no_in_gpp = format!("DBABMA~{no}");
    let cases: [(Pairs<'_>, [&str; 4]); 20] = [
        (&[], ["kept", "absent", "absent", "absent"]),
        (&[("gdpr", "0")], ["kept", "kept", "absent", "kept"]),
        (&[("gdpr", "1")], ["kept", "absent", "absent", "absent"]),
        (&[("gdpr_consent", &yes)], ["kept", "kept", "absent", "kept"]),
        (&[("gdpr_consent", &no)], ["refused"; 4]),
        (&[("gdpr", "0"), ("gdpr_consent", &no)], ["kept", "kept", "absent", "kept"]),
        (&[("gdpr_consent", "garbage")], ["invalid"; 4]),
        (&[("gpp", &in_gpp)], ["kept"; 4]),
        (&[("gpp", &in_gpp), ("gpp_sid", "2")], ["kept"; 4]),
        (&[("gpp", &in_gpp), ("gpp_sid", "7")], ["kept", "absent", "absent", "absent"]),
        (&[("gpp", "garbage")], ["invalid"; 4]),
        (&[("gpp", "DBAA"), ("gpp_sid", "-1")], ["kept", "absent", "kept", "kept"]),
        (&[("gpp", "DBAA"), ("gpp_sid", "0")], ["kept", "pre_choice", "pre_choice", "pre_choice"]),
        (&[("us_privacy", "1YNN")], ["kept", "absent", "absent", "kept"]),
        (&[("us_privacy", "1YYN")], ["refused"; 4]),
        (&[("us_privacy", "1Y")], ["invalid"; 4]),
        (&[("gdpr_consent", &yes), ("gpp", &no_in_gpp)], ["refused"; 4]),
        (&[("gdpr_consent", &no), ("gpp", &in_gpp)], ["refused"; 4]),
        (&[("us_privacy", "1YNN"), ("gpp", "DBABTA~1YYN")], ["refused"; 4]),
        (&[("gdpr_consent", &yes), ("gpp", "DBAA")], ["kept", "kept", "absent", "kept"]),
    ];
    let policies =
        [ConsentPolicy::None, ConsentPolicy::Tcf, ConsentPolicy::Gpp, ConsentPolicy::Any];
    for (pairs, expected) in cases {
        let found = policies.map(|policy| reason(&rules(policy, VENDOR), &said(of(pairs))));
        assert_eq!(found, expected, "{pairs:?}");
    }
}

#[test]
fn sections_of_the_united_states_that_apply_decide() {
    let gpp = rules(ConsentPolicy::Gpp, None);
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("consent/gpp_valid.json")).unwrap();
    let mut found = std::collections::BTreeMap::new();
    for vector in &vectors {
        let string = vector["string"].as_str().unwrap();
        let sections = vector["sections"].as_object().unwrap();
        if sections.keys().any(|name| !name.starts_with("us") || name == "uspv1") {
            continue;
        }
        let opted_out = sections.values().any(|section| {
            ["SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut"]
                .iter()
                .any(|field| section[field] == 1)
        });
        let child = sections.values().any(|section| {
            let said = &section["KnownChildSensitiveDataConsents"];
            let all = said.as_array().map_or(std::slice::from_ref(said), Vec::as_slice);
            all.iter().any(|value| value.as_i64().is_some_and(|value| value != 0))
        });
        let gpc = sections.values().any(|section| section["Gpc"] == true);
        let reason = reason(&gpp, &said(of(&[("gpp", string)])));
        if sections.is_empty() {
            assert_eq!(reason, "absent", "{string}");
        } else {
            assert_eq!(reason == "kept", !opted_out && !child && !gpc, "{string}: {reason}");
        }
        *found.entry(reason).or_insert(0) += 1;
    }
    assert!(["kept", "refused", "child", "gpc"].iter().all(|r| found.contains_key(r)), "{found:?}");
}

#[test]
fn who_says_no_is_named_before_everything_else() {
    let yes = Tc::granting(EVERYTHING).choice();
    let gpc = Choice { gpc: Some(true), ..yes.clone() };
    let child = Choice { coppa: Some(true), ..yes.clone() };
    let adult = Choice { coppa: Some(false), ..yes.clone() };
    assert_eq!(reason(&tcf(), &Signals { opted_out: true, ..said(gpc.clone()) }), "opt_out");
    assert_eq!(reason(&tcf(), &said(gpc)), "gpc");
    assert_eq!(reason(&tcf(), &said(child)), "child");
    let audience = |audience| ConsentRules { audience, ..tcf() };
    assert_eq!(reason(&audience(Audience::Children), &said(adult.clone())), "child");
    assert_eq!(reason(&audience(Audience::Mixed), &said(yes.clone())), "child");
    assert_eq!(reason(&audience(Audience::Mixed), &said(adult)), "kept");
    let pending = Signals { is_pending: true, ..said(yes) };
    assert_eq!(reason(&tcf(), &pending), "pre_choice");
    assert_eq!(reason(&rules(ConsentPolicy::None, None), &pending), "kept");
}

#[test]
fn only_a_newer_no_that_can_be_read_withdraws() {
    let granted = Tc::granting(EVERYTHING);
    let earlier = ConsentState { choice: granted.choice(), ..ConsentState::default() };
    let later = |purposes: &[u8], by: i64| Tc {
        updated_ds: granted.updated_ds.saturating_add_signed(by),
        ..Tc::granting(purposes)
    };
    let old = Choice { tcf: Some(later(&[], -864_000).text().into()), ..Choice::default() };
    let unreadable = Choice { tcf: Some("CX".into()), ..Choice::default() };
    let gpc = Choice { gpc: Some(true), ..Choice::default() };
    for (what, newer, expected) in [
        ("a day later", later(&[1], 864_000).choice(), true),
        ("the same day", later(&[], 0).choice(), true),
        ("not shown any more", Tc { disclosed: Some(vec![]), ..granted.clone() }.choice(), true),
        ("an older no", old, false),
        ("still granted", later(&[1, 3], 864_000).choice(), false),
        ("silence", Choice::default(), false),
        ("broken", unreadable, false),
        ("Global Privacy Control", gpc, false),
        ("opted out of sale", of(&[("us_privacy", "1YYN")]), false),
    ] {
        assert_eq!(withdraws(&tcf(), &newer, std::slice::from_ref(&earlier)), expected, "{what}");
    }
    let no = later(&[], 864_000).choice();
    assert!(!withdraws(&tcf(), &no, &[ConsentState::default()]), "nothing was granted");
    let again = later(EVERYTHING, 1_728_000).choice();
    let again = ConsentState { choice: again, ..ConsentState::default() };
    assert!(!withdraws(&tcf(), &no, &[earlier, again]), "a yes followed it");
}

#[test]
fn a_receiver_needs_his_own_permission() {
    let both =
        Tc { vendors: vec![WE, 7], disclosed: Some(vec![WE, 7]), ..Tc::granting(&[1, 3, 4]) };
    let state = |tc: &Tc| ConsentState { choice: tc.choice(), ..ConsentState::default() };
    assert_eq!(Receiver::vendor(7).is_permitted(&state(&both)), Ok(()));
    assert_eq!(Receiver::vendor(8).is_permitted(&state(&both)), Err(Refusal::NotDisclosed));
    let no_selection = Tc { consent: vec![1, 3], ..both };
    assert_eq!(Receiver::vendor(7).is_permitted(&state(&no_selection)), Err(Refusal::Refused));
    let elsewhere = Choice { gdpr: Some(false), ..Choice::default() };
    let mut state = ConsentState { choice: elsewhere, ..ConsentState::default() };
    assert_eq!(Receiver::vendor(7).is_permitted(&state), Ok(()));
    state.allowed.share = false;
    assert_eq!(Receiver::vendor(7).is_permitted(&state), Err(Refusal::Refused));
    let own = Receiver { ground: Ground::Processor, ..Receiver::vendor(7) };
    assert_eq!(own.is_permitted(&state), Ok(()), "nobody else receives it");
    let silent = Choice { gdpr: Some(true), us_privacy: Some("1---".into()), ..Choice::default() };
    let silent = ConsentState { choice: silent, ..ConsentState::default() };
    assert_eq!(Receiver::vendor(7).is_permitted(&silent), Err(Refusal::Absent));
}

#[test]
fn a_provider_outside_the_list_is_in_the_additional_string() {
    let provider = Receiver { ground: Ground::Provider(1097), ..Receiver::vendor(7) };
    let with = |additional: &str, purposes: &[u8]| {
        let choice = Tc::granting(purposes).choice();
        let choice = Choice { additional: Some(additional.into()), ..choice };
        provider.is_permitted(&ConsentState { choice, ..ConsentState::default() })
    };
    assert_eq!(with("2~1.1097~dv.", &[1, 3, 4]), Ok(()));
    assert_eq!(with("2~1.109~dv.1097", &[1, 3, 4]), Err(Refusal::Refused));
    assert_eq!(with("2~1097~dv.", &[1, 3]), Err(Refusal::Refused), "a purpose is missing");
    let choice = Tc::granting(&[1, 3, 4]).choice();
    let silent = ConsentState { choice, ..ConsentState::default() };
    assert_eq!(provider.is_permitted(&silent), Err(Refusal::Absent));
    assert_eq!(provider.is_permitted(&ConsentState::default()), Ok(()), "no law asks");
}
