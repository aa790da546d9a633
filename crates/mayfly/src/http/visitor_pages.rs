//! What a visitor can see and say without a token: `/privacy`, `/optout`, and what programs read of
//! the same. The pages themselves are in [`super::door`].

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Bytes, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use mayfly_collector::{Holder, Placement};
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::asker::{asker, fair};
use super::body::within;
use super::door::{self, Done, HitRow, Known, Language, Spent};
use super::me::{self, Subject};
use super::{Answer, ApiError, State, host};
use crate::clock;

/// Hits shown on the page; the download has all.
const HITS_SHOWN: usize = 100;
/// The form of a page, bytes.
const FORM_BYTES: usize = 1024;
/// Purposes of our cookie in the vendor list of the TCF: storage, profiles, audience insight.
const PURPOSES: [u8; 3] = [1, 3, 9];
/// The day since which Global Privacy Control is honoured.
const GPC_SINCE: &str = "2026-11-22";

/// `?lang=nl`, and whom a site's page knows its visitor as.
#[derive(Debug, Deserialize)]
pub(crate) struct Wish {
    lang: Option<String>,
    #[serde(default)]
    s: String,
    #[serde(default, rename = "as")]
    pass: String,
}

/// What a form of the pages says.
#[derive(Debug, Default)]
struct Form {
    action: String,
    lang: Option<String>,
    site: String,
    pass: String,
    /// The script tag asks, and reads JSON.
    is_json: bool,
}

/// The browser that asks, as far as the pages show it.
struct Browser {
    subject: Option<Subject>,
    /// The link by which it came.
    pass: Option<(String, String)>,
    spent: Option<Spent>,
    opted_out: bool,
    gpc: bool,
    https: bool,
}

impl Browser {
    async fn of(request: &HttpRequest, state: &State, site: &str, pass: &str) -> Self {
        let cookies = super::cookies(request).unwrap_or_default();
        let spent = if pass.is_empty() {
            None
        } else {
            match state.collector().holder(site, pass, clock::now()).await {
                Holder::Visitor(_) => None,
                Holder::OptedOut => Some(Spent::OptedOut),
                Holder::Nobody => Some(Spent::Expired),
            }
        };
        let is_good = !pass.is_empty() && spent.is_none();
        Self {
            subject: me::subject(state, &cookies, (site, "", pass)).await,
            pass: is_good.then(|| (site.to_owned(), pass.to_owned())),
            spent,
            opted_out: state.collector().is_opted_out(&cookies),
            gpc: super::header(request, "sec-gpc").is_some_and(|value| value.trim() == "1"),
            https: asker(request, state).https,
        }
    }
}

/// The page about what is held.
pub(crate) async fn privacy(request: HttpRequest, state: State, wish: Query<Wish>) -> Answer {
    fair(&request, &state)?;
    let browser = Browser::of(&request, &state, &wish.s, &wish.pass).await;
    let language = language(&request, wish.lang.as_deref());
    privacy_page(&state, &browser, None, language).await
}

/// The page's forms: erase.
pub(crate) async fn act(request: HttpRequest, state: State, payload: Payload) -> Answer {
    let form = form(&request, payload).await?;
    // The script tag may opt out from any page; nobody may erase from another's.
    if !is_own(&request) {
        return Err(ApiError::Foreign);
    }
    fair(&request, &state)?;
    let language = language(&request, form.lang.as_deref());
    let mut browser = Browser::of(&request, &state, &form.site, &form.pass).await;
    if form.action != "erase" {
        return privacy_page(&state, &browser, None, language).await;
    }
    let done = match browser.subject.take() {
        Some(Subject { visitor, .. }) => {
            state.app()?.erase(visitor).await?;
            Done::Erased
        }
        None => Done::NothingHeld,
    };
    let mut answer = privacy_page(&state, &browser, Some(done), language).await?;
    let sent = super::cookies(&request).unwrap_or_default();
    set_cookies(&mut answer, state.collector().set_forgotten(&sent, browser.https));
    Ok(answer)
}

/// The page about saying no.
pub(crate) async fn optout(request: HttpRequest, state: State, wish: Query<Wish>) -> HttpResponse {
    let browser = Browser::of(&request, &state, &wish.s, &wish.pass).await;
    let language = language(&request, wish.lang.as_deref());
    optout_page(&state, &browser, None, language)
}

