//! `GET /p.gif`: always the GIF; what was wrong is in `X-Mayfly-Outcome` and counted.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use mayfly_collector::{PixelAnswer, PixelRequest, Verdict};

use super::State;
use crate::clock;

/// The smallest transparent GIF.
const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x21\xf9\x04\x01\
\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";

/// The pixel. Never cached; readable by any page, as an image is.
pub(crate) async fn pixel(request: HttpRequest, state: State) -> HttpResponse {
    let header = |name| super::header(&request, name);
    let cookies = super::cookies(&request);
    let asked = PixelRequest {
        query: request.query_string(),
        cookie: cookies.as_deref(),
        referer: header("referer"),
        origin: header("origin"),
        user_agent: header("user-agent"),
        gpc: header("sec-gpc"),
        https: request.app_config().secure(),
        now: clock::now(),
    };
    match state.collector().pixel(&asked).await {
        PixelAnswer::Gif { verdict, set_cookie } => gif(verdict, set_cookie.as_deref()),
        PixelAnswer::Probe { location, set_cookie } => probe(&location, &set_cookie),
    }
}

fn gif(verdict: Option<Verdict>, set_cookie: Option<&str>) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("image/gif")));
    no_store(&mut answer);
    let outcome = match verdict {
        None => HeaderValue::from_static("queued"),
        Some(Verdict { outcome, reason: None }) => HeaderValue::from_static(outcome.label()),
        Some(Verdict { outcome, reason: Some(reason) }) => {
            HeaderValue::from_str(&format!("{}; {}", outcome.label(), reason.label()))
                .unwrap_or_else(|_| HeaderValue::from_static(outcome.label()))
        }
    };
    answer.insert_header(("x-mayfly-outcome", outcome));
    if let Some(cookie) = set_cookie {
        answer.append_header((header::SET_COOKIE, cookie));
    }
    answer.body(GIF)
}

/// A first request is asked to come back with the cookie it was just given.
fn probe(location: &str, set_cookie: &str) -> HttpResponse {
    let mut answer = HttpResponse::Found();
    no_store(&mut answer);
    answer.append_header((header::SET_COOKIE, set_cookie));
    answer.insert_header((header::LOCATION, location));
    answer.finish()
}

fn no_store(answer: &mut actix_web::HttpResponseBuilder) {
    answer.insert_header((
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-cache, must-revalidate, private"),
    ));
    let any = HeaderValue::from_static("cross-origin");
    answer.insert_header(("cross-origin-resource-policy", any));
}
