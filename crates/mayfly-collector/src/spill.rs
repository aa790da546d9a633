//! The spill: batches that the store did not take in time, on disk until it does.
//!
//! Constraints. Bounded; every append is fsynced before it is acknowledged; a file cut at any byte
//! gives back every whole record before the cut; records leave in the order in which they came, and
//! only after the store has them. Files of another store are left alone and reported.
//!
//! Layout of `<store id, 16 hex>-<sequence, 16 hex>.spill`: header = `MFSPILL` and version byte 1,
//! store id u64, begun (ms) i64; then records: payload length u32, kind u8, xxh3-64 of kind and
//! payload, payload. Little-endian. A file is closed at [`limits::SPILL_FILE_BYTES`] and deleted
//! whole once drained. After a restart its records are sent again from the file's start: lanes make
//! that harmless.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use mayfly_core::{StoreId, Timestamp, limits};
use xxhash_rust::xxh3::Xxh3;

/// First bytes of a spill file; the last is the version.
const MAGIC: [u8; 8] = *b"MFSPILL\x01";
/// Bytes of a file's header.
const HEADER_BYTES: usize = 24;
/// Bytes before a record's payload.
const FRAME_BYTES: usize = 13;

/// What can go wrong with the spill.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// No room below the limit.
    #[error("the spill is full")]
    Full,
    /// The files failed: no space, no permission.
    #[error("the spill's files failed: {0}")]
    Files(#[from] io::Error),
}

/// What a record holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Pages and consent states to intern before the batches that follow.
    Values = 1,
    /// A batch.
    Batch = 2,
}

/// One record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

/// The spill of one store.
#[derive(Debug)]
pub(crate) struct Spill {
    folder: PathBuf,
    store: StoreId,
    limit: u64,
    /// Oldest first.
    files: VecDeque<SpillFile>,
    /// The last of `files`, open for appending.
    open: Option<File>,
    next: u64,
    /// Records of the first file that are not sent yet; read when it becomes the first.
    head: VecDeque<Record>,
    head_read: bool,
}

#[derive(Debug)]
struct SpillFile {
    path: PathBuf,
    bytes: u64,
    begun: Timestamp,
}

impl Spill {
    /// Opens the spill of `store` in a folder, which is made when the first record comes. Also
    /// answers files of other stores. Files last written before `oldest` hold nothing that the
    /// retention keeps, and go.
    ///
    /// # Errors
    /// [`SpillError::Files`].
    pub(crate) fn open(
        folder: &Path,
        store: StoreId,
        limit: u64,
        oldest: Timestamp,
    ) -> Result<(Self, Vec<PathBuf>), SpillError> {
        let (mut own, mut aside) = (Vec::new(), Vec::new());
        for path in spill_files(folder)? {
            if written(&path)? < oldest {
                std::fs::remove_file(&path)?;
                continue;
            }
            match read_header(&path)? {
                Some((id, begun)) if id == store => {
                    let bytes = path.metadata()?.len();
                    own.push(SpillFile { path, bytes, begun });
                }
                // Cut within its header: it never held an acknowledged record.
                None if path.metadata()?.len() < HEADER_BYTES as u64 => {
                    std::fs::remove_file(&path)?;
                }
                // Another store's, another version's, or damaged: for the operator to look at.
                Some(_) | None => aside.push(path),
            }
        }
        own.sort_by(|a, b| a.path.cmp(&b.path));
        let next = own.last().map_or(0, |f| sequence(&f.path).saturating_add(1));
        let spill = Self {
            folder: folder.to_owned(),
            store,
            limit,
            files: own.into(),
            open: None,
            next,
            head: VecDeque::new(),
            head_read: false,
        };
        Ok((spill, aside))
    }

    /// Whether there is nothing to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }

