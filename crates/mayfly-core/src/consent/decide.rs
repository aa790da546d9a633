//! The one decision: whether a hit may be kept, and what it may be used for.
//!
//! A signal that says no wins under every policy, in this order: the opt-out cookie, Global Privacy
//! Control, a child, an opt-out in a section of the United States. Then a string that is there must
//! be readable and must grant; then the policy says whether silence is enough.
//!
//! Sources: IAB Europe, "TCF Implementation Guidelines" (the decision for a vendor and a purpose);
//! IAB Tech Lab, Global Privacy Platform, "Sections".

use std::fmt;

use super::gpp::Gpp;
use super::tcf::{Ids, Restriction, TcString};
use super::us::UsSection;
use super::usp::UsPrivacy;
use super::{Choice, ConsentState};
use crate::outcome::Outcome;

/// Store and access information on a device.
const STORE: u8 = 1;
/// Create profiles for personalised advertising.
const PROFILE: u8 = 3;
/// Create profiles to personalise content.
const CONTENT: u8 = 5;
/// Measure the performance of advertising and of content, understand audiences.
const MEASURE: [u8; 3] = [7, 8, 9];
/// Purposes that may not stand on legitimate interest.
const CONSENT_ONLY: [u8; 5] = [1, 3, 4, 5, 6];
/// Policy versions from this one on (TCF 2.3) need the disclosed vendors.
const DISCLOSED_SINCE: u8 = 5;
/// The section of a GPP string with a TC string, and the one with a US Privacy string.
const EU_SECTION: u16 = 2;
const USP_SECTION: u16 = 6;

/// What a site's silence means. A signal that says no wins under every policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ConsentPolicy {
    /// No consent string is asked for.
    #[default]
    None,
    /// A TC string that grants, or the word that the law does not apply.
    Tcf,
    /// A GPP string whose applicable sections grant.
    Gpp,
    /// Any of the strings.
    Any,
}

/// As what we read TC strings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConsentRole {
    /// As a vendor of the Global Vendor List, by its number.
    Vendor(u16),
    /// As the publisher himself: his own segment of the string counts.
    Publisher,
}

/// Whom a site is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Audience {
    /// Everyone.
    #[default]
    General,
    /// Adults and children: who does not say that he is none counts as a child.
    Mixed,
    /// Children: nothing is ever stored.
    Children,
}

/// What a site asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConsentRules {
    /// What silence means.
    pub policy: ConsentPolicy,
    /// As what TC strings are read; without one only their purposes count.
    pub role: Option<ConsentRole>,
    /// Sites with the same scope share a choice: what withdrawing it erases.
    pub scope: Box<str>,
    /// Whom the site is for.
    pub audience: Audience,
}

/// What a request said that decides about consent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Signals {
    /// The `mf_optout` cookie is there.
    pub opted_out: bool,
    /// A consent platform is there, and the visitor has not chosen yet.
    pub is_pending: bool,
    /// The choice, as far as it was said.
    pub choice: Choice,
}

/// What a kept hit may be used for, besides profiles for advertising (without which it is not
/// kept).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Allowed {
    /// Profiles for content (purpose 5).
    pub content: bool,
    /// Measurement and audience insight (purposes 7, 8, 9).
    pub measure: bool,
    /// Passing it on; off where we may act as a service provider only.
    pub share: bool,
}

impl Default for Allowed {
    /// Where no law asks: everything.
    fn default() -> Self {
        Self { content: true, measure: true, share: true }
    }
}

impl Allowed {
    /// A bit for each use, the first lowest.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.content as u8 | (self.measure as u8) << 1 | (self.share as u8) << 2
    }

    /// Reads [`Self::bits`]; `None` for bits that have no use.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits > 0b111 {
            return None;
        }
        Some(Self { content: bits & 1 != 0, measure: bits & 2 != 0, share: bits & 4 != 0 })
    }

    /// What both allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            content: self.content && other.content,
            measure: self.measure && other.measure,
            share: self.share && other.share,
        }
    }
}

