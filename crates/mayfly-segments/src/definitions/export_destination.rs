//! A destination as its part of a definitions file.

use std::collections::BTreeMap;

use super::Definitions;
use super::destination_table::{ID_SPACES, TRANSFERS, word_of};
use super::export::{line, list, quoted};
use crate::destination::{Destination, IdSpace, Mapped, Terms, Way};

impl Definitions {
    pub(super) fn export_destination(&self, out: &mut String, own: &Destination) {
        line(out, "\n[[destination]]\nname", &quoted(&own.name));
        let partner = self.partners.get(&own.partner).map_or("", |partner| &*partner.key);
        line(out, "partner", &quoted(partner));
        if own.ids != IdSpace::default() {
            line(out, "ids", &quoted(word_of(&ID_SPACES, &own.ids)));
        }
        line(out, "country", &quoted(&own.country));
        line(out, "transfer", &quoted(word_of(&TRANSFERS, &own.transfer)));
        if own.schedule != Default::default() {
            line(out, "schedule", &quoted(&own.schedule.to_string()));
        }
        if *own.time_zone != *"UTC" {
            line(out, "time_zone", &quoted(&own.time_zone));
        }
        for (key, value, usual) in [
            ("minimum", own.minimum, Destination::MINIMUM),
            (
                "max_ttl_days",
                own.max_ttl_days.into(),
                mayfly_core::limits::RETENTION_DAYS_MAX.into(),
            ),
            ("batch", own.batch, own.way.batch().0),
            ("per_minute", own.per_minute, own.way.per_minute()),
        ] {
            if value != usual {
                line(out, key, &value.to_string());
            }
        }
        if !own.forbidden_labels.is_empty() {
            let labels = list(own.forbidden_labels.iter().map(|label| &**label));
            line(out, "forbidden_labels", &labels);
        }
        if !own.idempotent {
            line(out, "idempotent", "false");
        }
        if own.paused {
            line(out, "paused", "true");
        }
        if !own.secrets.is_empty() {
            let all = own.secrets.iter();
            let all: Vec<_> = all.map(|(key, name)| format!("{key} = {}", quoted(name))).collect();
            line(out, "secrets", &format!("{{ {} }}", all.join(", ")));
        }
        let rows: Vec<String> = own.mapping.iter().map(|own| self.export_mapped(own)).collect();
        if !rows.is_empty() {
            line(out, "segments", &format!("[\n  {},\n]", rows.join(",\n  ")));
        }
        if let Some(Terms { contract, ends, price }) = &own.terms {
            line(out, "[destination.terms]\ncontract", &quoted(contract));
            if let Some(ends) = ends {
                line(out, "ends", &ends.to_string());
            }
            if let Some(price) = price {
                line(out, "price", &quoted(&price.to_string()));
            }
        }
        out.push_str(&export_way(&own.way));
    }

    fn export_mapped(&self, own: &Mapped) -> String {
        let name = self.segments.get(&own.segment).map_or("", |segment| &*segment.name);
        let mut row = format!("{{ segment = {}", quoted(name));
        if *own.code != *name {
            row.push_str(&format!(", code = {}", quoted(&own.code)));
        }
        for (key, date) in [("starts", own.period.starts), ("ends", own.period.ends)] {
            if let Some(date) = date {
                row.push_str(&format!(", {key} = {date}"));
            }
        }
        row.push_str(" }");
        row
    }
}

/// `[destination.xandr]` and what is below it.
fn export_way(way: &Way) -> String {
    let table = BTreeMap::from([("destination", way)]);
    // Every field of a way can be written as TOML: the test below has all of them.
    toml::to_string(&table).unwrap_or_default()
}