/// Opts out, or back in; from the page's form, or from the script tag.
pub(crate) async fn set_optout(request: HttpRequest, state: State, payload: Payload) -> Answer {
    fair(&request, &state)?;
    let form = form(&request, payload).await?;
    let mut browser = Browser::of(&request, &state, &form.site, &form.pass).await;
    let language = language(&request, form.lang.as_deref());
    if form.action == "out" && !form.pass.is_empty() {
        return opt_out_of_site(&state, browser, language).await;
    }
    let is_out = form.action != "in";
    if !is_out && form.is_json && !may_take_back(&request, &state) {
        let mut answer = said(browser.opted_out);
        super::access::cors(&request, &state, &mut answer);
        return Ok(answer);
    }
    if let Some(Subject { visitor, .. }) = browser.subject.as_ref().filter(|_| is_out) {
        state.app()?.refuse_sharing(*visitor, None, clock::now()).await?;
    }
    browser.opted_out = is_out;
    let sent = super::cookies(&request).unwrap_or_default();
    let cookies = state.collector().set_opt_out(is_out, &sent, browser.https);
    let mut answer = if form.is_json {
        let mut answer = said(is_out);
        super::access::cors_any(&request, &state, &mut answer);
        answer
    } else {
        if is_out {
            browser.subject = None;
        }
        let done = if is_out { Done::OptedOut } else { Done::OptedIn };
        optout_page(&state, &browser, Some(done), language)
    };
    set_cookies(&mut answer, cookies);
    Ok(answer)
}

/// Whether a page may take a no back: a site's own, for its own visitors. Where one cookie is for
/// all sites, its no is the visitor's alone, and he takes it back on our page.
fn may_take_back(request: &HttpRequest, state: &State) -> bool {
    let origin = super::header(request, "origin");
    let is_own = origin.is_some_and(|origin| state.collector().sites().names(origin));
    is_own && state.settings().placement != Placement::ThirdParty
}

fn said(is_out: bool) -> HttpResponse {
    no_store(&mut HttpResponse::Ok()).json(json!({"opted_out": is_out}))
}

/// Opts a visitor out whom a link names. His browser hears of it with his next hit, so what he was
/// known as must go.
async fn opt_out_of_site(state: &State, mut browser: Browser, language: Language) -> Answer {
    let done = match browser.subject.take() {
        Some(Subject { visitor, .. }) => {
            let noted = state.collector().opt_out(visitor, clock::now()).await;
            noted.map_err(|_| ApiError::Busy)?;
            state.app()?.erase(visitor).await?;
            (browser.pass, browser.spent) = (None, Some(Spent::OptedOut));
            Some(Done::OptedOutOfSite)
        }
        None => None,
    };
    Ok(optout_page(state, &browser, done, language))
}

/// What browsers ask for by themselves.
pub(crate) async fn icon() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::CACHE_CONTROL, "public, max-age=86400"))
        .finish()
}

/// The pages' style.
pub(crate) async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .body(door::STYLE)
}

/// `/.well-known/gpc.json`.
pub(crate) async fn gpc() -> HttpResponse {
    public_json(&door::gpc_json(GPC_SINCE))
}

/// `/device-storage.json`.
pub(crate) async fn device_storage(request: HttpRequest, state: State) -> HttpResponse {
    let host = host(&request);
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let names = state.collector().cookie_names();
    let cookies = cookie_names(names);
    let days = state.settings().store.retention.days();
    let domains = [door::Domain { domain: name, usage: "collection of hits, opt-out" }];
    public_json(&door::device_storage_json(&cookies, days, &PURPOSES, &domains))
}

fn public_json(value: &Value) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "public, max-age=86400"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .json(value)
}

fn cookie_names(names: &mayfly_collector::CookieNames) -> door::CookieNames<'_> {
    door::CookieNames { id: &names.visitor, probe: &names.probe, optout: &names.optout }
}

fn language(request: &HttpRequest, wish: Option<&str>) -> Language {
    let said = || Language::preferred(super::header(request, "accept-language"));
    wish.and_then(Language::from_code).unwrap_or_else(said)
}

