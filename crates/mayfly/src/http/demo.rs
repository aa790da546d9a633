//! The demo: a few pages of a small magazine with the pixel on them, and a live view. Off unless
//! `mayfly serve --demo`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use actix_web::http::header;
use actix_web::web::{self, Json, Path, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use mayfly_core::limits;
use serde_json::{Value, json};

use super::{Answer, ApiError, State};
use crate::app::App;

/// The pages' style sheet.
const STYLE: &str = concat!(include_str!("look.css"), include_str!("demo/style.css"));
/// Definitions that fit the pages.
const DEFINITIONS: &str = include_str!("demo/demo.toml");

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
        .route("/demo/partner/{code}/{op}", web::post().to(partner))
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

/// Where the partner of the definitions is, on the usual port.
const PARTNER: &str = "http://127.0.0.1:8080/demo/partner";
/// Users that the partner keeps of one segment.
const PARTNER_USERS: usize = 10_000;

/// What the partner was told: who is in which segment.
static TOLD: Mutex<BTreeMap<String, BTreeSet<String>>> = Mutex::new(BTreeMap::new());

/// The definitions, with the partner at this port.
#[must_use]
pub fn definitions(port: u16) -> String {
    DEFINITIONS.replace(PARTNER, &PARTNER.replace("8080", &port.to_string()))
}

/// What a partner's server does with a batch: it notes who comes and goes.
async fn partner(state: State, path: Path<(String, String)>, body: Json<Vec<String>>) -> Answer {
    let (code, op) = path.into_inner();
    let is_known = DEFINITIONS.contains(&format!("code = \"{code}\""));
    if !state.has_demo() || !is_known {
        return Err(ApiError::NoRoute);
    }
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let users = told.entry(code).or_default();
    for user in body.into_inner() {
        match op.as_str() {
            "add" if users.len() < PARTNER_USERS => drop(users.insert(user)),
            "remove" => drop(users.remove(&user)),
            _ => return Err(ApiError::NoRoute),
        }
    }
    Ok(HttpResponse::Ok().json(json!({})))
}

/// What the partner knows, by our names of segments.
async fn partner_knows(app: &App) -> Result<Value, ApiError> {
    let destination = app.destination("adcorp").await.unwrap_or_default();
    let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let rows = destination["segments"].as_array().into_iter().flatten().map(|own| {
        let code = own["code"].as_str().unwrap_or_default();
        let users = told.get(code).map_or(0, BTreeSet::len);
        json!({"segment": own["segment"], "code": code, "users": users})
    });
    let rows: Vec<Value> = rows.collect();
    Ok(json!({"segments": rows, "accepted_at": destination["accepted_at"]}))
}

/// Segments with their sizes, hits by outcome, what the partner knows: what the live view shows.
async fn state(state: State) -> Answer {
    if !state.has_demo() {
        return Err(ApiError::NoRoute);
    }
    let app = state.app()?;
    let mut shown = app.segments((0, limits::LIST_ROWS), true).await?;
    shown["hits"] = json!(app.hits_by_outcome());
    shown["partner"] = partner_knows(app).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(shown))
}
