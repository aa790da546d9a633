//! `GET|POST /p.gif`: a GET always gets the GIF, the script tag's POST always JSON; what was wrong
//! is in `X-Mayfly-Outcome` and counted.

use std::borrow::Cow;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use mayfly_collector::{Hints, PixelAnswer, PixelRequest, Reason, Verdict};
use mayfly_core::limits;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::asker::{Asker, asker};
use super::body::within;
use super::{ApiError, State};
use crate::clock;
use crate::tokens::Right;

/// The parameter with the secret of a token, whose holder is told what the request amounts to.
const DEBUG: &str = "debug=";

// Names that are ready: the server would read each of them anew for each request.
const SEC_CH_UA: HeaderName = HeaderName::from_static("sec-ch-ua");
const SEC_CH_UA_MOBILE: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");
const SEC_CH_UA_PLATFORM: HeaderName = HeaderName::from_static("sec-ch-ua-platform");
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");
const OUTCOME: HeaderName = HeaderName::from_static("x-mayfly-outcome");

/// The smallest transparent GIF.
pub(super) const GIF: &[u8] =
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x21\xf9\x04\x01\
\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";

/// The pixel. Never cached; readable by any page, as an image is.
pub(crate) async fn pixel(request: HttpRequest, state: State) -> HttpResponse {
    take(&request, &state, request.query_string(), false).await
}

/// The script tag's pixel: the parameters stand in the body.
pub(crate) async fn tag(request: HttpRequest, state: State, payload: Payload) -> HttpResponse {
    let body: Result<Bytes, _> = within(payload, limits::QUERY_BYTES).await;
    match body.as_deref().map(std::str::from_utf8) {
        Ok(Ok(query)) => take(&request, &state, query, true).await,
        Ok(Err(_)) => refused(&request, &state, Reason::NotUtf8),
        Err(ApiError::TooLarge { .. }) => refused(&request, &state, Reason::QueryTooLong),
        Err(_) => refused(&request, &state, Reason::BodyCut),
    }
}

async fn take(request: &HttpRequest, state: &State, query: &str, is_post: bool) -> HttpResponse {
    let asker = asker(request, state);
    let limited = asker.address.filter(|_| !asker.is_trusted);
    let site = || Some(state.collector().sites().get(&parameter(query, "s")?)?.id);
    if limited.is_some_and(|address| !state.shares().has_request(address))
        || !state.shares().site_has_request(site)
    {
        let verdict = Some(state.collector().refuse(Reason::TooManyRequests));
        return match state.collector().redirect(query) {
            _ if is_post => json_of(request, &PixelTag::refused(verdict)),
            Some(to) => lead_on(&to, verdict, &[]),
            None => image(verdict, &[]),
        };
    }
    let cookies = super::cookies(request).unwrap_or_default();
    let asked = PixelRequest { is_post, ..asked(request, &asker, query, &cookies) };
    if query.contains(DEBUG) && may_debug(state, query) {
        // Boxed: no other request is to carry what this takes.
        return Box::pin(debug(state, &asked)).await;
    }
    match state.collector().pixel(&asked).await {
        PixelAnswer::Gif { verdict, set_cookies } => match state.collector().redirect(query) {
            Some(to) => lead_on(&to, verdict, &set_cookies),
            None => image(verdict, &set_cookies),
        },
        PixelAnswer::Probe { location, set_cookie } => probe(&location, &set_cookie),
        PixelAnswer::Tag { verdict, probe, id, set_cookies, is_out, is_readable } => {
            let sync = sync(state, query, verdict, &set_cookies);
            let tag = PixelTag { verdict, probe, id, set_cookies, is_out, is_readable, sync };
            json_of(request, &tag)
        }
    }
}

/// What the collector is told of a request with this query and these cookies.
pub(crate) fn asked<'r>(
    request: &'r HttpRequest,
    asker: &Asker,
    query: &'r str,
    cookies: &'r str,
) -> PixelRequest<'r> {
    let header = |name: HeaderName| super::header(request, name);
    PixelRequest {
        query,
        is_post: false,
        cookie: Some(cookies),
        referer: header(header::REFERER),
        origin: header(header::ORIGIN),
        hints: Hints {
            user_agent: header(header::USER_AGENT),
            ua: header(SEC_CH_UA),
            mobile: header(SEC_CH_UA_MOBILE),
            platform: header(SEC_CH_UA_PLATFORM),
        },
        language: header(header::ACCEPT_LANGUAGE),
        address: asker.address,
        gpc: header(SEC_GPC),
        https: asker.https,
        now: clock::now(),
    }
}

/// A page's query as a pixel's of this site; of any page where it does not say of which.
pub(crate) fn for_site(query: &str, site: &str) -> String {
    let others = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "s");
    let mut own = form_urlencoded::Serializer::new(String::new());
    own.append_pair("s", site).extend_pairs(others);
    // The first one counts.
    own.append_pair("u", "https://page.invalid/").finish()
}

/// The first value of a parameter; an empty one is none, as for the hit itself.
fn parameter<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(own, value)| own == name && !value.is_empty()).map(|(_, value)| value)
}

/// Whether the query holds the secret of a token that may look into hits.
fn may_debug(state: &State, query: &str) -> bool {
    let caller = parameter(query, "debug").and_then(|secret| state.caller(&secret));
    let site = parameter(query, "s").unwrap_or_default();
    caller.is_some_and(|caller| caller.role.may(Right::SendHits) && caller.reaches(&site))
}

