//! The manifest of an export: what the files hold, their hashes, and until when they may be kept.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ExportError;
use crate::aside::Aside;

/// The file name of a run's manifest ends so.
pub const ENDING: &str = ".manifest.json";

/// What one run wrote.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of the manifest.
    pub format: u8,
    /// The realm whose visitors these are.
    pub realm: String,
    /// The store they come from.
    pub store: String,
    /// Which ids the files hold. `visitor`: our own, useless to a receiver without a match.
    pub id_space: String,
    /// Whether a receiver's consent was checked.
    pub consent_checked: bool,
    /// The instant the members are exact for, epoch milliseconds.
    pub as_of_ms: i64,
    /// Delete the files by then: the newest behaviour in them is out of the retention, epoch
    /// milliseconds.
    pub delete_by_ms: i64,
    /// The files.
    pub files: Vec<ManifestFile>,
}

impl Manifest {
    /// Writes it beside its files; answers where it is.
    ///
    /// # Errors
    /// [`ExportError::File`].
    pub fn write(&self, folder: &Path, stem: &str) -> Result<PathBuf, ExportError> {
        let path = folder.join(format!("{stem}{ENDING}"));
        let write = || {
            let mut out = Aside::create(&path)?;
            serde_json::to_writer_pretty(&mut out, self)?;
            out.write_all(b"\n")?;
            out.commit()
        };
        write().map_err(|source| ExportError::File { path: path.clone(), source })?;
        Ok(path)
    }
}

/// One file of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its name, beside the manifest.
    pub name: String,
    /// The segment.
    pub segment: String,
    /// The segment's stable id.
    pub segment_id: u32,
    /// The definitions version it was evaluated under.
    pub version: u32,
    /// `csv`, `jsonl` or `roaring`.
    pub format: String,
    /// Members in it.
    pub members: u64,
    /// Lines (without a CSV's header); 0 for binary files.
    pub lines: u64,
    /// Its size.
    pub bytes: u64,
    /// Hex of its SHA-256.
    pub sha256: String,
}

/// A run whose files should be gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overdue {
    /// Its manifest.
    pub manifest: PathBuf,
    /// When it was to be deleted, epoch milliseconds.
    pub delete_by_ms: i64,
}

/// What of a manifest, or of a control file, says when the files are to go.
#[derive(serde::Deserialize)]
struct DeleteBy {
    delete_by_ms: i64,
}

/// The runs in `folder` that are kept too long at `now_ms`. A folder that is not there has none.
///
/// # Errors
/// A folder or manifest that cannot be read.
pub fn overdue(folder: &Path, now_ms: i64) -> Result<Vec<Overdue>, ExportError> {
    let failed = |source| ExportError::File { path: folder.to_owned(), source };
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(e) => return Err(failed(e)),
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            // The folders of destinations lie in one of exports.
            found.extend(overdue(&path, now_ms)?);
            continue;
        }
        let is_control = name.ends_with(crate::feed::CONTROL);
        if !is_control && !name.ends_with(ENDING) {
            continue;
        }
        let bytes = fs::read(&path).map_err(failed)?;
        let read: Result<DeleteBy, _> = serde_json::from_slice(&bytes);
        let delete_by_ms = match read {
            Ok(DeleteBy { delete_by_ms }) => delete_by_ms,
            // Adobe's form does not say.
            Err(_) if is_control => continue,
            Err(source) => return Err(ExportError::Manifest { path, source }),
        };
        if delete_by_ms <= now_ms {
            found.push(Overdue { manifest: path, delete_by_ms });
        }
    }
    found.sort_by(|a, b| a.manifest.cmp(&b.manifest));
    Ok(found)
}
