//! Visitors: found, shown, erased; tokens; replayed files; the audit.

use std::collections::HashMap;
use std::time::Duration;

use mayfly_core::{Allowed, CategoryId, ConsentState, Day, Hit, Page, Timestamp, Visitor, limits};
use mayfly_segments::PageMemo;
use mayfly_store::{CatalogName, Finding, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::App;
use crate::clock;
use crate::http::ApiError;
use crate::tokens::{self, Role, Scope};

/// Files that were replayed: the catalog's entry.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Files {
    format: u8,
    files: Vec<File>,
}

/// One replayed file.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    sha256: String,
    name: String,
    at_ms: i64,
}

/// How long a question waits for the bytes of an erased visitor to go.
const PATIENCE: Duration = Duration::from_secs(300);
/// So long an erasure is kept to be repeated after a failover, seconds.
const REPEATED_S: i64 = 60;
/// Files remembered; the oldest go first.
const FILES: usize = 10_000;

/// A hit's attributes by their names.
pub(super) fn attributes(hit: &Hit) -> Map<String, Value> {
    let value = |value: &mayfly_core::Value| match value {
        mayfly_core::Value::Text(text) => json!(text),
        mayfly_core::Value::Number(number) => json!(number),
    };
    hit.attributes.iter().map(|a| (a.name.to_string(), value(&a.value))).collect()
}

/// All that is held of a hit.
fn shown(
    hit: &Hit,
    page: Option<&Page>,
    consent: Option<&ConsentState>,
    site: Option<&str>,
) -> Value {
    json!({
        "time": clock::text(hit.time),
        "event": hit.event.name(),
        "site": site,
        "url": page.map(|p| &*p.url),
        "title": page.map(|p| &*p.title),
        "keywords": page.map(|p| &*p.keywords),
        "categories": page.map(|p| &*p.categories),
        "engaged_s": hit.engaged_s,
        "referrer": hit.referrer.host,
        "attributes": attributes(hit),
        "device": hit.context.client.device.label(),
        "os": hit.context.client.os.label(),
        "browser": hit.context.client.browser.label(),
        "language": hit.context.language.map(|l| l.to_string()),
        "country": hit.context.geo.country(),
        "region": hit.context.geo.region(),
        "network": hit.context.network.map(|token| format!("{:016x}", token.0)),
        "campaign": hit.referrer.campaign.as_deref().map(
            |c| json!({"source": c.source, "medium": c.medium, "name": c.name}),
        ),
        "consent": consent.map(shown_consent),
    })
}

/// What was said about consent, as far as it was, and what it allowed.
fn shown_consent(ConsentState { choice, allowed }: &ConsentState) -> Value {
    let Allowed { content, measure, share } = *allowed;
    let all = json!({
        "gdpr": choice.gdpr,
        "tcf": choice.tcf,
        "addtl_consent": choice.additional,
        "gpp": choice.gpp,
        "gpp_sid": choice.gpp_sid,
        "us_privacy": choice.us_privacy,
        "gpc": choice.gpc,
        "coppa": choice.coppa,
        "allowed": {"content": content, "measure": measure, "share": share},
    });
    let said = all.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    Value::Object(said.map(|(name, value)| (name.clone(), value.clone())).collect())
}

impl App {
    /// The visitor of a cookie value, `space:id`, or `partition.ordinal`.
    ///
    /// # Errors
    /// [`ApiError::NoVisitor`].
    pub async fn find_visitor(&self, id: &str) -> Result<Visitor, ApiError> {
        if let Ok(visitor) = id.parse::<Visitor>() {
            let known = visitor.partition.0 < self.store.identity().partitions;
            return if known { Ok(visitor) } else { Err(ApiError::NoVisitor) };
        }
        if let Some(visitor) = self.collector.visitor_of_cookie(id, Self::now()).await {
            return Ok(visitor);
        }
        let (space, id) = id.split_once(':').ok_or(ApiError::NoVisitor)?;
        if let Some(visitor) = self.of_partner(space, id).await? {
            return Ok(visitor);
        }
        let foreign = self.collector.foreign_id(space, id).ok_or(ApiError::NoVisitor)?;
        let found = self.store.lookup_ids(&[foreign]).await?;
        found.first().copied().flatten().ok_or(ApiError::NoVisitor)
    }

