//! Segments: sizes, members, any expression, one hit explained.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use mayfly_collector::{VisitorRef, parse_hit_line};
use mayfly_core::{Partition, SegmentId, Timestamp, Visitor, limits};
use mayfly_segments::{Compiled, Expression, OnPage, Seen, Segment, nearest};
use mayfly_store::StoreError;
use roaring::{RoaringBitmap, RoaringTreemap};
use serde_json::{Value, json};

use super::App;
use super::categories::{page, segment};
use crate::clock;
use crate::http::{ApiError, reading};
use crate::worker::{Slot, evaluate};

/// How long a question waits for hits that were acknowledged before it was asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// Partitions that one question looks at beside one another.
pub(super) const PARTITIONS_AT_ONCE: usize = 4;
/// Sizes below are not told to the lesser roles.
const FLOOR: u64 = 50;

/// Two sizes: held now, and with a hit lately.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    held: u64,
    seen: Seen,
}

impl App {
    /// Waits until everything that was stored before now is folded, under the definitions that
    /// were applied before now, by whichever process; answers the instant.
    ///
    /// # Errors
    /// [`ApiError::Busy`] when the worker does not keep up.
    pub async fn catch_up(&self) -> Result<Timestamp, ApiError> {
        self.caught_up(PATIENCE).await
    }

    /// As [`App::catch_up`], with so much patience for each partition.
    pub(super) async fn caught_up(&self, patience: Duration) -> Result<Timestamp, ApiError> {
        let now = Self::now();
        self.refresh_catalog().await?;
        let partitions: Vec<Partition> = self.partitions().collect();
        let heads = self.store.heads(&partitions).await?;
        let (version, today) = (self.active().version(), now.day().unwrap_or_default());
        let slots = self.slots();
        if slots.len() < partitions.len() {
            // Partitions that were just added are not served yet: a part would be no answer.
            return Err(ApiError::Busy);
        }
        for (slot, heads) in slots.iter().zip(heads) {
            let kept: Vec<_> =
                heads.into_iter().filter(|head| slot.retention().keeps(head.day, today)).collect();
            if !slot.folded(&kept, version, patience).await {
                return Err(ApiError::Busy);
            }
        }
        Ok(now)
    }