/// Why a hit may not be kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Refusal {
    /// The opt-out cookie.
    OptedOut,
    /// Global Privacy Control, in a header, parameter or GPP section.
    Gpc,
    /// A child, or a site for children.
    Child,
    /// The policy asks for a string, and there is none.
    Absent,
    /// A string is there and cannot be read, or is not valid for us.
    Invalid,
    /// The string says no.
    Refused,
    /// The string's list of vendors that were shown does not have us.
    NotDisclosed,
    /// A consent platform is there, and the visitor has not chosen yet.
    PreChoice,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 8] = [
        Self::OptedOut,
        Self::Gpc,
        Self::Child,
        Self::Absent,
        Self::Invalid,
        Self::Refused,
        Self::NotDisclosed,
        Self::PreChoice,
    ];

    /// The name in metrics, headers and answers.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::OptedOut => "opt_out",
            Self::Gpc => "gpc",
            Self::Child => "child",
            Self::Absent => "absent",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::NotDisclosed => "not_disclosed",
            Self::PreChoice => "pre_choice",
        }
    }

    /// Whether somebody chose so: silence and strings that cannot be read are no choice.
    #[must_use]
    pub const fn is_choice(self) -> bool {
        match self {
            Self::OptedOut | Self::Gpc | Self::Child | Self::Refused | Self::NotDisclosed => true,
            Self::Absent | Self::Invalid | Self::PreChoice => false,
        }
    }

    /// The outcome of a hit that is refused so.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::OptedOut | Self::Gpc => Outcome::OptedOut,
            Self::Child
            | Self::Absent
            | Self::Invalid
            | Self::Refused
            | Self::NotDisclosed
            | Self::PreChoice => Outcome::NoConsent,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OptedOut => "the browser has our opt-out cookie",
            Self::Gpc => "the browser sends Global Privacy Control",
            Self::Child => "the visitor is, or may be, a child",
            Self::Absent => "the site asks for a consent string, and none was sent",
            Self::Invalid => "the consent string cannot be read, or is not valid for us",
            Self::Refused => "the visitor said no",
            Self::NotDisclosed => "the consent platform did not show us to the visitor",
            Self::PreChoice => "the visitor has not chosen yet",
        })
    }
}

/// Whether a hit may be kept, and for what.
///
/// # Errors
/// Why not.
pub fn decide(rules: &ConsentRules, said: &Signals) -> Result<Allowed, Refusal> {
    let choice = &said.choice;
    if said.opted_out {
        return Err(Refusal::OptedOut);
    }
    if choice.gpc == Some(true) {
        return Err(Refusal::Gpc);
    }
    if is_child(rules.audience, choice.coppa) {
        return Err(Refusal::Child);
    }
    let platform = Platform::read(choice)?;
    let states = platform.states()?;
    let privacy = us_privacy(choice, &platform)?;
    if said.is_pending && rules.policy != ConsentPolicy::None {
        return Err(Refusal::PreChoice);
    }
    let europe = europe(rules.role, choice, &platform)?;
    let has_tcf = europe.is_some() || choice.gdpr == Some(false);
    let has_gpp = platform.no_section_applies
        || states.is_some()
        || europe.is_some() && platform.has(EU_SECTION)
        || platform.has(USP_SECTION);
    let is_enough = match rules.policy {
        ConsentPolicy::None => true,
        ConsentPolicy::Tcf => has_tcf,
        ConsentPolicy::Gpp => has_gpp,
        ConsentPolicy::Any => has_tcf || has_gpp || privacy,
    };
    if !is_enough {
        return Err(if platform.is_unknown { Refusal::PreChoice } else { Refusal::Absent });
    }
    Ok([europe, states].into_iter().flatten().fold(Allowed::default(), Allowed::and))
}

/// Whether a choice takes back what earlier hits' choices had granted: a string that can be read,
/// grants less and is not older than the newest of them. Silence and broken strings do not, nor
/// one that came late: a yes that followed it stands.
#[must_use]
pub fn withdraws(rules: &ConsentRules, newer: &Choice, earlier: &[ConsentState]) -> bool {
    let grants = |tc: &TcString<'_>| grants(rules.role, tc);
    let is_no =
        |tc: &TcString<'_>| matches!(grants(tc), Err(Refusal::Refused | Refusal::NotDisclosed));
    let Some(no_ds) = newest(newer, is_no) else { return false };
    let is_yes = |tc: &TcString<'_>| grants(tc).is_ok();
    let yes_ds = earlier.iter().filter_map(|state| newest(&state.choice, is_yes)).max();
    yes_ds.is_some_and(|yes_ds| no_ds >= yes_ds)
}

