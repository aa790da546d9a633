//! `POST /api/v1/hits` (server to server) and `POST /api/v1/hits/try` (one hit, explained).

use std::borrow::Cow;
use std::io::Read;

use actix_web::{HttpRequest, HttpResponse};
use flate2::read::MultiGzDecoder;
use mayfly_collector::{BodyFormat, BodyItems, Reason};
use mayfly_core::{Outcome, limits};
use serde_json::{Map, Value, json};

use super::access::{cors, require};
use super::body::Body;
use super::{Answer, ApiError, State};
use crate::clock;
use crate::tokens::Right;

/// A body of hits.
type HitsBody = Body<{ limits::HITS_BODY_BYTES }>;

/// Hits of a server, a partner or a replay: counted by outcome, the refused named by index.
pub(crate) async fn hits(
    request: HttpRequest,
    state: State,
    body: Result<HitsBody, ApiError>,
) -> Answer {
    let caller = require(&request, &state, Right::SendHits)?;
    let refuse = |error: ApiError, reason| {
        state.collector().refuse_body(reason);
        error
    };
    // A body whose connection broke was not received.
    if let Err(ApiError::TooLarge { .. }) = body {
        state.collector().refuse_body(Reason::BodyTooLong);
    }
    let body = body?;
    let kind = super::header(&request, "content-type").unwrap_or_default();
    let format = BodyFormat::of_content_type(kind);
    let encoding = super::header(&request, "content-encoding").unwrap_or_default();
    let body = decoded(&body, encoding).map_err(|error| {
        let is_long = matches!(error, ApiError::TooLarge { .. });
        refuse(error, if is_long { Reason::BodyTooLong } else { Reason::BodyCut })
    })?;
    let items = BodyItems::read(&body, format).of_sites(|site| caller.reaches(site));
    if let Err(wait) = state.shares().take_hits(&caller.name, items.len()) {
        let limited = ApiError::Limited { seconds: wait.as_secs() + 1 };
        return Err(refuse(limited, Reason::TooManyRequests));
    }
    let answer = state.collector().hits(items, clock::now()).await;
    let outcomes: Map<String, Value> = Outcome::ALL
        .into_iter()
        .zip(answer.counts)
        .filter(|(_, n)| *n > 0)
        .map(|(outcome, n)| (outcome.label().to_owned(), json!(n)))
        .collect();
    if let Some(reason) = answer.whole {
        return Err(ApiError::Hits { reason });
    }
    let refused: Vec<Value> = answer
        .refused
        .iter()
        .map(|r| {
            let reason = r.verdict.reason.map(|reason| reason.label());
            json!({"index": r.index, "outcome": r.verdict.outcome.label(), "reason": reason})
        })
        .collect();
    let mut answer = HttpResponse::Ok().json(json!({"outcomes": outcomes, "refused": refused}));
    cors(&request, &state, &mut answer);
    Ok(answer)
}

/// The body without its encoding: none, or gzip; bounded like one that came in clear.
fn decoded<'b>(body: &'b [u8], encoding: &str) -> Result<Cow<'b, [u8]>, ApiError> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => return Ok(body.into()),
        "gzip" | "x-gzip" => {}
        _ => return Err(ApiError::Encoding),
    }
    let mut clear = Vec::new();
    let limit = limits::HITS_BODY_BYTES;
    let reader = MultiGzDecoder::new(body).take(limit as u64 + 1);
    let read = { reader }.read_to_end(&mut clear).map_err(|_| ApiError::BodyCut)?;
    if read > limit { Err(ApiError::TooLarge { limit }) } else { Ok(clear.into()) }
}

/// One hit through the real admission, with the categories and segments it leads to.
pub(crate) async fn try_one(request: HttpRequest, state: State, body: Body) -> Answer {
    // It tells whom an id stands for, and his segments.
    let caller = require(&request, &state, Right::ReadMembers)?;
    let app = state.app()?;
    Ok(HttpResponse::Ok().json(app.try_hit(&body, |site| caller.reaches(site)).await?))
}
