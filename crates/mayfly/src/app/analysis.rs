//! For tools that analyse: what a day was, category by category; and, where that is switched on,
//! its hits.

use std::collections::BTreeMap;
use std::sync::Arc;

use mayfly_core::{CategoryId, CellId, Day, Hit, Page, Partition};
use mayfly_segments::definitions::EVERY_HIT;
use mayfly_segments::{Compiled, PageMemo};
use mayfly_store::{DayCursor, StoreError};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::App;
use super::people::attributes;
use super::segments::rounded;
use crate::clock;
use crate::http::{ApiError, reading};
use crate::worker::evaluate;

/// Hits read at a time.
const HITS_AT_ONCE: usize = 2000;

/// What hits of a category came to on one day.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    visitors: u64,
    hits: u64,
    seconds: u64,
}

impl App {
    /// A day, category by category: visitors, hits, engaged seconds. Of those who are still here,
    /// by the rules of now.
    ///
    /// # Errors
    /// [`ApiError::Busy`], the store's.
    pub async fn day(&self, day: Day, exact: bool) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        let active = self.active();
        let definitions = active.definitions();
        let open = definitions.categories().filter(|own| !definitions.is_sensitive(own.id));
        let all: Vec<CategoryId> = open.map(|own| own.id).chain([CategoryId::ALL]).collect();
        let _turn = reading().await?;
        let mut sums: BTreeMap<CategoryId, Sum> = BTreeMap::new();
        for slot in self.slots() {
            let hidden = self.hidden(slot.partition()) | slot.erased();
            let cells = evaluate::day_cells(&self.store, &slot, day, &all).await?;
            let is_now = |id: &CellId| active.cell(id.category) == Some(*id);
            for (id, cell) in cells.into_iter().filter(|(id, _)| is_now(id)) {
                let sum = sums.entry(id.category).or_default();
                let own = cell.entries.iter().filter(|entry| !hidden.contains(entry.ordinal));
                for entry in own {
                    sum.visitors += u64::from(entry.count > 0);
                    sum.hits += u64::from(entry.count);
                    sum.seconds += u64::from(entry.seconds);
                }
            }
        }
        self.still(&active)?;
        let show = |n| if exact { Some(n) } else { rounded(n) };
        let rows = sums.into_iter().map(|(id, sum)| {
            let path = match id {
                CategoryId::ALL => EVERY_HIT.to_owned(),
                id => definitions.path(id),
            };
            json!({
                "id": id.0,
                "category": path,
                "visitors": show(sum.visitors),
                "hits": show(sum.hits),
                "engaged_s": show(sum.seconds),
            })
        });
        Ok(json!({
            "day": day.to_string(),
            "categories": rows.collect::<Vec<_>>(),
            "as_of": clock::text(now),
            "exact": exact,
        }))
    }

    /// The hits of a day, one a line, as long as anybody listens. The last line tells how many
    /// there were: without it the day was sealed meanwhile, or a store failed, and the same
    /// question is to be asked again.
    ///
    /// # Errors
    /// [`ApiError::RawOff`].
    pub fn raw_hits(self: &Arc<Self>, day: Day) -> Result<mpsc::Receiver<Vec<u8>>, ApiError> {
        if !self.settings.raw_export {
            return Err(ApiError::RawOff);
        }
        let (app, (tell, told)) = (Arc::clone(self), mpsc::channel(2));
        tokio::spawn(async move {
            let mut total = 0;
            for partition in app.partitions() {
                match app.tell_hits((partition, day), &tell).await {
                    Ok(Some(number)) => total += number,
                    Ok(None) => return,
                    Err(error) => {
                        tracing::warn!(%error, "an export of hits breaks off");
                        return;
                    }
                }
            }
            let delete_by = app.settings.store.retention.expires_at(day).millis();
            let last = json!({"hits": total, "delete_by_ms": delete_by}).to_string() + "\n";
            tell.send(last.into_bytes()).await.unwrap_or_default();
        });
        Ok(told)
    }

    /// The hits of a partition's day; how many, or `None` when nobody listens any more.
    async fn tell_hits(
        &self,
        (partition, day): (Partition, Day),
        tell: &mpsc::Sender<Vec<u8>>,
    ) -> Result<Option<u64>, ApiError> {
        let (mut next, mut number) = (Some(DayCursor::Start), 0);
        let (active, mut memo) = (self.active(), PageMemo::default());
        while let Some(cursor) = next {
            let read = self.store.read_day(partition, day, cursor, HITS_AT_ONCE).await;
            let read = match read {
                Err(StoreError::DayMoved) => return Ok(None),
                read => read?,
            };
            let slots = self.slots();
            let slot = slots.iter().find(|slot| slot.partition() == partition);
            let erased = slot.map(|slot| slot.erased()).unwrap_or_default();
            let hidden = self.hidden(partition) | erased;
            let mut hits = read.hits;
            hits.retain(|hit| !hidden.contains(hit.visitor.ordinal));
            let pages = self.pages_of(&hits).await?;
            let mut lines = Vec::new();
            for (hit, page) in hits.iter().zip(&pages) {
                lines.extend(Self::raw(&active, hit, page, &mut memo).to_string().into_bytes());
                lines.push(b'\n');
            }
            number += hits.len() as u64;
            if tell.send(lines).await.is_err() {
                return Ok(None);
            }
            next = read.next;
        }
        Ok(Some(number))
    }

    /// A hit as it is exported.
    fn raw(active: &Compiled, hit: &Hit, page: &Page, memo: &mut PageMemo) -> Value {
        let definitions = active.definitions();
        let mut fell = Vec::new();
        if !hit.takes_back() {
            active.classifier().classify(memo, hit, page, &mut fell);
        }
        fell.retain(|id| *id != CategoryId::ALL);
        let fell: Vec<_> = fell.into_iter().map(|id| definitions.path(id)).collect();
        json!({
            "visitor": hit.visitor.to_string(),
            "time_ms": hit.time.millis(),
            "site": definitions.site_key(hit.site),
            "event": hit.event.name(),
            "url": page.url,
            "title": page.title,
            "engaged_s": hit.engaged_s,
            "referrer": hit.referrer.host,
            "device": hit.context.client.device.label(),
            "os": hit.context.client.os.label(),
            "browser": hit.context.client.browser.label(),
            "language": hit.context.language.map(|own| own.to_string()),
            "country": hit.context.geo.country(),
            "categories": fell.join(" | "),
            "attributes": attributes(hit),
        })
    }
}
