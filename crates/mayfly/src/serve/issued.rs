//! The ordinals that were leased, in a file beside the store. A store that was restored from a
//! backup would issue again what browsers hold cookies of since: two people would be one. So its
//! counters begin above these.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use mayfly_core::{Ordinal, StoreId};

/// The file: a line with the store's id, then one with the end of the highest block a partition.
#[derive(Debug)]
pub(super) struct Issued {
    file: PathBuf,
    store: StoreId,
    kept: Vec<Ordinal>,
}

impl Issued {
    /// Reads the file; none, and one of another store, is an empty one.
    pub(super) fn open(file: PathBuf, store: StoreId) -> Self {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let mut lines = text.lines();
        let is_own = lines.next() == Some(&*store.to_string());
        let kept = lines.filter(|_| is_own).map_while(|line| line.parse().ok()).collect();
        Self { file, store, kept }
    }

    /// The end of the highest block of each partition.
    pub(super) fn ends(&self) -> &[Ordinal] {
        &self.kept
    }

    /// Keeps these from now on, when they are new.
    ///
    /// # Errors
    /// The file cannot be written; the next call tries again.
    pub(super) fn keep(&mut self, mut ends: Vec<Ordinal>) -> std::io::Result<()> {
        // A store from before a raise has fewer partitions than were issued from.
        ends.extend(self.kept.iter().skip(ends.len()));
        if ends == self.kept || ends.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = ends.iter().map(u32::to_string).collect();
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let aside = self.file.with_extension("part");
        let mut file = fs::File::create(&aside)?;
        file.write_all(format!("{}\n{}\n", self.store, lines.join("\n")).as_bytes())?;
        file.sync_all()?;
        fs::rename(aside, &self.file)?;
        self.kept = ends;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_read_back_for_their_store_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ordinals.issued");
        let mut own = Issued::open(file.clone(), StoreId(1));
        assert!(own.ends().is_empty());
        own.keep(vec![7, 4_294_967_295]).unwrap();
        assert_eq!(Issued::open(file.clone(), StoreId(1)).ends(), [7, 4_294_967_295]);
        assert!(Issued::open(file, StoreId(2)).ends().is_empty());
    }
}
