//! What a request carries: its body up to a limit, its query, the parts of its path. What cannot
//! be read is refused in the documented form, as everything is.

use std::ops::Deref;
use std::pin::Pin;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, PathConfig, Payload, QueryConfig, ServiceConfig};
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder, dev};
use mayfly_core::limits;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::{ApiError, State, access};

/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A body of at most `LIMIT` bytes, whole; read only from who has a token.
pub(crate) struct Body<const LIMIT: usize = { limits::API_BODY_BYTES }>(Bytes);

impl<const LIMIT: usize> Deref for Body<LIMIT> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const LIMIT: usize> FromRequest for Body<LIMIT> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let state = request.app_data::<State>().ok_or(ApiError::Unauthorized);
        let caller = state.and_then(|state| access::caller(request, state));
        let payload = Payload::from_request(request, payload);
        Box::pin(async move {
            caller?;
            let payload = payload.await.map_err(|_| ApiError::BodyCut)?;
            within(payload, LIMIT).await.map(Self)
        })
    }
}

/// A body of at most `limit` bytes, whole.
pub(super) async fn within(payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(PATIENCE, payload.to_bytes_limited(limit)).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        Ok(Ok(Err(_))) | Err(_) => Err(ApiError::BodyCut),
        Ok(Err(_)) => Err(ApiError::TooLarge { limit }),
    }
}

/// Which part of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// Rows after the one of this number.
    #[serde(default)]
    pub(crate) after: u32,
    /// At most so many.
    #[serde(default = "most")]
    limit: usize,
}

fn most() -> usize {
    limits::LIST_ROWS
}

impl Part {
    /// How many rows.
    ///
    /// # Errors
    /// [`ApiError::OutOfRange`].
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        in_range("limit", self.limit, 1, limits::LIST_ROWS)
    }
}

/// A whole number, however JSON writes it: `30` and `30.0` are the same to it.
pub(crate) fn whole<'de, D: Deserializer<'de>>(number: D) -> Result<u16, D::Error> {
    let number = f64::deserialize(number)?;
    let fits = number.fract() == 0.0 && (0.0..=f64::from(u16::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range: above")]
    let whole = number as u16;
    if fits { Ok(whole) } else { Err(D::Error::custom("a whole number up to 65,535 is needed")) }
}

/// A number of a query in its range.
///
/// # Errors
/// [`ApiError::OutOfRange`].
pub(crate) fn in_range(
    name: &'static str,
    number: usize,
    least: usize,
    most: usize,
) -> Result<usize, ApiError> {
    let fits = (least..=most).contains(&number);
    if fits { Ok(number) } else { Err(ApiError::OutOfRange { name, least, most }) }
}

/// What hangs on the definitions of this version alone; nothing but their tag where the caller has
/// it.
pub(crate) fn unless_known(
    request: &HttpRequest,
    version: u32,
    answer: impl FnOnce(HttpResponseBuilder) -> HttpResponse,
) -> HttpResponse {
    let tag = format!("\"definitions-{version}\"");
    let known = super::header(request, header::IF_NONE_MATCH).unwrap_or_default();
    let is_known = known.split(',').any(|one| one.trim() == tag);
    let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut begun = HttpResponse::build(status);
    begun.insert_header((header::ETAG, tag));
    if is_known { begun.finish() } else { answer(begun) }
}

/// Errors of queries and paths in the documented form.
pub(super) fn forms(config: &mut ServiceConfig) {
    let query = |source, _: &HttpRequest| ApiError::Query { source }.into();
    config
        .app_data(QueryConfig::default().error_handler(query))
        .app_data(PathConfig::default().error_handler(|_, _| ApiError::NoRoute.into()));
}
