//! A dry run: what would be sent, as it would be sent; nothing is, and nothing is noted.

use std::collections::BTreeMap;
use std::sync::Arc;

use mayfly_core::{Timestamp, Visitor};
use mayfly_export::feed;
use mayfly_export::push::{Request, Step};
use mayfly_segments::destination::way::FeedLayout;
use mayfly_segments::destination::{Destination, Way};
use mayfly_store::MatchNews;
use serde_json::{Value, json};

use super::audience::{Desk, NotNow};
use super::changes::Extent;
use super::ledger::read;
use super::record::{STANDING, Standing};
use super::sender::Terms;
use crate::app::App;

/// What stands in a preview in place of a secret.
const HIDDEN: &str = "(secret)";
/// News looked at.
const NEWS: usize = 10_000;

/// What would be sent to a destination: the counts, and the beginning of it.
pub(crate) async fn preview(
    app: &Arc<App>,
    destination: &Destination,
    visitors: usize,
    is_full: bool,
    now: Timestamp,
) -> Result<Value, NotNow> {
    let active = app.active();
    let partner = active.definitions().partner_by_id(destination.partner);
    let partner = partner.cloned().ok_or(NotNow::Loading)?;
    let standing: Option<Standing> = read(app.store(), destination.id, STANDING).await?;
    let mut standing = standing.unwrap_or_default();
    let mut desk = Desk::open(app, destination.clone(), partner).await?;
    let mut gone: u64 = 0;
    for partition in app.partitions().filter(|_| destination.ids == Default::default()) {
        let after = standing.told(partition);
        let news = app.store().match_news(partition, destination.partner, after, NEWS).await?;
        for (_, news) in news {
            match news {
                MatchNews::Gone(_) => gone += u64::from(standing.number > 0),
                MatchNews::Matched(ordinal) => {
                    desk.forget_sent(partition, ordinal);
                }
            }
        }
    }
    let is_full = is_full || standing.number == 0;
    let audience = desk.audience(&mut standing, now).await?;
    let slots = app.slots();
    let extent = Extent::of(is_full);
    let (mut changes, mut pairs) = desk.changes(&audience, &slots, extent, now).await?;
    pairs.gone = gone * changes.segments.len() as u64;
    let chunk = desk.next_chunk(&mut changes, visitors, now).await?.unwrap_or_default();
    let batch = chunk.batch(&format!("{}-preview", destination.name), &changes, now);
    let (request, lines) = match &destination.way {
        Way::Files(files) => (None, text_of(&files.format, &batch, is_full)),
        Way::Xandr(own) => (None, text_of(&FeedLayout::Xandr(own.layout.clone()), &batch, false)),
        Way::TradeDesk(_) | Way::Google(_) | Way::Adobe(_) | Way::Request(_) => {
            (first_request(destination, &batch), String::new())
        }
    };
    Ok(json!({
        "destination": destination.name,
        "mode": if is_full { "full" } else { "delta" },
        "pairs": pairs,
        "segments": audience.rows,
        "visitors_shown": batch.changes.len(),
        "request": request.map(|request| shown(&request)),
        "lines": lines.lines().collect::<Vec<_>>(),
    }))
}

/// A part of all who would be there, as the receiver would be told: for files that a person makes.
/// Nothing is noted.
pub(crate) async fn part(
    app: &Arc<App>,
    destination: &Destination,
    (after, limit): (Option<Visitor>, usize),
    now: Timestamp,
) -> Result<Value, NotNow> {
    let active = app.active();
    let partner = active.definitions().partner_by_id(destination.partner);
    let partner = partner.cloned().ok_or(NotNow::Loading)?;
    let mut desk = Desk::open(app, destination.clone(), partner).await?;
    // Nobody was told of anything by such a file.
    desk.sent.clear();
    let audience = desk.audience(&mut Standing::default(), now).await?;
    let extent = Extent::of(true);
    let (mut changes, pairs) = desk.changes(&audience, &app.slots(), extent, now).await?;
    if let Some(after) = after {
        Desk::skip(&mut changes, after);
    }
    let chunk = desk.next_chunk(&mut changes, limit, now).await?.unwrap_or_default();
    let segments = changes.segments.iter().map(|own| json!({"code": own.code, "name": own.name}));
    let users = chunk.users.iter().map(|own| {
        let adds = own.adds.iter().map(|add| json!([add.segment, add.ttl_s]));
        json!({"uid": own.uid, "add": adds.collect::<Vec<_>>()})
    });
    Ok(json!({
        "pairs": pairs,
        "rows": audience.rows,
        "segments": segments.collect::<Vec<_>>(),
        "users": users.collect::<Vec<_>>(),
        "next": chunk.last.map(|own| own.to_string()),
        "now_ms": now.millis(),
    }))
}

/// How many there are to be under each code now.
pub(crate) async fn sizes(
    app: &Arc<App>,
    destination: &Destination,
    now: Timestamp,
) -> Result<BTreeMap<String, u64>, NotNow> {
    let active = app.active();
    let partner = active.definitions().partner_by_id(destination.partner);
    let partner = partner.cloned().ok_or(NotNow::Loading)?;
    let mut desk = Desk::open(app, destination.clone(), partner).await?;
    let audience = desk.audience(&mut Standing::default(), now).await?;
    let mut sizes = BTreeMap::new();
    for ((_, code), own) in &audience.wanted {
        *sizes.entry(code.to_string()).or_default() += own.len();
    }
    Ok(sizes)
}

/// The lines of a layout; Parquet's as CSV.
fn text_of(layout: &FeedLayout, batch: &mayfly_export::Batch, is_full: bool) -> String {
    let is_binary = *layout == FeedLayout::Parquet;
    let layout = if is_binary { &FeedLayout::Csv } else { layout };
    String::from_utf8_lossy(&feed::text(layout, batch, is_full).unwrap_or_default()).into_owned()
}

fn first_request(destination: &Destination, batch: &mayfly_export::Batch) -> Option<Request> {
    let secrets = destination.secrets.iter().map(|(what, _)| (what.clone(), HIDDEN.into()));
    let terms = Terms::new(destination, secrets.collect()).ok()?;
    if batch.changes.is_empty() {
        return None;
    }
    match terms.talk(batch)?.next(None) {
        Step::Send(request) => Some(request),
        Step::Wait(_) | Step::Done(_) => None,
    }
}

/// A request without its secrets: signatures were made with none.
fn shown(request: &Request) -> Value {
    let headers = request.headers.iter().map(|(name, value)| format!("{name}: {value}"));
    let text = std::str::from_utf8(&request.body)
        .ok()
        .filter(|text| !text.contains(|c: char| c.is_control() && !c.is_whitespace()));
    let body = text.map_or_else(
        || request.body.iter().map(|byte| format!("{byte:02x}")).collect(),
        str::to_owned,
    );
    json!({
        "method": request.method.label(),
        "url": request.url,
        "headers": headers.collect::<Vec<_>>(),
        "body": body,
        "is_hex": text.is_none(),
    })
}
