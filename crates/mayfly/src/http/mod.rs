//! Routes. Only this module and its children know HTTP: request → typed value → one call of
//! [`crate::app::App`] → answer.
//!
//! Two sets of routes: [`browsers`] for the open internet, [`operators`] for API, console and
//! metrics. They share one listener unless `http.private` is set.

pub(crate) mod access;
mod analysis;
mod asker;
mod body;
mod categories;
mod cdp;
mod definitions;
mod deliveries;
mod demo;
mod door;
pub mod error;
mod exports;
mod health;
mod hits;
pub(crate) mod imports;
pub(crate) mod limiter;
mod lookup;
mod me;
mod openapi;
mod partners;
mod people;
mod pixel;
mod segments;
mod sync;
mod tag;
mod taxonomy;
mod visitor_pages;

use std::borrow::Cow;

use actix_web::http::header::{self, AsHeaderName, HeaderValue};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route, Scope};

pub use demo::definitions as demo_definitions;
pub use error::ApiError;
pub(crate) use me::reading;
pub use tag::snippet;

use crate::serve::Shared;

/// The state that every handler gets.
pub(crate) type State = web::Data<Shared>;
/// What every handler of the API answers.
pub(crate) type Answer = Result<HttpResponse, ApiError>;

/// Routes for browsers and trackers, under the operator's prefix; what others look for at the root
/// of a host stands there, too.
pub fn browsers(config: &mut ServiceConfig, prefix: &str) {
    config.configure(body::forms);
    if prefix.is_empty() {
        config.configure(own);
    } else {
        config.service(web::scope(prefix).configure(own));
    }
    config
        .route("/robots.txt", web::get().to(robots))
        .route("/favicon.ico", web::get().to(visitor_pages::icon))
        .route("/.well-known/gpc.json", web::get().to(visitor_pages::gpc))
        .route("/health", web::get().to(health::health))
        .route("/ready", web::get().to(health::ready))
        .configure(demo::routes)
        .default_service(web::to(no_route));
}

fn own(config: &mut ServiceConfig) {
    let options = || web::method(actix_web::http::Method::OPTIONS).to(me::preflight);
    config
        .service(
            web::resource("/p.gif")
                .route(web::get().to(pixel::pixel))
                .route(web::post().to(pixel::tag))
                .default_service(web::to(no_route)),
        )
        .route("/tag.js", web::get().to(tag::latest))
        .route("/tag.{hash}.js", web::get().to(tag::of_version))
        .service(
            web::resource("/privacy")
                .route(web::get().to(visitor_pages::privacy))
                .route(web::post().to(visitor_pages::act))
                .default_service(web::to(no_route)),
        )
        .service(
            web::resource("/optout")
                .route(web::get().to(visitor_pages::optout))
                .route(web::post().to(visitor_pages::set_optout))
                .default_service(web::to(no_route)),
        )
        .route("/sync", web::get().to(sync::sync))
        .route("/setuid", web::get().to(sync::set_uid))
        .service(at(
            "/cookie_sync",
            "POST, OPTIONS",
            [web::post().to(sync::cookie_sync), options()],
        ))
        .route("/getuids", web::get().to(sync::uids))
        .service(at("/v1/identify", "POST", [web::post().to(cdp::calls)]))
        .service(at("/v1/batch", "POST", [web::post().to(cdp::calls)]))
        .route("/privacy.css", web::get().to(visitor_pages::style))
        .route("/exports/{folder}", web::get().to(exports::list))
        .route("/exports/{folder}/", web::get().to(exports::list))
        .service(at(
            "/exports/{folder}/{file}",
            "GET, HEAD",
            [web::get().to(exports::one), web::head().to(exports::one)],
        ))
        .route("/device-storage.json", web::get().to(visitor_pages::device_storage))
        .service(at("/api/v1/hits", "POST, OPTIONS", [web::post().to(hits::hits), options()]))
        .service(at(
            "/api/v1/me",
            "GET, DELETE",
            [web::get().to(me::show), web::delete().to(me::erase)],
        ))
        .service(at(
            "/api/v1/me/segments",
            "GET, OPTIONS",
            [web::get().to(lookup::page), options()],
        ))
        .service(at("/api/v1/me/link", "GET, OPTIONS", [web::get().to(me::link), options()]));
}

/// Routes for people and programs with a token; and metrics.
pub fn operators(config: &mut ServiceConfig) {
    let api = [defined(), asked(), kept()].into_iter().flatten();
    let api = api.fold(web::scope("/api/v1"), Scope::service);
    config.route("/metrics", web::get().to(health::metrics)).service(api);
}

/// What is defined.
fn defined() -> Vec<Resource> {
    let basis = [web::put().to(taxonomy::enable), web::delete().to(taxonomy::disable)];
    vec![
        at("/openapi.json", "GET", [web::get().to(openapi::document)]),
        at("/definitions", "GET", [web::get().to(definitions::export)]),
        at("/definitions/plan", "POST", [web::post().to(definitions::plan)]),
        at("/definitions/apply", "POST", [web::post().to(definitions::apply)]),
        at("/definitions/history", "GET", [web::get().to(definitions::history)]),
        at("/definitions/lint", "POST", [web::post().to(definitions::lint)]),
        at("/definitions/test", "POST", [web::post().to(definitions::test)]),
        at("/definitions/{version}", "GET", [web::get().to(definitions::of_version)]),
        at("/definitions/{version}/revert", "POST", [web::post().to(definitions::revert)]),
        at("/taxonomies", "POST", [web::post().to(taxonomy::load)]),
        at("/taxonomies/mappings", "POST", [web::post().to(taxonomy::map)]),
        at("/sites/{key}", "GET", [web::get().to(definitions::site)]),
        at("/categories", "GET", [web::get().to(categories::list)]),
        at("/categories/{id}", "GET", [web::get().to(categories::one)]),
        at("/categories/{id}/basis", "PUT, DELETE", basis),
    ]
}