/// When the newest of a choice's TC strings that are so was updated.
fn newest(choice: &Choice, is_so: impl Fn(&TcString<'_>) -> bool) -> Option<u64> {
    let platform = Platform::read(choice).ok()?;
    let strings = platform.tc_strings(choice).ok()?;
    strings.iter().filter(|tc| is_so(tc)).map(|tc| tc.last_updated_ds).max()
}

fn is_child(audience: Audience, coppa: Option<bool>) -> bool {
    match audience {
        Audience::Children => true,
        Audience::Mixed => coppa != Some(false),
        Audience::General => coppa == Some(true),
    }
}

/// A GPP string with the word on what of it applies.
pub(super) struct Platform<'c> {
    gpp: Option<Gpp<'c>>,
    sid: Option<Vec<i32>>,
    /// `gpp_sid` says that no section applies.
    no_section_applies: bool,
    /// `gpp_sid` says that it is not known yet.
    is_unknown: bool,
}

impl<'c> Platform<'c> {
    pub(super) fn read(choice: &'c Choice) -> Result<Self, Refusal> {
        let sid = choice.gpp_sid.as_deref().map(section_ids).transpose()?;
        let says = |id| sid.as_deref().is_some_and(|ids| ids.contains(&id));
        let (no_section_applies, is_unknown) = (says(-1), says(0));
        let gpp = choice.gpp.as_deref().map(Gpp::decode).transpose();
        Ok(Self { gpp: gpp.map_err(|_| Refusal::Invalid)?, sid, no_section_applies, is_unknown })
    }

    /// Whether a section applies; without `gpp_sid` all that are there do.
    fn applies(&self, id: u16) -> bool {
        self.sid.as_ref().is_none_or(|ids| ids.contains(&i32::from(id)))
    }

    /// The GPP string, if a section of it applies.
    fn of(&self, id: u16) -> Option<&Gpp<'c>> {
        self.gpp.as_ref().filter(|_| self.applies(id))
    }

    /// Whether a section is there and applies.
    fn has(&self, id: u16) -> bool {
        self.of(id).is_some_and(|gpp| gpp.section(id).is_some())
    }

    /// The TC strings: the one sent by itself, and that of the GPP string. A no in either counts.
    pub(super) fn tc_strings(&self, choice: &'c Choice) -> Result<Vec<TcString<'c>>, Refusal> {
        let own = choice.tcf.as_deref().map(TcString::decode);
        let strings = own.into_iter().chain(self.of(EU_SECTION).and_then(Gpp::tcf_eu));
        strings.collect::<Result<_, _>>().map_err(|_| Refusal::Invalid)
    }

    /// What the sections of the United States that apply allow; `None` where there is none.
    fn states(&self) -> Result<Option<Allowed>, Refusal> {
        let Some(gpp) = &self.gpp else { return Ok(None) };
        let mut allowed = None;
        for (_, section) in gpp.us().filter(|(id, _)| self.applies(*id)) {
            let section = section.map_err(|_| Refusal::Invalid)?;
            let share = of_state(&section)?;
            let own = Allowed { share, ..Allowed::default() };
            allowed = Some(allowed.map_or(own, |all: Allowed| all.and(own)));
        }
        Ok(allowed)
    }
}

/// Whether what a section allows may be passed on.
fn of_state(section: &UsSection) -> Result<bool, Refusal> {
    if section.gpc == Some(true) {
        return Err(Refusal::Gpc);
    }
    if section.is_child() {
        return Err(Refusal::Child);
    }
    if section.opted_out() {
        return Err(Refusal::Refused);
    }
    Ok(!section.is_service_only())
}

/// `gpp_sid`: numbers between commas or underscores.
fn section_ids(text: &str) -> Result<Vec<i32>, Refusal> {
    let id = |id: &str| id.trim().parse().map_err(|_| Refusal::Invalid);
    text.split([',', '_']).map(id).collect()
}

