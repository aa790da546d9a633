//! A `[[destination]]` of a definitions file.

use jiff::tz::TimeZone;
use mayfly_core::{PartnerId, SegmentId, limits};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::file::{DestinationItem, MappedItem, Span, sound};
use super::import::{is_term, price};
use super::period::Period;
use super::table::{PlacedText, Table};
use crate::destination::way::{FeedLayout, XandrLayout};
use crate::destination::{Destination, DestinationId, IdSpace, Mapped, Terms, Transfer, Way};
use crate::problem::{DestinationFault, Fault, ProblemKind};

const KEYS: [&str; 24] = [
    "name",
    "partner",
    "ids",
    "country",
    "transfer",
    "segments",
    "schedule",
    "time_zone",
    "minimum",
    "max_ttl_days",
    "forbidden_labels",
    "batch",
    "per_minute",
    "idempotent",
    "secrets",
    "paused",
    "terms",
    "was",
    "files",
    "xandr",
    "trade_desk",
    "google",
    "adobe",
    "request",
];

/// The words of `ids`.
pub(super) const ID_SPACES: [(&str, IdSpace); 2] =
    [("partner", IdSpace::Partner), ("ours", IdSpace::Ours)];

/// The European Economic Area: the Union, Iceland, Liechtenstein and Norway (ISO 3166-1).
const EEA: [&str; 30] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS",
    "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];
/// The words of `transfer`.
pub(super) const TRANSFERS: [(&str, Transfer); 6] = [
    ("within", Transfer::Within),
    ("none", Transfer::None),
    ("adequacy", Transfer::Adequacy),
    ("clauses", Transfer::Clauses),
    ("corporate_rules", Transfer::CorporateRules),
    ("consent", Transfer::Consent),
];

const fn fault(fault: DestinationFault) -> ProblemKind {
    ProblemKind::Destination { fault }
}

pub(super) fn destination(
    table: &DeTable<'_>,
    span: Span,
    faults: &mut Vec<Fault>,
) -> Option<DestinationItem> {
    let mut table = Table::new("destination", table, span, &KEYS);
    let (name, partner) = (table.need_text("name"), table.need_text("partner"));
    let was = table.texts("was");
    for own in name.iter().chain(&was) {
        if !is_file_name(&own.value) {
            let kind = ProblemKind::BadName { what: "destination", name: own.value.clone() };
            table.fault(kind, own.span.clone());
        }
    }
    let time_zone = time_zone(&mut table);
    let segments = mapping(&mut table, &time_zone, faults);
    let country = country(&mut table);
    let transfer = transfer(&mut table, country.as_deref());
    let (way, place) = way(&mut table).unzip();
    if let Some((way, segments)) = way.as_ref().zip(Some(&segments)) {
        codes(&mut table, way, segments);
    }
    let secrets = secrets(&mut table, way.as_ref());
    let terms = terms(&mut table, faults);
    let destination = settings(&mut table, way, secrets);
    faults.extend(table.faults());
    let destination = Destination {
        name: name.as_ref()?.value.clone(),
        time_zone,
        country: country?,
        transfer: transfer?,
        terms,
        ..destination?
    };
    let (name, partner, way_place) = (name?, partner?, place.unwrap_or_default());
    Some(DestinationItem { name, partner, destination, segments, way_place, was })
}

