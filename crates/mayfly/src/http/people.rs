//! Visitors (shown, erased), the retention audit, tokens.

use actix_web::web::{Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

use super::access::require;
use super::body::Body;
use super::{Answer, ApiError, State};
use crate::tokens::{Right, Role, Scope};

/// Everything held about a visitor.
pub(crate) async fn show(request: HttpRequest, state: State, id: Path<String>) -> Answer {
    let caller = require(&request, &state, Right::People)?;
    let app = state.app()?;
    let visitor = app.find_visitor(&id).await?;
    // Reading one person is logged: who and whom, never what.
    tracing::info!(by = caller.name, %visitor, "a visitor was read");
    Ok(HttpResponse::Ok().json(app.visitor(visitor).await?))
}

/// Options of erasing.
#[derive(Debug, Deserialize)]
pub(crate) struct Options {
    /// The bytes go now, not in the night.
    #[serde(default)]
    now: bool,
}

/// Erases a visitor.
pub(crate) async fn erase(
    request: HttpRequest,
    state: State,
    id: Path<String>,
    options: Query<Options>,
) -> Answer {
    let caller = require(&request, &state, Right::People)?;
    let app = state.app()?;
    let visitor = app.find_visitor(&id).await?;
    let was_erased = app.is_erased(visitor);
    let destinations = app.sent_to(visitor).await?;
    let erased_at = app.erase(visitor).await?;
    tracing::info!(by = caller.name, %visitor, "a visitor was erased");
    let bytes_gone = options.now && app.purge(visitor.partition).await;
    let visitor = visitor.to_string();
    let erased_at = crate::clock::text(erased_at);
    Ok(HttpResponse::Ok().json(json!({
        "visitor": visitor,
        "erased_at": erased_at,
        "was_erased": was_erased,
        "bytes_gone": bytes_gone,
        "destinations": destinations,
    })))
}

/// What is held, and whether anything outlives the retention.
pub(crate) async fn audit(request: HttpRequest, state: State) -> Answer {
    require(&request, &state, Right::People)?;
    Ok(HttpResponse::Ok().json(state.app()?.audit().await?))
}

/// All tokens, without secrets.
pub(crate) async fn tokens(request: HttpRequest, state: State) -> Answer {
    require(&request, &state, Right::Tokens)?;
    Ok(HttpResponse::Ok().json(state.app()?.tokens()))
}

/// The body of `new_token`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    name: String,
    role: Role,
    #[serde(default)]
    sites: Vec<String>,
    partner: Option<String>,
}

/// Makes a token; its secret is in this answer and nowhere else.
pub(crate) async fn new_token(request: HttpRequest, state: State, body: Body) -> Answer {
    let caller = require(&request, &state, Right::Tokens)?;
    let new: NewToken =
        serde_json::from_slice(&body).map_err(|source| ApiError::Body { source })?;
    let NewToken { name, role, sites, partner } = new;
    let scope = Scope { sites, partner };
    let secret = state.app()?.new_token(&name, (role, &scope), &caller.name).await?;
    let Scope { sites, partner } = scope;
    let shown = json!({
        "name": name, "role": role, "sites": sites, "partner": partner, "secret": secret,
    });
    Ok(HttpResponse::Ok().json(shown))
}

/// Takes a token back.
pub(crate) async fn revoke(request: HttpRequest, state: State, name: Path<String>) -> Answer {
    let caller = require(&request, &state, Right::Tokens)?;
    state.app()?.revoke_token(&name, &caller.name).await?;
    Ok(HttpResponse::Ok().json(json!({"revoked": *name})))
}
