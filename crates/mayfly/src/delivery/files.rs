//! Deliveries to a folder: a set of files that is there whole, then noted; old sets go.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use mayfly_core::{Timestamp, time::DAY_SECONDS};
use mayfly_export::{About, Batch, ExportError, Feed, FeedName, FeedWriter, UserChange, feed};
use mayfly_segments::destination::Destination;
use mayfly_segments::destination::way::{FilesSettings, Upload};
use mayfly_segments::{Compiled, Definitions};
use mayfly_store::{CatalogName, StoreError};

use super::audience::NotNow;
use super::changes::{Changes, Pairs};
use super::news::Gone;
use super::push::{added, held};
use super::record::{BatchRow, Delivery, Mode};
use super::runner::{End, Runner};
use super::secrets;
use super::upload::{NotTaken, upload};
use crate::app::App;
use crate::clock;

/// Visitors whose lines are made at a time.
const CHUNK: usize = 10_000;
/// How long after midnight old files are gone at the latest, seconds: a delivery may be under way.
const CLEANED_S: i64 = 3600;

impl Runner {
    /// Writes a set of files, and notes what is in them.
    pub(super) async fn put_files(
        &mut self,
        files: &FilesSettings,
        delivery: &mut Delivery,
        changes: &mut Changes,
        gone: &[Gone],
        now: Timestamp,
    ) -> Result<End, NotNow> {
        let begun = std::time::Instant::now();
        let exports = &self.app.settings().delivery.exports;
        // Nobody is to pull what is not noted.
        let folder = exports.join(aside_of(&files.folder));
        let whole = exports.join(&*files.folder);
        let name = self.name_set(files, delivery, now);
        let mut told = Told::default();
        let written = self.write_files(&folder, name, files, (delivery, changes, gone), &mut told);
        let feed = match written.await? {
            Ok(feed) => feed,
            Err(error) => {
                tracing::warn!(%error, "files of a delivery cannot be written");
                let is_full = matches!(&error, ExportError::File { source, .. }
                    if source.kind() == std::io::ErrorKind::StorageFull);
                let code = if is_full { "disk_full" } else { "file" };
                return Ok(End::Later(code.into(), None));
            }
        };
        // Who may be read of from here on must be told to leave one day, whatever comes between.
        if let Err(error) = self.note_maybe(added(&told.all, changes), now).await {
            remove(&folder, &feed);
            return Err(error.into());
        }
        let end = self.hand_over(files, (&folder, &whole), &feed).await;
        if end != End::Done {
            return Ok(end);
        }
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        for part in &feed.parts {
            delivery.push(BatchRow {
                id: part.name.clone(),
                visitors: part.visitors,
                pairs: part.pairs,
                bytes: part.bytes,
                sha256: part.sha256.clone(),
                ms,
                result: "accepted".to_owned(),
            });
        }
        delivery.pairs.sent += feed.pairs + feed.unfit;
        delivery.pairs.accepted += feed.pairs;
        if feed.unfit > 0 {
            delivery.pairs.rejected.insert("unfit_id".to_owned(), feed.unfit);
        }
        self.standing.accepted_ms = clock::now().millis();
        self.bill(changes, &told.written, 0, now);
        self.note(changes, told.all, now).await?;
        for own in gone {
            self.standing.set_told(own.partition, own.at);
        }
        // On the invoice, too.
        self.keep().await?;
        Ok(End::Done)
    }

    fn name_set(&mut self, files: &FilesSettings, of: &Delivery, now: Timestamp) -> FeedName {
        // Some layouts name sets by the second.
        self.named_ms = now.millis().max(self.named_ms + 1000);
        FeedName {
            destination: of.destination.as_str().into(),
            is_full: of.mode == Mode::Full,
            at_ms: self.named_ms,
            about: Some(About {
                realm: self.app.store().identity().realm_name.clone(),
                version: of.version,
                as_of_ms: of.as_of_ms,
                delete_by_ms: delete_by(files.keep_days, now).millis(),
            }),
        }
    }

