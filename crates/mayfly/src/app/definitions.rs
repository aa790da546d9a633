//! Definitions: exported, planned, applied, tested.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mayfly_core::{
    Candidate, CellId, ConsentRules, Day, DayCells, Gate, Hit, Partition, Referrer, Retention,
    Site, SiteId, Timestamp, Visitor,
};
use mayfly_segments::{
    Applied, Compiled, Definitions, DefinitionsFile, Fixture, How, Index, PageMemo, Problem,
    Taxonomy,
};
use mayfly_store::{CatalogName, StoreError};
use roaring::RoaringBitmap;
use serde_json::{Value, json};

use super::App;
use crate::http::ApiError;
use crate::worker::{evaluate, rebuild};

/// How long `apply` waits for its segments to be in force before it answers all the same.
const PATIENCE: Duration = Duration::from_secs(600);

/// What became of one fixture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tested {
    /// Its place and page.
    pub name: String,
    /// What is not as it says; empty = passed.
    pub faults: Vec<String>,
}

impl App {
    /// The definitions in force, as a file.
    #[must_use]
    pub fn export_definitions(&self) -> String {
        self.active().definitions().export()
    }

    fn applied(&self, text: &str, prune: bool) -> Result<Applied, ApiError> {
        let file = DefinitionsFile::parse(text).map_err(ApiError::Problems)?;
        let active = self.active();
        let retention = self.settings.store.retention;
        active.definitions().apply(&file, prune, retention).map_err(ApiError::Problems)
    }

