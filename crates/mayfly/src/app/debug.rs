//! A pixel explained, the signals that no rule uses, the pixels that pass.

use mayfly_collector::{CookieSeen, Examined, Passed, Reason, SignalKind, Verdict};
use mayfly_core::{Candidate, CategoryId, Page, limits};
use mayfly_segments::{Evidence, Fired};
use serde_json::{Value, json};

use super::App;
use super::lookup::Present;
use crate::clock;
use crate::explain::advice;
use crate::http::ApiError;

/// Categories that nearly fired, as far as they are listed.
const NEARLY: usize = 20;

impl App {
    /// A pixel request taken apart, in words and figures.
    #[must_use]
    pub fn explain_pixel(&self, examined: &Examined, verdict: Option<Verdict>, key: &str) -> Value {
        let consent = match examined.consent {
            Ok(allowed) => json!({
                "allowed": true,
                "content": allowed.content,
                "measure": allowed.measure,
                "share": allowed.share,
            }),
            Err(why) => json!({
                "allowed": false,
                "reason": why.label(),
                "words": why.to_string(),
                "advice": advice(why),
            }),
        };
        let (hit, fault) = match &examined.hit {
            Ok(candidate) => (Some(self.explain_hit(candidate, key)), None),
            Err(reason) => (None, Some(reason.label())),
        };
        let cookie = match examined.cookie {
            CookieSeen::None => "none came: a probe is sent, and the hit counts when it comes back",
            CookieSeen::Visitor => "a visitor's, and it counts",
            CookieSeen::NotOurs => "counts as none: of another store, forged, too old, or erased",
            CookieSeen::Probe => "a probe came back: a new visitor",
            CookieSeen::OptOut => "the opt-out: nothing is stored",
        };
        json!({
            "outcome": verdict.map(|v| v.outcome.label()),
            "reason": verdict.and_then(|v| v.reason).map(Reason::label),
            "fault": fault,
            "hit": hit,
            "stripped": {
                "attributes": examined.stripped.attributes,
                "query": examined.stripped.query,
                "url_parts": examined.stripped.parts,
                "event_outside_plan": examined.stripped.event,
            },
            "consent": consent,
            "bot": examined.bot.map(|kind| kind.label()),
            "cookie": cookie,
        })
    }

    fn explain_hit(&self, candidate: &Candidate, key: &str) -> Value {
        let (fell, nearly) = self.categories_of_candidate(candidate, key);
        let attributes: Vec<String> =
            candidate.attributes.iter().map(|a| format!("{}={:?}", a.name, a.value)).collect();
        json!({
            "url": candidate.page.url,
            "title": candidate.page.title,
            "keywords": candidate.page.keywords,
            "categories": candidate.page.categories,
            "event": candidate.event.name(),
            "engaged_s": candidate.engaged_s,
            "referrer": {"host": candidate.referrer.host, "kind": candidate.referrer.kind.label()},
            "attributes": attributes,
            "device": candidate.context.client.device.label(),
            "os": candidate.context.client.os.label(),
            "browser": candidate.context.client.browser.label(),
            "language": candidate.context.language.map(|l| l.to_string()),
            "country": candidate.context.geo.country(),
            "falls_in": fell,
            "nearly_in": nearly,
        })
    }

    /// Paths of the categories that a hit falls in, and of those that it nearly falls in.
    fn categories_of_candidate(
        &self,
        candidate: &Candidate,
        key: &str,
    ) -> (Vec<String>, Vec<String>) {
        let active = self.active();
        let definitions = active.definitions();
        let Some(site) = definitions.site(key) else { return Default::default() };
        let Some(present) = self.present(candidate, site) else { return Default::default() };
        let fell = self.categories_with(&present);
        let [_, nearly] = active.classifier().why(&present.hit, &present.page, NEARLY);
        let nearly = nearly.into_iter().map(|fired| fired.category).collect();
        let paths = |all: Vec<CategoryId>| all.into_iter().map(|id| definitions.path(id)).collect();
        (paths(fell), paths(nearly))
    }