    /// Takes a set to its receiver, and to where it can be pulled from.
    async fn hand_over(
        &mut self,
        files: &FilesSettings,
        (folder, whole): (&Path, &Path),
        feed: &Feed,
    ) -> End {
        if let Some(to) = &files.upload {
            if let Err(why) = self.take_there(to, folder, feed).await {
                tracing::warn!(destination = self.id.0, code = why.code(), %to, "files stay here");
                remove(folder, feed);
                return match why.is_for_good() {
                    true => held(why.code(), "", &Pairs::default(), &Changes::default()),
                    false => End::Later(why.code().into(), None),
                };
            }
            if !self.is_ours() {
                return self.give_up();
            }
        }
        if let Err(error) = publish(folder, whole, feed) {
            tracing::warn!(%error, "files of a delivery cannot be put into their folder");
            if files.upload.is_none() {
                remove(whole, feed);
                remove(folder, feed);
                return End::Later("file".into(), None);
            }
        }
        End::Done
    }

    /// Takes a set to where its receiver wants it.
    async fn take_there(&self, to: &Upload, folder: &Path, feed: &Feed) -> Result<(), NotTaken> {
        let Some(desk) = &self.desk else { return Ok(()) };
        let secrets = secrets::of(&desk.destination, &self.app.settings().delivery.secrets);
        let secrets = secrets.map_err(|error| {
            tracing::warn!(%error, "files cannot be taken there");
            NotTaken::Secret
        })?;
        let names: Vec<String> = feed.files().map(str::to_owned).collect();
        upload(&self.connector, to, &secrets, (folder, &names)).await
    }

    async fn write_files(
        &mut self,
        folder: &Path,
        name: FeedName,
        files: &FilesSettings,
        (delivery, changes, gone): (&mut Delivery, &mut Changes, &[Gone]),
        told: &mut Told,
    ) -> Result<Result<Feed, ExportError>, NotNow> {
        let id = delivery.id();
        let mut writer = match FeedWriter::new(folder, name, files) {
            Ok(writer) => writer,
            Err(error) => return Ok(Err(error)),
        };
        let codes: Vec<usize> = (0..changes.segments.len()).collect();
        let removed = |own: &Gone| UserChange {
            uid: own.uid.clone(),
            adds: Vec::new(),
            removes: codes.clone(),
        };
        for some in gone.chunks(CHUNK) {
            let batch = Batch {
                id: id.as_str().into(),
                now: clock::now(),
                segments: changes.segments.clone(),
                changes: some.iter().map(removed).collect(),
            };
            if let Err(error) = tokio::task::block_in_place(|| writer.write(&batch)) {
                return Ok(Err(error));
            }
        }
        loop {
            if !self.may_go_on(delivery) {
                return Err(NotNow::Loading);
            }
            let Some(desk) = &mut self.desk else { break };
            let now = clock::now();
            let Some(chunk) = desk.next_chunk(changes, CHUNK, now).await? else { break };
            delivery.pairs.left_out += chunk.left_out;
            told.all.extend(chunk.pairs.iter().flatten().chain(&chunk.untold));
            let written = chunk.users.iter().zip(&chunk.pairs);
            let written = written.filter(|(user, _)| feed::takes(&files.format, &user.uid));
            told.written.extend(written.flat_map(|(_, pairs)| pairs));
            let batch = chunk.batch(&id, changes, now);
            if let Err(error) = tokio::task::block_in_place(|| writer.write(&batch)) {
                return Ok(Err(error));
            }
        }
        Ok(tokio::task::block_in_place(|| writer.finish()))
    }
}

/// Who is told of by a set.
#[derive(Debug, Default)]
struct Told {
    /// What is noted.
    all: Pairs,
    /// What stands in it.
    written: Pairs,
}

/// Puts a set where it is pulled from: its control files last.
fn publish(from: &Path, to: &Path, feed: &Feed) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    feed.files().try_for_each(|name| fs::rename(from.join(name), to.join(name)))
}

/// Removes what there is of a set.
fn remove(folder: &Path, feed: &Feed) {
    for name in feed.files() {
        fs::remove_file(folder.join(name)).ok();
    }
}

/// When files that are written now are gone: at the first look of the day after they are as old as
/// they may be.
fn delete_by(keep_days: u16, now: Timestamp) -> Timestamp {
    let oldest = now.plus_secs(i64::from(keep_days) * DAY_SECONDS);
    oldest.day().map_or(oldest, |day| day.plus(1).start().plus_secs(CLEANED_S))
}

