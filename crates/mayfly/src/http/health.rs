//! `/health`, `/ready`, `/metrics`, and the status for people.

use actix_web::{HttpRequest, HttpResponse};
use prometheus::TextEncoder;
use serde::Deserialize;
use serde_json::json;

use super::access::require;
use super::body::{Body, whole};
use super::{Answer, ApiError, State};
use crate::tokens::Right;

/// The process answers.
pub(crate) async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({"ok": true}))
}

/// The store is open, every partition is served, nothing is wrong; else 503 with the reasons.
pub(crate) async fn ready(state: State) -> HttpResponse {
    let reasons = state.not_ready();
    if reasons.is_empty() {
        HttpResponse::Ok().json(json!({"ready": true}))
    } else {
        HttpResponse::ServiceUnavailable().json(json!({"ready": false, "reasons": reasons}))
    }
}

/// Prometheus text.
pub(crate) async fn metrics(state: State) -> HttpResponse {
    match TextEncoder::new().encode_to_string(&state.registry().gather()) {
        Ok(text) => HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// The body of `partitions`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Partitions {
    #[serde(deserialize_with = "whole")]
    partitions: u16,
}

/// Raises the number of partitions.
pub(crate) async fn partitions(request: HttpRequest, state: State, body: Body<1024>) -> Answer {
    require(&request, &state, Right::Operate)?;
    let app = state.app()?;
    let wanted: Partitions =
        serde_json::from_slice(&body).map_err(|source| ApiError::Body { source })?;
    app.raise_partitions(wanted.partitions).await?;
    Ok(HttpResponse::Ok().json(json!({"partitions": wanted.partitions})))
}

/// How the system is.
pub(crate) async fn status(request: HttpRequest, state: State) -> Answer {
    require(&request, &state, Right::Read)?;
    let app = state.app()?;
    let mut status = app.status().await;
    status["ready"] = json!(state.not_ready().is_empty());
    Ok(HttpResponse::Ok().json(status))
}