    /// Everything held about a visitor: hits with their pages, by time; segments.
    ///
    /// # Errors
    /// The store's.
    pub async fn visitor(&self, visitor: Visitor) -> Result<Value, ApiError> {
        let (hits, pages) = self.hits_and_pages(visitor).await?;
        let mut consents: Vec<_> = hits.iter().map(|h| h.consent).collect();
        consents.sort_unstable();
        consents.dedup();
        let states = self.store.consents(&consents).await?;
        let states: HashMap<_, _> = consents.into_iter().zip(states).collect();
        let (active, mut memo) = (self.active(), PageMemo::default());
        let definitions = active.definitions();
        let all: Vec<Value> = hits
            .iter()
            .zip(&pages)
            .map(|(hit, page)| {
                let state = states.get(&hit.consent).and_then(Option::as_ref);
                let known = hit.page.map(|_| page);
                let mut shown = shown(hit, known, state, definitions.site_key(hit.site));
                let mut fell = Vec::new();
                active.classifier().classify(&mut memo, hit, page, &mut fell);
                fell.retain(|id| *id != CategoryId::ALL);
                let fell: Vec<_> = fell.into_iter().map(|id| definitions.path(id)).collect();
                shown["falls_in"] = json!(fell);
                shown
            })
            .collect();
        Ok(json!({
            "visitor": visitor.to_string(),
            "segments": self.segments_of(visitor),
            "partners": self.matches_of(visitor).await?,
            "hits": all,
        }))
    }

    /// A visitor's hits by time, each with its page (an empty one when it has none); none of an
    /// erased visitor.
    pub(super) async fn hits_and_pages(
        &self,
        visitor: Visitor,
    ) -> Result<(Vec<Hit>, Vec<Page>), ApiError> {
        let today = Self::now().day().unwrap_or_default();
        let days = self.settings.store.retention.oldest(today)..today.plus(1);
        let mut hits = self.store.read_visitor(visitor, days).await?;
        if self.hidden(visitor.partition).contains(visitor.ordinal) {
            hits.clear();
        }
        let pages = self.pages_of(&hits).await?;
        Ok((hits, pages))
    }

    /// The pages of these hits, an empty one where a hit has none.
    pub(super) async fn pages_of(&self, hits: &[Hit]) -> Result<Vec<Page>, ApiError> {
        let keys: Vec<_> = hits.iter().filter_map(|hit| hit.page).collect();
        let mut found = self.store.pages(&keys).await?.into_iter();
        let page = |hit: &Hit| hit.page.and_then(|_| found.next()).flatten().unwrap_or_default();
        Ok(hits.iter().map(page).collect())
    }

    /// Whether a visitor was erased already, as far as this process can tell.
    pub(crate) fn is_erased(&self, visitor: Visitor) -> bool {
        let slots = self.slots();
        let slot = slots.iter().find(|slot| slot.partition() == visitor.partition);
        slot.is_some_and(|slot| slot.erased().contains(visitor.ordinal))
    }

    /// Erases a visitor: invisible at once here and in every process within a second. Answers when:
    /// a destination was told of it when its `told_until` is later.
    ///
    /// # Errors
    /// The store's.
    pub async fn erase(&self, visitor: Visitor) -> Result<Timestamp, ApiError> {
        let now = Self::now();
        self.journal
            .note(visitor, now)
            .map_err(|source| ApiError::Store(StoreError::Files { source }))?;
        self.store.erase(&[visitor], now).await?;
        if let Ok(mut lately) = self.erased_lately.lock() {
            lately.push_back((now, visitor));
            let oldest = now.plus_secs(-REPEATED_S);
            let old = lately.partition_point(|(at, _)| *at < oldest);
            lately.drain(..old);
        }
        self.collector.erase(visitor);
        if let Some(slot) = self.slots().iter().find(|s| s.partition() == visitor.partition) {
            slot.erase(visitor.ordinal);
        }
        // Who looked before this instant may not have seen it.
        Ok(Self::now())
    }

    /// Erases once more whom a failover may have brought back.
    pub(super) async fn erase_again(&self, now: Timestamp) -> Result<(), StoreError> {
        let lately = self.erased_lately.lock().map(|lately| lately.clone()).unwrap_or_default();
        let visitors: Vec<Visitor> = lately.into_iter().map(|(_, visitor)| visitor).collect();
        self.store.erase(&visitors, now).await
    }

    /// Has the bytes of a partition's erased visitors go now; whether they are gone.
    pub async fn purge(&self, partition: mayfly_core::Partition) -> bool {
        match self.slots().iter().find(|slot| slot.partition() == partition) {
            Some(slot) => slot.purge(PATIENCE).await,
            None => false,
        }
    }

