//! What a request carries: its body up to a limit, its query, the parts of its path. What cannot
//! be read is refused in the documented form, as everything is.

use std::ops::Deref;
use std::pin::Pin;
use std::time::Duration;

use actix_web::web::{Bytes, PathConfig, Payload, QueryConfig, ServiceConfig};
use actix_web::{FromRequest, HttpRequest, dev};
use mayfly_core::limits;

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

/// Errors of queries and paths in the documented form.
pub(super) fn forms(config: &mut ServiceConfig) {
    let query = |source, _: &HttpRequest| ApiError::Query { source }.into();
    config
        .app_data(QueryConfig::default().error_handler(query))
        .app_data(PathConfig::default().error_handler(|_, _| ApiError::NoRoute.into()));
}