/// What has a usual value.
fn settings(
    table: &mut Table<'_, '_>,
    way: Option<Way>,
    secrets: Vec<(Box<str>, Box<str>)>,
) -> Option<Destination> {
    let (usual_batch, most_batch) = way.as_ref().map_or((1, u32::MAX), Way::batch);
    let usual_rate = way.as_ref().map_or(1, Way::per_minute);
    let schedule = table.text("schedule").map(|PlacedText { value, span }| {
        value.parse().unwrap_or_else(|source| {
            table.fault(fault(DestinationFault::Schedule { source }), span);
            Default::default()
        })
    });
    let days = u32::from(limits::RETENTION_DAYS_MAX);
    let max_ttl_days = table.whole("max_ttl_days", 1, days).and_then(|n| u16::try_from(n).ok());
    let labels = table.names("forbidden_labels", sound);
    Some(Destination {
        id: DestinationId(0),
        name: Box::default(),
        partner: PartnerId(0),
        ids: table.word("ids", &ID_SPACES).unwrap_or_default(),
        mapping: Vec::new(),
        schedule: schedule.unwrap_or_default(),
        time_zone: Box::default(),
        country: Box::default(),
        transfer: Transfer::Within,
        forbidden_labels: labels,
        minimum: table.whole("minimum", 1, u32::MAX).unwrap_or(Destination::MINIMUM),
        max_ttl_days: max_ttl_days.unwrap_or(limits::RETENTION_DAYS_MAX),
        batch: table.whole("batch", 1, most_batch).unwrap_or(usual_batch),
        per_minute: table.whole("per_minute", 1, 60_000).unwrap_or(usual_rate),
        idempotent: table.flag("idempotent").unwrap_or(true),
        secrets,
        paused: table.flag("paused").unwrap_or(false),
        terms: None,
        was: Vec::new(),
        way: way?,
    })
}

fn terms(of: &mut Table<'_, '_>, faults: &mut Vec<Fault>) -> Option<Terms> {
    let (table, span) = of.table("terms")?;
    let mut table = Table::new("destination.terms", table, span, &["contract", "ends", "price"]);
    let contract = table.need_text("contract");
    let (ends, price) = (table.calendar_day("ends"), price(&mut table));
    if let Some(PlacedText { value, span }) = contract.as_ref().filter(|own| !is_term(&own.value)) {
        let kind = ProblemKind::BadName { what: "contract", name: value.clone() };
        table.fault(kind, span.clone());
    }
    faults.extend(table.faults());
    Some(Terms { contract: contract?.value, ends, price })
}

fn time_zone(table: &mut Table<'_, '_>) -> Box<str> {
    let Some(PlacedText { value, span }) = table.text("time_zone") else { return "UTC".into() };
    if TimeZone::get(&value).is_err() {
        table.fault(ProblemKind::TimeZone { name: value.clone() }, span);
    }
    value
}

fn country(table: &mut Table<'_, '_>) -> Option<Box<str>> {
    let PlacedText { value, span } = table.need_text("country")?;
    let is_country = value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_country {
        table.fault(fault(DestinationFault::Country { found: value.clone() }), span);
    }
    Some(value)
}

fn transfer(table: &mut Table<'_, '_>, country: Option<&str>) -> Option<Transfer> {
    let span = table.need_text("transfer")?.span;
    let own = table.word("transfer", &TRANSFERS)?;
    if let Some(country) = country.filter(|own| !EEA.contains(own))
        && own == Transfer::Within
    {
        table.fault(fault(DestinationFault::NotWithin { country: country.into() }), span);
    }
    Some(own)
}

/// The one way, and where it stands.
fn way(table: &mut Table<'_, '_>) -> Option<(Way, Span)> {
    let said: Vec<&'static str> = Way::NAMES.into_iter().filter(|own| table.has(own)).collect();
    let name = match said.as_slice() {
        [one] => *one,
        [] => {
            table.fault(fault(DestinationFault::NoWay), table.place("name"));
            return None;
        }
        [_, other, ..] => {
            table.fault(fault(DestinationFault::TwoWays), table.place(other));
            return None;
        }
    };
    let (own, span) = table.table(name)?;
    let value = Spanned::new(span.clone(), DeValue::Table(own.clone()));
    let value = ValueDeserializer::from(value);
    let read = match name {
        "files" => Deserialize::deserialize(value).map(Way::Files),
        "xandr" => Deserialize::deserialize(value).map(Way::Xandr),
        "trade_desk" => Deserialize::deserialize(value).map(Way::TradeDesk),
        "google" => Deserialize::deserialize(value).map(Way::Google),
        "adobe" => Deserialize::deserialize(value).map(Way::Adobe),
        _ => Deserialize::deserialize(value).map(Way::Request),
    };
    match read {
        Ok(way) => {
            sound_way(table, &way, &span);
            Some((way, span))
        }
        Err(error) => {
            let place = error.span().unwrap_or(span);
            table.fault(ProblemKind::Toml { source: Box::new(error) }, place);
            None
        }
    }
}

