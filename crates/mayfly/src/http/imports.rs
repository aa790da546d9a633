//! `POST /api/v1/partners/{key}/audiences`, and what became of those that came.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::{self, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt;
use mayfly_core::limits;
use mayfly_export::{ImportFormat, Spool, Spooled};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::access::{Caller, caller};
use super::{Answer, ApiError, State};
use crate::import::{Import, ImportMode};
use crate::tokens::{Right, Role};

/// How long a piece of a file may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a file may take to come.
const LONGEST: Duration = Duration::from_secs(3600);
/// Files that may come at once: each may be large.
static ARRIVING: Semaphore = Semaphore::const_new(4);
/// Partners whose own files are arriving: one of each, or a few could keep all others out.
static OWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
/// Bytes that are written to the disk at a time.
const PIECE: usize = 1 << 20;

/// A partner's turn to send a file.
struct Turn(String);

impl Turn {
    fn of(key: &str) -> Result<Self, ApiError> {
        let mut all = OWN.lock().unwrap_or_else(PoisonError::into_inner);
        if all.insert(key.to_owned()) { Ok(Self(key.to_owned())) } else { Err(ApiError::Busy) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        OWN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// How a file is to be taken.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// What the sender calls the file.
    name: Option<String>,
    /// As its name says, when not said.
    format: Option<ImportFormat>,
    /// As its name says, when not said.
    mode: Option<ImportMode>,
    code: Option<String>,
    ids: Option<String>,
    #[serde(default)]
    allow_drop: bool,
}

/// Who calls, when he may bring a partner's audiences in: ad operations, or the partner itself.
fn importer(request: &HttpRequest, state: &State, key: &str) -> Result<Caller, ApiError> {
    let caller = caller(request, state)?;
    let is_own = caller.role == Role::Partner && caller.partner.as_deref() == Some(key);
    if caller.role.may(Right::Define) || is_own { Ok(caller) } else { Err(ApiError::Forbidden) }
}

/// A file with audiences.
pub(crate) async fn import(
    request: HttpRequest,
    state: State,
    key: Path<String>,
    body: Payload,
) -> Answer {
    let caller = importer(&request, &state, &key)?;
    let asked = Query::<Asked>::from_query(request.query_string());
    let asked = asked.map_err(|source| ApiError::Query { source })?;
    let Asked { name, format, mode, code, ids, allow_drop } = asked.into_inner();
    let name: String = name.unwrap_or_default().chars().take(limits::NAME_BYTES).collect();
    let format = format.or_else(|| ImportFormat::of(&name)).ok_or(ApiError::NoFormat)?;
    let mode = mode.unwrap_or_else(|| ImportMode::of(&name, format));
    // Others' ids are not its to ask about; and its files are read by readers that bound
    // everything.
    let is_own = caller.role == Role::Partner;
    if is_own && (ids.is_some() || format == ImportFormat::Parquet) {
        return Err(ApiError::NotForPartners);
    }
    if ids.as_deref().is_some_and(|space| !mayfly_collector::is_foreign_space(space)) {
        return Err(ApiError::NoSpace);
    }
    let app = state.app()?;
    let _turn = ARRIVING.try_acquire().map_err(|_| ApiError::Busy)?;
    let _own = is_own.then(|| Turn::of(&key)).transpose()?;
    let folder = app.settings().data.join(SPOOL);
    let arriving = spool(body, &folder);
    let file = tokio::time::timeout(LONGEST, arriving).await.map_err(|_| ApiError::BodyCut)??;
    let asked = Import {
        partner: key.into_inner(),
        name,
        file: file.path().to_owned(),
        bytes: file.bytes,
        sha256: file.sha256.clone(),
        format,
        mode,
        code,
        ids,
        allow_drop,
        by: caller.name.clone(),
    };
    let receipt = app.import(asked).await;
    drop(file);
    let is_exact = caller.role.sees_exact();
    // How many are in it is not for everybody.
    let is_drop = |error: &ApiError| matches!(error, ApiError::Drop(_));
    let receipt =
        receipt.map_err(|why| if is_drop(&why) && !is_exact { ApiError::Emptied } else { why });
    Ok(HttpResponse::Ok().json(receipt?.shown(is_exact)))
}

/// Files on their way, below the data folder.
pub(crate) const SPOOL: &str = "imports";

/// A name that no other file has.
fn next_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Keeps a few lines until they are read.
pub(crate) async fn keep(lines: Vec<u8>, folder: &std::path::Path) -> Result<Spooled, ApiError> {
    let (folder, name) = (folder.to_owned(), next_name());
    let kept = web::block(move || {
        let mut spool = Spool::create(&folder, &name)?;
        spool.write(&lines)?;
        spool.finish()
    });
    kept.await.map_err(|_| ApiError::Busy)?.map_err(|source| ApiError::NoRoom { source })
}

/// Keeps a body until it is whole.
async fn spool(mut body: Payload, folder: &std::path::Path) -> Result<Spooled, ApiError> {
    let name = next_name();
    let no_room = |source| ApiError::NoRoom { source };
    let folder = folder.to_owned();
    let made = web::block(move || Spool::create(&folder, &name));
    let mut spool = made.await.map_err(|_| ApiError::Busy)?.map_err(no_room)?;
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        let next = tokio::time::timeout(PATIENCE, body.next()).await;
        let next = next.map_err(|_| ApiError::BodyCut)?;
        let is_last = next.is_none();
        if let Some(bytes) = next {
            piece.extend_from_slice(&bytes.map_err(|_| ApiError::BodyCut)?);
        }
        if piece.len() >= PIECE || is_last {
            let own = std::mem::take(&mut piece);
            let written = web::block(move || spool.write(&own).map(|fits| (spool, fits)));
            let (back, fits) = written.await.map_err(|_| ApiError::Busy)?.map_err(no_room)?;
            if !fits {
                let limit = usize::try_from(limits::IMPORT_BYTES).unwrap_or(usize::MAX);
                return Err(ApiError::TooLarge { limit });
            }
            spool = back;
        }
        if is_last {
            let done = web::block(move || spool.finish());
            return done.await.map_err(|_| ApiError::Busy)?.map_err(no_room);
        }
    }
}

/// A partner's audiences, and the receipts of what came last.
pub(crate) async fn list(request: HttpRequest, state: State, key: Path<String>) -> Answer {
    let caller = importer(&request, &state, &key)?;
    let is_exact = caller.role.sees_exact();
    Ok(HttpResponse::Ok().json(state.app()?.imports(&key, is_exact).await?))
}
