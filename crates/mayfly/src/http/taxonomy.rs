//! `POST /api/v1/taxonomies[/mappings]`, `PUT`, `DELETE /api/v1/categories/{id}/basis`.

use actix_web::web::{Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use mayfly_core::limits;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::access::require;
use super::body::Body;
use super::definitions::text;
use super::{Answer, ApiError, State};
use crate::app::definitions::Author;
use crate::tokens::Right;

/// Which standard a taxonomy's file holds, and where it goes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standard {
    standard: String,
    #[serde(default)]
    under: String,
    #[serde(default)]
    allow_drop: bool,
}

/// Puts a standard taxonomy into the tree.
pub(crate) async fn load(
    request: HttpRequest,
    state: State,
    of: Query<Standard>,
    body: Body,
) -> Answer {
    let caller = require(&request, &state, Right::Define)?;
    let Standard { standard, under, allow_drop } = &*of;
    let author = Author { by: &caller.name, allows_drop: *allow_drop, ..Author::default() };
    let answer = state.app()?.load_taxonomy(text(&body)?, standard, under, author).await?;
    Ok(HttpResponse::Ok().json(answer))
}

/// The standards of a mapping table's columns.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Columns {
    from: String,
    to: String,
    #[serde(default)]
    allow_drop: bool,
}

/// Gives categories the ids of another standard.
pub(crate) async fn map(
    request: HttpRequest,
    state: State,
    of: Query<Columns>,
    body: Body,
) -> Answer {
    let caller = require(&request, &state, Right::Define)?;
    let columns = [&*of.from, &*of.to];
    let author = Author { by: &caller.name, allows_drop: of.allow_drop, ..Author::default() };
    let answer = state.app()?.map_taxonomy(text(&body)?, columns, author).await?;
    Ok(HttpResponse::Ok().json(answer))
}

/// Why a sensitive category may be used.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Basis {
    #[serde(deserialize_with = "said")]
    basis: String,
}

fn said<'de, D: Deserializer<'de>>(basis: D) -> Result<String, D::Error> {
    let basis = String::deserialize(basis)?.trim().to_owned();
    let is_said = (1..=limits::BASIS_CHARS).contains(&basis.chars().count());
    let needed = || D::Error::custom("`basis` says in 1 to 1,000 characters why it may be used");
    if is_said { Ok(basis) } else { Err(needed()) }
}

/// Enables a sensitive category.
pub(crate) async fn enable(
    request: HttpRequest,
    state: State,
    id: Path<u32>,
    body: Body,
) -> Answer {
    let caller = require(&request, &state, Right::People)?;
    let Basis { basis } =
        serde_json::from_slice(&body).map_err(|source| ApiError::Body { source })?;
    let answer = state.app()?.enable_category(*id, Some(&basis), &caller.name).await?;
    Ok(HttpResponse::Ok().json(answer))
}

/// Makes a category sensitive again.
pub(crate) async fn disable(request: HttpRequest, state: State, id: Path<u32>) -> Answer {
    let caller = require(&request, &state, Right::People)?;
    Ok(HttpResponse::Ok().json(state.app()?.enable_category(*id, None, &caller.name).await?))
}
