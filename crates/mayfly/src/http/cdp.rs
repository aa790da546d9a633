//! `POST /v1/identify`, `POST /v1/batch`: a customer data platform tells who is in which of its
//! audiences, in Segment's form (Segment, "HTTP Tracking API": identify, batch). Traits that are the
//! partner's codes say whether somebody is in; ids are hashes, as the partner has them in id sync.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mayfly_core::limits;
use mayfly_export::ImportFormat;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::access::{Caller, caller_of};
use super::body::within;
use super::imports::{SPOOL, keep};
use super::{Answer, ApiError, State};
use crate::import::{CALLS, Import, ImportMode};
use crate::tokens::Role;

/// Requests that are taken at once: each is an import.
static AT_ONCE: Semaphore = Semaphore::const_new(8);
/// Hex digits of a hashed id (SHA-256).
const HASH_DIGITS: usize = 64;

/// A call, or one of a batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    r#type: Option<String>,
    user_id: Option<String>,
    #[serde(default)]
    traits: BTreeMap<String, Value>,
    #[serde(default)]
    batch: Vec<Call>,
}

/// Who calls: the token stands where Segment has its write key.
fn platform(request: &HttpRequest, state: &State) -> Result<(Caller, String), ApiError> {
    let said = super::header(request, "authorization").ok_or(ApiError::Unauthorized)?;
    let basic = said.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text.trim()).ok());
    let secret = match basic {
        Some(pair) => {
            let pair = String::from_utf8(pair).map_err(|_| ApiError::Unauthorized)?;
            pair.split(':').next().unwrap_or_default().to_owned()
        }
        None => said.strip_prefix("Bearer ").ok_or(ApiError::Unauthorized)?.trim().to_owned(),
    };
    let caller = caller_of(&secret, state)?;
    match (&caller.partner, caller.role) {
        (Some(partner), Role::Partner) => Ok((caller.clone(), partner.clone())),
        (Some(_) | None, _) => Err(ApiError::Forbidden),
    }
}

/// One call, or a batch of them. Calls of other kinds than `identify` are passed over.
pub(crate) async fn calls(
    request: HttpRequest,
    state: State,
    body: actix_web::web::Payload,
) -> Answer {
    let (caller, partner) = platform(&request, &state)?;
    let body = within(body, limits::HITS_BODY_BYTES).await?;
    let call: Call = serde_json::from_slice(&body).map_err(|source| ApiError::Body { source })?;
    let app = state.app()?;
    let is_batch = !call.batch.is_empty() || request.path().ends_with("/batch");
    let calls = if is_batch { call.batch } else { vec![call] };
    if calls.len() > limits::HITS_PER_BODY {
        return Err(ApiError::TooMany { what: "calls", limit: limits::HITS_PER_BODY });
    }
    let codes = app.audience_codes(&partner)?;
    let mut lines = String::new();
    for call in calls.iter().filter(|own| own.r#type.as_deref().unwrap_or("identify") == "identify")
    {
        let said = |is_in: bool| -> Vec<&str> {
            let own = call.traits.iter().filter(|(name, value)| {
                codes.contains(name.as_str()) && value.as_bool() == Some(is_in)
            });
            own.map(|(name, _)| name.as_str()).collect()
        };
        let (add, remove) = (said(true), said(false));
        if add.is_empty() && remove.is_empty() {
            continue;
        }
        // Whatever is no hash is told as a bad id, and kept nowhere.
        let id = call.user_id.as_deref().unwrap_or_default();
        let is_hash = id.len() == HASH_DIGITS && id.bytes().all(|b| b.is_ascii_hexdigit());
        let uid = if is_hash { id } else { "" };
        lines.push_str(&json!({"uid": uid, "add": add, "remove": remove}).to_string());
        lines.push('\n');
    }
    if lines.is_empty() {
        return Ok(HttpResponse::Ok().json(json!({"success": true})));
    }
    let _turn = AT_ONCE.try_acquire().map_err(|_| ApiError::Busy)?;
    let file = keep(lines.into_bytes(), &app.settings().data.join(SPOOL)).await?;
    let asked = Import {
        partner,
        name: CALLS.to_owned(),
        file: file.path().to_owned(),
        bytes: file.bytes,
        sha256: file.sha256.clone(),
        format: ImportFormat::Jsonl,
        mode: ImportMode::Add,
        code: None,
        ids: None,
        allow_drop: false,
        by: caller.name,
    };
    let receipt = app.import(asked).await;
    drop(file);
    receipt.map(|_| HttpResponse::Ok().json(json!({"success": true})))
}