/// Whether a US Privacy string was sent, by itself or in the GPP string; none of them opted out.
fn us_privacy(choice: &Choice, platform: &Platform<'_>) -> Result<bool, Refusal> {
    let own = choice.us_privacy.as_deref().map(UsPrivacy::decode);
    let mut is_there = false;
    for said in own.into_iter().chain(platform.of(USP_SECTION).and_then(Gpp::us_privacy)) {
        if said.map_err(|_| Refusal::Invalid)?.opted_out == Some(true) {
            return Err(Refusal::Refused);
        }
        is_there = true;
    }
    Ok(is_there)
}

/// What all TC strings allow; `None` where none was sent or the law does not apply.
fn europe(
    role: Option<ConsentRole>,
    choice: &Choice,
    platform: &Platform<'_>,
) -> Result<Option<Allowed>, Refusal> {
    if choice.gdpr == Some(false) {
        return Ok(None);
    }
    let mut allowed = None;
    for tc in platform.tc_strings(choice)? {
        let own = grants(role, &tc)?;
        allowed = Some(allowed.map_or(own, |all: Allowed| all.and(own)));
    }
    Ok(allowed)
}

/// What a TC string allows us: purposes 1 and 3 are needed for a hit to be kept at all.
fn grants(role: Option<ConsentRole>, tc: &TcString<'_>) -> Result<Allowed, Refusal> {
    match role {
        Some(ConsentRole::Vendor(vendor)) => {
            consents(tc, STORE, vendor)?;
            consents(tc, PROFILE, vendor)?;
            let any = |purposes: &[u8]| purposes.iter().any(|&p| may(tc, p, vendor));
            Ok(Allowed { content: any(&[CONTENT]), measure: any(&MEASURE), share: true })
        }
        Some(ConsentRole::Publisher) => {
            let own = tc.publisher.ok_or(Refusal::Absent)?;
            of_purposes(own.purposes_consent, own.purposes_li)
        }
        None => of_purposes(tc.purposes_consent, tc.purposes_li),
    }
}

fn of_purposes(consent: Ids<u32>, interest: Ids<u32>) -> Result<Allowed, Refusal> {
    if !consent.contains(STORE) || !consent.contains(PROFILE) {
        return Err(Refusal::Refused);
    }
    let measure = MEASURE.into_iter().any(|p| consent.contains(p) || interest.contains(p));
    Ok(Allowed { content: consent.contains(CONTENT), measure, share: true })
}

/// Whether a vendor has consent for a purpose.
fn consents(tc: &TcString<'_>, purpose: u8, vendor: u16) -> Result<(), Refusal> {
    // A string for many sites is not valid for vendors any more.
    if !tc.is_service_specific {
        return Err(Refusal::Invalid);
    }
    match &tc.disclosed_vendors {
        Some(shown) if !shown.contains(vendor) => return Err(Refusal::NotDisclosed),
        None if tc.tcf_policy_version >= DISCLOSED_SINCE => return Err(Refusal::NotDisclosed),
        Some(_) | None => {}
    }
    let forbids = |r| matches!(r, Restriction::NotAllowed | Restriction::RequireLegitimateInterest);
    let granted = tc.purposes_consent.contains(purpose)
        && tc.vendor_consents.contains(vendor)
        && !tc.restrictions.of(purpose, vendor).any(forbids);
    if granted { Ok(()) } else { Err(Refusal::Refused) }
}

/// Whether a vendor of the list may do something for a purpose.
pub(super) fn vendor_may(tc: &TcString<'_>, purpose: u8, vendor: u16) -> Result<(), Refusal> {
    match consents(tc, purpose, vendor) {
        Err(Refusal::Refused) if may(tc, purpose, vendor) => Ok(()),
        granted => granted,
    }
}

/// Whether a vendor may do something on one ground or the other.
fn may(tc: &TcString<'_>, purpose: u8, vendor: u16) -> bool {
    let forbids = |r| matches!(r, Restriction::NotAllowed | Restriction::RequireConsent);
    consents(tc, purpose, vendor).is_ok()
        || !CONSENT_ONLY.contains(&purpose)
            && tc.purposes_li.contains(purpose)
            && tc.vendor_li.contains(vendor)
            && !tc.restrictions.of(purpose, vendor).any(forbids)
}