    /// When the oldest file was begun.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.files.front().map(|f| f.begun)
    }

    /// Appends records and fsyncs: all of them, or none.
    ///
    /// # Errors
    /// [`SpillError::Full`], [`SpillError::Files`]; nothing of these records is kept then.
    pub(crate) fn append(&mut self, records: &[Record], now: Timestamp) -> Result<(), SpillError> {
        let mut frames = Vec::new();
        for record in records {
            frame(record, &mut frames)?;
        }
        let needed = frames.len() as u64 + HEADER_BYTES as u64;
        if self.bytes().saturating_add(needed) > self.limit {
            return Err(SpillError::Full);
        }
        let full = |f: &SpillFile| f.bytes >= limits::SPILL_FILE_BYTES;
        if self.open.is_none() || self.files.back().is_none_or(full) {
            self.begin_file(now)?;
        }
        let written = self.write(&frames);
        if written.is_err() {
            // What part of it got there is unknown; the next record begins a fresh file, and a
            // torn tail is cut off when the file is read.
            self.open = None;
            self.truncate_last();
        } else if self.files.len() == 1 && self.head_read {
            self.head.extend(records.iter().cloned());
        }
        written
    }

    fn write(&mut self, frames: &[u8]) -> Result<(), SpillError> {
        let (Some(file), Some(last)) = (&mut self.open, self.files.back_mut()) else {
            return Err(SpillError::Full);
        };
        file.write_all(frames)?;
        file.sync_data()?;
        last.bytes += frames.len() as u64;
        Ok(())
    }

    /// Cuts a failed write off the last file, so that nothing unacknowledged is ever sent.
    fn truncate_last(&mut self) {
        let Some(last) = self.files.back() else { return };
        let cut = OpenOptions::new().write(true).open(&last.path);
        if let Err(error) = cut.and_then(|f| f.set_len(last.bytes).and_then(|()| f.sync_data())) {
            tracing::error!(%error, path = %last.path.display(), "cannot cut a torn spill file");
        }
    }

    fn begin_file(&mut self, now: Timestamp) -> Result<(), SpillError> {
        std::fs::create_dir_all(&self.folder)?;
        let name = format!("{}-{:016x}.spill", self.store, self.next);
        let path = self.folder.join(name);
        let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        self.next += 1;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&self.store.0.to_le_bytes());
        header.extend_from_slice(&now.millis().to_le_bytes());
        let made = file.write_all(&header).and_then(|()| File::open(&self.folder)?.sync_all());
        if let Err(error) = made {
            std::fs::remove_file(&path)?;
            return Err(error.into());
        }
        if self.files.is_empty() {
            (self.head_read, self.head) = (true, VecDeque::new());
        }
        self.files.push_back(SpillFile { path, bytes: HEADER_BYTES as u64, begun: now });
        self.open = Some(file);
        Ok(())
    }

    /// The first records, at most `most`; empty when there are none.
    ///
    /// # Errors
    /// [`SpillError::Files`].
    pub(crate) fn peek(&mut self, most: usize) -> Result<Vec<Record>, SpillError> {
        while self.head.is_empty() {
            let Some(first) = self.files.front() else { return Ok(Vec::new()) };
            if self.head_read {
                self.drop_first()?;
                continue;
            }
            self.head = read_records(&first.path)?.into();
            self.head_read = true;
        }
        Ok(self.head.iter().take(most).cloned().collect())
    }

    /// Forgets the first `sent` records; a file whose last record is sent is deleted.
    ///
    /// # Errors
    /// [`SpillError::Files`].
    pub(crate) fn advance(&mut self, sent: usize) -> Result<(), SpillError> {
        self.head.drain(..sent.min(self.head.len()));
        if self.head.is_empty() && self.head_read && !self.files.is_empty() {
            self.drop_first()?;
        }
        Ok(())
    }

    fn drop_first(&mut self) -> Result<(), SpillError> {
        if let Some(first) = self.files.pop_front() {
            if self.files.is_empty() {
                self.open = None;
            }
            self.head_read = false;
            std::fs::remove_file(&first.path)?;
        }
        Ok(())
    }
}

/// The `.spill` files of a folder; none when there is no folder.
fn spill_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in listing {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "spill") {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// When a file was last written.
fn written(path: &Path) -> io::Result<Timestamp> {
    let since = path.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp::from_secs(i64::try_from(since.as_secs()).unwrap_or(i64::MAX)))
}

/// The sequence in a file's name.
fn sequence(path: &Path) -> u64 {
    let name = path.file_stem().and_then(|n| n.to_str()).unwrap_or("");
    name.rsplit('-').next().and_then(|n| u64::from_str_radix(n, 16).ok()).unwrap_or(0)
}

/// Whose file it is and when it was begun; `None` when the header is not whole.
fn read_header(path: &Path) -> io::Result<Option<(StoreId, Timestamp)>> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    File::open(path)?.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    let read = || {
        let rest = header.strip_prefix(&MAGIC)?;
        let (store, rest) = rest.split_first_chunk()?;
        let begun = i64::from_le_bytes(*rest.first_chunk()?);
        Some((StoreId(u64::from_le_bytes(*store)), Timestamp::from_millis(begun)))
    };
    Ok(read())
}

/// Every whole record of a file, up to the first that is torn or damaged.
fn read_records(path: &Path) -> io::Result<Vec<Record>> {
    let bytes = std::fs::read(path)?;
    let mut rest = bytes.get(HEADER_BYTES..).unwrap_or(&[]);
    let mut records = Vec::new();
    while let Some((record, tail)) = unframe(rest) {
        records.push(record);
        rest = tail;
    }
    if !rest.is_empty() {
        tracing::warn!(bytes = rest.len(), path = %path.display(), "spill file has a torn tail");
    }
    Ok(records)
}

fn frame(record: &Record, out: &mut Vec<u8>) -> Result<(), SpillError> {
    let length = u32::try_from(record.bytes.len()).map_err(|_| SpillError::Full)?;
    out.extend_from_slice(&length.to_le_bytes());
    out.push(record.kind as u8);
    out.extend_from_slice(&checksum(record.kind as u8, &record.bytes).to_le_bytes());
    out.extend_from_slice(&record.bytes);
    Ok(())
}

fn unframe(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (&kind, rest) = rest.split_first()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (payload, rest) = rest.split_at_checked(length)?;
    if checksum(kind, payload) != u64::from_le_bytes(*sum) {
        return None;
    }
    let kind = match kind {
        1 => Kind::Values,
        2 => Kind::Batch,
        _ => return None,
    };
    Some((Record { kind, bytes: payload.to_vec() }, rest))
}

fn checksum(kind: u8, payload: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&[kind]);
    hash.update(payload);
    hash.digest()
}

const _: () = assert!(FRAME_BYTES == 4 + 1 + 8 && HEADER_BYTES == MAGIC.len() + 16);
const _: () = assert!(limits::SPILL_FILE_BYTES <= limits::SPILL_BYTES);

#[cfg(test)]
#[path = "spill_tests.rs"]
mod tests;
