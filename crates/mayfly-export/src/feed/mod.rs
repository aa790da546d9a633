//! Changes in files: adds and removals of many visitors, in the layout that a partner reads,
//! packed and split by size. Memory is bounded by a row group, not by the number of visitors.
//!
//! Each part is written aside and renamed when it is whole; the control file (`.info`) comes last,
//! so that a reader who sees it sees all parts.
//!
//! Adobe's `.overwrite` replaces what is known of the visitors in it, of nobody else, and cannot
//! be empty: whoever leaves everything stands in a `.sync` beside it.

mod adobe;
mod control;
mod parquet;
mod rows;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use mayfly_segments::destination::way::{FeedLayout, FilesSettings, Packing};

use crate::ExportError;
use crate::aside::{Aside, Written};
use crate::batch::{Batch, UserChange};
use crate::xandr_line;

/// How the name of a control file ends.
pub(crate) const CONTROL: &str = ".info";

/// What a set of files is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeedName {
    /// The destination's name.
    pub destination: Box<str>,
    /// They say everything, not changes alone.
    pub is_full: bool,
    /// When they were begun, milliseconds since 1970: no two sets of a destination have the same.
    pub at_ms: i64,
    /// What a reader is told of them.
    pub about: Option<About>,
}

/// What a reader is told of a set, in its control file; of [`FeedLayout::Adobe`] nothing, for its
/// form is Adobe's.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct About {
    /// The realm.
    pub realm: Box<str>,
    /// The definitions version of its segments.
    pub version: u32,
    /// The instant for which its members are exact, milliseconds.
    pub as_of_ms: i64,
    /// When the file is to be deleted, milliseconds.
    pub delete_by_ms: i64,
}

/// One part of a set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Visitors in it.
    pub visitors: u64,
    /// Pairs of visitor and segment in it.
    pub pairs: u64,
    /// Lines, without a header; rows of a Parquet file.
    pub lines: u64,
    /// Its size as it lies there.
    pub bytes: u64,
    /// Hex of its SHA-256.
    pub sha256: String,
}

/// A set that is whole.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Feed {
    /// Its parts, in their order.
    pub parts: Vec<Part>,
    /// The names of its control files, which come last; none where there is no part.
    pub controls: Vec<String>,
    /// Pairs of visitor and segment that were written.
    pub pairs: u64,
    /// Pairs left out because the visitor's id cannot stand in such a file.
    pub unfit: u64,
}

impl Feed {
    /// The names of its files, in the order in which they came to be.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| &*part.name).chain(self.controls.iter().map(|own| &**own))
    }
}

/// Writes a set of files.
pub struct FeedWriter<'s> {
    folder: PathBuf,
    name: FeedName,
    settings: &'s FilesSettings,
    open: Option<Open>,
    feed: Feed,
    is_whole: bool,
    /// Of those who leave everything, where a full set cannot say so.
    leaving: Option<Box<Self>>,
}

/// A part that is being written.
struct Open {
    name: String,
    sink: Sink,
    visitors: u64,
    pairs: u64,
    lines: u64,
    raw_bytes: u64,
}

enum Sink {
    Plain(Aside),
    Gzip(Box<GzEncoder<Aside>>),
    Zstd(Box<zstd::Encoder<'static, Aside>>),
    Parquet(Box<parquet::Rows>),
}

/// The text of a batch in a layout, header included; nothing of [`FeedLayout::Parquet`].
///
/// # Errors
/// What a writer of separated values refuses.
pub fn text(layout: &FeedLayout, batch: &Batch, is_full: bool) -> io::Result<Vec<u8>> {
    let mut text = rows::header(layout).to_vec();
    for change in batch.changes.iter().filter(|change| takes(layout, &change.uid)) {
        text.extend(rows::lines(layout, batch, change, is_full)?);
    }
    Ok(text)
}

/// Whether an id can stand in such a file.
#[must_use]
pub fn takes(layout: &FeedLayout, uid: &str) -> bool {
    match layout {
        FeedLayout::Xandr(layout) => xandr_line::takes(layout, uid),
        FeedLayout::Adobe { .. } => adobe::takes(uid),
        FeedLayout::Csv | FeedLayout::Tsv | FeedLayout::Jsonl | FeedLayout::Parquet => true,
    }
}

impl<'s> FeedWriter<'s> {
    /// Begins a set in a folder, which is made when missing.
    ///
    /// # Errors
    /// [`ExportError::File`].
    pub fn new(
        folder: &Path,
        name: FeedName,
        settings: &'s FilesSettings,
    ) -> Result<Self, ExportError> {
        let folder = folder.to_owned();
        std::fs::create_dir_all(&folder)
            .map_err(|source| ExportError::File { path: folder.clone(), source })?;
        Ok(Self::at(folder, name, settings))
    }

