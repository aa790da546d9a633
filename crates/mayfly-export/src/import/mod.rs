//! Partners' audiences come in: files of ids and codes, read a line at a time.
//!
//! The layouts are those that [`crate::feed`] writes, so that what one Mayfly delivers another one
//! imports, and Adobe's inbound files (Audience Manager, "Inbound Data File Contents"). Packed
//! files, gzip or Zstandard, are known by their first bytes.

mod columns;
mod lines;
mod spool;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use mayfly_core::limits;
use serde::{Deserialize, Serialize};

pub use spool::{Spool, Spooled, clear_spool};

/// How a file is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportFormat {
    /// A header with `uid` and, if wanted, `segment` and `op`; one pair a line.
    Csv,
    /// The same between tabs.
    Tsv,
    /// `{"uid": …, "add": […], "remove": […]}` a line.
    Jsonl,
    /// The columns of CSV.
    Parquet,
    /// Adobe's: an id, a tab, `d_sid=1,d_unsid=2`.
    Adobe,
}

impl ImportFormat {
    /// The format that a file's name speaks of, packed or not.
    ///
    /// ```
    /// use mayfly_export::ImportFormat;
    ///
    /// assert_eq!(ImportFormat::of("buyers.csv.gz"), Some(ImportFormat::Csv));
    /// assert_eq!(ImportFormat::of("ftp_dpm_77_1767693600.sync"), Some(ImportFormat::Adobe));
    /// assert_eq!(ImportFormat::of("buyers.doc"), None);
    /// ```
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let whole = name.to_ascii_lowercase();
        let name = whole.strip_suffix(".gz").or(whole.strip_suffix(".zst")).unwrap_or(&whole);
        if name.starts_with("ftp_dpm_") {
            return Some(Self::Adobe);
        }
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "parquet" if whole == name => Some(Self::Parquet),
            "sync" | "overwrite" => Some(Self::Adobe),
            _ => None,
        }
    }
}

/// What a file says of one id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportRow {
    /// The visitor's id in the space of the file.
    pub uid: Box<str>,
    /// The partner's code of the audience; none where the file has no column for it.
    pub code: Option<Box<str>>,
    /// He is in it; or was and is no more.
    pub is_in: bool,
}

/// Why a line says nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum BadRow {
    /// It is longer than [`limits::IMPORT_LINE_BYTES`].
    TooLong,
    /// It is not UTF-8.
    NotText,
    /// It has no id, or one that nobody can have.
    BadId,
    /// Its code is longer than any that can be defined.
    BadCode,
    /// It is no JSON of this form.
    NotJson,
    /// Its `op` is neither `add` nor `remove`.
    BadOp,
    /// It has other columns than the header.
    Columns,
    /// Nothing that follows the id can be read.
    BadEntry,
}

impl BadRow {
    /// Its name in receipts.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooLong => "line_too_long",
            Self::NotText => "not_utf8",
            Self::BadId => "bad_id",
            Self::BadCode => "bad_code",
            Self::NotJson => "bad_json",
            Self::BadOp => "bad_op",
            Self::Columns => "wrong_columns",
            Self::BadEntry => "bad_entry",
        }
    }
}

/// Why a whole file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file failed, or is packed and broken.
    #[error("the file cannot be read: {source}")]
    File {
        /// What the system said.
        #[from]
        source: io::Error,
    },
    /// The first line names no `uid`.
    #[error("the first line must name the columns: uid, and if wanted segment and op")]
    Header,
    /// It is no Parquet file with these columns.
    #[error("no Parquet file with a text column `uid`: {source}")]
    Parquet {
        /// What the reader said.
        #[from]
        source: parquet::errors::ParquetError,
    },
    /// More than [`limits::IMPORT_UNPACKED_BYTES`].
    #[error("unpacked it has more than {} bytes", limits::IMPORT_UNPACKED_BYTES)]
    TooLarge,
}

/// What is read: a row, or the line (from 1) that says nothing.
pub type Read1 = Result<ImportRow, (u64, BadRow)>;

/// Reads a file; `each` says whether to go on.
///
/// # Errors
/// [`ImportError`]; what was read before stands.
pub fn read_import(
    path: &Path,
    format: ImportFormat,
    mut each: impl FnMut(Read1) -> bool,
) -> Result<(), ImportError> {
    let open = || Ok::<_, ImportError>(unpacked(File::open(path)?)?);
    match format {
        ImportFormat::Csv => lines::table(open()?, b',', &mut each),
        ImportFormat::Tsv => lines::table(open()?, b'\t', &mut each),
        ImportFormat::Jsonl => lines::json(open()?, &mut each),
        ImportFormat::Adobe => lines::adobe(open()?, &mut each),
        ImportFormat::Parquet => columns::read(File::open(path)?, &mut each),
    }
}

/// A file as it was before it was packed.
fn unpacked(file: File) -> io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(256 * 1024, file);
    let magic = file.fill_buf()?;
    let unpacked: Box<dyn Read> = if magic.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(file))
    } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::stream::read::Decoder::with_buffer(file)?)
    } else {
        return Ok(Box::new(file));
    };
    Ok(Box::new(BufReader::with_capacity(256 * 1024, unpacked)))
}

/// An id that somebody can have: no blanks around it, no control characters.
fn is_uid(uid: &str) -> bool {
    (1..=limits::PARTNER_UID_BYTES).contains(&uid.len())
        && uid.trim() == uid
        && !uid.contains(char::is_control)
}
