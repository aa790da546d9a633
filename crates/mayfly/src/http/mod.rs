//! Routes. Only this module and its children know HTTP: request → typed value → one call of
//! [`crate::app::App`] → answer.
//!
//! Two sets of routes: [`browsers`] for the open internet, [`operators`] for API, console and
//! metrics. They share one listener unless `http.private` is set.

pub(crate) mod access;
mod asker;
mod body;
mod definitions;
mod demo;
mod door;
pub mod error;
mod health;
mod hits;
pub(crate) mod limiter;
mod me;
mod people;
mod pixel;
mod segments;
mod tag;
mod visitor_pages;

use std::borrow::Cow;

use actix_web::http::header::{self, AsHeaderName, HeaderValue};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

pub use demo::DEFINITIONS as DEMO_DEFINITIONS;
pub use error::ApiError;
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
        .route("/privacy.css", web::get().to(visitor_pages::style))
        .route("/device-storage.json", web::get().to(visitor_pages::device_storage))
        .service(web::resource("/api/v1/hits").route(web::post().to(hits::hits)).route(options()))
        .service(
            web::resource("/api/v1/me")
                .route(web::get().to(me::show))
                .route(web::delete().to(me::erase)),
        )
        .service(
            web::resource("/api/v1/me/segments")
                .route(web::get().to(me::segments))
                .route(options()),
        )
        .service(web::resource("/api/v1/me/link").route(web::get().to(me::link)).route(options()));
}

/// Routes for people and programs with a token; and metrics.
pub fn operators(config: &mut ServiceConfig) {
    let api = web::scope("/api/v1")
        // Also under the prefix; commands of this machine know none.
        .route("/hits", web::post().to(hits::hits))
        .route("/hits/try", web::post().to(hits::try_one))
        .route("/status", web::get().to(health::status))
        .route("/partitions", web::post().to(health::partitions))
        .route("/definitions", web::get().to(definitions::export))
        .route("/definitions/plan", web::post().to(definitions::plan))
        .route("/definitions/apply", web::post().to(definitions::apply))
        .route("/definitions/history", web::get().to(definitions::history))
        .route("/definitions/{version}", web::get().to(definitions::of_version))
        .route("/definitions/{version}/revert", web::post().to(definitions::revert))
        .route("/definitions/test", web::post().to(definitions::test))
        .route("/taxonomies", web::post().to(definitions::load_taxonomy))
        .route("/sites/{key}", web::get().to(definitions::site))
        .route("/sites/{key}/unmapped", web::get().to(definitions::unmapped))
        .route("/sites/{key}/tail", web::get().to(definitions::tail))
        .route("/segments", web::get().to(segments::list))
        .route("/segments/{name}", web::get().to(segments::one))
        .route("/segments/{name}/members", web::get().to(segments::members))
        .route("/segments/{name}/why", web::get().to(segments::why))
        .route("/segments/{name}/sample", web::get().to(segments::sample))
        .route("/insights/count", web::post().to(segments::count))
        .route("/insights/overlap", web::post().to(segments::overlap))
        .route("/insights/composition", web::post().to(segments::composition))
        .route("/visitors/{id}", web::get().to(people::show))
        .route("/visitors/{id}", web::delete().to(people::erase))
        .route("/audit/retention", web::get().to(people::audit))
        .route("/tokens", web::get().to(people::tokens))
        .route("/tokens", web::post().to(people::new_token))
        .route("/tokens/{name}", web::delete().to(people::revoke))
        .route("/files/check", web::post().to(definitions::check_file))
        .route("/files", web::post().to(definitions::note_file));
    config.route("/metrics", web::get().to(health::metrics)).service(api);
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
