//! Id sync: `/sync`, `/setuid`, `/cookie_sync`, `/getuids`, as Prebid Server answers them where it
//! has them.

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use mayfly_collector::sync::{Filter, FilterSettings, Wanted};
use mayfly_collector::{BadSync, SyncAnswer, SyncOutcome, SyncRequest};
use mayfly_core::{Choice, Refusal, SyncType, limits};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::access::cors;
use super::asker::{asker, fair};
use super::body::within;
use super::pixel::GIF;
use super::{Answer, ApiError, State};
use crate::clock;

/// What became of it.
const OUTCOME: HeaderName = HeaderName::from_static("x-mayfly-sync");

/// A partner tells its id of this browser.
pub(crate) async fn set_uid(request: HttpRequest, state: State) -> HttpResponse {
    if let Err(error) = fair(&request, &state) {
        return error.error_response();
    }
    let base = base(&request, &state);
    let cookies = super::cookies(&request).unwrap_or_default();
    match state.collector().set_uid(&asked(&request, &cookies, &base)).await {
        Err(source) => misunderstood(source),
        Ok(answer) => answered(&answer, refused(answer.outcome)),
    }
}

/// A browser is sent to partners, or a partner asks for our name of it: a no is answered with an
/// image, as there is nobody to tell.
pub(crate) async fn sync(request: HttpRequest, state: State) -> HttpResponse {
    if let Err(error) = fair(&request, &state) {
        return error.error_response();
    }
    let base = base(&request, &state);
    let cookies = super::cookies(&request).unwrap_or_default();
    match state.collector().sync(&asked(&request, &cookies, &base)).await {
        Err(source) => misunderstood(source),
        Ok(answer) => answered(&answer, None),
    }
}

fn misunderstood(source: BadSync) -> HttpResponse {
    let mut response = ApiError::Sync { source }.error_response();
    response.headers_mut().insert(OUTCOME, HeaderValue::from_static("bad_request"));
    response
}

fn asked<'r>(request: &'r HttpRequest, cookies: &'r str, base: &'r str) -> SyncRequest<'r> {
    let gpc = super::header(request, "sec-gpc");
    SyncRequest { query: request.query_string(), cookies, gpc, base, now: clock::now() }
}

/// Where this browser reaches us.
fn base(request: &HttpRequest, state: &State) -> String {
    let scheme = if asker(request, state).https { "https" } else { "http" };
    format!("{scheme}://{}{}", super::host(request), state.settings().prefix)
}

/// The error that Prebid Server answers a no with.
fn refused(outcome: SyncOutcome) -> Option<ApiError> {
    match outcome {
        SyncOutcome::Refused(Refusal::OptedOut) => Some(ApiError::OptedOut),
        SyncOutcome::Refused(refusal) => Some(ApiError::SyncRefused { refusal }),
        SyncOutcome::NotPermitted(refusal) => Some(ApiError::NotPermitted { refusal }),
        SyncOutcome::Noted(_)
        | SyncOutcome::Led
        | SyncOutcome::Told
        | SyncOutcome::Fresh
        | SyncOutcome::NoVisitor
        | SyncOutcome::BadUid(_)
        | SyncOutcome::TooOften
        | SyncOutcome::NoWay
        | SyncOutcome::Failed => None,
    }
}

fn answered(answer: &SyncAnswer, refused: Option<ApiError>) -> HttpResponse {
    let label = answer.outcome.label();
    let told = match answer.outcome.detail() {
        Some(detail) => format!("{label}; {detail}"),
        None => label.to_owned(),
    };
    let mut response = match (refused, &answer.location) {
        (Some(error), _) => error.error_response(),
        (None, Some(to)) => HttpResponse::Found()
            .insert_header((header::LOCATION, &**to))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .finish(),
        (None, None) if answer.is_frame => {
            HttpResponse::Ok().content_type("text/html; charset=utf-8").body("")
        }
        (None, None) => HttpResponse::Ok().content_type("image/gif").body(GIF),
    };
    let headers = response.headers_mut();
    if let Ok(told) = HeaderValue::from_str(&told) {
        headers.insert(OUTCOME, told);
    }
    let never = HeaderValue::from_static("no-cache, no-store, must-revalidate, private");
    headers.insert(header::CACHE_CONTROL, never);
    let any = HeaderValue::from_static("cross-origin");
    headers.insert(header::CROSS_ORIGIN_RESOURCE_POLICY, any);
    response
}

/// The body of `POST /cookie_sync`; what Prebid sends besides is not read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CookieSync {
    bidders: Option<Vec<String>>,
    #[serde(deserialize_with = "flag")]
    gdpr: Option<bool>,
    gdpr_consent: String,
    addtl_consent: String,
    us_privacy: String,
    #[serde(deserialize_with = "flag")]
    coppa: Option<bool>,
    gpp: String,
    gpp_sid: String,
    limit: i64,
    #[serde(rename = "coopSync")]
    coop_sync: bool,
    #[serde(rename = "filterSettings")]
    filter_settings: Ways,
    account: String,
    debug: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ways {
    iframe: Option<Way>,
    image: Option<Way>,
}