/// The folder where files lie until they are taken away: none that anybody can ask for.
pub(super) fn aside_of(folder: &str) -> String {
    format!(".{folder}")
}

/// Removes the files of a destination that is no more, unless another one writes there.
pub(super) fn remove_files(exports: &Path, gone: &Destination, active: &Compiled, now: Timestamp) {
    let Some(files) = gone.way.files() else { return };
    if !folders(active.definitions()).contains(&*files.folder) {
        remove_old(exports, &files.folder, None, now);
        remove_old(exports, &aside_of(&files.folder), None, now);
        // They stay where somebody else put something into them.
        fs::remove_dir(exports.join(&*files.folder)).ok();
        fs::remove_dir(exports.join(aside_of(&files.folder))).ok();
    }
}

/// The folders that destinations write to.
fn folders(definitions: &Definitions) -> HashSet<&str> {
    let files = definitions.destinations().filter_map(|own| own.way.files());
    files.map(|own| &*own.folder).collect()
}

/// Removes what destinations left behind that went while no process served them here.
pub(super) async fn remove_left(app: &App, now: Timestamp) -> Result<(), StoreError> {
    let (exports, active) = (&app.settings().delivery.exports, app.active());
    let known = folders(active.definitions());
    let is_left = |entry: std::io::Result<fs::DirEntry>| {
        let name = entry.ok()?.file_name();
        Some(!known.contains(name.to_str()?.trim_start_matches('.')))
    };
    // The history may be large; mostly nothing is left.
    let mut entries = fs::read_dir(exports).into_iter().flatten();
    if !entries.any(|entry| is_left(entry) == Some(true)) {
        return Ok(());
    }
    for version in app.store().catalog_history(CatalogName::Definitions).await? {
        // One that cannot be read is told of elsewhere.
        let Ok(then) = Definitions::from_bytes(&version.bytes) else { continue };
        then.destinations().for_each(|gone| remove_files(exports, gone, &active, now));
    }
    Ok(())
}

/// Removes the files of a folder that are older than so many days; all of them without.
pub(super) fn remove_old(exports: &Path, folder: &str, keep_days: Option<u16>, now: Timestamp) {
    let oldest = keep_days.map(|days| {
        let oldest_s = now.secs() - i64::from(days) * DAY_SECONDS;
        UNIX_EPOCH + Duration::from_secs(u64::try_from(oldest_s).unwrap_or(0))
    });
    let remove = |entry: fs::DirEntry| -> std::io::Result<()> {
        let about = entry.metadata()?;
        let modified = about.modified()?;
        if about.is_file() && oldest.is_none_or(|oldest| modified < oldest) {
            fs::remove_file(entry.path())?;
        }
        Ok(())
    };
    let entries = match fs::read_dir(exports.join(folder)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        entries => entries,
    };
    let done = entries.and_then(|mut entries| entries.try_for_each(|entry| remove(entry?)));
    if let Err(error) = done {
        tracing::warn!(folder, %error, "old files stay");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each midnight removes what is old enough then: by `delete_by` a set is gone.
    #[test]
    fn files_are_gone_by_their_delete_by() {
        let exports = tempfile::tempdir().unwrap();
        let file = exports.path().join("acme/set.csv");
        fs::create_dir(exports.path().join("acme")).unwrap();
        fs::write(&file, "uid\n").unwrap();
        let written = fs::metadata(&file).unwrap().modified().unwrap();
        let written_s = written.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let written = Timestamp::from_secs(i64::try_from(written_s).unwrap());
        let by = delete_by(7, written);
        let mut midnight = written.day().unwrap();
        while midnight.start() < by {
            assert!(file.exists() || midnight.start() >= written.plus_secs(7 * DAY_SECONDS));
            remove_old(exports.path(), "acme", Some(7), midnight.start());
            midnight = midnight.plus(1);
        }
        assert!(!file.exists(), "it goes before {by:?}");
        assert!(by < written.plus_secs(8 * DAY_SECONDS + CLEANED_S));
    }
}