/// Takes the hit as any other, and says in JSON what it amounts to.
async fn debug(state: &State, asked: &PixelRequest<'_>) -> HttpResponse {
    let examined = state.collector().examine(asked).await;
    let answered = state.collector().pixel(asked).await;
    let mut answer = HttpResponse::Ok();
    let (verdict, set_cookies) = match answered {
        PixelAnswer::Gif { verdict, set_cookies }
        | PixelAnswer::Tag { verdict, set_cookies, .. } => (verdict, set_cookies),
        PixelAnswer::Probe { set_cookie, .. } => (None, vec![set_cookie]),
    };
    common(&mut answer, verdict, &set_cookies);
    let key = parameter(asked.query, "s").unwrap_or_default();
    match state.app() {
        Ok(app) => answer.json(app.explain_pixel(&examined, verdict, &key)),
        Err(error) => error.error_response(),
    }
}

/// A request that was refused before it could be read.
fn refused(request: &HttpRequest, state: &State, reason: Reason) -> HttpResponse {
    json_of(request, &PixelTag::refused(Some(state.collector().refuse(reason))))
}

/// What the tag is told.
struct PixelTag {
    verdict: Option<Verdict>,
    probe: Option<String>,
    id: Option<String>,
    set_cookies: Vec<String>,
    is_out: bool,
    is_readable: bool,
    sync: Option<String>,
}

/// The beginning of a query to `/sync`, once a day and browser: when its cookie is given or
/// renewed, and its hit is kept.
fn sync(
    state: &State,
    query: &str,
    verdict: Option<Verdict>,
    set_cookies: &[String],
) -> Option<String> {
    if set_cookies.is_empty() || verdict.is_some_and(|verdict| !verdict.outcome.is_kept()) {
        return None;
    }
    let sites = state.collector().sites();
    let site = sites.get(&parameter(query, "s")?).filter(|site| !site.sync.is_empty())?;
    let keys = sites.partners().iter().filter(|partner| site.sync.contains(&partner.id));
    let keys: Vec<&str> = keys.map(|partner| &*partner.key).collect();
    // Keys need no escapes.
    Some(format!("s={}&p={}&", site.key, keys.join(",")))
}

impl PixelTag {
    fn refused(verdict: Option<Verdict>) -> Self {
        Self {
            verdict,
            probe: None,
            id: None,
            set_cookies: Vec::new(),
            is_out: false,
            is_readable: false,
            sync: None,
        }
    }
}

fn json_of(request: &HttpRequest, tag: &PixelTag) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    common(&mut answer, tag.verdict, &tag.set_cookies);
    if tag.probe.is_some() {
        answer.insert_header((OUTCOME, "probe"));
    }
    answer.insert_header((header::VARY, HeaderValue::from_static("origin")));
    if let Some(origin) = request.headers().get(header::ORIGIN).filter(|_| tag.is_readable) {
        answer.insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
        answer.insert_header((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"));
    }
    let mut body = Map::new();
    let reason = tag.verdict.and_then(|v| v.reason);
    body.insert("outcome".into(), json!(tag.verdict.map(|v| v.outcome.label())));
    body.insert("reason".into(), json!(reason.map(Reason::label)));
    for (name, value) in [("probe", &tag.probe), ("id", &tag.id), ("sync", &tag.sync)] {
        if let Some(value) = value {
            body.insert(name.into(), json!(value));
        }
    }
    if tag.is_out {
        body.insert("out".into(), json!(true));
    }
    answer.json(Value::Object(body))
}

fn image(verdict: Option<Verdict>, set_cookies: &[String]) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("image/gif")));
    common(&mut answer, verdict, set_cookies);
    answer.body(GIF)
}

/// What every answer says: the outcome, the cookie, that it is not to be kept.
fn common(answer: &mut HttpResponseBuilder, verdict: Option<Verdict>, set_cookies: &[String]) {
    no_store(answer);
    let outcome = match verdict {
        None => HeaderValue::from_static("queued"),
        Some(Verdict { outcome, reason: None }) => HeaderValue::from_static(outcome.label()),
        Some(Verdict { outcome, reason: Some(reason) }) => {
            HeaderValue::from_str(&format!("{}; {}", outcome.label(), reason.label()))
                .unwrap_or_else(|_| HeaderValue::from_static(outcome.label()))
        }
    };
    answer.insert_header((OUTCOME, outcome));
    for cookie in set_cookies {
        answer.append_header((header::SET_COOKIE, &**cookie));
    }
}

/// A click goes on to where it led, whatever became of its hit.
fn lead_on(to: &str, verdict: Option<Verdict>, set_cookies: &[String]) -> HttpResponse {
    let mut answer = HttpResponse::Found();
    common(&mut answer, verdict, set_cookies);
    answer.insert_header((header::LOCATION, to));
    answer.insert_header((header::REFERRER_POLICY, "no-referrer"));
    answer.finish()
}

/// A first request is asked to come back with the cookie it was just given.
fn probe(location: &str, set_cookie: &str) -> HttpResponse {
    let mut answer = HttpResponse::Found();
    no_store(&mut answer);
    answer.append_header((header::SET_COOKIE, set_cookie));
    answer.insert_header((header::LOCATION, location));
    answer.finish()
}

fn no_store(answer: &mut HttpResponseBuilder) {
    answer.insert_header((
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-cache, must-revalidate, private"),
    ));
    let any = HeaderValue::from_static("cross-origin");
    answer.insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, any));
}
