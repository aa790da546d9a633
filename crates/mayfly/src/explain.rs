//! Consent strings in words: what a string says, field by field under the names of the reference
//! decoders, and what we make of it.

use mayfly_core::Choice;
use mayfly_core::consent::ac::AdditionalConsent;
use mayfly_core::consent::gpp::Gpp;
use mayfly_core::consent::tcf::{Ids, TcString, Vendors};
use mayfly_core::consent::us::{self, UsSection};
use mayfly_core::consent::usp::UsPrivacy;
use mayfly_core::consent::{ConsentError, Refusal};
use serde_json::{Map, Value, json};

/// Kinds of consent string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A TC string (`gdpr_consent`).
    Tcf,
    /// A GPP string (`gpp`).
    Gpp,
    /// A US Privacy string (`us_privacy`).
    Usp,
    /// Google's additional consent string (`addtl_consent`).
    Ac,
}

impl Kind {
    /// What kind a string looks like. What looks like none is read as a TC string, which then says
    /// what is wrong with it.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if text.starts_with("1~") || text.starts_with("2~") {
            return Self::Ac;
        }
        if text.contains('~') || text.starts_with("DB") {
            return Self::Gpp;
        }
        if text.len() == 4 && text.starts_with(|c: char| c.is_ascii_digit()) {
            return Self::Usp;
        }
        Self::Tcf
    }

    /// The name in answers.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tcf => "tcf",
            Self::Gpp => "gpp",
            Self::Usp => "usp",
            Self::Ac => "ac",
        }
    }

    /// The string as what a browser would send.
    #[must_use]
    pub fn choice(self, text: &str) -> Choice {
        let mut choice = Choice::default();
        let name = match self {
            Self::Tcf => "gdpr_consent",
            Self::Gpp => "gpp",
            Self::Usp => "us_privacy",
            Self::Ac => "addtl_consent",
        };
        choice.take(name, text);
        choice
    }

    /// What a string of this kind says, field by field.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn decode(self, text: &str) -> Result<Value, ConsentError> {
        match self {
            Self::Tcf => TcString::decode(text).map(|tc| tcf(&tc)),
            Self::Gpp => Gpp::decode(text).map(|gpp| all_sections(&gpp)),
            Self::Usp => UsPrivacy::decode(text).map(usp),
            Self::Ac => AdditionalConsent::decode(text).map(|ac| {
                let consented: Vec<u32> = ac.consented().collect();
                let disclosed = ac.disclosed().map(Iterator::collect::<Vec<u32>>);
                json!({"version": ac.version, "consented": consented, "disclosed": disclosed})
            }),
        }
    }
}

/// What to do about a refusal.
#[must_use]
pub const fn advice(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::OptedOut => "nothing: the visitor said no here; /optout takes it back",
        Refusal::Gpc => "nothing: the browser says no for every site",
        Refusal::Child => "nothing is stored of children; `audience` and `coppa` say who is one",
        Refusal::Absent => {
            "send gdpr_consent, gpp or us_privacy with the pixel; the script tag does it by itself"
        }
        Refusal::Invalid => {
            "look at the string: an unreplaced macro, a cut string, one that is not specific to the \
             site"
        }
        Refusal::Refused => "nothing: the visitor said no",
        Refusal::NotDisclosed => {
            "have the consent platform list our vendor id: strings of TCF 2.3 name who was shown"
        }
        Refusal::PreChoice => "nothing: the hit comes again when the visitor has chosen",
    }
}

fn ids<N: Copy + Into<u64> + TryFrom<u64>>(ids: Ids<N>) -> Vec<u8> {
    ids.iter().collect()
}

fn letters(two: [u8; 2]) -> String {
    two.iter().map(|letter| char::from(*letter)).collect()
}

/// An instant of a TC string as RFC 3339 text with its tenths.
fn instant(ds: u64) -> Option<String> {
    let seconds = i64::try_from(ds / 10).ok()?;
    let whole = jiff::Timestamp::from_second(seconds).ok()?.to_string();
    Some(format!("{}.{}Z", whole.trim_end_matches('Z'), ds % 10))
}

