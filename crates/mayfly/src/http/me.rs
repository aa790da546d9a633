//! What is held about this browser: `GET|DELETE /api/v1/me`, `GET /api/v1/me/segments`. The visitor
//! is whom the request's own cookie names; no token, no other id.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use mayfly_collector::Collector;
use mayfly_core::Visitor;
use serde_json::json;
use tokio::sync::Semaphore;
use url::Url;

use super::access::cors;
use super::{Answer, ApiError, State};
use crate::clock;

/// Visitors read at a time: each reads the whole day of a partition.
static READERS: Semaphore = Semaphore::const_new(2);

fn visitor(request: &HttpRequest, state: &State) -> Option<Visitor> {
    let cookies = super::cookies(request)?;
    state.collector().visitor(&cookies, clock::now())
}

fn answer(body: &serde_json::Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store, private")).json(body)
}

/// Everything held about this browser.
pub(crate) async fn show(request: HttpRequest, state: State) -> Answer {
    let body = match visitor(&request, &state) {
        Some(visitor) => {
            let _turn = READERS.try_acquire().map_err(|_| ApiError::Busy)?;
            state.app()?.visitor(visitor).await?
        }
        None => json!({"visitor": null, "segments": [], "hits": []}),
    };
    Ok(answer(&body))
}

/// Erases it.
pub(crate) async fn erase(request: HttpRequest, state: State) -> Answer {
    let Some(visitor) = visitor(&request, &state) else {
        return Ok(answer(&json!({"erased": null})));
    };
    state.app()?.erase(visitor).await?;
    Ok(answer(&json!({"erased": visitor.to_string()})))
}

/// The segments that a page may see: those marked `on_page` for its site. Nobody's for a browser
/// that opted out.
pub(crate) async fn segments(request: HttpRequest, state: State) -> Answer {
    let (app, gpc) = (state.app()?, super::header(&request, "sec-gpc"));
    let opted_out = super::cookies(&request).is_some_and(|c| Collector::is_opted_out(&c));
    let names = match visitor(&request, &state) {
        Some(visitor) if !opted_out && gpc != Some("1") => {
            app.segments_of(visitor, Some(&origin(&request)))
        }
        Some(_) | None => Vec::new(),
    };
    let mut answer = answer(&json!({"segments": names}));
    cors(&request, &state, &mut answer);
    Ok(answer)
}

/// The origin of the page that asks; empty when it does not say.
fn origin(request: &HttpRequest) -> String {
    let said = super::header(request, "origin").or_else(|| super::header(request, "referer"));
    let url = said.and_then(|said| Url::parse(said).ok());
    url.map(|url| url.origin().ascii_serialization()).unwrap_or_default()
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
