//! `GET /api/v1/insights/days/{day}`, `GET /api/v1/hits/days/{day}`.

use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use jiff::civil::Date;
use mayfly_core::{Day, Timestamp};

use super::access::require;
use super::{Answer, ApiError, State};
use crate::tokens::Right;

/// A day of the calendar within the retention.
fn day(text: &str, state: &State) -> Result<Day, ApiError> {
    let date: Option<Date> = text.parse().ok();
    let start = date.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let day = start.and_then(|at| Timestamp::from_secs(at.timestamp().as_second()).day());
    let (retention, now) = (state.settings().store.retention, crate::clock::now());
    let is_kept = |day: &Day| now.day().is_some_and(|today| retention.keeps(*day, today));
    day.filter(is_kept).ok_or(ApiError::NoDay)
}

/// A day, category by category.
pub(crate) async fn of_day(request: HttpRequest, state: State, text: Path<String>) -> Answer {
    let caller = require(&request, &state, Right::Read)?;
    let day = day(&text, &state)?;
    Ok(HttpResponse::Ok().json(state.app()?.day(day, caller.role.sees_exact()).await?))
}

/// The hits of a day, one a line.
pub(crate) async fn hits(request: HttpRequest, state: State, text: Path<String>) -> Answer {
    let caller = require(&request, &state, Right::People)?;
    let day = day(&text, &state)?;
    let told = state.app()?.raw_hits(day)?;
    tracing::info!(by = caller.name, %day, "the hits of a day are exported");
    let lines = stream::unfold(told, |mut told| async move {
        let lines = told.recv().await?;
        Some((Ok::<_, actix_web::Error>(Bytes::from(lines)), told))
    });
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").streaming(lines))
}