    /// What a file would change: definitions, and members per segment.
    ///
    /// # Errors
    /// [`ApiError::Problems`] with everything that is wrong.
    pub async fn plan(&self, text: &str, prune: bool) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        let applied = self.applied(text, prune)?;
        let wanted = self.compile(&applied.definitions)?;
        let segments = self.differences(&wanted, now).await?;
        Ok(json!({
            "changes": texts(&applied),
            "segments": segments,
            "version": self.active().version(),
        }))
    }

    fn compile(&self, definitions: &Definitions) -> Result<Arc<Compiled>, ApiError> {
        let retention = self.settings.store.retention;
        Compiled::new(definitions, retention).map(Arc::new).map_err(ApiError::Problems)
    }

    /// Members now and after, for each segment that is or would be.
    async fn differences(
        &self,
        wanted: &Arc<Compiled>,
        now: Timestamp,
    ) -> Result<Vec<Value>, ApiError> {
        let active = self.active();
        let mut sums: BTreeMap<String, [u64; 4]> = BTreeMap::new();
        for slot in self.slots() {
            let after = self.members_after(&slot, &active, wanted, now).await?;
            for segment in active.segments() {
                let name = wanted
                    .definitions()
                    .segment(segment.id)
                    .map_or(segment.name.to_string(), |s| s.name.to_string());
                let now = slot.read(|i| i.members(segment.id).cloned()).flatten();
                let after = after.get(&segment.id).cloned().unwrap_or_default();
                add(sums.entry(name).or_default(), &now.unwrap_or_default(), &after);
            }
            for segment in wanted.segments() {
                if active.place(segment.id).is_none() {
                    let after = after.get(&segment.id).cloned().unwrap_or_default();
                    let name = segment.name.to_string();
                    add(sums.entry(name).or_default(), &RoaringBitmap::new(), &after);
                }
            }
        }
        let rows = sums.into_iter().map(|(name, [now, after, entered, left])| {
            json!({"name": name, "now": now, "after": after, "entered": entered, "left": left})
        });
        Ok(rows.collect())
    }

    /// The members of every wanted segment in one partition, with new cells made from the hits.
    async fn members_after(
        &self,
        slot: &crate::worker::Slot,
        active: &Compiled,
        wanted: &Arc<Compiled>,
        now: Timestamp,
    ) -> Result<BTreeMap<mayfly_core::SegmentId, RoaringBitmap>, ApiError> {
        let today = now.day().unwrap_or_default();
        let oldest = self.settings.store.retention.oldest(today);
        let fresh = wanted.new_cells(active);
        let mut days: BTreeMap<Day, BTreeSet<CellId>> = BTreeMap::new();
        for (cell, range) in wanted.needs(today) {
            for day in range.start().0.max(oldest.0)..=range.end().0 {
                days.entry(Day(day)).or_default().insert(cell);
            }
        }
        let mut index = Index::new(Arc::clone(wanted), today);
        index.set_erased(slot.erased());
        for (day, cells) in days {
            let (new, known): (BTreeSet<CellId>, BTreeSet<CellId>) =
                cells.into_iter().partition(|cell| fresh.contains(cell));
            let known: Vec<_> = known.iter().map(|cell| cell.category).collect();
            let mut all: DayCells = evaluate::day_cells(&self.store, slot, day, &known).await?;
            if !new.is_empty() {
                let partition = slot.partition();
                let made = rebuild::cells(&self.store, partition, day, wanted, &new).await?;
                all.extend(made.ok_or(ApiError::Busy)?);
            }
            index.load_day(day, &all);
        }
        index.evaluate();
        let members = wanted.segments().iter().filter_map(|segment| {
            index.members(segment.id).map(|members| (segment.id, members.clone()))
        });
        Ok(members.collect())
    }

    /// Applies a file as one change; answers when its segments are in force.
    ///
    /// # Errors
    /// [`ApiError::Problems`]; [`StoreError::Conflict`] when another was faster.
    pub async fn apply(&self, text: &str, prune: bool, by: &str) -> Result<Value, ApiError> {
        let applied = self.applied(text, prune)?;
        if !applied.changes.is_empty() {
            self.put_in_force(&applied, by).await?;
        }
        Ok(json!({"changes": texts(&applied), "version": self.active().version()}))
    }

    /// Puts a standard taxonomy into the tree, below `under` (empty = at the top).
    ///
    /// # Errors
    /// [`ApiError::Problems`]; [`StoreError::Conflict`] when another was faster.
    pub async fn load_taxonomy(
        &self,
        text: &str,
        standard: &str,
        under: &str,
        by: &str,
    ) -> Result<Value, ApiError> {
        let taxonomy = Taxonomy::parse(text, standard)?;
        let (active, retention) = (self.active(), self.settings.store.retention);
        let applied = active.definitions().load(&taxonomy, under, retention);
        let applied = applied.map_err(ApiError::Problems)?;
        if !applied.changes.is_empty() {
            self.put_in_force(&applied, by).await?;
        }
        let added = applied.changes.iter().filter(|change| change.how == How::Added).count();
        Ok(json!({
            "standard": standard,
            "added": added,
            "changed": applied.changes.len() - added,
            "left_out": taxonomy.left_out,
            "version": self.active().version(),
        }))
    }

    async fn put_in_force(&self, applied: &Applied, by: &str) -> Result<(), ApiError> {
        let compiled = self.compile(&applied.definitions)?;
        // What this was made from; the definitions in force may be newer by now.
        let expected = u64::from(applied.definitions.version()).saturating_sub(1);
        let bytes = applied
            .definitions
            .to_bytes()
            .map_err(|_| ApiError::TooLarge { limit: mayfly_core::limits::DEFINITIONS_BYTES })?;
        let (name, now) = (CatalogName::Definitions, Self::now());
        self.store.write_catalog(name, expected, bytes, by, now).await?;
        let version = compiled.version();
        self.set_active(Arc::unwrap_or_clone(compiled));
        for slot in self.slots() {
            slot.folded(&[], version, PATIENCE).await;
        }
        Ok(())
    }

    /// Applies the demo's definitions.
    ///
    /// # Errors
    /// The store's.
    pub async fn apply_demo(&self) -> Result<(), StoreError> {
        match self.apply(crate::http::DEMO_DEFINITIONS, false, "demo").await {
            Ok(_) | Err(ApiError::Store(StoreError::Conflict { .. })) => Ok(()),
            Err(ApiError::Store(error)) => Err(error),
            Err(error) => {
                tracing::error!(%error, "the demo's definitions were not applied");
                Ok(())
            }
        }
    }
}

