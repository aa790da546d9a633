//! `GET /api/v1/me/segments` for a page's own visitor, `POST /api/v1/lookup` server to server.

use std::time::Instant;

use actix_web::http::header;
use actix_web::web::Query;
use actix_web::{HttpRequest, HttpResponse};
use mayfly_core::consent::Refusal;
use mayfly_core::{SiteId, Visitor, limits};
use mayfly_segments::OnPage;
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::access::{cors, require};
use super::asker::{asker, fair};
use super::body::Body;
use super::me::{Subject, answer, origin, reading, subject};
use super::{Answer, ApiError, State, pixel};
use crate::app::lookup::{Form, Found};
use crate::clock;
use crate::tokens::Right;

/// How a page asks.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wish {
    /// The site whose page asks.
    #[serde(default)]
    s: String,
    /// The id that the script tag keeps.
    #[serde(default)]
    fp: String,
    /// The page that is being looked at, as the pixel would be told.
    u: Option<String>,
    /// Names, OpenRTB or key-values.
    #[serde(default)]
    format: Form,
    /// How many of the categories with most hits are told, too.
    interests: Option<usize>,
}

/// The segments that a page may see: those marked `on_page` for its site. Nobody's for a browser
/// that opted out; of whom a signal says no, what the present page alone makes.
pub(crate) async fn page(request: HttpRequest, state: State, wish: Query<Wish>) -> Answer {
    fair(&request, &state)?;
    let begun = Instant::now();
    let found = look_up(&request, &state, &wish).await?;
    state.app()?.metrics().lookup.observe(begun.elapsed().as_secs_f64());
    let mut answer = answer(&found.json(wish.format, &domain(&request, &state)));
    cors(&request, &state, &mut answer);
    Ok(answer)
}

async fn look_up(request: &HttpRequest, state: &State, wish: &Wish) -> Result<Found, ApiError> {
    let (app, origin, sites) = (state.app()?, origin(request), state.collector().sites());
    let cookies = super::cookies(request).unwrap_or_default();
    if state.collector().is_opted_out(&cookies) {
        return Ok(Found::default());
    }
    let said = sites.get(&wish.s).filter(|site| origin.is_empty() || site.allows(&origin));
    let readers: Vec<SiteId> = match said {
        Some(site) if origin.is_empty() => vec![site.id],
        Some(_) | None => sites.named(&origin).map(|site| site.id).collect(),
    };
    let mut is_known = super::header(request, "sec-gpc") != Some("1");
    let mut present = None;
    let site = said.or_else(|| sites.named(&origin).next());
    if site.is_none() {
        // Nobody can read a choice without a site's rules: it may be a no.
        let plain = ["s", "fp", "format", "interests"];
        let mut said = form_urlencoded::parse(request.query_string().as_bytes());
        is_known &= wish.format == Form::Json && said.all(|(name, _)| plain.contains(&&*name));
    }
    if let Some(site) = site {
        let query = pixel::for_site(request.query_string(), &site.key);
        let asked = &pixel::asked(request, &asker(request, state), &query, &cookies);
        let examined = state.collector().examine(asked).await;
        is_known &= match examined.consent {
            // What cannot be read may have held a no.
            _ if examined.hit.is_err() => false,
            // Other forms than names are made for passing on.
            Ok(allowed) => allowed.share || wish.format == Form::Json,
            // Silence: what is held was allowed when it came.
            Err(Refusal::Absent) => wish.format == Form::Json,
            Err(_) => false,
        };
        if wish.u.is_some() {
            let candidate = examined.hit.map_err(|reason| ApiError::Hit { reason })?;
            present = app.present(&candidate, site);
        }
    }
    let known = (wish.s.as_str(), wish.fp.as_str(), "");
    let subject = if is_known { subject(state, &cookies, known).await } else { None };
    let visitor = subject.map(|Subject { visitor, .. }| visitor);
    let may_see = |on_page: &OnPage| match on_page {
        OnPage::Nowhere => false,
        OnPage::Everywhere => true,
        OnPage::Sites(own) => own.iter().any(|site| readers.contains(site)),
    };
    let mut found = app.look_up(visitor, present.as_ref(), may_see);
    if let (Some(number), Form::Json) = (wish.interests, wish.format) {
        let (_turn, number) = (reading().await?, number.min(limits::INTERESTS));
        app.add_interests(&mut found, visitor, present.as_ref(), (&readers, number)).await?;
    }
    Ok(found)
}

/// The domain that names us as the provider of data.
fn domain(request: &HttpRequest, state: &State) -> String {
    let own = &state.settings().domain;
    if own.is_empty() {
        let asked = request.connection_info().host().to_owned();
        asked.split(':').next().unwrap_or_default().to_owned()
    } else {
        own.clone()
    }
}

/// The body of `POST /api/v1/lookup`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lookup {
    visitors: Vec<Named>,
    #[serde(default)]
    format: Form,
}

/// A visitor, by one of his ids.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Named {
    /// An id in a space of somebody's own.
    Foreign(Foreign),
    /// A cookie's value.
    Cookie(Cookie),
    /// `space:id`, `partition.ordinal`, or a cookie's value.
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Foreign {
    space: String,
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cookie {
    cookie: String,
}

/// Segments of visitors, each by an id.
pub(crate) async fn lookup(request: HttpRequest, state: State, body: Body) -> Answer {
    let caller = require(&request, &state, Right::LookUp)?;
    let (app, begun) = (state.app()?, Instant::now());
    let Lookup { visitors, format } =
        serde_json::from_slice(&body).map_err(|source| ApiError::Body { source })?;
    if visitors.len() > limits::LOOKUPS {
        return Err(ApiError::TooMany { what: "visitors", limit: limits::LOOKUPS });
    }
    // A look is worth a hit: nobody tries all ids.
    if let Err(wait) = state.shares().take_hits(&caller.name, visitors.len()) {
        return Err(ApiError::Limited { seconds: wait.as_secs() + 1 });
    }
    let sees_members = caller.role.may(Right::ReadMembers);
    let sites = state.collector().sites();
    let of_sites = |on_page: &OnPage| {
        let mut own = sites.iter().filter(|site| caller.reaches(&site.key));
        sees_members || own.any(|site| on_page.allows(site.id))
    };
    let domain = domain(&request, &state);
    let mut rows: Vec<Value> = Vec::with_capacity(visitors.len());
    for named in &visitors {
        // Our own numbers are for who sees members anyway: they can be counted through.
        let is_number = matches!(named, Named::Text(id) if id.parse::<Visitor>().is_ok());
        let visitor: Option<Visitor> = match find(&state, named).await {
            Ok(visitor) => Some(visitor).filter(|_| sees_members || !is_number),
            Err(ApiError::NoVisitor) => None,
            Err(error) => return Err(error),
        };
        let visitor = visitor.filter(|visitor| !app.is_hidden(*visitor));
        let mut row = app.look_up(visitor, None, of_sites).json(format, &domain);
        row["known"] = json!(visitor.is_some());
        rows.push(row);
    }
    let as_of = clock::text(clock::now());
    let body = json!({"visitors": rows, "as_of": as_of});
    app.metrics().lookup.observe(begun.elapsed().as_secs_f64());
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body))
}

async fn find(state: &State, named: &Named) -> Result<Visitor, ApiError> {
    let app = state.app()?;
    match named {
        Named::Foreign(Foreign { space, id }) => app.find_visitor(&format!("{space}:{id}")).await,
        Named::Cookie(Cookie { cookie }) => app.find_visitor(cookie).await,
        Named::Text(id) => app.find_visitor(id).await,
    }
}
