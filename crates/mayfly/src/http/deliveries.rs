//! `GET /api/v1/destinations…`, `GET /api/v1/deliveries…`, and what a person asks of them. Counts
//! are exact: they are for roles that see exact sizes.

use actix_web::web::{Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::access::{Caller, require};
use super::{Answer, ApiError, State};
use crate::app::PREVIEW_VISITORS;
use crate::delivery::record::Ask;
use crate::tokens::Right;

/// Deliveries listed where nobody says how many.
const DELIVERIES: usize = 20;
/// Members told at most at a time.
const AUDIENCE_MOST: usize = 100_000;
/// Deliveries listed at most.
const DELIVERIES_MOST: usize = 1000;

fn exact(request: &HttpRequest, state: &State) -> Result<Caller, ApiError> {
    let caller = require(request, state, Right::Read)?;
    if caller.role.sees_exact() { Ok(caller) } else { Err(ApiError::Forbidden) }
}

/// Every destination.
pub(crate) async fn destinations(request: HttpRequest, state: State) -> Answer {
    exact(&request, &state)?;
    Ok(HttpResponse::Ok().json(state.app()?.destinations().await?))
}

/// One destination.
pub(crate) async fn destination(request: HttpRequest, state: State, name: Path<String>) -> Answer {
    exact(&request, &state)?;
    Ok(HttpResponse::Ok().json(state.app()?.destination(&name).await?))
}

/// What is previewed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Previewed {
    /// Visitors shown.
    visitors: Option<usize>,
    /// Everything, not what changed.
    #[serde(default)]
    full: bool,
}

/// What would be sent now.
pub(crate) async fn preview(
    request: HttpRequest,
    state: State,
    name: Path<String>,
    asked: Query<Previewed>,
) -> Answer {
    require(&request, &state, Right::ReadMembers)?;
    let visitors = asked.visitors.unwrap_or(DELIVERIES);
    within("visitors", visitors, PREVIEW_VISITORS)?;
    Ok(HttpResponse::Ok().json(state.app()?.preview(&name, visitors, asked.full).await?))
}

/// Whose members are told, from where on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Audience {
    /// Names of segments, one a line.
    segments: String,
    /// After this visitor.
    after: Option<String>,
    /// So many.
    limit: Option<usize>,
}

/// A part of the members that the receiver may have, with its ids.
pub(crate) async fn audience(
    request: HttpRequest,
    state: State,
    name: Path<String>,
    asked: Query<Audience>,
) -> Answer {
    require(&request, &state, Right::ReadMembers)?;
    let limit = asked.limit.unwrap_or(AUDIENCE_MOST);
    within("limit", limit, AUDIENCE_MOST)?;
    let after = asked.after.as_deref().map(str::parse).transpose();
    let after = after.map_err(|_| ApiError::NoVisitor)?;
    let segments: Vec<&str> = asked.segments.lines().collect();
    Ok(HttpResponse::Ok().json(state.app()?.audience(&name, &segments, (after, limit)).await?))
}

/// What is asked of a destination.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// What.
    ask: Ask,
}

/// Asks for a delivery, or says what becomes of one that is held.
pub(crate) async fn ask(request: HttpRequest, state: State, name: Path<String>) -> Answer {
    let caller = require(&request, &state, Right::Define)?;
    // Read here: nobody is told what is wrong with it before we know who asks.
    let asked = Query::<Asked>::from_query(request.query_string());
    let asked = asked.map_err(|source| ApiError::Query { source })?;
    let app = state.app()?;
    Ok(HttpResponse::Ok().json(app.ask_destination(&name, asked.ask, &caller.name).await?))
}

/// What was delivered, by month.
pub(crate) async fn usage(request: HttpRequest, state: State, name: Path<String>) -> Answer {
    exact(&request, &state)?;
    Ok(HttpResponse::Ok().json(state.app()?.usage(&name).await?))
}

/// The data label of what it gets.
pub(crate) async fn label(request: HttpRequest, state: State, name: Path<String>) -> Answer {
    exact(&request, &state)?;
    let rows = state.app()?.label(&name).await?;
    // It is written to memory.
    let text = mayfly_export::label(&rows).map_err(|_| ApiError::Busy)?;
    Ok(HttpResponse::Ok().content_type("text/csv; charset=utf-8").body(text))
}

/// Which deliveries are listed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    /// Of this destination.
    destination: Option<String>,
    /// So many.
    limit: Option<usize>,
}

/// The newest deliveries.
pub(crate) async fn list(request: HttpRequest, state: State, of: Query<Listed>) -> Answer {
    exact(&request, &state)?;
    let limit = of.limit.unwrap_or(DELIVERIES);
    within("limit", limit, DELIVERIES_MOST)?;
    let app = state.app()?;
    Ok(HttpResponse::Ok().json(app.deliveries(of.destination.as_deref(), limit).await?))
}

/// One delivery.
pub(crate) async fn one(request: HttpRequest, state: State, id: Path<String>) -> Answer {
    exact(&request, &state)?;
    Ok(HttpResponse::Ok().json(state.app()?.delivery(&id).await?))
}

fn within(name: &'static str, number: usize, most: usize) -> Result<(), ApiError> {
    if (1..=most).contains(&number) {
        Ok(())
    } else {
        Err(ApiError::OutOfRange { name, least: 1, most })
    }
}
