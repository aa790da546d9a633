//! `GET /api/v1/categories`, `GET /api/v1/categories/{id}`; pages of lists, and what is known by
//! its version.

use actix_web::http::header;
use actix_web::web::{Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use mayfly_core::limits;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::access::require;
use super::{Answer, ApiError, State};
use crate::tokens::Right;

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
        within("limit", self.limit, 1, limits::LIST_ROWS)
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
pub(crate) fn within(
    name: &'static str,
    number: usize,
    least: usize,
    most: usize,
) -> Result<usize, ApiError> {
    let fits = (least..=most).contains(&number);
    if fits { Ok(number) } else { Err(ApiError::OutOfRange { name, least, most }) }
}

/// The categories of the tree, by number.
pub(crate) async fn list(request: HttpRequest, state: State, part: Query<Part>) -> Answer {
    require(&request, &state, Right::Read)?;
    let app = state.app()?;
    let limit = part.limit()?;
    let tag = tag(app.active().version());
    if is_known(&request, &tag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish());
    }
    let body = app.categories(part.after, limit);
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).json(body))
}

/// Over how many days its visitors are counted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Days {
    #[serde(default = "thirty")]
    days: usize,
}

fn thirty() -> usize {
    30
}

/// One category with its size.
pub(crate) async fn one(
    request: HttpRequest,
    state: State,
    id: Path<u32>,
    days: Query<Days>,
) -> Answer {
    let caller = require(&request, &state, Right::Read)?;
    let app = state.app()?;
    let most = app.settings().store.retention.days();
    let days = within("days", days.days, 1, usize::from(most))?;
    let days = u16::try_from(days).unwrap_or(most);
    Ok(HttpResponse::Ok().json(app.category(*id, days, caller.role.sees_exact()).await?))
}

/// The tag of what hangs on the definitions alone.
pub(crate) fn tag(version: u32) -> String {
    format!("\"definitions-{version}\"")
}

/// Whether the caller has what this tag names.
pub(crate) fn is_known(request: &HttpRequest, tag: &str) -> bool {
    let known = super::header(request, header::IF_NONE_MATCH).unwrap_or_default();
    known.split(',').any(|one| one.trim() == tag)
}
