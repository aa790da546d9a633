//! Destinations and their deliveries: listed, shown, asked for.

use std::sync::Arc;

use mayfly_core::{PartnerId, Visitor};
use mayfly_segments::definitions::{Definitions, Period};
use mayfly_segments::destination::way::FilesSettings;
use mayfly_segments::destination::{Destination, Mapped, Way};
use mayfly_segments::{DestinationId, nearest};
use mayfly_store::delivered::NEWS_DAYS;
use mayfly_store::{CatalogName, Corruption, StoreError};
use serde_json::{Value, json};

use super::App;
use crate::clock;
use crate::delivery::audience::NotNow;
use crate::delivery::held::{Held, advice};
use crate::delivery::ledger;
use crate::delivery::preview::{self, preview};
use crate::delivery::record::{ASKED, Ask, Asked, Delivery, FIRST, STANDING, Standing};
use crate::delivery::secrets;
use crate::http::{ApiError, reading};

/// Requests of people that wait to be followed.
const ASKS: usize = 16;
/// Failures one after the other from which on somebody should look.
const FAILURES: u32 = 3;
/// Visitors that a dry run shows at most.
pub(crate) const PREVIEW_VISITORS: usize = 1000;

impl From<NotNow> for ApiError {
    fn from(why: NotNow) -> Self {
        match why {
            NotNow::Loading => Self::Busy,
            NotNow::Store(error) => Self::Store(error),
        }
    }
}

impl App {
    /// Our name of a visitor towards a partner.
    pub(crate) fn pseudonym(&self, visitor: Visitor, partner: PartnerId) -> Option<String> {
        self.collector.pseudonym(visitor, partner)
    }

