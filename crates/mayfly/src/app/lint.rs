//! Definitions that are right in form and probably wrong in meaning: by themselves, and beside what
//! came lately.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use mayfly_core::{CategoryId, Day, Hit, Page, limits};
use mayfly_segments::lint::{lint, lint_beside};
use mayfly_segments::{Compiled, Lint, LintKind};
use mayfly_store::{DayCursor, StoreError};
use roaring::RoaringTreemap;
use serde_json::{Value, json};

use super::App;
use crate::http::ApiError;

/// Days without a visitor after which a category is odd.
const QUIET_DAYS: u16 = 7;
/// Days over which two categories' visitors are compared.
const SAME_DAYS: u16 = 30;
/// Visitors from which on the same ones in two categories are odd.
const SAME_VISITORS: u64 = 10;

/// The first of these lints, to be shown.
fn rows(found: &[Lint]) -> Vec<Value> {
    let row = |Lint { of, text, kind }: &Lint| json!({"of": of, "text": text, "kind": kind.label(), "words": kind.words()});
    found.iter().take(limits::PROBLEMS).map(row).collect()
}

impl App {
    /// What is odd about the definitions in force, or about those after a file.
    ///
    /// # Errors
    /// [`ApiError::Problems`] with everything that is wrong, [`ApiError::Busy`], the store's.
    pub async fn lint(&self, text: Option<&str>) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        let today = now.day().unwrap_or_default();
        let active = self.active();
        let wanted = match text {
            Some(text) => self.compile(&self.applied(text, false)?.definitions)?,
            None => active.clone(),
        };
        let (hits, pages) = self.lately(today).await?;
        let number = hits.len();
        let people = self.people_lately(&active, today).await?;
        // Thousands of rules take a while: nobody else is to wait for it.
        let alone = tokio::task::spawn_blocking(move || {
            let beside: Vec<(&Hit, &Page)> = hits.iter().zip(&pages).collect();
            let mut found = lint(&wanted);
            found.extend(lint_beside(&wanted, &beside));
            found.extend(people.odd(&active, &wanted));
            found
        });
        let found = alone.await.map_err(|_| ApiError::Busy)?;
        Ok(json!({"lints": rows(&found), "found": found.len(), "hits": number}))
    }

    /// What is odd by itself about these definitions, and not about those in force.
    ///
    /// # Errors
    /// [`ApiError::Busy`].
    pub(super) async fn new_lints(&self, wanted: &Arc<Compiled>) -> Result<Vec<Value>, ApiError> {
        let (active, wanted) = (self.active(), Arc::clone(wanted));
        let alone = tokio::task::spawn_blocking(move || {
            let known: HashSet<Lint> = lint(&active).into_iter().collect();
            let mut found = lint(&wanted);
            found.retain(|lint| !known.contains(lint));
            found
        });
        Ok(rows(&alone.await.map_err(|_| ApiError::Busy)?))
    }

    /// Hits of today and yesterday with their pages, as far as they are looked at.
    async fn lately(&self, today: Day) -> Result<(Vec<Hit>, Vec<Page>), ApiError> {
        let slots = self.slots();
        let share = limits::LINT_HITS / slots.len().max(1);
        let mut hits = Vec::new();
        for slot in slots {
            let hidden = self.hidden(slot.partition()) | slot.erased();
            for day in [today, today.minus(1)].into_iter().filter(|day| slot.has_hits(*day)) {
                let mut next = Some(DayCursor::Start);
                let enough = hits.len() + share;
                while let (true, Some(cursor)) = (hits.len() < enough, next.take()) {
                    let read = self.store.read_day(slot.partition(), day, cursor, share).await;
                    let page = match read {
                        Ok(page) => page,
                        // Sealed in between: what was read so far is enough.
                        Err(StoreError::DayMoved) => break,
                        Err(error) => return Err(error.into()),
                    };
                    let visible = |hit: &Hit| !hidden.contains(hit.visitor.ordinal);
                    let room = enough - hits.len();
                    hits.extend(page.hits.into_iter().filter(visible).take(room));
                    next = page.next;
                }
            }
        }
        let pages = self.pages_of(&hits).await?;
        Ok((hits, pages))
    }

    /// Who was in which category.
    async fn people_lately(&self, active: &Compiled, today: Day) -> Result<People, ApiError> {
        let mut people = People::default();
        for slot in self.slots() {
            let hidden = self.hidden(slot.partition()) | slot.erased();
            for (category, own) in self.visitors_of(&slot, active, today, QUIET_DAYS).await?.0 {
                *people.lately.entry(category).or_default() += (own - &hidden).len();
            }
            for (category, own) in self.visitors_of(&slot, active, today, SAME_DAYS).await?.0 {
                let all = people.visitors.entry(category).or_default();
                let of = u32::from(slot.partition().0);
                *all |= RoaringTreemap::from_bitmaps([(of, own - &hidden)]);
            }
        }
        Ok(people)
    }
}

/// Visitors by category.
#[derive(Default)]
struct People {
    /// How many in [`QUIET_DAYS`].
    lately: BTreeMap<CategoryId, u64>,
    /// Which in [`SAME_DAYS`].
    visitors: BTreeMap<CategoryId, RoaringTreemap>,
}

impl People {
    /// Categories that nobody visits, and those that the same people do. Of categories that a file
    /// would change nothing is known yet.
    fn odd(&self, active: &Compiled, wanted: &Compiled) -> Vec<Lint> {
        let definitions = wanted.definitions();
        let has_traffic = self.lately.get(&CategoryId::ALL).is_some_and(|n| *n > 0);
        let known =
            |id: CategoryId| active.cell(id).is_some() && active.cell(id) == wanted.cell(id);
        let mut found = Vec::new();
        let mut add = |id, kind| {
            let of = format!("category {}", definitions.path(id)).into();
            found.push(Lint { of, text: Box::default(), kind });
        };
        // Only sets of one size, from one visitor to one other, can be the same.
        let mut before: HashMap<_, Vec<(CategoryId, &RoaringTreemap)>> = HashMap::new();
        for category in definitions.categories().filter(|category| known(category.id)) {
            let has_own = !category.rules.is_empty()
                && definitions.retired(category.id).is_none()
                && !definitions.is_sensitive(category.id);
            if has_own && has_traffic && self.lately.get(&category.id).is_none_or(|n| *n == 0) {
                add(category.id, LintKind::Quiet { days: QUIET_DAYS });
            }
            let own = self.visitors.get(&category.id).filter(|v| v.len() >= SAME_VISITORS);
            let Some(own) = own else { continue };
            let related = |other: CategoryId| {
                definitions.gives(other).contains(&category.id)
                    || definitions.gives(category.id).contains(&other)
            };
            let alike = before.entry((own.len(), own.min(), own.max())).or_default();
            let same = alike.iter().find(|(other, all)| *all == own && !related(*other));
            if let Some((other, _)) = same {
                let other = definitions.path(*other).into();
                add(category.id, LintKind::SameVisitors { other, days: SAME_DAYS });
            } else {
                alike.push((category.id, own));
            }
        }
        found
    }
}
