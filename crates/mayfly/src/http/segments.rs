//! Segments and the size of any expression.

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::access::require;
use super::body::Body;
use super::{Answer, ApiError, State};
use crate::tokens::Right;

/// All segments with their sizes.
pub(crate) async fn list(request: HttpRequest, state: State) -> Answer {
    let caller = require(&request, &state, Right::Read)?;
    let app = state.app()?;
    Ok(HttpResponse::Ok().json(app.segments(caller.role.sees_exact()).await?))
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
