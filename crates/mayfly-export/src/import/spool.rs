//! A file that comes over the network: kept until it was read.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mayfly_core::limits;

use crate::aside::Aside;

/// A file that is still coming. Dropped before it is whole, it is gone.
pub struct Spool {
    path: PathBuf,
    out: Aside,
    bytes: u64,
}

/// A file that came whole. Dropped, it is gone.
#[derive(Debug)]
pub struct Spooled {
    path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Hex of its SHA-256.
    pub sha256: String,
}

impl Spool {
    /// Begins a file of this name in a folder, which is made where it is missing.
    ///
    /// # Errors
    /// The system's.
    pub fn create(folder: &Path, name: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(name);
        Ok(Self { out: Aside::create(&path)?, path, bytes: 0 })
    }

    /// Takes more of it; whether it is still within [`limits::IMPORT_BYTES`].
    ///
    /// # Errors
    /// The system's.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.bytes += bytes.len() as u64;
        if self.bytes > limits::IMPORT_BYTES {
            return Ok(false);
        }
        self.out.write_all(bytes).map(|()| true)
    }

    /// It came whole.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(self) -> io::Result<Spooled> {
        let written = self.out.commit()?;
        Ok(Spooled { path: self.path, bytes: written.bytes, sha256: written.sha256 })
    }
}

impl Spooled {
    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // It may be gone already; nobody waits for it.
        fs::remove_file(&self.path).ok();
    }
}

/// Removes what a process left that ended while files came.
///
/// # Errors
/// The system's.
pub fn clear_spool(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
