//! `POST /api/v1/hits` (server to server) and `POST /api/v1/hits/try` (one hit, explained).

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use mayfly_collector::BodyFormat;
use mayfly_core::Outcome;
use serde_json::{Map, Value, json};

use super::access::{cors, require};
use super::{Answer, ApiError, State};
use crate::clock;
use crate::tokens::Right;

/// Hits of a server, a partner or a replay: counted by outcome, the refused named by index.
pub(crate) async fn hits(request: HttpRequest, state: State, body: Bytes) -> Answer {
    require(&request, &state, Right::SendHits)?;
    let kind = super::header(&request, "content-type").unwrap_or_default();
    let format = BodyFormat::of_content_type(kind);
    let answer = state.collector().hits(&body, format, clock::now()).await;
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

/// One hit through the real admission, with the categories and segments it leads to.
pub(crate) async fn try_one(request: HttpRequest, state: State, body: Bytes) -> Answer {
    require(&request, &state, Right::SendHits)?;
    let app = state.app()?;
    Ok(HttpResponse::Ok().json(app.try_hit(&body).await?))
}
