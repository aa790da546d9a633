//! Segments in files: CSV, JSON Lines, portable roaring; each run with a manifest.
//!
//! A file is written aside, fsynced, then renamed; the manifest comes last, so that a reader who
//! sees a manifest sees whole files. [`file`] writes, [`manifest`] says what was written and until
//! when it may be kept.

mod aside;
pub mod batch;
pub mod changes;
pub mod feed;
pub mod file;
pub mod import;
mod instant;
pub mod label;
pub mod manifest;
pub mod push;
pub mod table;
pub mod xandr_line;

use std::path::PathBuf;

pub use batch::{Add, Batch, SegmentKey, UserChange};
pub use changes::{CodeChanges, Lapses};
pub use feed::{About, Feed, FeedName, FeedWriter, Part};
pub use file::{Audience, Format, Source, export};
pub use import::{BadRow, ImportError, ImportFormat, ImportRow, Spool, Spooled};
pub use import::{Read1, clear_spool, read_import};
pub use label::label;
pub use manifest::{Manifest, ManifestFile, Overdue, overdue};
pub use table::{Cell, Kind, Table, TableWriter};

/// What can go wrong with an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file or folder failed.
    #[error("{path} cannot be written: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A manifest that cannot be read.
    #[error("{path} is no manifest of ours: {source}")]
    Manifest {
        /// Which.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
}