    /// Why a page, or another hit, falls in its categories, and in which it nearly does: each rule
    /// with the tests that decide it and the text that met them. Nothing is stored.
    ///
    /// # Errors
    /// [`ApiError::NoSite`], [`ApiError::Hit`] where there is no hit to be looked at.
    pub fn why_page(&self, examined: Examined, key: &str) -> Result<Value, ApiError> {
        let active = self.active();
        let definitions = active.definitions();
        let site = definitions.site(key);
        let site = site.ok_or_else(|| ApiError::no_site(key, &self.collector.sites()))?;
        let candidate = examined.hit.map_err(|reason| ApiError::Hit { reason })?;
        let Some(present) = self.present(&candidate, site) else {
            return Err(ApiError::Hit { reason: Reason::BadUrl });
        };
        let fell = self.categories_with(&present);
        let Present { hit, page, sensitive } = present;
        let rules = active.classifier().why(&hit, &page, limits::WHY_RULES);
        let [fires, nearly] = rules.map(|all| {
            let rows = all.into_iter().map(|Fired { category, rule, evidence }| {
                let tests: Vec<Value> = evidence.iter().map(test).collect();
                json!({"category": definitions.path(category), "rule": rule, "tests": tests})
            });
            rows.collect::<Vec<_>>()
        });
        let fell: Vec<String> = fell.into_iter().map(|id| definitions.path(id)).collect();
        Ok(json!({
            "url": candidate.page.url,
            "title": candidate.page.title,
            "event": hit.event.name(),
            "categories": fell,
            "fires": fires,
            "nearly": nearly,
            "sensitive": sensitive.into_iter().map(|id| definitions.path(id)).collect::<Vec<_>>(),
            "version": definitions.version(),
        }))
    }

    /// What a site sends that no rule uses: names with counts, and beginnings of paths whose pages
    /// fall in no category.
    ///
    /// # Errors
    /// [`ApiError::NoSite`].
    pub fn unmapped(&self, key: &str) -> Result<Value, ApiError> {
        let active = self.active();
        let site = active.definitions().site(key);
        let site = site.ok_or_else(|| ApiError::no_site(key, &self.collector.sites()))?.id;
        let arrival = active.arrival();
        let falls_nowhere = |page: &Page| {
            let candidate = Candidate { page: page.clone(), ..Candidate::default() };
            let present =
                active.definitions().site(key).and_then(|site| self.present(&candidate, site));
            present.is_some_and(|present| self.is_unmapped(&present))
        };
        let rows: Vec<Value> = self
            .collector
            .signals(site)
            .into_iter()
            .filter(|signal| match signal.kind {
                SignalKind::Attribute => !arrival.reads_attribute(&signal.name),
                SignalKind::Query => !arrival.reads_query(&signal.name),
                SignalKind::Event => !arrival.reads_event(&signal.name),
                SignalKind::Path => signal.page.as_ref().is_some_and(falls_nowhere),
            })
            .map(|signal| {
                let page = signal.page.map(|page| page.url);
                json!({
                    "kind": signal.kind.label(),
                    "name": signal.name,
                    "hits": signal.hits,
                    "example": page,
                })
            })
            .collect();
        Ok(json!({"site": key, "unmapped": rows}))
    }

    /// Whether the page of a hit falls in no category: those that any page's hit falls in, as forms
    /// do, say nothing of it. Sensitive pages are not told of.
    fn is_unmapped(&self, present: &Present) -> bool {
        let bare = Present { page: Page::default(), ..present.clone() };
        let without = self.categories_with(&bare);
        let fell = self.categories_with(present);
        present.sensitive.is_empty() && fell.iter().all(|id| without.contains(id))
    }

    /// The pixels of a site that passed after this number.
    #[must_use]
    pub fn tail(&self, key: &str, after: u64) -> Value {
        let passed = self.collector.tail(key, after, Self::now());
        let last = passed.last().map_or(after, |p| p.number);
        let rows: Vec<Value> = passed.iter().map(shown).collect();
        json!({"pixels": rows, "last": last})
    }
}

fn test(Evidence { test, holds, found, span }: &Evidence) -> Value {
    let span = span.as_ref().map(|span| [span.start, span.end]);
    json!({"test": test, "holds": holds, "found": found, "span": span})
}

fn shown(passed: &Passed) -> Value {
    json!({
        "time": clock::text(passed.at),
        "outcome": passed.verdict.map(|v| v.outcome.label()),
        "reason": passed.verdict.and_then(|v| v.reason).map(Reason::label),
        "event": passed.event,
        "url": passed.url,
    })
}
