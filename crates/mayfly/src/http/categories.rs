//! `GET /api/v1/categories`, `GET /api/v1/categories/{id}`.

use actix_web::web::{Path, Query};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Deserialize;

use super::access::require;
use super::body::{Part, in_range, unless_known};
use super::{Answer, State};
use crate::tokens::Right;

/// The categories of the tree, by number.
pub(crate) async fn list(request: HttpRequest, state: State, part: Query<Part>) -> Answer {
    require(&request, &state, Right::Read)?;
    let (app, limit) = (state.app()?, part.limit()?);
    let answer = |mut ok: HttpResponseBuilder| ok.json(app.categories(part.after, limit));
    Ok(unless_known(&request, app.active().version(), answer))
}

/// Over how many days its visitors are counted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Days {
    #[serde(default = "thirty")]
    days: usize,
}

fn thirty() -> usize {
    30
}

/// One category with its size.
pub(crate) async fn one(
    request: HttpRequest,
    state: State,
    id: Path<u32>,
    days: Query<Days>,
) -> Answer {
    let caller = require(&request, &state, Right::Read)?;
    let app = state.app()?;
    let most = app.settings().store.retention.days();
    let days = in_range("days", days.days, 1, usize::from(most))?;
    let days = u16::try_from(days).unwrap_or(most);
    Ok(HttpResponse::Ok().json(app.category(*id, days, caller.role.sees_exact()).await?))
}
