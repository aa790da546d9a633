//! Lookups: what a page or a server learns of a visitor, from memory.

use std::collections::{BTreeMap, BTreeSet};

use mayfly_core::consent::Signals;
use mayfly_core::{
    Candidate, CategoryId, ConsentRules, Event, Gate, Hit, Page, Partition, SegmentId, Site,
    SiteId, Timestamp, Visitor,
};
use mayfly_segments::{Compiled, Definitions, OnPage, PageMemo, Segment};
use serde_json::{Value, json};

use super::App;
use crate::http::ApiError;

/// Standards of the IAB Tech Lab by their number in OpenRTB: `segtax` of the community extension,
/// AdCOM list "Category Taxonomies".
const SEGTAX: [(&str, u32); 9] = [
    ("content-1.0", 1),
    ("content-2.0", 2),
    ("ad-product-1.0", 3),
    ("audience-1.1", 4),
    ("content-2.1", 5),
    ("content-2.2", 6),
    ("content-3.0", 7),
    ("ad-product-2.0", 8),
    ("content-3.1", 9),
];

/// A hit that is just happening, and its page.
#[derive(Clone, Debug)]
pub struct Present {
    /// The hit, of nobody.
    pub hit: Hit,
    /// Its page; an empty one of a sensitive page.
    pub page: Page,
    /// The sensitive categories that it touches.
    pub sensitive: BTreeSet<CategoryId>,
}

/// What is found out about a visitor.
#[derive(Clone, Debug, Default)]
pub struct Found {
    segments: Vec<Segment>,
    /// Paths of categories with hits, the most first.
    interests: Option<Vec<(String, u64)>>,
    /// Standard ids of the present page.
    page_ids: Vec<Box<str>>,
}

/// In which form it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Names.
    #[default]
    Json,
    /// OpenRTB 2.6, sections 3.2.20 to 3.2.22: `user.data`, and `site.content.data` of the page.
    Ortb2,
    /// Key-values for an ad server: numbers, since values may hold no spaces or signs.
    Kv,
}

impl Present {
    /// A hit as these definitions admit it at this instant if everything is allowed: what a page is
    /// about does not hang on who may be shown it.
    pub(super) fn of(
        compiled: &Compiled,
        candidate: Candidate,
        site: &Site,
        now: Timestamp,
    ) -> Option<Self> {
        let open = Site { consent: ConsentRules::default(), ..site.clone() };
        let gate = Gate { site: &open, now, retention: compiled.retention() };
        let candidate = Candidate { signals: Signals::default(), ..candidate };
        let (admitted, sensitive) = compiled.arrival().admit(candidate, &gate).ok()?;
        // None of a sensitive one.
        let page = admitted.page().cloned();
        let (key, consent) = (page.as_ref().map(|page| page.key(0)), admitted.consent().key(0));
        let nobody = Visitor { partition: Partition(0), ordinal: 0 };
        let hit = admitted.into_hit(nobody, key, consent);
        Some(Self { hit, page: page.unwrap_or_default(), sensitive })
    }

    /// The categories that it falls in, without the one of every hit.
    pub(super) fn categories(&self, compiled: &Compiled) -> Vec<CategoryId> {
        let mut fell = Vec::new();
        let Self { hit, page, .. } = self;
        compiled.classifier().classify(&mut PageMemo::default(), hit, page, &mut fell);
        fell.retain(|id| *id != CategoryId::ALL);
        fell
    }
}

impl App {
    /// A hit as it would be admitted now if everything were allowed; nothing is stored.
    #[must_use]
    pub fn present(&self, candidate: &Candidate, site: &Site) -> Option<Present> {
        Present::of(&self.active(), candidate.clone(), site, Self::now())
    }

    /// The categories that the present hit falls in, without the one of every hit.
    #[must_use]
    pub(super) fn categories_with(&self, present: &Present) -> Vec<CategoryId> {
        present.categories(&self.active())
    }

    /// Standard ids of the categories that the present hit falls in.
    fn standard_ids(&self, present: &Present) -> Vec<Box<str>> {
        let (active, fell) = (self.active(), self.categories_with(present));
        let categories = fell.iter().filter_map(|id| active.definitions().category(*id));
        categories.flat_map(|category| category.iab.iter().cloned()).collect()
    }

    /// The segments of a visitor, as far as `is_seen` allows; with the present hit counted.
    #[must_use]
    pub fn look_up(
        &self,
        visitor: Option<Visitor>,
        present: Option<&Present>,
        is_seen: impl Fn(&OnPage) -> bool,
    ) -> Found {
        let active = self.active();
        let ids = self.ids_of(visitor, present);
        let segments = ids.iter().filter_map(|id| active.definitions().segment(*id));
        Found {
            segments: segments.filter(|segment| is_seen(&segment.on_page)).cloned().collect(),
            interests: None,
            page_ids: present.map(|present| self.standard_ids(present)).unwrap_or_default(),
        }
    }

    /// Whether a visitor was erased, or waits for it.
    #[must_use]
    pub fn is_hidden(&self, Visitor { partition, ordinal }: Visitor) -> bool {
        let slots = self.slots();
        let own = slots.iter().find(|slot| slot.partition() == partition);
        self.hidden(partition).contains(ordinal) || own.is_some_and(|slot| slot.has_erased(ordinal))
    }

