//! What is held about this browser: `GET|DELETE /api/v1/me`, `GET /api/v1/me/segments`. The visitor
//! is whom the request's own cookie names; no token, no other id.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use mayfly_core::Visitor;
use serde_json::json;

use super::access::cors;
use super::{Answer, State};
use crate::clock;

fn visitor(request: &HttpRequest, state: &State) -> Option<Visitor> {
    let cookies = super::header(request, "cookie")?;
    state.collector().visitor(cookies, clock::now())
}

fn answer(request: &HttpRequest, state: &State, body: &serde_json::Value) -> HttpResponse {
    let mut answer =
        HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store, private")).json(body);
    cors(request, state, &mut answer);
    answer
}

/// Everything held about this browser.
pub(crate) async fn show(request: HttpRequest, state: State) -> Answer {
    let body = match visitor(&request, &state) {
        Some(visitor) => state.app()?.visitor(visitor).await?,
        None => json!({"visitor": null, "segments": [], "hits": []}),
    };
    Ok(answer(&request, &state, &body))
}

/// Erases it.
pub(crate) async fn erase(request: HttpRequest, state: State) -> Answer {
    let Some(visitor) = visitor(&request, &state) else {
        return Ok(answer(&request, &state, &json!({"erased": null})));
    };
    state.app()?.erase(visitor).await?;
    Ok(answer(&request, &state, &json!({"erased": visitor.to_string()})))
}

/// The segments that a page may see: those marked `on_page`.
pub(crate) async fn segments(request: HttpRequest, state: State) -> Answer {
    let app = state.app()?;
    let names = visitor(&request, &state).map(|v| app.segments_of(v, true)).unwrap_or_default();
    Ok(answer(&request, &state, &json!({"segments": names})))
}

/// CORS preflight for registered origins.
pub(crate) async fn preflight(request: HttpRequest, state: State) -> HttpResponse {
    let mut answer = HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type, authorization"))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "3600"))
        .finish();
    cors(&request, &state, &mut answer);
    answer
}