/// What is asked of what is held.
fn asked() -> Vec<Resource> {
    vec![
        at("/sites/{key}/why", "GET", [web::get().to(definitions::why)]),
        at("/sites/{key}/unmapped", "GET", [web::get().to(definitions::unmapped)]),
        at("/sites/{key}/tail", "GET", [web::get().to(definitions::tail)]),
        at("/segments", "GET", [web::get().to(segments::list)]),
        at("/segments/{name}", "GET", [web::get().to(segments::one)]),
        at("/segments/{name}/members", "GET", [web::get().to(segments::members)]),
        at("/segments/{name}/why", "GET", [web::get().to(segments::why)]),
        at("/segments/{name}/sample", "GET", [web::get().to(segments::sample)]),
        at("/partners", "GET", [web::get().to(partners::list)]),
        at("/partners/{key}", "GET", [web::get().to(partners::one)]),
        at(
            "/partners/{key}/audiences",
            "GET, POST",
            [web::get().to(imports::list), web::post().to(imports::import)],
        ),
        at("/destinations", "GET", [web::get().to(deliveries::destinations)]),
        at("/destinations/{name}", "GET", [web::get().to(deliveries::destination)]),
        at("/destinations/{name}/preview", "GET", [web::get().to(deliveries::preview)]),
        at("/destinations/{name}/audience", "GET", [web::get().to(deliveries::audience)]),
        at("/destinations/{name}/usage", "GET", [web::get().to(deliveries::usage)]),
        at("/destinations/{name}/label", "GET", [web::get().to(deliveries::label)]),
        at("/destinations/{name}/ask", "POST", [web::post().to(deliveries::ask)]),
        at("/deliveries", "GET", [web::get().to(deliveries::list)]),
        at("/deliveries/{id}", "GET", [web::get().to(deliveries::one)]),
        at("/lookup", "POST", [web::post().to(lookup::lookup)]),
        at("/insights/count", "POST", [web::post().to(segments::count)]),
        at("/insights/overlap", "POST", [web::post().to(segments::overlap)]),
        at("/insights/sizes", "POST", [web::post().to(segments::sizes)]),
        at("/insights/days/{day}", "GET", [web::get().to(analysis::of_day)]),
        at("/insights/composition", "POST", [web::post().to(segments::composition)]),
        at("/audit/retention", "GET", [web::get().to(people::audit)]),
        at("/status", "GET", [web::get().to(health::status)]),
    ]
}

/// What comes in, and what is kept of people and tokens.
fn kept() -> Vec<Resource> {
    let visitor = [web::get().to(people::show), web::delete().to(people::erase)];
    let tokens = [web::get().to(people::tokens), web::post().to(people::new_token)];
    vec![
        // Also under the prefix; commands of this machine know none.
        at("/hits", "POST", [web::post().to(hits::hits)]),
        at("/hits/try", "POST", [web::post().to(hits::try_one)]),
        at("/hits/days/{day}", "GET", [web::get().to(analysis::hits)]),
        at("/visitors/{id}", "GET, DELETE", visitor),
        at("/tokens", "GET, POST", tokens),
        at("/tokens/{name}", "DELETE", [web::delete().to(people::revoke)]),
        at("/files/check", "POST", [web::post().to(definitions::check_file)]),
        at("/files", "POST", [web::post().to(definitions::note_file)]),
        at("/partitions", "POST", [web::post().to(health::partitions)]),
    ]
}

/// A path with what its methods do; other methods are told which there are.
fn at<const N: usize>(path: &str, allowed: &'static str, routes: [Route; N]) -> Resource {
    let wrong = move || async move { Err::<HttpResponse, _>(ApiError::WrongMethod { allowed }) };
    routes.into_iter().fold(web::resource(path), Resource::route).default_service(web::to(wrong))
}

async fn robots() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("User-agent: *\nDisallow: /\n")
}

async fn no_route() -> Answer {
    Err(ApiError::NoRoute)
}

/// The cookies of all `Cookie` headers, joined. Bytes that are no text spoil their own cookie only.
pub(crate) fn cookies(request: &HttpRequest) -> Option<Cow<'_, str>> {
    let mut all = request.headers().get_all(header::COOKIE);
    let first = String::from_utf8_lossy(all.next()?.as_bytes());
    let join = |all: Cow<'_, str>, next: &HeaderValue| {
        format!("{all}; {}", String::from_utf8_lossy(next.as_bytes())).into()
    };
    Some(all.fold(first, join))
}

/// A header as text; none when it is missing or not visible ASCII.
pub(crate) fn header(request: &HttpRequest, name: impl AsHeaderName) -> Option<&str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// The host that the client asked for; what a hop says of it is not believed.
pub(crate) fn host(request: &HttpRequest) -> &str {
    let of_uri = request.uri().authority().map(|authority| authority.as_str());
    header(request, "host").or(of_uri).unwrap_or_default()
}
