//! The demo: a few pages of a small magazine with the pixel on them, and a live view. Off unless
//! `mayfly serve --demo`.

use actix_web::http::header;
use actix_web::web::{self, Path, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use mayfly_core::limits;
use serde_json::json;

use super::{Answer, ApiError, State};

/// The pages' style sheet.
const STYLE: &str = concat!(include_str!("look.css"), include_str!("demo/style.css"));
/// Definitions that fit the pages.
pub const DEFINITIONS: &str = include_str!("demo/demo.toml");

/// The pages: name, type, content.
const PAGES: [(&str, &str, &str); 8] = [
    ("index.html", HTML, include_str!("demo/index.html")),
    ("news.html", HTML, include_str!("demo/news.html")),
    ("football.html", HTML, include_str!("demo/football.html")),
    ("tennis.html", HTML, include_str!("demo/tennis.html")),
    ("autos.html", HTML, include_str!("demo/autos.html")),
    ("travel.html", HTML, include_str!("demo/travel.html")),
    ("style.css", "text/css; charset=utf-8", STYLE),
    ("demo.js", "text/javascript; charset=utf-8", include_str!("demo/demo.js")),
];
const HTML: &str = "text/html; charset=utf-8";

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/demo", web::get().to(to_index))
        .route("/demo/state", web::get().to(state))
        .route("/demo/{page:.*}", web::get().to(page));
}

async fn to_index() -> impl Responder {
    HttpResponse::Found().insert_header((header::LOCATION, "/demo/")).finish()
}

async fn page(state: State, path: Path<String>) -> Answer {
    if !state.has_demo() {
        return Err(ApiError::NoRoute);
    }
    let name = if path.is_empty() { "index.html" } else { path.as_str() };
    let page = PAGES.iter().find(|(own, ..)| *own == name).ok_or(ApiError::NoRoute)?;
    Ok(HttpResponse::Ok()
        .content_type(page.1)
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(page.2))
}

/// Segments with their sizes and hits by outcome: what the live view shows.
async fn state(state: State) -> Answer {
    if !state.has_demo() {
        return Err(ApiError::NoRoute);
    }
    let app = state.app()?;
    let mut shown = app.segments((0, limits::LIST_ROWS), true).await?;
    shown["hits"] = json!(app.hits_by_outcome());
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(shown))
}