    fn at(folder: PathBuf, name: FeedName, settings: &'s FilesSettings) -> Self {
        let is_apart = name.is_full && matches!(settings.format, FeedLayout::Adobe { .. });
        let leaving = is_apart.then(|| {
            let name = FeedName { is_full: false, ..name.clone() };
            Box::new(Self::at(folder.clone(), name, settings))
        });
        let (open, feed, is_whole) = (None, Feed::default(), false);
        Self { folder, name, settings, open, feed, is_whole, leaving }
    }

    /// Writes the changes of a batch, visitors in its order. A writer that is dropped before it has
    /// finished takes its parts back.
    ///
    /// # Errors
    /// [`ExportError::File`]: nothing of this set will be there.
    pub fn write(&mut self, batch: &Batch) -> Result<(), ExportError> {
        for change in &batch.changes {
            match &mut self.leaving {
                Some(leaving) if change.adds.is_empty() => leaving.put(batch, change)?,
                Some(_) | None => self.put(batch, change)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, batch: &Batch, change: &UserChange) -> Result<(), ExportError> {
        if !takes(&self.settings.format, &change.uid) {
            self.feed.unfit += change.pairs() as u64;
            return Ok(());
        }
        let text = rows::lines(&self.settings.format, batch, change, self.name.is_full);
        let path = self.folder.clone();
        let text = text.map_err(|source| ExportError::File { path, source })?;
        if self.open.is_none() {
            self.open = Some(self.begin()?);
        }
        let path = self.folder.clone();
        let failed = |source| ExportError::File { path, source };
        let Some(open) = &mut self.open else { return Ok(()) };
        open.write(&text, batch, change).map_err(failed)?;
        self.feed.pairs += change.pairs() as u64;
        if open.raw_bytes >= self.settings.part_bytes { self.close() } else { Ok(()) }
    }

    /// Closes the last part, writes the control files, and answers what there is.
    ///
    /// # Errors
    /// [`ExportError::File`].
    pub fn finish(mut self) -> Result<Feed, ExportError> {
        self.close()?;
        let is_ours = !matches!(self.settings.format, FeedLayout::Adobe { .. });
        let about = self.name.about.as_ref().filter(|_| is_ours);
        let about = control::file(&self.stem(), &self.feed.parts, about);
        let has_parts = !self.feed.parts.is_empty();
        if let Some(leaving) = self.leaving.take() {
            let own = leaving.finish()?;
            self.feed.parts.splice(..0, own.parts);
            self.feed.controls = own.controls;
            self.feed.pairs += own.pairs;
            self.feed.unfit += own.unfit;
        }
        if has_parts {
            let name = format!("{}{CONTROL}", self.stem());
            let path = self.folder.join(&name);
            let failed = |source| ExportError::File { path: path.clone(), source };
            let mut out = Aside::create(&path).map_err(failed)?;
            out.write_all(&about).and_then(|()| out.commit()).map_err(failed)?;
            self.feed.controls.push(name);
        }
        self.is_whole = true;
        Ok(std::mem::take(&mut self.feed))
    }

    fn stem(&self) -> String {
        let FeedName { destination, is_full, at_ms, .. } = &self.name;
        match &self.settings.format {
            FeedLayout::Adobe { data_source } => {
                let mode = if *is_full { "overwrite" } else { "sync" };
                format!("ftp_dpm_{data_source}_{}.{mode}", at_ms.div_euclid(1000))
            }
            FeedLayout::Csv
            | FeedLayout::Tsv
            | FeedLayout::Jsonl
            | FeedLayout::Parquet
            | FeedLayout::Xandr(_) => {
                let mode = if *is_full { "full" } else { "iter" };
                format!("mayfly_{destination}_{mode}_{at_ms}")
            }
        }
    }

    /// The next part's name: parts of a set share the time.
    fn part_name(&self) -> String {
        let (stem, number) = (self.stem(), self.feed.parts.len() + 1);
        let packed = match self.settings.packing {
            Packing::Plain => "",
            Packing::Gzip => ".gz",
            Packing::Zstd => ".zst",
        };
        let ending = match &self.settings.format {
            FeedLayout::Adobe { .. } => return format!("{stem}.{number}{packed}"),
            FeedLayout::Parquet => return format!("{stem}-{number:03}.parquet"),
            FeedLayout::Csv => "csv",
            FeedLayout::Tsv => "tsv",
            FeedLayout::Jsonl => "jsonl",
            FeedLayout::Xandr(_) => "txt",
        };
        format!("{stem}-{number:03}.{ending}{packed}")
    }

    fn begin(&self) -> Result<Open, ExportError> {
        let name = self.part_name();
        let path = self.folder.join(&name);
        let failed = |source| ExportError::File { path: path.clone(), source };
        let file = Aside::create(&path).map_err(failed)?;
        let sink = match (&self.settings.format, self.settings.packing) {
            (FeedLayout::Parquet, _) => {
                Sink::Parquet(Box::new(parquet::Rows::new(file).map_err(failed)?))
            }
            (_, Packing::Plain) => Sink::Plain(file),
            (_, Packing::Gzip) => Sink::Gzip(Box::new(GzEncoder::new(file, Compression::new(6)))),
            (_, Packing::Zstd) => {
                Sink::Zstd(Box::new(zstd::Encoder::new(file, 3).map_err(failed)?))
            }
        };
        let mut open = Open { name, sink, visitors: 0, pairs: 0, lines: 0, raw_bytes: 0 };
        open.put(rows::header(&self.settings.format)).map_err(failed)?;
        Ok(open)
    }

    fn close(&mut self) -> Result<(), ExportError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let Open { name, sink, visitors, pairs, lines, .. } = open;
        let failed = |source| ExportError::File { path: self.folder.join(&name), source };
        let Written { bytes, sha256 } = sink.commit().map_err(failed)?;
        self.feed.parts.push(Part { name, visitors, pairs, lines, bytes, sha256 });
        Ok(())
    }
}

impl Drop for FeedWriter<'_> {
    /// A set that did not become whole leaves no part behind: a reader would take some for all.
    fn drop(&mut self) {
        if !self.is_whole {
            for name in self.feed.files() {
                // It may be gone already; nobody waits for it.
                std::fs::remove_file(self.folder.join(name)).ok();
            }
        }
    }
}

impl Open {
    fn write(&mut self, text: &[u8], batch: &Batch, change: &UserChange) -> io::Result<()> {
        self.visitors += 1;
        self.pairs += change.pairs() as u64;
        if let Sink::Parquet(rows) = &mut self.sink {
            let (lines, bytes) = rows.push(batch, change)?;
            self.lines += lines;
            self.raw_bytes += bytes;
            return Ok(());
        }
        self.lines += text.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.put(text)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.raw_bytes += bytes.len() as u64;
        match &mut self.sink {
            Sink::Plain(out) => out.write_all(bytes),
            Sink::Gzip(out) => out.write_all(bytes),
            Sink::Zstd(out) => out.write_all(bytes),
            Sink::Parquet(_) => Ok(()),
        }
    }
}

impl Sink {
    /// Ends the packing: without that the last block would be lost.
    fn commit(self) -> io::Result<Written> {
        match self {
            Self::Plain(out) => out.commit(),
            Self::Gzip(out) => out.finish()?.commit(),
            Self::Zstd(out) => out.finish()?.commit(),
            Self::Parquet(rows) => rows.finish()?.commit(),
        }
    }
}

#[cfg(test)]
mod tests;