    /// What is held, and whether anything outlives the retention.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit(&self) -> Result<Value, ApiError> {
        let now = Self::now();
        let audit = self.store.audit(now).await?;
        let findings: Vec<String> = audit
            .findings
            .iter()
            .map(|finding| match finding {
                Finding::NoExpiry(name) => format!("{name}: never expires"),
                Finding::LivesTooLong(name) => format!("{name}: lives longer than allowed"),
                Finding::Unknown(name) => format!("{name}: not one of ours"),
            })
            .collect();
        Ok(json!({
            "as_of": clock::text(now),
            "as_of_ms": now.millis(),
            "retention_days": self.settings.store.retention.days(),
            "oldest": audit.oldest.map(|day: Day| day.to_string()),
            "seen": audit.seen,
            "findings": findings,
        }))
    }

    /// All tokens, without secrets.
    #[must_use]
    pub fn tokens(&self) -> Value {
        let all = self.tokens.read().map(|t| t.clone()).unwrap_or_default();
        let shown: Vec<Value> = all
            .all()
            .iter()
            .map(|t| {
                let created = clock::text(mayfly_core::Timestamp::from_millis(t.created_ms));
                json!({
                    "name": t.name, "role": t.role, "sites": t.sites, "partner": t.partner,
                    "created": created,
                })
            })
            .collect();
        json!({"tokens": shown})
    }

    /// Makes a token; answers its secret.
    ///
    /// # Errors
    /// [`ApiError::TokenTaken`], [`ApiError::TokenName`], [`ApiError::NoSite`], the store's.
    pub async fn new_token(
        &self,
        name: &str,
        (role, scope): (Role, &Scope),
        by: &str,
    ) -> Result<String, ApiError> {
        if !mayfly_core::event::is_name(name, limits::NAME_BYTES / 2) {
            return Err(ApiError::TokenName);
        }
        for key in &scope.sites {
            let sites = self.collector.sites();
            sites.get(key).ok_or_else(|| ApiError::no_site(key, &sites))?;
        }
        if let Some(key) = &scope.partner {
            self.partner_named(key)?;
        }
        let secret = tokens::new_secret().map_err(|_| ApiError::Busy)?;
        let made = self.change_tokens(by, |tokens| {
            let is_free = tokens.all().iter().all(|own| own.name != name);
            if is_free {
                tokens.put(name, (role, scope.clone()), &secret, Self::now());
            }
            is_free
        });
        // Whoever uses the other one would be locked out, and not know why.
        if made.await? { Ok(secret) } else { Err(ApiError::TokenTaken { name: name.to_owned() }) }
    }

    /// Takes a token back.
    ///
    /// # Errors
    /// [`ApiError::NoToken`].
    pub async fn revoke_token(&self, name: &str, by: &str) -> Result<(), ApiError> {
        let found = self.change_tokens(by, |tokens| tokens.revoke(name)).await?;
        if found { Ok(()) } else { Err(ApiError::NoToken) }
    }

    /// Reads, changes, writes; again when another was faster.
    async fn change_tokens(
        &self,
        by: &str,
        change: impl Fn(&mut tokens::Tokens) -> bool,
    ) -> Result<bool, ApiError> {
        loop {
            let current = self.store.catalog(CatalogName::Tokens).await?;
            let version = current.as_ref().map_or(0, |c| c.version);
            let mut tokens = super::load_tokens(&self.store).await?;
            if !change(&mut tokens) {
                return Ok(false);
            }
            let bytes = tokens.to_bytes();
            let name = CatalogName::Tokens;
            match self.store.write_catalog(name, version, bytes, by, Self::now()).await {
                Ok(_) => {
                    self.set_tokens(tokens);
                    return Ok(true);
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn files(&self) -> Result<(u64, Files), ApiError> {
        let current = self.store.catalog(CatalogName::Files).await?;
        let version = current.as_ref().map_or(0, |c| c.version);
        let files = current.and_then(|c| serde_json::from_slice(&c.bytes).ok());
        Ok((version, files.unwrap_or_default()))
    }

    /// Refuses a file that was replayed before, unless it shall count `again`.
    ///
    /// # Errors
    /// [`ApiError::SeenFile`].
    pub async fn check_file(&self, sha256: &str, again: bool) -> Result<(), ApiError> {
        let (_, files) = self.files().await?;
        match files.files.iter().find(|f| f.sha256 == sha256) {
            Some(file) if !again => {
                let at = mayfly_core::Timestamp::from_millis(file.at_ms);
                Err(ApiError::SeenFile { at: clock::text(at) })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Notes that a file was replayed.
    ///
    /// # Errors
    /// The store's.
    pub async fn note_file(&self, sha256: &str, name: &str, by: &str) -> Result<(), ApiError> {
        let (version, mut files) = self.files().await?;
        let now = Self::now();
        files.format = 1;
        files.files.push(File {
            sha256: sha256.to_owned(),
            name: name.to_owned(),
            at_ms: now.millis(),
        });
        let overhang = files.files.len().saturating_sub(FILES);
        files.files.drain(..overhang);
        let bytes = serde_json::to_vec(&files).unwrap_or_default();
        self.store.write_catalog(CatalogName::Files, version, bytes, by, now).await?;
        Ok(())
    }
}