fn sound_way(table: &mut Table<'_, '_>, way: &Way, span: &Span) {
    let layout = match way {
        Way::Xandr(own) => Some(&own.layout),
        Way::Files(own) => {
            if !is_file_name(&own.folder) {
                let found = own.folder.clone();
                table.fault(fault(DestinationFault::Folder { found }), span.clone());
            }
            match &own.format {
                FeedLayout::Xandr(layout) => Some(layout),
                FeedLayout::Csv
                | FeedLayout::Tsv
                | FeedLayout::Jsonl
                | FeedLayout::Parquet
                | FeedLayout::Adobe { .. } => None,
            }
        }
        Way::TradeDesk(_) | Way::Google(_) | Way::Adobe(_) | Way::Request(_) => None,
    };
    if let Some(found) = way.files().and_then(|own| own.upload.as_ref()?.unfit()) {
        table.fault(fault(DestinationFault::Place { found: found.into() }), span.clone());
    }
    if layout.is_some_and(|layout| !XandrLayout::can_remove(layout)) {
        table.fault(fault(DestinationFault::NoRemoval), span.clone());
    }
    // What a template asks is known when it is filled; but for how it asks.
    let is_template = matches!(way, Way::Request(_));
    let is_right = |url: &&str| match url.split_once("://").filter(|_| is_template) {
        Some((scheme, _)) => matches!(scheme, "https" | "http") || scheme.contains('{'),
        None => is_template || is_askable(url),
    };
    if let Some(url) = way.url().filter(|url| !is_right(url)) {
        table.fault(fault(DestinationFault::Url { found: url.into() }), span.clone());
    }
}

/// Whether a URL can be asked: a scheme of the web, a host, no user.
fn is_askable(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    let is_web = matches!(url.scheme(), "https" | "http");
    let is_plain = url.username().is_empty() && url.password().is_none();
    is_web && is_plain && url.has_host() && url.fragment().is_none()
}

fn mapping(table: &mut Table<'_, '_>, time_zone: &str, faults: &mut Vec<Fault>) -> Vec<MappedItem> {
    const MAPPED: [&str; 4] = ["segment", "code", "starts", "ends"];
    let rows = table.tables("segments");
    table.at_most("segments", rows.len(), limits::SEGMENTS);
    let mut all = Vec::with_capacity(rows.len());
    for (row, span) in rows {
        let mut row = Table::new("destination.segments", row, span, &MAPPED);
        let (segment, code) = (row.need_text("segment"), row.text("code"));
        let (starts, ends) = (row.calendar_day("starts"), row.calendar_day("ends"));
        let period = Period { starts, ends, time_zone: time_zone.into() };
        if period.is_backwards() {
            row.fault(ProblemKind::EndsBeforeStart, row.place("ends"));
        }
        faults.extend(row.faults());
        let Some(segment) = segment else { continue };
        // Without a code it is called as it is.
        let code = code.unwrap_or_else(|| segment.clone());
        let mapped = Mapped { segment: SegmentId(0), code: code.value, period };
        all.push(MappedItem { segment, code_place: code.span, mapped });
    }
    all
}

/// Whether each code is one that the receiver can read.
fn codes(table: &mut Table<'_, '_>, way: &Way, segments: &[MappedItem]) {
    for item in segments {
        let code = &*item.mapped.code;
        let plain = (1..=limits::NAME_BYTES).contains(&code.len())
            && !code.contains(|c: char| c.is_control());
        let why = match way {
            _ if !plain => Some("1 to 128 bytes without control characters"),
            Way::Google(_) => code.parse::<i64>().is_err().then_some("a user list is a number"),
            Way::Xandr(own) => bad_line(&own.layout, code),
            Way::Files(own) => match &own.format {
                FeedLayout::Xandr(layout) => bad_line(layout, code),
                FeedLayout::Adobe { .. } => {
                    code.parse::<u64>().is_err().then_some("a trait is a number")
                }
                FeedLayout::Csv | FeedLayout::Tsv | FeedLayout::Jsonl | FeedLayout::Parquet => None,
            },
            Way::TradeDesk(_) | Way::Adobe(_) | Way::Request(_) => None,
        };
        if let Some(why) = why {
            let found = code.into();
            table.fault(fault(DestinationFault::Code { found, why }), item.code_place.clone());
        }
    }
}

