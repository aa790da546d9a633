//! A `[[segment]]` of a definitions file.

use jiff::tz::TimeZone;
use mayfly_core::limits;
use toml::de::DeTable;

use super::file::{OnPageItem, SegmentItem, Span, sound};
use super::period::Period;
use super::table::Table;
use crate::problem::{Fault, ProblemKind};

const KEYS: [&str; 12] = [
    "name",
    "rule",
    "on_page",
    "paused",
    "notes",
    "was",
    "iab",
    "owner",
    "labels",
    "starts",
    "ends",
    "time_zone",
];

pub(super) fn segment(
    table: &DeTable<'_>,
    span: Span,
    faults: &mut Vec<Fault>,
) -> Option<SegmentItem> {
    let mut table = Table::new("segment", table, span, &KEYS);
    let (name, rule) = (table.need_text("name"), table.need_text("rule"));
    let on_page = if table.is_list("on_page") {
        OnPageItem::Sites(table.texts("on_page"))
    } else {
        OnPageItem::Flag(table.flag("on_page").unwrap_or(false))
    };
    let paused = table.flag("paused").unwrap_or(false);
    let mut words = |key| table.text(key).map(|text| text.value).unwrap_or_default();
    let (notes, owner) = (words("notes"), words("owner"));
    let iab = table.one_or_more("iab").into_iter().map(|id| id.value).collect();
    let labels = table.texts("labels");
    for label in &labels {
        if !sound(&label.value) {
            let kind = ProblemKind::BadName { what: "label", name: label.value.clone() };
            table.fault(kind, label.span.clone());
        }
    }
    if labels.len() > limits::LABELS {
        let kind = ProblemKind::TooMany { what: "labels", limit: limits::LABELS };
        table.fault(kind, table.place("labels"));
    }
    let labels = labels.into_iter().map(|label| label.value).collect();
    let (period, was) = (period(&mut table), table.texts("was"));
    for name in name.iter().chain(&was) {
        if !sound(&name.value) {
            let kind = ProblemKind::BadName { what: "segment", name: name.value.clone() };
            table.fault(kind, name.span.clone());
        }
    }
    faults.extend(table.faults());
    let (name, rule) = (name?, rule?);
    Some(SegmentItem { name, rule, on_page, paused, notes, owner, labels, iab, period, was })
}

fn period(table: &mut Table<'_, '_>) -> Period {
    let (starts, ends) = (table.calendar_day("starts"), table.calendar_day("ends"));
    let mut period = Period { starts, ends, ..Period::default() };
    if let Some(zone) = table.text("time_zone") {
        if TimeZone::get(&zone.value).is_err() {
            table.fault(ProblemKind::TimeZone { name: zone.value.clone() }, zone.span);
        }
        period.time_zone = zone.value;
    }
    if period.is_backwards() {
        table.fault(ProblemKind::EndsBeforeStart, table.place("ends"));
    }
    period
}
