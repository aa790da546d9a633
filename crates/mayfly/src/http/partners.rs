//! `GET /api/v1/partners`, `GET /api/v1/partners/{key}`.

use actix_web::web::{Path, Query};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Deserialize;

use super::access::require;
use super::body::unless_known;
use super::{Answer, State};
use crate::tokens::Right;

/// The partners as they are defined.
pub(crate) async fn list(request: HttpRequest, state: State) -> Answer {
    require(&request, &state, Right::Read)?;
    let app = state.app()?;
    let answer = |mut ok: HttpResponseBuilder| ok.json(app.partners());
    Ok(unless_known(&request, app.active().version(), answer))
}

/// Of whom the match rate is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    /// A segment's members; of all visitors when not said.
    segment: Option<String>,
}

/// One partner with its match rate.
pub(crate) async fn one(
    request: HttpRequest,
    state: State,
    key: Path<String>,
    of: Query<Of>,
) -> Answer {
    let caller = require(&request, &state, Right::Read)?;
    let app = state.app()?;
    let exact = caller.role.sees_exact();
    Ok(HttpResponse::Ok().json(app.partner(&key, of.segment.as_deref(), exact).await?))
}
