//! Why a visitor is in a segment, or is not.

use mayfly_core::{CategoryId, Hit, Hour, Page, Timestamp, Visitor};
use mayfly_segments::definitions::EVERY_HIT;
use mayfly_segments::{Condition, Definitions, Measure, Part, PartKind, Unit, Why};
use serde_json::{Value, json};

use super::App;
use super::people::attributes;
use crate::clock;
use crate::http::ApiError;

impl App {
    /// Why a visitor is in a segment, or is not: worked out anew on his own hits.
    ///
    /// # Errors
    /// [`ApiError::NoSegment`], [`ApiError::Busy`], the store's.
    pub async fn why(&self, name: &str, visitor: Visitor) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        let id = self.segment_id(name)?;
        let active = self.active();
        let Some(segment) = active.definitions().segment(id) else { return Err(ApiError::Busy) };
        let (hits, pages) = self.hits_and_pages(visitor).await?;
        let hits: Vec<(&Hit, &Page)> = hits.iter().zip(&pages).collect();
        let hour = now.hour().unwrap_or_default();
        let why = Why::of(&segment.rule, &active, hour, visitor, &hits)?;
        let conditions = why.tree.conditions();
        let runs = segment.period.hours();
        let changes_at = match why.changes_at {
            // It has no members before it begins, and none after it ends.
            _ if hour >= runs.end => None,
            _ if hour < runs.start => why.holds().then(|| runs.start.start()),
            at if why.holds() && runs.end < Hour(u32::MAX) => {
                Some(at.map_or(runs.end.start(), |at| at.min(runs.end.start())))
            }
            at => at,
        };
        let nearest = why.nearest.and_then(|nearest| {
            let (part, condition) = conditions.get(nearest.place)?;
            Some(json!({
                "condition": part.text,
                "missing": nearest.missing,
                "unit": unit(condition),
                "is_enough": nearest.is_enough,
            }))
        });
        Ok(json!({
            "segment": segment.name,
            "visitor": visitor.to_string(),
            "member": self.segments_of(visitor).iter().any(|own| **own == *segment.name),
            "paused": segment.paused,
            "runs": runs.contains(&hour),
            "starts": segment.period.starts.map(|day| day.to_string()),
            "ends": segment.period.ends.map(|day| day.to_string()),
            "holds": why.holds(),
            "changes_at": changes_at.map(clock::text),
            "nearest": nearest,
            "tree": tree(&why.tree, active.definitions(), &hits),
            "as_of": clock::text(now),
        }))
    }
}

/// What a condition counts.
fn unit(own: &Condition) -> &'static str {
    match own.measure {
        Measure::Visited if own.is_sequence => "times",
        Measure::Visited => "hits",
        Measure::Engaged => "seconds",
        Measure::Days => "days",
    }
}

fn tree(part: &Part, definitions: &Definitions, hits: &[(&Hit, &Page)]) -> Value {
    let all = |parts: &[Part]| -> Vec<Value> {
        parts.iter().map(|part| tree(part, definitions, hits)).collect()
    };
    let one = |part: &Part| vec![tree(part, definitions, hits)];
    let (is, parts) = match &part.kind {
        PartKind::All(parts) => ("all of", all(parts)),
        PartKind::Any(parts) => ("any of", all(parts)),
        PartKind::Not(part) => ("not", one(part)),
        PartKind::AtLeast(_, parts) => ("at least", all(parts)),
        PartKind::Segment(part) => ("segment", one(part)),
        PartKind::Sample(_) => ("sample", Vec::new()),
        PartKind::Condition(own) => {
            let mut shown = condition(own, definitions, hits);
            shown["text"] = json!(part.text);
            shown["holds"] = json!(part.holds);
            return shown;
        }
    };
    let mut shown = json!({"is": is, "text": part.text, "holds": part.holds, "parts": parts});
    if let PartKind::AtLeast(least, _) = part.kind {
        shown["least"] = json!(least);
    }
    shown
}

fn condition(own: &Condition, definitions: &Definitions, hits: &[(&Hit, &Page)]) -> Value {
    let category = match own.category {
        CategoryId::ALL => EVERY_HIT.to_owned(),
        id => definitions.path(id),
    };
    let import = definitions.category(own.category).and_then(|own| own.import.as_ref());
    let source = import.and_then(|import| definitions.partner_by_id(import.partner));
    let named = own.hits.iter().filter_map(|at| hits.get(*at)).map(|(hit, page)| {
        json!({
            "time": clock::text(hit.time),
            "site": definitions.site_key(hit.site),
            "event": hit.event.name(),
            "engaged_s": hit.engaged_s,
            "url": hit.page.map(|_| &*page.url),
            "attributes": attributes(hit),
            "declared_by": source.filter(|_| hit.is_declared()).map(|source| &*source.key),
        })
    });
    // Days by their dates, both included; hours by their instants, the last one excluded.
    let (from, to) = match own.unit {
        Unit::Days => {
            let day = |at: Timestamp| at.day().unwrap_or_default();
            (day(own.window.start).to_string(), day(own.window.end).minus(1).to_string())
        }
        Unit::Hours => (clock::text(own.window.start), clock::text(own.window.end)),
    };
    json!({
        "is": "condition",
        "category": category,
        "from": from,
        "to": to,
        "found": own.found,
        "unit": unit(own),
        "hits": named.collect::<Vec<_>>(),
        "hits_in_all": own.hits_in_all,
    })
}