    /// The destinations that were told of a visitor, and are to be told when he is erased.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn sent_to(&self, visitor: Visitor) -> Result<Vec<Value>, ApiError> {
        let active = self.active();
        let mut told = Vec::new();
        for own in active.definitions().destinations() {
            let sent = self.store.sent(own.id.0, visitor.partition).await?;
            if sent.iter().any(|code| code.all().contains(visitor.ordinal)) {
                let standing: Option<Standing> =
                    ledger::read(&self.store, own.id, STANDING).await?;
                let state = state(own, &standing.unwrap_or_default());
                let schedule = own.schedule.to_string();
                told.push(json!({"name": own.name, "state": state, "schedule": schedule}));
            }
        }
        Ok(told)
    }

    /// A destination that has this name, or had it before it was renamed or taken out.
    pub(super) async fn destination_once(&self, name: &str) -> Result<Destination, ApiError> {
        let missing = match self.destination_named(name) {
            Ok(own) => return Ok(own),
            Err(missing) => missing,
        };
        let history = self.store.catalog_history(CatalogName::Definitions).await?;
        for version in history.iter().rev() {
            let then = Definitions::from_bytes(&version.bytes).ok();
            if let Some(own) = then.as_ref().and_then(|then| then.destination(name)) {
                return Ok(own.clone());
            }
        }
        Err(missing)
    }

    /// Every destination: what it gets, and where it stands.
    ///
    /// # Errors
    /// The store's.
    pub async fn destinations(&self) -> Result<Value, ApiError> {
        let active = self.active();
        let mut rows = Vec::new();
        for own in active.definitions().destinations() {
            rows.push(self.shown_destination(own).await?);
        }
        let as_of = clock::text(Self::now());
        Ok(json!({"destinations": rows, "version": active.version(), "as_of": as_of}))
    }

    /// One destination.
    ///
    /// # Errors
    /// [`ApiError::NoDestination`].
    pub async fn destination(&self, name: &str) -> Result<Value, ApiError> {
        self.shown_destination(&self.destination_named(name)?).await
    }

    pub(super) fn destination_named(&self, name: &str) -> Result<Destination, ApiError> {
        let active = self.active();
        let definitions = active.definitions();
        definitions.destination(name).cloned().ok_or_else(|| {
            let nearest = nearest(name, definitions.destinations().map(|own| &*own.name));
            ApiError::NoDestination { name: name.to_owned(), nearest }
        })
    }

    async fn shown_destination(&self, own: &Destination) -> Result<Value, ApiError> {
        let active = self.active();
        let definitions = active.definitions();
        let standing: Option<Standing> = ledger::read(&self.store, own.id, STANDING).await?;
        let standing = standing.unwrap_or_default();
        let last = match standing.number {
            0 => None,
            number => ledger::read::<Delivery>(&self.store, own.id, number).await?,
        };
        let partner = definitions.partner_by_id(own.partner);
        let mapping = own.mapping.iter().map(|mapped| {
            let segment = definitions.segment(mapped.segment).map(|segment| &*segment.name);
            json!({
                "segment": segment,
                "code": mapped.code,
                "starts": mapped.period.starts.map(|day| day.to_string()),
                "ends": mapped.period.ends.map(|day| day.to_string()),
            })
        });
        let at = |ms: i64| (ms > 0).then(|| text_of(ms));
        Ok(json!({
            "id": own.id.0,
            "name": own.name,
            "partner": partner.map(|partner| &*partner.key),
            "ids": own.ids,
            "way": own.way.label(),
            "to": place(&own.way),
            "schedule": own.schedule.to_string(),
            "time_zone": own.time_zone,
            "country": own.country,
            "transfer": own.transfer,
            "minimum": own.minimum,
            "max_ttl_days": own.max_ttl_days,
            "forbidden_labels": own.forbidden_labels,
            "paused": own.paused,
            "segments": mapping.collect::<Vec<_>>(),
            "state": state(own, &standing),
            "warning": self.warning(own, &standing, last.as_ref()),
            "held": standing.held.as_ref().map(shown_held),
            "failures": standing.failures,
            "retry_at": standing.retry_ms.map(text_of),
            "waiting_since": standing.pending_ms.map(text_of),
            "accepted_at": at(standing.accepted_ms),
            "full_at": at(standing.full_ms),
            "told_until": at(standing.told_ms),
            "last": last.as_ref().map(shown),
        }))
    }

    /// What a person should look at.
    fn warning(
        &self,
        own: &Destination,
        standing: &Standing,
        last: Option<&Delivery>,
    ) -> Option<String> {
        if let Err(missing) = secrets::of(own, &self.settings.delivery.secrets) {
            return Some(format!("cannot be served: {missing}"));
        }
        if let Some(held) = &standing.held {
            return Some(format!("is held ({}): {}", held.code, advice(&held.code)));
        }
        if standing.failures >= FAILURES {
            let code = last.and_then(|last| last.code.as_deref()).unwrap_or_default();
            let next = standing.retry_ms.map(text_of).unwrap_or_default();
            return Some(format!("fails again and again ({code}); next try {next}"));
        }
        if let Some(name) = secrets::open_to_all(own, &self.settings.delivery.secrets) {
            return Some(format!(
                "has a secret that others on this machine can read: chmod 600 {name}"
            ));
        }
        if let Some(since) = standing.withheld_since(own, Self::now()) {
            return Some(format!(
                "is paused: who left or was erased since {} is not told to leave, and never is \
                 after {NEWS_DAYS} days",
                clock::text(since)
            ));
        }
        let ended = own.terms.as_ref().filter(|terms| terms.are_over(Self::now()));
        let ends = ended.and_then(|terms| terms.ends)?;
        Some(format!("gets nothing any more: its terms ended on {ends}"))
    }

    /// The newest deliveries, of one destination or of all; the newest first.
    ///
    /// # Errors
    /// [`ApiError::NoDestination`], the store's.
    pub async fn deliveries(&self, of: Option<&str>, limit: usize) -> Result<Value, ApiError> {
        let active = self.active();
        let all: Vec<DestinationId> = match of {
            Some(name) => vec![self.destination_named(name)?.id],
            None => active.definitions().destinations().map(|own| own.id).collect(),
        };
        let mut found: Vec<Delivery> = Vec::new();
        for id in all {
            for row in self.store.ledger(id.0, u64::MAX, limit).await? {
                if row.number >= FIRST {
                    found.push(delivery(&row.bytes)?);
                }
            }
        }
        found.sort_by_key(|own| std::cmp::Reverse(own.began_ms));
        found.truncate(limit);
        Ok(json!({"deliveries": found.iter().map(shown).collect::<Vec<_>>()}))
    }

    /// One delivery, by its id: the destination's name and its number.
    ///
    /// # Errors
    /// [`ApiError::NoDelivery`].
    pub async fn delivery(&self, id: &str) -> Result<Value, ApiError> {
        let none = || ApiError::NoDelivery { id: id.to_owned() };
        let (name, number) = id.rsplit_once('-').ok_or_else(none)?;
        let number: u64 = number.parse().map_err(|_| none())?;
        let row = number.checked_add(FIRST - 1).filter(|row| *row >= FIRST).ok_or_else(none)?;
        let found = self.delivery_row(name, row).await?.ok_or_else(none)?;
        let mut all = shown(&found);
        all["segments"] = json!(found.segments);
        all["batches"] = json!(found.batches);
        Ok(all)
    }

    /// A row of the ledger; the destination may have got another name since.
    async fn delivery_row(&self, name: &str, row: u64) -> Result<Option<Delivery>, StoreError> {
        match self.destination_once(name).await {
            Ok(own) => ledger::read(&self.store, own.id, row).await,
            Err(ApiError::Store(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Asks for a delivery, or says what is to become of one that is held. It is followed by the
    /// process that delivers, within a second.
    ///
    /// # Errors
    /// [`ApiError::NoDestination`], [`ApiError::NothingHeld`].
    pub(crate) async fn ask_destination(
        &self,
        name: &str,
        ask: Ask,
        by: &str,
    ) -> Result<Value, ApiError> {
        let destination = self.destination_named(name)?;
        let id = destination.id;
        let standing: Option<Standing> = ledger::read(&self.store, id, STANDING).await?;
        let standing = standing.unwrap_or_default();
        if matches!(ask, Ask::Drop | Ask::Resume) {
            match &standing.held {
                None => return Err(ApiError::NothingHeld { name: name.to_owned() }),
                Some(held) if matches!(ask, Ask::Drop) && !held.is_droppable() => {
                    return Err(ApiError::NothingToDrop { name: name.to_owned() });
                }
                Some(_) => {}
            }
        }
        let last: Option<Asked> = ledger::read(&self.store, id, ASKED).await?;
        let number = last.as_ref().map_or(1, |own| own.number + 1);
        // What is not followed yet is followed as well.
        let open = last.filter(|own| own.number > standing.asked);
        let mut before: Vec<Ask> = open.iter().flat_map(Asked::all).collect();
        before.dedup();
        before.truncate(ASKS);
        let lifts = before.iter().any(|ask| matches!(ask, Ask::Resume | Ask::Drop));
        let state = if lifts { "waiting" } else { state(&destination, &standing) };
        let asked = Asked { number, ask, by: by.to_owned(), before };
        ledger::write(&self.store, id, ASKED, &asked).await?;
        Ok(json!({"destination": name, "asked": ask, "state": state}))
    }

    /// A part of the members of some segments, as a destination's receiver may have them: with its
    /// ids, its consent, its rules. For files that a person makes.
    ///
    /// # Errors
    /// [`ApiError::NoDestination`], [`ApiError::NoSegment`], [`ApiError::Busy`].
    pub(crate) async fn audience(
        self: &Arc<Self>,
        name: &str,
        segments: &[&str],
        part: (Option<Visitor>, usize),
    ) -> Result<Value, ApiError> {
        let mut destination = self.destination_named(name)?;
        let mut mapping = Vec::with_capacity(segments.len());
        for segment in segments {
            let id = self.segment_id(segment)?;
            let own = destination.mapping.iter().find(|own| own.segment == id).cloned();
            let unmapped =
                || Mapped { segment: id, code: (*segment).into(), period: Period::default() };
            mapping.push(own.unwrap_or_else(unmapped));
        }
        destination.mapping = mapping;
        let now = self.catch_up().await?;
        let _turn = reading().await?;
        Ok(preview::part(self, &destination, part, now).await?)
    }

    /// What would be sent to a destination now; nothing is.
    ///
    /// # Errors
    /// [`ApiError::NoDestination`], [`ApiError::Busy`].
    pub async fn preview(
        self: &Arc<Self>,
        name: &str,
        visitors: usize,
        is_full: bool,
    ) -> Result<Value, ApiError> {
        let destination = self.destination_named(name)?;
        let now = self.catch_up().await?;
        let _turn = reading().await?;
        let standing: Option<Standing> =
            ledger::read(&self.store, destination.id, STANDING).await?;
        let warning = self.warning(&destination, &standing.unwrap_or_default(), None);
        let mut shown = preview(self, &destination, visitors, is_full, now).await?;
        shown["warning"] = json!(warning);
        Ok(shown)
    }
}

fn delivery(bytes: &[u8]) -> Result<Delivery, StoreError> {
    serde_json::from_slice(bytes).map_err(|_| StoreError::Corrupt { what: Corruption::Record })
}

fn text_of(ms: i64) -> String {
    clock::text(mayfly_core::Timestamp::from_millis(ms))
}

/// A delivery without its segments and batches.
fn shown(own: &Delivery) -> Value {
    json!({
        "id": own.id(),
        "destination": own.destination,
        "mode": own.mode,
        "status": own.status,
        "code": own.code,
        "began": text_of(own.began_ms),
        "ended": own.ended_ms.map(text_of),
        "as_of": text_of(own.as_of_ms),
        "version": own.version,
        "pairs": own.pairs,
        "batches_in_all": own.batches_in_all,
        "bytes": own.bytes,
    })
}

fn shown_held(own: &Held) -> Value {
    let pairs: u64 = own.told.iter().map(|told| told.who().1.len()).sum();
    json!({
        "code": own.code,
        "advice": advice(&own.code),
        "since": text_of(own.since_ms),
        "batch": own.batch,
        "pairs": pairs,
    })
}

/// In one word.
fn state(own: &Destination, standing: &Standing) -> &'static str {
    if standing.held.is_some() {
        "held"
    } else if own.paused {
        "paused"
    } else if own.terms.as_ref().is_some_and(|terms| terms.are_over(App::now())) {
        "ended"
    } else if standing.retry_ms.is_some() {
        "waiting"
    } else if standing.served_ms == 0 {
        "new"
    } else {
        "serving"
    }
}

/// Where it goes.
fn place(way: &Way) -> String {
    match way.files() {
        Some(FilesSettings { upload: Some(to), .. }) => to.to_string(),
        Some(own) => format!("/exports/{}/", own.folder),
        None => way.url().unwrap_or_default().to_owned(),
    }
}