fn texts(applied: &Applied) -> Vec<String> {
    applied.changes.iter().map(ToString::to_string).collect()
}

/// Adds one partition's members: now, after, entered, left.
fn add(sum: &mut [u64; 4], now: &RoaringBitmap, after: &RoaringBitmap) {
    let stay = now.intersection_len(after);
    let more = [now.len(), after.len(), after.len() - stay, now.len() - stay];
    sum.iter_mut().zip(more).for_each(|(sum, n)| *sum += n);
}

/// Runs the fixtures of a file on the definitions in it: a pure function of the file.
///
/// # Errors
/// [`ApiError::Problems`].
pub fn run_fixtures(text: &str) -> Result<Vec<Tested>, ApiError> {
    let file = DefinitionsFile::parse(text).map_err(ApiError::Problems)?;
    let retention = Retention::default();
    let definitions = Definitions::default()
        .apply(&file, false, retention)
        .map_err(ApiError::Problems)?
        .definitions;
    let compiled = Compiled::new(&definitions, retention).map_err(ApiError::Problems)?;
    Ok(file.fixtures.iter().map(|fixture| run_fixture(fixture, &compiled)).collect())
}

fn run_fixture(fixture: &Fixture, compiled: &Compiled) -> Tested {
    let name = format!("line {}: {}", fixture.line, fixture.page.url);
    let definitions = compiled.definitions();
    let mut faults = Vec::new();
    let Some(hit) = hit_of(fixture, definitions) else {
        return Tested { name, faults: vec!["the hit cannot be read".to_owned()] };
    };
    let mut found = Vec::new();
    compiled.classifier().classify(&mut PageMemo::default(), &hit, &fixture.page, &mut found);
    let falls =
        |path: &str| definitions.category_named(path).map(|category| found.contains(&category.id));
    for path in &fixture.within {
        match falls(path) {
            Some(true) => {}
            Some(false) => faults.push(format!("should be in {path:?} and is not")),
            None => faults.push(format!("there is no category {path:?}")),
        }
    }
    for path in &fixture.without {
        match falls(path) {
            Some(false) => {}
            Some(true) => faults.push(format!("should not be in {path:?} and is")),
            None => faults.push(format!("there is no category {path:?}")),
        }
    }
    Tested { name, faults }
}

/// A fixture as an admitted hit of its site, or of any site that takes every origin.
fn hit_of(fixture: &Fixture, definitions: &Definitions) -> Option<Hit> {
    let now = Timestamp::from_secs(0);
    let anywhere = Site::new(SiteId(0), "fixture", vec![mayfly_core::Origin::Any]);
    let named = fixture.site.as_deref().and_then(|key| definitions.site(key));
    let url = url::Url::parse(&fixture.page.url).ok()?;
    let candidate = Candidate {
        page: fixture.page.clone(),
        event: mayfly_core::Event::parse(&fixture.event)?,
        attributes: fixture.attributes.clone(),
        referrer: Referrer::of(&fixture.referrer, url.host_str().unwrap_or_default()),
        ..Candidate::default()
    };
    // What a page is about does not hang on who may be shown it.
    let site = Site { consent: ConsentRules::default(), ..named.unwrap_or(&anywhere).clone() };
    let gate = Gate { site: &site, now, retention: Retention::default() };
    let admitted = Hit::admit(candidate, &gate).ok()?;
    let (page, consent) = (fixture.page.key(0), admitted.consent().key(0));
    Some(admitted.into_hit(Visitor { partition: Partition(0), ordinal: 1 }, page, consent))
}

/// A problem's own text is all a caller needs.
impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self::Problems(vec![problem])
    }
}
