//! Definitions as code: export, plan, apply, test; sites; files that were replayed.

use actix_web::web::{Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use mayfly_core::consent::{Audience, ConsentRole};
use mayfly_core::{ConsentPolicy, ConsentRules};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::require;
use super::asker::asker;
use super::body::{Body, unless_known};
use super::{Answer, ApiError, State, pixel};
use crate::app::definitions::Author;
use crate::clock;
use crate::tokens::Right;

/// Options of plan, apply and revert.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Also remove what the file does not name.
    #[serde(default)]
    prune: bool,
    /// What the author says of it.
    #[serde(default)]
    why: String,
    /// The version that he looked at.
    expect: Option<u32>,
    /// Segments may lose most of their members.
    #[serde(default)]
    allow_drop: bool,
}

impl Options {
    fn author<'a>(&'a self, by: &'a str) -> Author<'a> {
        Author { by, why: &self.why, expect: self.expect, allows_drop: self.allow_drop }
    }
}

pub(super) fn text(body: &[u8]) -> Result<&str, ApiError> {
    let limit = mayfly_core::limits::DEFINITIONS_BYTES;
    if body.len() > limit {
        return Err(ApiError::TooLarge { limit });
    }
    std::str::from_utf8(body).map_err(|_| ApiError::NotText)
}

/// The definitions in force, as a file.
pub(crate) async fn export(request: HttpRequest, state: State) -> Answer {
    require(&request, &state, Right::Read)?;
    let app = state.app()?;
    let version = app.active().version();
    Ok(unless_known(&request, version, |mut ok| {
        ok.content_type("application/toml").body(app.export_definitions())
    }))
}

/// What a file would change.
pub(crate) async fn plan(
    request: HttpRequest,
    state: State,
    options: Query<Options>,
    body: Body,
) -> Answer {
    require(&request, &state, Right::Define)?;
    let app = state.app()?;
    Ok(HttpResponse::Ok().json(app.plan(text(&body)?, options.prune).await?))
}

/// Applies a file as one change; answers when its segments are in force.
pub(crate) async fn apply(
    request: HttpRequest,
    state: State,
    options: Query<Options>,
    body: Body,
) -> Answer {
    let caller = require(&request, &state, Right::Define)?;
    let app = state.app()?;
    let author = options.author(&caller.name);
    Ok(HttpResponse::Ok().json(app.apply(text(&body)?, options.prune, &author).await?))
}

/// Every version that there was.
pub(crate) async fn history(request: HttpRequest, state: State) -> Answer {
    require(&request, &state, Right::Read)?;
    Ok(HttpResponse::Ok().json(state.app()?.history().await?))
}

/// The definitions of a version, as a file.
pub(crate) async fn of_version(request: HttpRequest, state: State, version: Path<u32>) -> Answer {
    require(&request, &state, Right::Read)?;
    let definitions = state.app()?.definitions_of(*version).await?;
    Ok(HttpResponse::Ok().content_type("application/toml").body(definitions.export()))
}

/// Goes back to a version, as a new one.
pub(crate) async fn revert(
    request: HttpRequest,
    state: State,
    version: Path<u32>,
    options: Query<Options>,
) -> Answer {
    let caller = require(&request, &state, Right::Define)?;
    let answer = state.app()?.revert(*version, &options.author(&caller.name)).await?;
    Ok(HttpResponse::Ok().json(answer))
}

/// What is odd about the definitions in force; with a file, about those after it.
pub(crate) async fn lint(request: HttpRequest, state: State, body: Body) -> Answer {
    require(&request, &state, Right::Define)?;
    let text = text(&body)?;
    let file = Some(text).filter(|text| !text.trim().is_empty());
    Ok(HttpResponse::Ok().json(state.app()?.lint(file).await?))
}

/// Runs the fixtures of a file.
pub(crate) async fn test(request: HttpRequest, state: State, body: Body) -> Answer {
    require(&request, &state, Right::Define)?;
    let results = crate::app::definitions::run_fixtures(text(&body)?)?;
    let failed: Vec<_> = results
        .iter()
        .filter(|r| !r.faults.is_empty())
        .map(|r| json!({"test": r.name, "faults": r.faults}))
        .collect();
    let passed = results.len() - failed.len();
    Ok(HttpResponse::Ok().json(json!({"passed": passed, "failed": failed})))
}