    /// The numbers of a visitor's segments.
    fn ids_of(&self, visitor: Option<Visitor>, present: Option<&Present>) -> Vec<SegmentId> {
        let visitor = visitor.filter(|visitor| !self.is_hidden(*visitor));
        let slots = self.slots();
        let own = visitor.and_then(|v| slots.iter().find(|slot| slot.partition() == v.partition));
        let ordinal = own.and(visitor).map(|visitor| visitor.ordinal);
        let Some(slot) = own.or(slots.first().filter(|_| present.is_some())) else {
            return Vec::new();
        };
        let ids = slot.read(|index| match (present, ordinal) {
            (Some(Present { hit, page, .. }), _) => {
                index.segments_with(ordinal, (hit, page), &mut PageMemo::default())
            }
            (None, Some(ordinal)) => index.segments_of(ordinal),
            (None, None) => Vec::new(),
        });
        ids.unwrap_or_default()
    }

    /// Adds the categories in which the visitor has most hits on these sites, the deepest that each
    /// hit falls in; at most `number`.
    ///
    /// # Errors
    /// The store's.
    pub async fn add_interests(
        &self,
        found: &mut Found,
        visitor: Option<Visitor>,
        present: Option<&Present>,
        (sites, number): (&[SiteId], usize),
    ) -> Result<(), ApiError> {
        let (mut hits, mut pages) = match visitor {
            Some(visitor) => self.hits_and_pages(visitor).await?,
            None => Default::default(),
        };
        hits.extend(present.map(|present| present.hit.clone()));
        pages.extend(present.map(|present| present.page.clone()));
        let (active, mut memo) = (self.active(), PageMemo::default());
        let definitions = active.definitions();
        let (mut counts, mut fell) = (BTreeMap::new(), Vec::new());
        let counts_here = |hit: &Hit| sites.contains(&hit.site) && hit.event != Event::Engagement;
        for (hit, page) in hits.iter().zip(&pages).filter(|(hit, _)| counts_here(hit)) {
            active.classifier().classify(&mut memo, hit, page, &mut fell);
            for id in deepest(definitions, &fell) {
                *counts.entry(id).or_insert(0u64) += 1;
            }
        }
        let mut all: Vec<(String, u64)> =
            counts.into_iter().map(|(id, n)| (definitions.path(id), n)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.truncate(number);
        found.interests = Some(all);
        Ok(())
    }
}

/// Those of a hit's categories that hold none of its others.
fn deepest(definitions: &Definitions, fell: &[CategoryId]) -> Vec<CategoryId> {
    let parents: Vec<CategoryId> =
        fell.iter().filter_map(|id| definitions.category(*id)).map(|c| c.parent).collect();
    let is_deepest = |id: &CategoryId| *id != CategoryId::ALL && !parents.contains(id);
    fell.iter().copied().filter(is_deepest).collect()
}

impl Found {
    /// The answer.
    #[must_use]
    pub fn json(&self, form: Form, domain: &str) -> Value {
        match form {
            Form::Json => self.named(),
            Form::Ortb2 => self.ortb2(domain),
            Form::Kv => self.key_values(),
        }
    }

    /// The names of the segments.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.segments.iter().map(|segment| segment.name.to_string()).collect()
    }

    fn named(&self) -> Value {
        let mut shown = json!({"segments": self.names()});
        if let Some(interests) = &self.interests {
            let rows = interests.iter().map(|(path, hits)| json!({"category": path, "hits": hits}));
            shown["interests"] = rows.collect();
        }
        shown
    }

    fn key_values(&self) -> Value {
        let numbers: Vec<_> = self.segments.iter().map(|s| s.id.0.to_string()).collect();
        json!({"mf_seg": numbers})
    }

    /// One `Data` for each taxonomy, and one without for our own numbers: bidders do not merge
    /// those of one name.
    fn ortb2(&self, domain: &str) -> Value {
        let own = self.segments.iter().map(|s| json!({"id": s.id.0.to_string(), "name": s.name}));
        let own: Vec<Value> = own.collect();
        let mut user = data(self.segments.iter().flat_map(|s| &s.iab), "audience-", domain);
        if !own.is_empty() {
            user.push(json!({"name": domain, "segment": own}));
        }
        let mut shown = json!({"user": {"data": user}});
        let content = data(self.page_ids.iter(), "content-", domain);
        if !content.is_empty() {
            shown["site"] = json!({"content": {"data": content}});
        }
        shown
    }
}

/// Standard ids of one kind as `Data`, by taxonomy.
fn data<'a>(ids: impl Iterator<Item = &'a Box<str>>, kind: &str, domain: &str) -> Vec<Value> {
    let mut by_segtax: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for (standard, id) in ids.filter_map(|id| id.split_once(':')) {
        let known = SEGTAX.iter().find(|(name, _)| *name == standard && name.starts_with(kind));
        if let Some((_, segtax)) = known {
            by_segtax.entry(*segtax).or_default().push(id);
        }
    }
    let segments = |mut ids: Vec<&str>| -> Vec<Value> {
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(|id| json!({"id": id})).collect()
    };
    by_segtax
        .into_iter()
        .map(|(segtax, ids)| {
            json!({"name": domain, "ext": {"segtax": segtax}, "segment": segments(ids)})
        })
        .collect()
}