    /// All segments with their sizes.
    ///
    /// # Errors
    /// [`ApiError::Busy`].
    pub async fn segments(
        &self,
        (after, limit): (u32, usize),
        exact: bool,
    ) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        let active = self.active();
        let later = active.definitions().segments().filter(|segment| segment.id.0 > after);
        let (rows, next) = page(later, limit, |segment| segment.id.0);
        let shown = |own: &Segment| {
            let mut shown = segment(active.definitions(), own);
            self.size(own.id, now).show(&mut shown, exact);
            shown
        };
        let all: Vec<Value> = rows.into_iter().map(shown).collect();
        let as_of = clock::text(now);
        Ok(json!({"segments": all, "next": next, "as_of": as_of, "exact": exact}))
    }

    /// One segment with its size.
    ///
    /// # Errors
    /// [`ApiError::NoSegment`].
    pub async fn segment(&self, name: &str, exact: bool) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        let active = self.active();
        let id = self.segment_id(name)?;
        let Some(own) = active.definitions().segment(id) else { return Err(ApiError::Busy) };
        let mut shown = segment(active.definitions(), own);
        self.size(id, now).show(&mut shown, exact);
        shown["version"] = json!(active.version());
        stamp(&mut shown, now, exact);
        Ok(shown)
    }

    pub(super) fn segment_id(&self, name: &str) -> Result<SegmentId, ApiError> {
        let active = self.active();
        let found = active.definitions().segment_named(name).map(|s| s.id);
        found.ok_or_else(|| {
            let names = active.definitions().segments().map(|segment| &*segment.name);
            ApiError::NoSegment { name: name.to_owned(), nearest: nearest(name, names) }
        })
    }

    /// How many members a segment holds now.
    pub(super) fn held(&self, id: SegmentId) -> u64 {
        let held = |slot: Arc<Slot>| {
            let hidden = self.hidden(slot.partition());
            slot.read(|index| {
                Some(index.members(id)?.len() - index.members(id)?.intersection_len(&hidden))
            })
        };
        self.slots().into_iter().filter_map(held).flatten().sum()
    }

    fn size(&self, id: SegmentId, now: Timestamp) -> Size {
        self.slots().iter().fold(Size::default(), |sum, slot| {
            let own = slot.read(|index| {
                let members = index.members(id)? - &self.hidden(slot.partition());
                Some(Size { held: members.len(), seen: index.seen(&members, now) })
            });
            sum.plus(own.flatten().unwrap_or_default())
        })
    }

    /// The members as a portable 64-bit bitmap: partition × 2^32 + ordinal.
    ///
    /// # Errors
    /// [`ApiError::NoSegment`], [`ApiError::Busy`].
    pub async fn members(&self, name: &str) -> Result<Vec<u8>, ApiError> {
        self.catch_up().await?;
        let id = self.segment_id(name)?;
        let members = self.slots().into_iter().filter_map(|slot| {
            let own: RoaringBitmap = slot.read(|index| index.members(id).cloned()).flatten()?;
            Some((u32::from(slot.partition().0), own - self.hidden(slot.partition())))
        });
        let all = RoaringTreemap::from_bitmaps(members);
        let mut bytes = Vec::with_capacity(all.serialized_size());
        all.serialize_into(&mut bytes)
            .map_err(|source| ApiError::Store(StoreError::Files { source }))?;
        Ok(bytes)
    }

    /// The size of what holds nobody.
    pub(super) async fn nobody(&self, exact: bool) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        let mut shown = Size::default().json(exact);
        stamp(&mut shown, now, exact);
        Ok(shown)
    }

    /// The exact size of any expression.
    ///
    /// # Errors
    /// [`ApiError::Problems`] with what is wrong and where.
    pub async fn count(&self, rule: &str, exact: bool) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        let (active, retention) = (self.active(), self.settings.store.retention);
        let expression = Expression::parse(rule, active.definitions(), retention)?;
        may_sample(&expression, exact)?;
        let mut sum = Size::default();
        for (slot, members) in self.members_by_slot(&active, &expression, now).await? {
            let seen = slot.read(|index| index.seen(&members, now)).unwrap_or_default();
            sum = sum.plus(Size { held: members.len(), seen });
        }
        let mut shown = sum.json(exact);
        stamp(&mut shown, now, exact);
        Ok(shown)
    }

    /// The members of an expression, some partitions at a time: decoding cells takes most of it,
    /// and is done beside one another.
    pub(super) async fn members_by_slot(
        &self,
        active: &Compiled,
        expression: &Expression,
        now: Timestamp,
    ) -> Result<Vec<(Arc<Slot>, RoaringBitmap)>, ApiError> {
        let limit = limits::TRACES_ASKED;
        if expression.traces() > limit {
            let what = "conditions with hours, tests or sequences in one question";
            return Err(ApiError::TooMany { what, limit });
        }
        let needs = expression.needs(now.day().unwrap_or_default()).into_iter();
        let days = needs.map(|(_, days)| days.end().0.saturating_sub(days.start().0) + 1);
        let cells = days.map(usize::from).sum();
        if cells > limits::CELLS_ASKED {
            return Err(ApiError::TooCostly { cells });
        }
        // Such a question reads hits: few at a time.
        let _turn = match expression.traces() {
            0 => None,
            _ => Some(reading().await?),
        };
        let members = |slot: Arc<Slot>| async move {
            let members = self.members_in(&slot, active, expression, now).await?;
            Ok((slot, members))
        };
        stream::iter(self.slots()).map(members).buffered(PARTITIONS_AT_ONCE).try_collect().await
    }

    /// The members of an expression in one partition.
    async fn members_in(
        &self,
        slot: &Slot,
        active: &Compiled,
        expression: &Expression,
        now: Timestamp,
    ) -> Result<RoaringBitmap, ApiError> {
        let hour = now.hour().unwrap_or_default();
        let members = evaluate::members(&self.store, slot, active, expression, hour).await?;
        Ok(members.ok_or(ApiError::Busy)? - self.hidden(slot.partition()))
    }

    /// The names of the segments that a visitor is in.
    #[must_use]
    pub fn segments_of(&self, visitor: Visitor) -> Vec<String> {
        self.look_up(Some(visitor), None, |_| true).names()
    }

    /// The names of a visitor's segments that pages of a site may read.
    #[must_use]
    pub fn segments_of_site(&self, visitor: Visitor, key: &str) -> Vec<String> {
        let site = self.collector.sites().get(key).map(|site| site.id);
        let is_seen = |own: &OnPage| site.is_some_and(|site| own.allows(site));
        self.look_up(Some(visitor), None, is_seen).names()
    }

    /// One hit through the real admission, with what it leads to.
    ///
    /// # Errors
    /// A body that is no hit, the store's.
    pub async fn try_hit(
        &self,
        body: &[u8],
        is_own: impl Fn(&str) -> bool,
    ) -> Result<Value, ApiError> {
        let now = Self::now();
        let submission = parse_hit_line(body).map_err(|reason| ApiError::Hit { reason })?;
        if !is_own(&submission.site) {
            return Err(ApiError::Forbidden);
        }
        let (site, candidate) = (submission.site.clone(), submission.candidate.clone());
        let foreign = match &submission.visitor {
            VisitorRef::Foreign { space, id } => self.collector.foreign_id(space, id),
            VisitorRef::Cookie(_) | VisitorRef::Known(_) => None,
        };
        let verdict = self.collector.submit(vec![submission], now).await.pop();
        let Some(verdict) = verdict else { return Err(ApiError::Busy) };
        let visitor = match foreign {
            Some(foreign) => self.store.lookup_ids(&[foreign]).await?.pop().flatten(),
            None => None,
        };
        let mut shown = json!({
            "outcome": verdict.outcome.label(),
            "reason": verdict.reason.map(|r| r.label()),
            "visitor": visitor.map(|v| v.to_string()),
        });
        if let (true, Some(visitor)) = (verdict.outcome.is_kept(), visitor) {
            self.catch_up().await?;
            shown["segments"] = json!(self.segments_of(visitor));
            shown["categories"] = json!(self.categories_of(&site, &candidate));
        }
        Ok(shown)
    }

    /// The categories of a hit, by path, without the one that holds all.
    fn categories_of(&self, site: &str, candidate: &mayfly_core::Candidate) -> Vec<String> {
        let active = self.active();
        let definitions = active.definitions();
        let site = definitions.site(site);
        let present = site.and_then(|site| self.present(candidate, site));
        let found = present.map(|present| self.categories_with(&present)).unwrap_or_default();
        found.into_iter().map(|id| definitions.path(id)).collect()
    }
}

