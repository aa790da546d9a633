//! A file that is written aside: it is there whole under its name, or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Written {
    /// Its size.
    pub(crate) bytes: u64,
    /// Hex of its SHA-256.
    pub(crate) sha256: String,
}

/// A file that has not its name yet. Dropped before it has, it is removed.
pub(crate) struct Aside {
    path: PathBuf,
    out: Option<BufWriter<File>>,
    hash: Sha256,
    bytes: u64,
}

impl Aside {
    /// Begins a file.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let out = BufWriter::with_capacity(1 << 16, File::create(aside(path))?);
        Ok(Self { path: path.to_owned(), out: Some(out), hash: Sha256::new(), bytes: 0 })
    }

    /// Writes it out, gives it its name, and has the folder remember it.
    pub(crate) fn commit(mut self) -> io::Result<Written> {
        let Some(out) = self.out.take() else { return Err(io::ErrorKind::NotFound.into()) };
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(aside(&self.path), &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        let hash = std::mem::take(&mut self.hash).finalize();
        Ok(Written { bytes: self.bytes, sha256: hex(&hash) })
    }
}

impl Write for Aside {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let Some(out) = &mut self.out else { return Err(io::ErrorKind::NotFound.into()) };
        let n = out.write(buf)?;
        self.hash.update(buf.get(..n).unwrap_or_default());
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if self.out.take().is_some() {
            // It may be gone already; nobody waits for it.
            fs::remove_file(aside(&self.path)).ok();
        }
    }
}

/// `x.csv.gz.part`: no reader takes it for a file.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
