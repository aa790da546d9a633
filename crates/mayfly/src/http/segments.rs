//! Segments and the size of any expression.

use actix_web::web::{Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use mayfly_core::limits;
use mayfly_segments::Fact;
use serde::Deserialize;

use super::access::require;
use super::body::{Body, Part, in_range, whole};
use super::{Answer, ApiError, State};
use crate::tokens::Right;

/// All segments with their sizes.
pub(crate) async fn list(request: HttpRequest, state: State, part: Query<Part>) -> Answer {
    let caller = require(&request, &state, Right::Read)?;
    let app = state.app()?;
    let part = (part.after, part.limit()?);
    Ok(HttpResponse::Ok().json(app.segments(part, caller.role.sees_exact()).await?))
}

/// One segment with its size.
pub(crate) async fn one(request: HttpRequest, state: State, name: Path<String>) -> Answer {
    let caller = require(&request, &state, Right::Read)?;
    let app = state.app()?;
    Ok(HttpResponse::Ok().json(app.segment(&name, caller.role.sees_exact()).await?))
}

/// The members as a portable 64-bit roaring bitmap: partition × 2^32 + ordinal.
pub(crate) async fn members(request: HttpRequest, state: State, name: Path<String>) -> Answer {
    require(&request, &state, Right::ReadMembers)?;
    let app = state.app()?;
    let bytes = app.members(&name).await?;
    Ok(HttpResponse::Ok().content_type("application/octet-stream").body(bytes))
}

/// Whose membership is explained.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    /// A cookie value, `space:id`, or `partition.ordinal`.
    visitor: String,
}

/// Why a visitor is a member, or is not.
pub(crate) async fn why(
    request: HttpRequest,
    state: State,
    name: Path<String>,
    of: Query<Of>,
) -> Answer {
    let caller = require(&request, &state, Right::ReadMembers)?;
    let app = state.app()?;
    let visitor = app.find_visitor(&of.visitor).await?;
    // Reading one person is logged: who and whom, never what.
    tracing::info!(by = caller.name, %visitor, segment = %*name, "a visitor was read");
    Ok(HttpResponse::Ok().json(app.why(&name, visitor).await?))
}

/// The body of `count`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    rule: String,
}

/// The exact size of any expression, saved or not.
pub(crate) async fn count(request: HttpRequest, state: State, body: Body) -> Answer {
    let caller = require(&request, &state, Right::Read)?;
    let app = state.app()?;
    let Rule { rule } =
        serde_json::from_slice(&body).map_err(|source| ApiError::Body { source })?;
    Ok(HttpResponse::Ok().json(app.count(&rule, caller.role.sees_exact()).await?))
}

/// Options of a sample.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    /// How many members.
    #[serde(default = "twenty")]
    number: usize,
}

fn twenty() -> usize {
    20
}

/// A few members.
pub(crate) async fn sample(
    request: HttpRequest,
    state: State,
    name: Path<String>,
    sample: Query<Sample>,
) -> Answer {
    require(&request, &state, Right::ReadMembers)?;
    let number = in_range("number", sample.number, 0, limits::SAMPLE_MEMBERS)?;
    Ok(HttpResponse::Ok().json(state.app()?.sample(&name, number as u64).await?))
}

/// The body of `overlap`: names of segments, or expressions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Overlap {
    segments: Vec<String>,
}

/// What each two segments have in common.
pub(crate) async fn overlap(request: HttpRequest, state: State, body: Body) -> Answer {
    let caller = require(&request, &state, Right::Read)?;
    let app = state.app()?;
    let Overlap { segments } =
        serde_json::from_slice(&body).map_err(|source| ApiError::Body { source })?;
    Ok(HttpResponse::Ok().json(app.overlap(&segments, caller.role.sees_exact()).await?))
}

/// The body of `sizes`: a segment's name or an expression, and how many days back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sizes {
    of: String,
    #[serde(default = "thirty", deserialize_with = "whole")]
    days: u16,
}

/// The body of `composition`: as that of [`Sizes`], and the fact by which to tell visitors apart
/// instead of their categories.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Composition {
    of: String,
    #[serde(default = "thirty", deserialize_with = "whole")]
    days: u16,
    by: Option<String>,
}

fn thirty() -> u16 {
    30
}

/// How large it was, day by day.
pub(crate) async fn sizes(request: HttpRequest, state: State, body: Body) -> Answer {
    let caller = require(&request, &state, Right::Read)?;
    let app = state.app()?;
    let Sizes { of, days } =
        serde_json::from_slice(&body).map_err(|source| ApiError::Body { source })?;
    in_range("days", days.into(), 1, limits::SIZES_DAYS.into())?;
    Ok(HttpResponse::Ok().json(app.sizes(&of, days, caller.role.sees_exact()).await?))
}

/// What members do more or less than everybody.
pub(crate) async fn composition(request: HttpRequest, state: State, body: Body) -> Answer {
    let caller = require(&request, &state, Right::Read)?;
    let app = state.app()?;
    let Composition { of, days, by } =
        serde_json::from_slice(&body).map_err(|source| ApiError::Body { source })?;
    let most = app.settings().store.retention.days();
    in_range("days", days.into(), 1, most.into())?;
    let exact = caller.role.sees_exact();
    let Some(by) = by else {
        return Ok(HttpResponse::Ok().json(app.composition(&of, days, exact).await?));
    };
    let fact = Fact::named(&by).ok_or(ApiError::NoFact { name: by })?;
    Ok(HttpResponse::Ok().json(app.breakdown(&of, &fact, days, exact).await?))
}
