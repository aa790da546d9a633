//! Definitions: exported, planned, applied, tested.

use std::sync::Arc;
use std::time::Duration;

use mayfly_core::{Candidate, Referrer, Retention, Site, SiteId, Timestamp, limits};
use mayfly_export::push::{Template, TemplateFault};
use mayfly_segments::destination::Way;
use mayfly_segments::problem::DestinationFault;
use mayfly_segments::{
    Applied, Compiled, Definitions, DefinitionsFile, Destination, Fixture, Problem, ProblemKind,
};
use mayfly_store::{CatalogName, Corruption, StoreError};
use serde_json::{Value, json};

use super::App;
use super::lookup::Present;
use crate::clock;
use crate::delivery::record::Ask;
use crate::http::ApiError;

/// How long `apply` waits for its segments to be in force before it answers all the same.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// Who changes definitions, and what he says of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Author<'a> {
    /// The token's name.
    pub by: &'a str,
    /// The reason, for the history.
    pub why: &'a str,
    /// The version that he looked at.
    pub expect: Option<u32>,
    /// Segments may lose most of their members.
    pub allows_drop: bool,
}

fn corrupt() -> StoreError {
    StoreError::Corrupt { what: Corruption::Catalog }
}

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

    pub(super) fn applied(&self, text: &str, prune: bool) -> Result<Applied, ApiError> {
        let file = DefinitionsFile::parse(text).map_err(ApiError::Problems)?;
        file.check_templates(wrong_template).map_err(ApiError::Problems)?;
        let active = self.active();
        let retention = self.settings.store.retention;
        active.definitions().apply(&file, prune, retention).map_err(ApiError::Problems)
    }

    pub(super) fn compile(&self, definitions: &Definitions) -> Result<Arc<Compiled>, ApiError> {
        let retention = self.settings.store.retention;
        Compiled::new(definitions, retention).map(Arc::new).map_err(ApiError::Problems)
    }

    /// Applies a file as one change; answers when its segments are in force.
    ///
    /// # Errors
    /// [`ApiError::Problems`]; [`ApiError::Drop`]; [`ApiError::Version`];
    /// [`StoreError::Conflict`] when another was faster.
    pub async fn apply(
        &self,
        text: &str,
        prune: bool,
        author: &Author<'_>,
    ) -> Result<Value, ApiError> {
        self.refresh_catalog().await?;
        let applied = self.applied(text, prune)?;
        self.change(applied, author).await
    }

    /// Goes back to the definitions of an earlier version, as a new one.
    ///
    /// # Errors
    /// [`ApiError::NoVersion`]; as [`App::apply`].
    pub async fn revert(&self, version: u32, author: &Author<'_>) -> Result<Value, ApiError> {
        self.refresh_catalog().await?;
        let then = self.definitions_of(version).await?;
        let (active, retention) = (self.active(), self.settings.store.retention);
        let applied = active.definitions().revert(&then, retention);
        self.change(applied.map_err(ApiError::Problems)?, author).await
    }

    pub(super) async fn change(
        &self,
        applied: Applied,
        author: &Author<'_>,
    ) -> Result<Value, ApiError> {
        let found = self.active().version();
        if let Some(expected) = author.expect.filter(|expected| *expected != found) {
            return Err(ApiError::Version { found, expected });
        }
        if author.why.len() > limits::WHY_BYTES {
            return Err(ApiError::TooLarge { limit: limits::WHY_BYTES });
        }
        if !applied.changes.is_empty() {
            if !author.allows_drop {
                self.refuse_drops(&applied).await?;
            }
            let definitions = applied.definitions.clone().because(author.why);
            self.put_in_force(&definitions, author.by).await?;
        }
        Ok(json!({"changes": texts(&applied), "version": self.active().version()}))
    }

    /// Every version of the definitions that there was, the newest first: who, when, why, what.
    ///
    /// # Errors
    /// The store's.
    pub async fn history(&self) -> Result<Value, ApiError> {
        let mut before = Definitions::default();
        let mut versions = Vec::new();
        for found in self.store.catalog_history(CatalogName::Definitions).await? {
            let own = Definitions::from_bytes(&found.bytes).map_err(|_| corrupt())?;
            let changes = own.changes_since(&before);
            versions.push(json!({
                "version": found.version,
                "at": clock::text(found.at),
                "by": found.by,
                "why": own.why(),
                "changes": changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            }));
            before = own;
        }
        versions.reverse();
        Ok(json!({"versions": versions}))
    }

    /// The definitions of a version.
    ///
    /// # Errors
    /// [`ApiError::NoVersion`].
    pub async fn definitions_of(&self, version: u32) -> Result<Definitions, ApiError> {
        let history = self.store.catalog_history(CatalogName::Definitions).await?;
        let found = history.into_iter().find(|found| found.version == u64::from(version));
        let found = found.ok_or(ApiError::NoVersion { version })?;
        Ok(Definitions::from_bytes(&found.bytes).map_err(|_| corrupt())?)
    }

    pub(super) async fn put_in_force(
        &self,
        definitions: &Definitions,
        by: &str,
    ) -> Result<(), ApiError> {
        let compiled = self.compile(definitions)?;
        // What this was made from; the definitions in force may be newer by now.
        let expected = u64::from(definitions.version()).saturating_sub(1);
        let bytes = definitions
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

    /// Applies the demo's definitions, for a server at this port.
    ///
    /// # Errors
    /// The store's.
    pub async fn apply_demo(&self, port: u16) -> Result<(), StoreError> {
        let demo = Author { by: "demo", ..Author::default() };
        match self.apply(&crate::http::demo_definitions(port), false, &demo).await {
            // Its partner began anew with this server, and knows nobody.
            Ok(_) => self.ask_destination("adcorp", Ask::Full, "demo").await.map(|_| ()).or(Ok(())),
            Err(ApiError::Store(StoreError::Conflict { .. })) => Ok(()),
            Err(ApiError::Store(error)) => Err(error),
            Err(error) => {
                tracing::error!(%error, "the demo's definitions were not applied");
                Ok(())
            }
        }
    }
}