impl Size {
    fn plus(self, other: Self) -> Self {
        let mut seen = self.seen;
        seen += other.seen;
        Self { held: self.held + other.held, seen }
    }

    /// The sizes for an answer; rounded for the lesser roles.
    fn json(&self, exact: bool) -> Value {
        let mut shown = json!({});
        self.show(&mut shown, exact);
        shown
    }

    fn show(&self, shown: &mut Value, exact: bool) {
        let show = |n| if exact { json!(n) } else { json!(rounded(n)) };
        let Seen { h24, d7, d14, d30, d60, d90 } = self.seen;
        let windows =
            [("24h", h24), ("7d", d7), ("14d", d14), ("30d", d30), ("60d", d60), ("90d", d90)];
        let seen: BTreeMap<&str, Value> =
            windows.into_iter().map(|(window, n)| (window, show(n))).collect();
        shown["held"] = show(self.held);
        shown["seen"] = json!(seen);
    }
}

fn stamp(shown: &mut Value, now: Timestamp, exact: bool) {
    shown["as_of"] = json!(clock::text(now));
    shown["as_of_ms"] = json!(now.millis());
    shown["exact"] = json!(exact);
}

/// With samples of every size the rounding could be undone: they are for who sees all.
pub(super) fn may_sample(expression: &Expression, exact: bool) -> Result<(), ApiError> {
    if exact || !expression.has_samples() { Ok(()) } else { Err(ApiError::Forbidden) }
}

/// Two significant digits; nothing under the floor.
pub(crate) fn rounded(n: u64) -> Option<u64> {
    if n < FLOOR {
        return None;
    }
    let unit = 10u64.pow(n.ilog10().saturating_sub(1));
    Some(n / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn the_lesser_roles_see_two_digits_and_nothing_under_the_floor() {
        for (n, shown) in [(0, None), (49, None), (50, Some(50)), (1234, Some(1200))] {
            assert_eq!(rounded(n), shown, "{n}");
        }
    }
}
