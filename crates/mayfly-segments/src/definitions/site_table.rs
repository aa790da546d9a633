//! A `[[site]]` of a definitions file.

use jiff::tz::TimeZone;
use mayfly_core::consent::{Audience, ConsentRole};
use mayfly_core::{ConsentPolicy, ConsentRules, DataPlan, Origin, Site, SiteId, event, limits};
use toml::de::DeTable;

use super::file::{SiteItem, Span};
use super::table::{PlacedText, Table};
use super::taxonomy::is_standard;
use crate::problem::{Fault, ProblemKind};

/// Every key of the table.
const KEYS: [&str; 17] = [
    "key",
    "origins",
    "consent",
    "role",
    "vendor_id",
    "consent_scope",
    "audience",
    "bots",
    "time_zone",
    "query",
    "attributes",
    "events",
    "sensitive",
    "pages_per_day",
    "redirect_hosts",
    "declared",
    "sync",
];

/// The words of `consent`.
const POLICIES: [(&str, ConsentPolicy); 4] = [
    ("none", ConsentPolicy::None),
    ("tcf", ConsentPolicy::Tcf),
    ("gpp", ConsentPolicy::Gpp),
    ("any", ConsentPolicy::Any),
];
/// The words of `audience`.
const AUDIENCES: [(&str, Audience); 3] =
    [("general", Audience::General), ("mixed", Audience::Mixed), ("children", Audience::Children)];

/// The words of `bots`: whether hits of known automata are kept.
const BOTS: [(&str, bool); 2] = [("refuse", false), ("keep", true)];

/// The word of a policy in a definitions file.
pub(super) fn policy_word(policy: ConsentPolicy) -> &'static str {
    POLICIES.iter().find(|(_, own)| *own == policy).map_or("none", |(word, _)| word)
}

/// The word of an audience in a definitions file.
pub(super) fn audience_word(audience: Audience) -> &'static str {
    AUDIENCES.iter().find(|(_, own)| *own == audience).map_or("general", |(word, _)| word)
}

pub(super) fn site(table: &DeTable<'_>, span: Span, faults: &mut Vec<Fault>) -> Option<SiteItem> {
    let mut table = Table::new("site", table, span, &KEYS);
    let key = table.need_text("key");
    if let Some(key) = &key
        && !event::is_name(&key.value, limits::NAME_BYTES)
    {
        let kind = ProblemKind::BadName { what: "site", name: key.value.clone() };
        table.fault(kind, key.span.clone());
    }
    let origins = origins(&mut table);
    let name = key.as_ref().map_or("", |key| &*key.value);
    let mut site = Site::new(SiteId(0), name, origins);
    site.consent = consent(&mut table, name);
    site.plan = plan(&mut table);
    let bots = table.word("bots", &BOTS);
    site.keeps_bots = bots.unwrap_or(false);
    site.redirect_hosts = table.hosts("redirect_hosts");
    let sync = table.texts("sync");
    table.at_most("sync", sync.len(), limits::SYNC_CHAIN);
    if let Some(zone) = table.text("time_zone") {
        if TimeZone::get(&zone.value).is_err() {
            let kind = ProblemKind::TimeZone { name: zone.value.clone() };
            table.fault(kind, zone.span);
        }
        site.time_zone = zone.value;
    }
    faults.extend(table.faults());
    Some(SiteItem { key: key?, site, sync })
}

fn origins(table: &mut Table<'_, '_>) -> Vec<Origin> {
    let texts = table.texts("origins");
    if texts.is_empty() {
        let place = table.place("origins");
        table.fault(ProblemKind::MissingKey { table: "site", key: "origins" }, place);
    }
    table.at_most("origins", texts.len(), limits::ORIGINS_PER_SITE);
    let mut origins = Vec::new();
    for text in texts {
        match Origin::parse(&text.value) {
            Some(origin) => origins.push(origin),
            None => table.fault(ProblemKind::BadOrigin { origin: text.value }, text.span),
        }
    }
    origins
}

fn consent(table: &mut Table<'_, '_>, key: &str) -> ConsentRules {
    let policy = table.word("consent", &POLICIES);
    let audience = table.word("audience", &AUDIENCES);
    let scope = table.text("consent_scope");
    if let Some(scope) = &scope
        && !event::is_name(&scope.value, limits::NAME_BYTES)
    {
        let kind = ProblemKind::BadName { what: "consent scope", name: scope.value.clone() };
        table.fault(kind, scope.span.clone());
    }
    let policy = policy.unwrap_or_default();
    let role = role(table);
    if policy == ConsentPolicy::Tcf && role.is_none() && !table.has("role") {
        let place = table.place("consent");
        table.fault(ProblemKind::ConsentRole, place);
    }
    let scope = scope.map_or_else(|| key.into(), |scope| scope.value);
    ConsentRules { policy, role, scope, audience: audience.unwrap_or_default() }
}

/// `role` and `vendor_id`, which belong together.
fn role(table: &mut Table<'_, '_>) -> Option<ConsentRole> {
    let vendor = table.whole("vendor_id", 1, u32::from(u16::MAX));
    let vendor = vendor.and_then(|id| u16::try_from(id).ok());
    let role = table.text("role");
    match (role.as_ref().map(|role| &*role.value), vendor) {
        (Some("vendor"), Some(id)) => Some(ConsentRole::Vendor(id)),
        (Some("publisher"), None) if !table.has("vendor_id") => Some(ConsentRole::Publisher),
        (None, None) if !table.has("vendor_id") => None,
        (Some(_) | None, Some(_) | None) => {
            let place = role.map_or_else(|| table.place("vendor_id"), |role| role.span);
            table.fault(ProblemKind::ConsentRole, place);
            None
        }
    }
}

fn plan(table: &mut Table<'_, '_>) -> DataPlan {
    let query = table.names("query", |name| !name.is_empty() && name.len() <= limits::NAME_BYTES);
    let is_attribute = |name: &str| event::is_name(name, limits::ATTRIBUTE_NAME_BYTES);
    let attributes = table.names("attributes", is_attribute);
    let events = table.names("events", |name| event::is_name(name, limits::EVENT_NAME_BYTES));
    let sensitive = paths(table);
    let pages = table.whole("pages_per_day", 1, u32::MAX).unwrap_or(limits::PAGES_PER_DAY);
    let declared = table.text("declared").and_then(|text| standard(table, text));
    DataPlan { query, attributes, events, sensitive, pages_per_day: pages, declared }
}

/// A standard taxonomy's name.
fn standard(table: &mut Table<'_, '_>, text: PlacedText) -> Option<Box<str>> {
    if is_standard(&text.value) {
        return Some(text.value);
    }
    table.fault(ProblemKind::BadStandard { name: text.value }, text.span);
    None
}

/// The paths of pages that are never kept.
fn paths(table: &mut Table<'_, '_>) -> Vec<Box<str>> {
    let texts = table.texts("sensitive");
    table.at_most("sensitive", texts.len(), limits::PLAN_NAMES);
    let is_path = |text: &str| {
        text.starts_with('/') && text.len() <= limits::URL_BYTES && !text.contains(['?', '#'])
    };
    let mut paths = Vec::new();
    for PlacedText { value, span } in texts {
        if is_path(&value) {
            paths.push(value);
        } else {
            table.fault(ProblemKind::BadPath { path: value }, span);
        }
    }
    paths
}
