//! The erasure journal: who was erased, in a file beside the store. A store that was restored from
//! a backup brings the erased back; the journal erases them again before anything is served.
//!
//! One line an erasure: store id, visitor, second. It says nothing but that a number is dead, and
//! forgets a line when every hit that a backup may hold is past the retention.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use mayfly_core::{Retention, StoreId, Timestamp, Visitor, time::DAY_SECONDS};

/// The file.
#[derive(Debug)]
pub(super) struct Journal {
    file: PathBuf,
    store: StoreId,
}

impl Journal {
    pub(super) fn new(file: PathBuf, store: StoreId) -> Self {
        Self { file, store }
    }

    /// Writes an erasure down, before it happens; on disk when this returns.
    pub(super) fn note(&self, visitor: Visitor, now: Timestamp) -> std::io::Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file)?;
        // A line that a crash cut off must not swallow this one.
        file.write_all(format!("\n{} {visitor} {}\n", self.store, now.secs()).as_bytes())?;
        file.sync_data()
    }

    /// Who was erased in this store within the retention; older lines go.
    pub(super) fn read(&self, retention: Retention, now: Timestamp) -> Vec<Visitor> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let oldest = now.secs() - i64::from(retention.days()) * DAY_SECONDS;
        let (mut kept, mut visitors) = (String::new(), Vec::new());
        for line in text.lines() {
            let mut words = line.split(' ');
            let (Some(store), Some(Ok(visitor)), Some(Ok(at_s))) = (
                words.next(),
                words.next().map(str::parse::<Visitor>),
                words.next().map(str::parse::<i64>),
            ) else {
                continue;
            };
            if at_s < oldest {
                continue;
            }
            kept.push_str(line);
            kept.push('\n');
            if store == self.store.to_string() {
                visitors.push(visitor);
            }
        }
        if kept.len() < text.len()
            && let Err(error) = self.replace(&kept)
        {
            tracing::warn!(%error, "old lines of the erasure journal stay");
        }
        visitors
    }

    fn replace(&self, text: &str) -> std::io::Result<()> {
        let aside = self.file.with_extension("part");
        let mut file = fs::File::create(&aside)?;
        file.write_all(text.as_bytes())?;
        // On disk before it takes the other's place.
        file.sync_all()?;
        fs::rename(aside, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use mayfly_core::Partition;

    use super::*;

    #[test]
    fn erasures_are_read_back_for_their_store_until_the_retention_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("erasures.journal");
        let own = Journal::new(file.clone(), StoreId(1));
        let visitor = |ordinal| Visitor { partition: Partition(3), ordinal };
        let day = |n: i64| Timestamp::from_secs(n * DAY_SECONDS);
        own.note(visitor(7), day(100)).unwrap();
        Journal::new(file.clone(), StoreId(2)).note(visitor(8), day(150)).unwrap();
        own.note(visitor(9), day(150)).unwrap();
        // A line that was cut by a crash is no erasure.
        fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"0000").unwrap();
        own.note(visitor(10), day(150)).unwrap();
        let (all, late) = ([visitor(7), visitor(9), visitor(10)], [visitor(9), visitor(10)]);
        assert_eq!(own.read(Retention::default(), day(190)), all, "nor does it swallow the next");
        assert_eq!(own.read(Retention::default(), day(191)), late);
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 3);
    }
}