/// Reads a form that this site's own page sent; the script tag's comes from elsewhere and says so.
async fn form(request: &HttpRequest, payload: Payload) -> Result<Form, ApiError> {
    let body: Bytes = within(payload, FORM_BYTES).await?;
    let mut form = Form::default();
    for (name, value) in form_urlencoded::parse(&body) {
        match &*name {
            "action" => form.action = value.into_owned(),
            "lang" => form.lang = Some(value.into_owned()),
            "s" => form.site = value.into_owned(),
            "as" => form.pass = value.into_owned(),
            "json" => form.is_json = value == "1",
            _ => {}
        }
    }
    // Opting out from a foreign page harms nobody; erasing and opting in might.
    if form.is_json || is_own(request) { Ok(form) } else { Err(ApiError::Foreign) }
}

/// Whether the request comes from a page of this very host.
fn is_own(request: &HttpRequest) -> bool {
    match super::header(request, "sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => {
            let origin = super::header(request, "origin").and_then(|o| o.split_once("://"));
            origin.is_some_and(|(_, own)| own == host(request))
        }
    }
}

async fn privacy_page(
    state: &State,
    browser: &Browser,
    done: Option<Done>,
    language: Language,
) -> Answer {
    let known = match &browser.subject {
        Some(subject) => Some(known(&me::held(state, subject).await?)),
        None => None,
    };
    let html = page(state, browser, known, done, |shown| door::privacy_page(shown, language));
    Ok(html)
}

fn optout_page(
    state: &State,
    browser: &Browser,
    done: Option<Done>,
    language: Language,
) -> HttpResponse {
    page(state, browser, None, done, |shown| door::optout_page(shown, language))
}

fn page(
    state: &State,
    browser: &Browser,
    known: Option<Known>,
    done: Option<Done>,
    render: impl FnOnce(&door::State<'_>) -> String,
) -> HttpResponse {
    let settings = state.settings();
    let style = format!("{}/privacy.css", settings.prefix);
    let html = render(&door::State {
        controller: &settings.controller,
        contact: settings.contact.as_deref(),
        retention_days: settings.store.retention.days(),
        opted_out: browser.opted_out,
        gpc: browser.gpc,
        is_apart: settings.placement != Placement::FirstParty && browser.pass.is_none(),
        spent: browser.spent,
        known,
        done,
        pass: browser.pass.as_ref().map(|(site, value)| door::Pass { site, value }),
        base: &settings.prefix,
        style: &style,
        cookies: cookie_names(state.collector().cookie_names()),
    });
    no_store(&mut HttpResponse::Ok())
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, door::POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .insert_header((header::VARY, "accept-language, cookie, sec-gpc"))
        .body(html)
}

fn no_store(answer: &mut actix_web::HttpResponseBuilder) -> &mut actix_web::HttpResponseBuilder {
    answer.insert_header((header::CACHE_CONTROL, "no-store, private"))
}

fn set_cookies(answer: &mut HttpResponse, cookies: Vec<String>) {
    for cookie in cookies.iter().filter_map(|cookie| HeaderValue::from_str(cookie).ok()) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// What is held, as the page shows it: the newest first.
fn known(held: &Value) -> Known {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect();
    let hits = held["hits"].as_array().map_or(&[][..], Vec::as_slice);
    let partners = held["partners"].as_array().into_iter().flatten();
    let row = |hit: &Value| HitRow {
        time: text(&hit["time"]).replace('T', " ").replace('Z', " UTC"),
        site: text(&hit["site"]),
        event: text(&hit["event"]),
        page: hit["url"].as_str().map(str::to_owned),
        title: text(&hit["title"]),
        categories: texts(&hit["falls_in"]),
        seconds: hit["engaged_s"].as_u64().and_then(|s| u16::try_from(s).ok()).unwrap_or(0),
    };
    Known {
        id: text(&held["visitor"]),
        segments: texts(&held["segments"]),
        partners: partners.map(|own| (text(&own["partner"]), text(&own["uid"]))).collect(),
        hits: hits.iter().rev().take(HITS_SHOWN).map(row).collect(),
        more_hits: hits.len().saturating_sub(HITS_SHOWN),
    }
}
