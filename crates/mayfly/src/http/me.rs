//! What is held about this browser: `GET|DELETE /api/v1/me`. The visitor is whom the request's own
//! cookie names; no token, no other id.

use std::time::Duration;

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Query;
use actix_web::{HttpRequest, HttpResponse};
use mayfly_collector::{Holder, Placement};
use mayfly_core::Visitor;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use super::access::cors;
use super::asker::{asker, fair};
use super::{Answer, ApiError, State};
use crate::clock;

/// Visitors read at a time: each reads the whole day of a partition.
static READERS: Semaphore = Semaphore::const_new(2);

/// What a page may say of its visitor, and what a person may wish.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wish {
    /// The site whose tag keeps `fp`.
    #[serde(default)]
    s: String,
    /// The id that the script tag keeps.
    #[serde(default)]
    fp: String,
    /// A link that a page of the site made.
    #[serde(default, rename = "as")]
    pass: String,
    /// Any value: as a file.
    download: Option<String>,
}

/// How long a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whom a browser is known as.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The visitor.
    pub(crate) visitor: Visitor,
    /// The site whose page says who he is: it hears of its own hits only.
    pub(crate) site: Option<String>,
}

/// Who asks: a link that a site's page made says it before our cookie, and that before the id that
/// the tag keeps.
pub(crate) async fn subject(
    state: &State,
    cookies: &str,
    (site, fp, pass): (&str, &str, &str),
) -> Option<Subject> {
    let (collector, now) = (state.collector(), clock::now());
    let of_site = |visitor: Visitor| Subject { visitor, site: Some(site.to_owned()) };
    let known = collector.visitor(cookies, now).await;
    if !pass.is_empty() {
        return match collector.holder(site, pass, now).await {
            // Here, too, our cookie says so: nothing is apart.
            Holder::Visitor(visitor) if known == Some(visitor) => {
                Some(Subject { visitor, site: None })
            }
            Holder::Visitor(visitor) => Some(of_site(visitor)),
            Holder::OptedOut | Holder::Nobody => None,
        };
    }
    match known {
        Some(visitor) => Some(Subject { visitor, site: None }),
        None => collector.visitor_of_tag(site, fp, now).await.map(of_site),
    }
}

async fn who_asks(request: &HttpRequest, state: &State, wish: &Wish) -> Option<Subject> {
    let cookies = super::cookies(request).unwrap_or_default();
    subject(state, &cookies, (&wish.s, &wish.fp, &wish.pass)).await
}

/// A turn to read all hits of a visitor.
///
/// # Errors
/// [`ApiError::Busy`] while others are being read.
pub(crate) async fn reading() -> Result<SemaphorePermit<'static>, ApiError> {
    let turn = tokio::time::timeout(PATIENCE, READERS.acquire()).await;
    turn.ok().and_then(Result::ok).ok_or(ApiError::Busy)
}

/// Everything that is held about a visitor, as far as he may see it this way.
///
/// # Errors
/// [`ApiError::Busy`] while others are being read.
pub(crate) async fn held(state: &State, subject: &Subject) -> Result<serde_json::Value, ApiError> {
    let _turn = reading().await?;
    let app = state.app()?;
    let mut held = app.visitor(subject.visitor).await?;
    if let Some(site) = &subject.site {
        if let Some(hits) = held["hits"].as_array_mut() {
            hits.retain(|hit| hit["site"].as_str() == Some(site));
        }
        // The page could read them: it learns of those that are meant for it.
        held["segments"] = json!(app.segments_of_site(subject.visitor, site));
        held["partners"] = json!([]);
    }
    Ok(held)
}

pub(crate) fn answer(body: &serde_json::Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store, private")).json(body)
}

/// Everything held about this browser.
pub(crate) async fn show(request: HttpRequest, state: State, wish: Query<Wish>) -> Answer {
    fair(&request, &state)?;
    let body = match who_asks(&request, &state, &wish).await {
        Some(subject) => held(&state, &subject).await?,
        None => json!({"visitor": null, "segments": [], "partners": [], "hits": []}),
    };
    let mut answer = answer(&body);
    if wish.download.is_some() {
        let file =
            HeaderValue::from_static("attachment; filename=\"held-about-this-browser.json\"");
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, file);
    }
    Ok(answer)
}

/// Erases it.
pub(crate) async fn erase(request: HttpRequest, state: State, wish: Query<Wish>) -> Answer {
    fair(&request, &state)?;
    let Some(Subject { visitor, .. }) = who_asks(&request, &state, &wish).await else {
        return Ok(answer(&json!({"erased": null})));
    };
    state.app()?.erase(visitor).await?;
    let mut answer = answer(&json!({"erased": visitor.to_string()}));
    let https = asker(&request, &state).https;
    let sent = super::cookies(&request).unwrap_or_default();
    for cookie in state.collector().set_forgotten(&sent, https) {
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    Ok(answer)
}

/// A link to what is held, for a page whose visitor our own pages would not know: his browser keeps
/// our cookie apart for each site, or only the site's own.
pub(crate) async fn link(request: HttpRequest, state: State, wish: Query<Wish>) -> Answer {
    fair(&request, &state)?;
    let sites = state.collector().sites();
    let is_own = sites.get(&wish.s).is_some_and(|site| site.allows(&origin(&request)));
    let subject = if is_own { who_asks(&request, &state, &wish).await } else { None };
    // A browser may keep any foreign cookie apart for each site, whatever we ask of it.
    let is_apart = state.settings().placement != Placement::FirstParty;
    let pass = subject
        .filter(|subject| is_apart || subject.site.is_some())
        .and_then(|subject| state.collector().pass(&wish.s, subject.visitor, clock::now()));
    let mut answer = answer(&json!({"as": pass}));
    cors(&request, &state, &mut answer);
    Ok(answer)
}

/// The origin of the page that asks; empty when it does not say.
pub(crate) fn origin(request: &HttpRequest) -> String {
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
