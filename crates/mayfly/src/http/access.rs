//! Who may do what: the bearer token of a call, and CORS for registered origins.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::{ApiError, State};
use crate::tokens::{Right, Role};

/// Who calls, by the call's token.
///
/// # Errors
/// [`ApiError::Unauthorized`].
pub(super) fn caller(request: &HttpRequest, state: &State) -> Result<Caller, ApiError> {
    let secret = super::header(request, "authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(ApiError::Unauthorized)?;
    caller_of(secret.trim(), state)
}

/// Who has this secret.
///
/// # Errors
/// [`ApiError::Unauthorized`].
pub(super) fn caller_of(secret: &str, state: &State) -> Result<Caller, ApiError> {
    state.caller(secret).ok_or(ApiError::Unauthorized)
}

/// Who calls, when his token may.
///
/// # Errors
/// [`ApiError::Unauthorized`], [`ApiError::Forbidden`].
pub(crate) fn require(
    request: &HttpRequest,
    state: &State,
    right: Right,
) -> Result<Caller, ApiError> {
    let caller = caller(request, state)?;
    // A token that pulls a partner's files is for nothing else.
    let is_puller = caller.partner.is_some() && right == Right::SendHits;
    if caller.role.may(right) && !is_puller { Ok(caller) } else { Err(ApiError::Forbidden) }
}

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The token's name.
    pub(crate) name: String,
    /// Its role.
    pub(crate) role: Role,
    /// The keys of the sites that it is for; empty = all.
    pub(crate) sites: Vec<String>,
    /// The key of the partner that it is for.
    pub(crate) partner: Option<String>,
}

impl Caller {
    /// Whether the token is for this site.
    pub(crate) fn reaches(&self, site: &str) -> bool {
        self.sites.is_empty() || self.sites.iter().any(|own| own == site)
    }

    /// Refuses a site that the token is not for.
    ///
    /// # Errors
    /// [`ApiError::Forbidden`].
    pub(crate) fn needs(&self, site: &str) -> Result<(), ApiError> {
        if self.reaches(site) { Ok(()) } else { Err(ApiError::Forbidden) }
    }
}

/// Adds what a browser needs to read the answer from the page of a site that names its origin. An
/// answer that depends on the origin says so to caches.
pub(crate) fn cors(request: &HttpRequest, state: &State, answer: &mut HttpResponse) {
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    let Some(origin) = request.headers().get(header::ORIGIN) else { return };
    if origin.to_str().is_ok_and(|o| state.collector().sites().names(o)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let yes = HeaderValue::from_static("true");
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    }
}

/// The same for every page: for what anyone may ask, and nothing is told by the answer.
pub(crate) fn cors_any(request: &HttpRequest, state: &State, answer: &mut HttpResponse) {
    cors(request, state, answer);
    if let Some(origin) = request.headers().get(header::ORIGIN) {
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let yes = HeaderValue::from_static("true");
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    }
}