/// What is wrong with the templates of a destination.
fn wrong_template(destination: &Destination) -> Option<DestinationFault> {
    let Way::Request(settings) = &destination.way else { return None };
    // Values are known where it is sent from.
    let named = destination.secrets.iter().map(|(used_for, _)| (used_for.clone(), "x".into()));
    let secrets: Vec<(Box<str>, Box<str>)> = named.collect();
    let wrong = Template::new(settings.clone(), &secrets).err()?;
    let TemplateFault { part, line, column, what } = wrong;
    Some(DestinationFault::Template { part, line, column, what })
}

pub(super) fn texts(applied: &Applied) -> Vec<String> {
    applied.changes.iter().map(ToString::to_string).collect()
}

/// Runs the fixtures of a file on the definitions in it: a pure function of the file.
///
/// # Errors
/// [`ApiError::Problems`].
pub fn run_fixtures(text: &str) -> Result<Vec<Tested>, ApiError> {
    let file = DefinitionsFile::parse(text).map_err(ApiError::Problems)?;
    let retention = Retention::default();
    let applied = Definitions::default().apply(&file, false, retention).or_else(|problems| {
        // Where it is applied, a sensitive category may be enabled.
        let is_sensitive =
            |own: &Problem| matches!(own.kind, ProblemKind::SensitiveCategory { .. });
        match problems.iter().all(is_sensitive) {
            true => {
                Definitions::default().apply(&file.clone().without_segments(), false, retention)
            }
            false => Err(problems),
        }
    });
    let definitions = applied.map_err(ApiError::Problems)?.definitions;
    let compiled = Compiled::new(&definitions, retention).map_err(ApiError::Problems)?;
    Ok(file.fixtures.iter().map(|fixture| run_fixture(fixture, &compiled)).collect())
}

fn run_fixture(fixture: &Fixture, compiled: &Compiled) -> Tested {
    let name = format!("line {}: {}", fixture.line, fixture.page.url);
    let definitions = compiled.definitions();
    let mut faults = Vec::new();
    if let Some(key) = fixture.site.as_deref().filter(|key| definitions.site(key).is_none()) {
        return Tested { name, faults: vec![format!("there is no site {key:?}")] };
    }
    if fixture.site.is_none() && !is_taken_anywhere(fixture, definitions) {
        faults.push("no site takes hits from there: name its origin, or the `site`".to_owned());
    }
    let Some(present) = hit_of(fixture, compiled) else {
        return Tested { name, faults: vec!["the hit cannot be read".to_owned()] };
    };
    let mut found = present.categories(compiled);
    found.extend(present.sensitive.iter().flat_map(|id| definitions.line(*id)));
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

/// Whether a page is of an origin that a site names, where there are sites at all.
fn is_taken_anywhere(fixture: &Fixture, definitions: &Definitions) -> bool {
    let url = url::Url::parse(&fixture.page.url).ok();
    let origin = url.map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let mut sites = definitions.sites().peekable();
    sites.peek().is_none() || sites.any(|site| site.allows(&origin))
}

/// When the hits of fixtures are: a Thursday so late that what is to retire has retired.
const FIXTURES_AT: i64 = 47_488 * 86_400;

/// A fixture as an admitted hit of its site, or of any site that takes every origin.
fn hit_of(fixture: &Fixture, compiled: &Compiled) -> Option<Present> {
    let definitions = compiled.definitions();
    // A number that no site gets; that of none is for what partners declare.
    let anywhere = Site::new(SiteId(u32::MAX), "fixture", vec![mayfly_core::Origin::Any]);
    let named = fixture.site.as_deref().and_then(|key| definitions.site(key));
    let url = url::Url::parse(&fixture.page.url).ok()?;
    let candidate = Candidate {
        page: fixture.page.clone(),
        event: mayfly_core::Event::parse(&fixture.event)?,
        attributes: fixture.attributes.clone(),
        referrer: Referrer::of(&fixture.referrer, url.host_str().unwrap_or_default()),
        ..Candidate::default()
    };
    let now = Timestamp::from_secs(FIXTURES_AT);
    Present::of(compiled, candidate, named.unwrap_or(&anywhere), now)
}

/// A problem's own text is all a caller needs.
impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self::Problems(vec![problem])
    }
}
