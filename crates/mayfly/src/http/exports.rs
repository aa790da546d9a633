//! `GET /exports/{folder}/`, `GET /exports/{folder}/{file}`: a partner pulls the files of its
//! destinations, whole or by pieces (RFC 9110: ETag, Range, If-Range).

use std::fs::{self, File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Bytes, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::stream;
use mayfly_segments::destination::way::FilesSettings;
use serde_json::json;

use super::access::caller;
use super::{Answer, ApiError, State};
use crate::clock;
use crate::tokens::Right;

/// Read and sent at a time.
const PIECE: usize = 256 * 1024;
/// Files listed at most.
const FILES: usize = 10_000;

/// The folder of a destination, if the token may read it: of ad operations, or of the partner that
/// it is for.
fn folder(request: &HttpRequest, state: &State, name: &str) -> Result<PathBuf, ApiError> {
    let caller = caller(request, state)?;
    let active = state.app()?.active();
    let definitions = active.definitions();
    let is_it = |files: &FilesSettings| *files.folder == *name;
    let destination = definitions.destinations().find(|own| own.way.files().is_some_and(is_it));
    let partner = destination.and_then(|own| definitions.partner_by_id(own.partner));
    let is_theirs = partner.is_some_and(|own| caller.partner.as_deref() == Some(&*own.key));
    let may = caller.role.may(Right::ReadMembers) || is_theirs;
    // Who may not is not told which folders there are.
    if partner.is_none() || !may {
        return Err(ApiError::NoFile);
    }
    Ok(state.settings().delivery.exports.join(name))
}

/// The files of a folder, the newest last.
pub(crate) async fn list(request: HttpRequest, state: State, name: Path<String>) -> Answer {
    let folder = folder(&request, &state, &name)?;
    let rows = web::block(move || {
        let mut rows = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten().take(FILES) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(about) = entry.metadata() else { continue };
            // What is being written is none yet.
            if about.is_file() && !name.ends_with(".part") {
                let (modified_ms, etag) = stamp(&about);
                rows.push((modified_ms, name, about.len(), etag));
            }
        }
        rows.sort();
        rows
    });
    let rows = rows.await.map_err(|_| ApiError::Busy)?;
    let rows = rows.into_iter().map(|(modified_ms, name, bytes, etag)| {
        let at = mayfly_core::Timestamp::from_millis(modified_ms);
        json!({"name": name, "bytes": bytes, "modified": clock::text(at), "etag": etag})
    });
    Ok(HttpResponse::Ok().json(json!({"files": rows.collect::<Vec<_>>()})))
}

/// When a file was written, and what tells it from others of its name.
fn stamp(about: &Metadata) -> (i64, String) {
    let modified = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let modified = modified.unwrap_or_default();
    let ms = i64::try_from(modified.as_millis()).unwrap_or(i64::MAX);
    (ms, format!("\"{:x}-{:x}\"", modified.as_nanos(), about.len()))
}

/// A file, or a part of it.
pub(crate) async fn one(
    request: HttpRequest,
    state: State,
    place: Path<(String, String)>,
) -> Answer {
    let (folder_name, name) = place.into_inner();
    let folder = folder(&request, &state, &folder_name)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.starts_with('.') || name.ends_with(".part") || !name.chars().all(is_plain) {
        return Err(ApiError::NoFile);
    }
    let opened = web::block(move || {
        let file = File::open(folder.join(name))?;
        let about = file.metadata()?;
        Ok::<_, std::io::Error>((file, about))
    });
    let (file, about) = opened.await.map_err(|_| ApiError::Busy)?.map_err(|_| ApiError::NoFile)?;
    if !about.is_file() {
        return Err(ApiError::NoFile);
    }
    let (_, etag) = stamp(&about);
    if super::header(&request, "if-none-match").is_some_and(|own| own.contains(&*etag)) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    let is_same = super::header(&request, "if-range").is_none_or(|own| own == etag);
    let range = super::header(&request, "range").filter(|_| is_same);
    let (status, from, to) = match range.map(|range| part(range, about.len())) {
        None | Some(Part::Whole) => (StatusCode::OK, 0, about.len()),
        Some(Part::Some(from, to)) => (StatusCode::PARTIAL_CONTENT, from, to),
        Some(Part::Outside) => {
            let all = format!("bytes */{}", about.len());
            let mut answer = HttpResponse::RangeNotSatisfiable();
            return Ok(answer.insert_header((header::CONTENT_RANGE, all)).finish());
        }
    };
    let mut answer = HttpResponseBuilder::new(status);
    answer
        .insert_header((header::ETAG, etag))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .content_type("application/octet-stream");
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {from}-{}/{}", to.saturating_sub(1), about.len());
        answer.insert_header((header::CONTENT_RANGE, range));
    }
    Ok(answer.no_chunking(to - from).streaming(pieces(file, from, to)))
}

/// What a `Range` asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// It is none that is understood.
    Whole,
    /// From, and the first after it.
    Some(u64, u64),
    /// Nothing of the file.
    Outside,
}

/// One range of bytes; several are not served apart, and answered whole.
fn part(range: &str, len: u64) -> Part {
    let Some((from, to)) = range.strip_prefix("bytes=").and_then(|own| own.split_once('-')) else {
        return Part::Whole;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (number(from), number(to)) {
        (Some(from), _) if from >= len => Part::Outside,
        (Some(from), Some(to)) if from <= to => Part::Some(from, to.saturating_add(1).min(len)),
        (Some(from), None) if to.trim().is_empty() => Part::Some(from, len),
        (None, Some(0)) if from.trim().is_empty() => Part::Outside,
        (None, Some(last)) if from.trim().is_empty() => Part::Some(len.saturating_sub(last), len),
        _ => Part::Whole,
    }
}

/// The bytes of a file, a piece at a time.
fn pieces(
    file: File,
    from: u64,
    to: u64,
) -> impl stream::Stream<Item = Result<Bytes, actix_web::Error>> {
    stream::try_unfold((file, from), move |(mut file, at)| async move {
        if at >= to {
            return Ok(None);
        }
        let read = web::block(move || {
            let most = usize::try_from(to - at).unwrap_or(PIECE).min(PIECE);
            let mut piece = vec![0; most];
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut piece)?;
            Ok::<_, std::io::Error>((file, piece))
        });
        let (file, piece) = read.await??;
        let at = at + piece.len() as u64;
        Ok(Some((Bytes::from(piece), (file, at))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (range, expected) in [
            ("bytes=0-0", Part::Some(0, 1)),
            ("bytes=2-5", Part::Some(2, 6)),
            ("bytes=5-", Part::Some(5, 10)),
            ("bytes=-3", Part::Some(7, 10)),
            ("bytes=-30", Part::Some(0, 10)),
            ("bytes=0-99", Part::Some(0, 10)),
            ("bytes=10-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=5-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("lines=1-2", Part::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
    }
}