/// A site, and the server's time (what a replay needs to know).
pub(crate) async fn site(request: HttpRequest, state: State, key: Path<String>) -> Answer {
    require(&request, &state, Right::Read)?.needs(&key)?;
    let sites = state.collector().sites();
    let site = sites.get(&key).ok_or_else(|| ApiError::no_site(&key, &sites))?;
    let origins: Vec<&str> = site
        .origins
        .iter()
        .map(|origin| match origin {
            mayfly_core::Origin::Any => "*",
            mayfly_core::Origin::Exact(text) => text,
        })
        .collect();
    let now_ms = clock::now().millis();
    Ok(HttpResponse::Ok().json(json!({
        "key": site.key,
        "origins": origins,
        "consent": consent(&site.consent),
        "time_zone": site.time_zone,
        "now_ms": now_ms,
    })))
}

/// What a site sends that no rule uses.
pub(crate) async fn unmapped(request: HttpRequest, state: State, key: Path<String>) -> Answer {
    require(&request, &state, Right::Read)?.needs(&key)?;
    Ok(HttpResponse::Ok().json(state.app()?.unmapped(&key)?))
}

/// Why a page of the site falls in its categories: its query is a pixel's.
pub(crate) async fn why(request: HttpRequest, state: State, key: Path<String>) -> Answer {
    require(&request, &state, Right::Read)?.needs(&key)?;
    let query = pixel::for_site(request.query_string(), &key);
    let asked = &pixel::asked(&request, &asker(&request, &state), &query, "");
    let examined = state.collector().examine(asked).await;
    Ok(HttpResponse::Ok().json(state.app()?.why_page(examined, &key)?))
}

/// `?after=7`.
#[derive(Debug, Deserialize)]
pub(crate) struct After {
    #[serde(default)]
    after: u64,
}

/// The pixels of a site that pass right now.
pub(crate) async fn tail(
    request: HttpRequest,
    state: State,
    key: Path<String>,
    after: Query<After>,
) -> Answer {
    require(&request, &state, Right::SendHits)?.needs(&key)?;
    let sites = state.collector().sites();
    sites.get(&key).ok_or_else(|| ApiError::no_site(&key, &sites))?;
    Ok(HttpResponse::Ok().json(state.app()?.tail(&key, after.after)))
}

/// What a site asks for before a hit is kept.
fn consent(rules: &ConsentRules) -> Value {
    let policy = match rules.policy {
        ConsentPolicy::None => "none",
        ConsentPolicy::Tcf => "tcf",
        ConsentPolicy::Gpp => "gpp",
        ConsentPolicy::Any => "any",
    };
    let (role, vendor_id) = match rules.role {
        Some(ConsentRole::Vendor(id)) => (Some("vendor"), Some(id)),
        Some(ConsentRole::Publisher) => (Some("publisher"), None),
        None => (None, None),
    };
    let audience = match rules.audience {
        Audience::General => "general",
        Audience::Mixed => "mixed",
        Audience::Children => "children",
    };
    json!({
        "policy": policy,
        "role": role,
        "vendor_id": vendor_id,
        "scope": rules.scope,
        "audience": audience,
    })
}

/// A file that is, or was, replayed.
#[derive(Debug, Deserialize)]
pub(crate) struct ReplayedFile {
    pub(crate) sha256: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) again: bool,
}

impl ReplayedFile {
    fn read(body: &[u8]) -> Result<Self, ApiError> {
        serde_json::from_slice(body).map_err(|source| ApiError::Body { source })
    }
}

/// Refuses a file that was replayed before, unless it shall count again.
pub(crate) async fn check_file(request: HttpRequest, state: State, body: Body) -> Answer {
    require(&request, &state, Right::SendHits)?;
    let file = ReplayedFile::read(&body)?;
    state.app()?.check_file(&file.sha256, file.again).await?;
    Ok(HttpResponse::Ok().json(json!({"new": true})))
}

/// Notes that a file was replayed.
pub(crate) async fn note_file(request: HttpRequest, state: State, body: Body) -> Answer {
    let caller = require(&request, &state, Right::SendHits)?;
    let file = ReplayedFile::read(&body)?;
    state.app()?.note_file(&file.sha256, &file.name, &caller.name).await?;
    Ok(HttpResponse::Ok().json(json!({"noted": true})))
}