#[derive(Debug, Deserialize)]
struct Way {
    bidders: Names,
    filter: Mode,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    All(All),
    Some(Vec<String>),
}

#[derive(Debug, Deserialize)]
enum All {
    #[serde(rename = "*")]
    Star,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Include,
    Exclude,
}

/// `0`, `1`, `false`, `true`, also as texts.
fn flag<'de, D: Deserializer<'de>>(said: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(said)? {
        Value::Null => Ok(None),
        Value::Bool(on) => Ok(Some(on)),
        Value::Number(n) if n.as_u64() == Some(0) => Ok(Some(false)),
        Value::Number(n) if n.as_u64() == Some(1) => Ok(Some(true)),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) if text == "0" => Ok(Some(false)),
        Value::String(text) if text == "1" => Ok(Some(true)),
        Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Err(serde::de::Error::custom("gdpr and coppa are 0 or 1"))
        }
    }
}

impl From<Way> for Filter {
    fn from(Way { bidders, filter }: Way) -> Self {
        match (bidders, filter) {
            (Names::All(All::Star), Mode::Include) => Self::All,
            (Names::All(All::Star), Mode::Exclude) => Self::None,
            (Names::Some(list), Mode::Include) => Self::Only(list),
            (Names::Some(list), Mode::Exclude) => Self::Except(list),
        }
    }
}

impl From<CookieSync> for Wanted {
    fn from(body: CookieSync) -> Self {
        let mut choice = Choice { gdpr: body.gdpr, coppa: body.coppa, ..Choice::default() };
        for (name, value) in [
            ("gdpr_consent", &body.gdpr_consent),
            ("addtl_consent", &body.addtl_consent),
            ("us_privacy", &body.us_privacy),
            ("gpp", &body.gpp),
            ("gpp_sid", &body.gpp_sid),
        ] {
            choice.take(name, value);
        }
        let limit = usize::try_from(body.limit).ok().filter(|limit| *limit > 0);
        let Ways { iframe, image } = body.filter_settings;
        let way = |way: Option<Way>| way.map(Filter::from).unwrap_or_default();
        Self {
            bidders: body.bidders,
            is_coop: body.coop_sync,
            limit: limit.unwrap_or(limits::SYNC_CHAIN),
            filter: FilterSettings { iframe: way(iframe), image: way(image) },
            account: body.account,
            choice,
        }
    }
}

/// Whom a page's browser should be sent to, as Prebid asks it.
pub(crate) async fn cookie_sync(request: HttpRequest, state: State, payload: Payload) -> Answer {
    let mut answer = match bidders(&request, &state, payload).await {
        Ok(answer) => answer,
        Err(error) => error.error_response(),
    };
    cors(&request, &state, &mut answer);
    Ok(answer)
}

async fn bidders(request: &HttpRequest, state: &State, payload: Payload) -> Answer {
    fair(request, state)?;
    let body = within(payload, limits::COOKIE_SYNC_BYTES).await?;
    let body: CookieSync =
        serde_json::from_slice(&body).map_err(|source| ApiError::Body { source })?;
    let (base, debug) = (base(request, state), body.debug);
    let cookies = super::cookies(request).unwrap_or_default();
    if state.collector().is_opted_out(&cookies) {
        return Err(ApiError::OptedOut);
    }
    let mut wanted = Wanted::from(body);
    let asked = asked(request, &cookies, &base);
    if asked.gpc.is_some_and(|gpc| gpc.trim() == "1") {
        wanted.choice.gpc = Some(true);
    }
    let found = state.collector().cookie_sync(&asked, &wanted).await;
    let found = found.map_err(|source| ApiError::Sync { source })?;
    let rows = found.bidders.iter().map(|own| {
        let way = if own.sync_type == SyncType::Iframe { "iframe" } else { "redirect" };
        let usersync = json!({"url": own.url, "type": way});
        json!({"bidder": own.name, "no_cookie": true, "usersync": usersync})
    });
    let status = if found.has_any { "ok" } else { "no_cookie" };
    let mut shown = json!({"status": status, "bidder_status": rows.collect::<Vec<_>>()});
    if debug {
        let why = found.left_out.iter();
        shown["debug"] = why.map(|(name, why)| json!({"bidder": name, "error": why})).collect();
    }
    Ok(private(HttpResponse::Ok()).json(shown))
}

/// The partners' ids of this browser. No page may read them: each would know it by all of them.
pub(crate) async fn uids(request: HttpRequest, state: State) -> Answer {
    fair(&request, &state)?;
    let (cookies, base) = (super::cookies(&request).unwrap_or_default(), base(&request, &state));
    let found = state.collector().uids(&asked(&request, &cookies, &base)).await;
    let found = found.map_err(|source| ApiError::Sync { source })?;
    let ids: Map<String, Value> =
        found.into_iter().map(|(name, uid)| (name.into(), json!(uid))).collect();
    Ok(private(HttpResponse::Ok()).json(json!({"buyeruids": ids})))
}

fn private(mut answer: HttpResponseBuilder) -> HttpResponseBuilder {
    answer.insert_header((header::CACHE_CONTROL, "no-store, private"));
    answer
}