fn bad_line(layout: &XandrLayout, code: &str) -> Option<&'static str> {
    let XandrLayout { separator_1, separator_2, separator_3, separator_5, .. } = layout;
    let separators = [*separator_1, *separator_2, *separator_3, *separator_5];
    let is_plain = code.bytes().all(|byte| byte.is_ascii_graphic());
    (!is_plain || code.contains(separators)).then_some("letters and digits, and no separator")
}

fn secrets(table: &mut Table<'_, '_>, way: Option<&Way>) -> Vec<(Box<str>, Box<str>)> {
    let mut secrets: Vec<(Box<str>, Box<str>)> = Vec::new();
    let known = way.map(Way::secrets);
    if let Some((own, _)) = table.table("secrets") {
        for (used_for, name) in own {
            let (used_for, span) = (&**used_for.get_ref(), name.span());
            let Some(text) = name.get_ref().as_str() else {
                let kind = ProblemKind::WrongType {
                    key: used_for.into(),
                    expected: "the name of a secret, a text",
                };
                table.fault(kind, span);
                continue;
            };
            if known.flatten().is_some_and(|known| !known.contains(&used_for)) {
                let found = used_for.into();
                table.fault(fault(DestinationFault::UnusedSecret { found }), span.clone());
            }
            if !is_secret_name(text) {
                let found = text.into();
                table.fault(fault(DestinationFault::SecretName { found }), span);
            }
            secrets.push((used_for.into(), text.into()));
        }
    }
    let needed = way.map_or(&[][..], Way::needed_secrets);
    let is_missing = |own: &&&str| secrets.iter().all(|(name, _)| **name != ***own);
    if let Some(used_for) = needed.iter().find(is_missing) {
        let kind = fault(DestinationFault::MissingSecret { used_for });
        table.fault(kind, table.place("secrets"));
    }
    secrets.sort();
    secrets
}

/// Whether a text may name a secret: it becomes part of a variable's name and of a path.
fn is_secret_name(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(is_plain)
}

/// Whether a text may name a file or folder, and a part of a URL's path.
fn is_file_name(text: &str) -> bool {
    let is_plain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(is_plain) && !text.starts_with('.')
}

impl super::DefinitionsFile {
    /// Looks at every template of the file; `check` says what is wrong with one whose secrets have
    /// these names.
    ///
    /// # Errors
    /// What `check` found, each at its place in the file.
    pub fn check_templates(
        &self,
        check: impl Fn(&Destination) -> Option<DestinationFault>,
    ) -> Result<(), Vec<crate::problem::Problem>> {
        let source = crate::problem::Source::new(crate::problem::Subject::File, &self.text);
        let found = self.destinations.iter().filter_map(|item| {
            let found = check(&item.destination)?;
            let place = self.place_of(&found, &item.way_place);
            Some(source.problem(Fault::new(fault(found), place)))
        });
        let found: Vec<_> = found.collect();
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}

impl super::DefinitionsFile {
    /// The line of the text that is at fault, behind the beginning of its table.
    fn place_of(&self, found: &DestinationFault, table: &Span) -> Span {
        let DestinationFault::Template { part, .. } = found else { return table.clone() };
        let behind = self.text.get(table.start..).unwrap_or_default();
        let key = ["url", "add", "remove", "body"].into_iter().find(|own| **own == **part);
        let key = key.unwrap_or("headers");
        let line = behind.find(&format!("\n{key} =")).map(|at| table.start + at + 1);
        line.map_or_else(|| table.clone(), |at| at..at + key.len())
    }
}

/// A word of one of the tables above.
pub(super) fn word_of<T: PartialEq>(words: &[(&'static str, T)], own: &T) -> &'static str {
    words.iter().find(|(_, one)| one == own).map_or("", |(word, _)| word)
}