fn tcf(tc: &TcString<'_>) -> Value {
    let members = |vendors: &Option<Vendors<'_>>| vendors.as_ref().map(Vendors::members);
    let restrictions: Vec<Value> = tc
        .restrictions
        .iter()
        .map(|(purpose, kind, vendors)| {
            let kind = kind.map_or(3, |kind| kind as u8);
            json!({"purpose": purpose, "type": kind, "vendors": vendors.members()})
        })
        .collect();
    json!({
        "version": 2,
        "created": instant(tc.created_ds),
        "created_ds": tc.created_ds,
        "last_updated": instant(tc.last_updated_ds),
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
        "vendor_consent_is_range": tc.vendor_consents.is_range(),
        "vendor_consents": tc.vendor_consents.members(),
        "vendor_li_max_id": tc.vendor_li.max(),
        "vendor_li_is_range": tc.vendor_li.is_range(),
        "vendor_li": tc.vendor_li.members(),
        "publisher_restrictions": restrictions,
        "disclosed_vendors": members(&tc.disclosed_vendors),
        "allowed_vendors": members(&tc.allowed_vendors),
        "publisher_tc": tc.publisher.map(|own| json!({
            "purposes_consent": ids(own.purposes_consent),
            "purposes_li": ids(own.purposes_li),
            "num_custom_purposes": own.custom_consent.width(),
            "custom_consent": ids(own.custom_consent),
            "custom_li": ids(own.custom_li),
        })),
    })
}

fn usp(UsPrivacy { notice, opted_out, lspa }: UsPrivacy) -> Value {
    let sign = |answer| match answer {
        Some(true) => "Y",
        Some(false) => "N",
        None => "-",
    };
    json!({
        "Version": 1,
        "Notice": sign(notice),
        "OptOutSale": sign(opted_out),
        "LspaCovered": sign(lspa),
    })
}

/// Sections whose fields are not listed by name: a TC string stands by itself.
const NAMES: [(u16, &str); 4] = [(1, "tcfeuv1"), (2, "tcfeuv2"), (5, "tcfcav1"), (6, "uspv1")];

fn all_sections(gpp: &Gpp<'_>) -> Value {
    let ids: Vec<u16> = gpp.ids().collect();
    let mut sections = Map::new();
    for id in &ids {
        let known = NAMES.iter().find(|(own, _)| own == id).map(|(_, name)| *name);
        let name = known.or_else(|| us::name(*id)).map_or_else(|| id.to_string(), str::to_owned);
        let raw = gpp.section(*id).unwrap_or_default();
        let section = match (us::name(*id), gpp.us_privacy()) {
            (Some(_), _) => UsSection::decode(*id, raw).map(|section| us_section(&section)),
            (None, Some(privacy)) if known == Some("uspv1") => privacy.map(usp),
            (None, Some(_) | None) => Ok(json!({"raw": raw})),
        };
        let broken = |error: ConsentError| json!({"raw": raw, "error": error.to_string()});
        sections.insert(name, section.unwrap_or_else(broken));
    }
    let mut all = json!({"section_ids": ids, "sections": sections});
    if let Some(Ok(tc)) = gpp.tcf_eu() {
        all["tcfeuv2"] = tcf(&tc);
    }
    all
}

fn us_section(section: &UsSection) -> Value {
    let mut fields = Map::new();
    let version = if section.is_new { "MspaVersion" } else { "Version" };
    fields.insert(version.to_owned(), json!(section.version));
    for (field, values) in section.fields() {
        let value = if let [one] = values { json!(one) } else { json!(values) };
        fields.insert(format!("{field:?}"), value);
    }
    if section.has_gpc {
        fields.insert("GpcSegmentType".to_owned(), json!(1));
        fields.insert("Gpc".to_owned(), json!(section.gpc.unwrap_or(false)));
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_looks() {
        for (text, kind) in [
            ("CPA9dwAPA9dwAKjACBENAPCIAEBAAECAAIAAAAAAAAAA", Kind::Tcf),
            ("DBABTA~1YNN", Kind::Gpp),
            ("DBAA", Kind::Gpp),
            ("1YNN", Kind::Usp),
            ("2~1.2~dv.3", Kind::Ac),
            ("${GDPR_CONSENT}", Kind::Tcf),
            ("", Kind::Tcf),
        ] {
            assert_eq!(Kind::of(text), kind, "{text}");
        }
        assert!(Kind::Tcf.decode("").is_err());
    }
}
