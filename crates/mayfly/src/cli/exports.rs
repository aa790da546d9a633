//! `export run|days|hits`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Subcommand;
use mayfly_core::Timestamp;
use mayfly_export::{Add, Batch, Feed, FeedName, FeedWriter, SegmentKey, UserChange};
use mayfly_segments::destination::way::{FeedLayout, FilesSettings, Packing};
use serde_json::{Value, json};

use super::client::{Client, Create, part};
use super::deliveries::count;
use super::output::{self, items, line, text};
use super::{Asks, analysis, segments};

/// What is asked of files.
#[derive(Debug, Subcommand)]
pub(super) enum ExportCommand {
    /// Write segments to files with a manifest
    Run {
        /// Names of segments
        #[arg(required = true)]
        names: Vec<String>,
        /// Folder to write to
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// csv, jsonl or roaring; with --for: csv, tsv, jsonl or parquet
        #[arg(long, default_value = "csv")]
        format: String,
        /// As this destination's receiver may have it: its ids, its consent, its minimum
        #[arg(long = "for", value_name = "DESTINATION")]
        receiver: Option<String>,
    },
    /// Each day in counts, category by category, as Parquet
    Days {
        /// Folder to write to
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// So many days, today included
        #[arg(long, default_value_t = 90)]
        days: u16,
    },
    /// The hits themselves as Parquet: for the privacy role, where `privacy.raw_export` is on
    Hits {
        /// Folder to write to
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// So many days, today included
        #[arg(long, default_value_t = 1)]
        days: u16,
    },
}

pub(super) fn run(asks: &Asks, command: &ExportCommand) -> anyhow::Result<()> {
    match command {
        ExportCommand::Days { to, days } => analysis::days(asks, to, *days),
        ExportCommand::Hits { to, days } => analysis::hits(asks, to, *days),
        ExportCommand::Run { names, to, format, receiver: None } => {
            segments::export(asks, names, to, format)
        }
        ExportCommand::Run { names, to, format, receiver: Some(receiver) } => {
            export(asks, names, to, (format, receiver))
        }
    }
}

/// Segments to files as a destination's receiver may have them.
fn export(
    asks: &Asks,
    names: &[String],
    to: &Path,
    (format, receiver): (&str, &str),
) -> anyhow::Result<()> {
    let layout = match format {
        "csv" => FeedLayout::Csv,
        "tsv" => FeedLayout::Tsv,
        "jsonl" => FeedLayout::Jsonl,
        "parquet" => FeedLayout::Parquet,
        other => bail!("--format {other:?} with --for: csv, tsv, jsonl or parquet"),
    };
    let client = Client::open(asks, Create::Never)?;
    let written = write_for(&client, names, to, (layout, receiver));
    client.close()?;
    let (feed, first) = written?;
    if asks.json {
        let files = feed.parts.iter().map(|own| {
            json!({"name": own.name, "lines": own.lines, "bytes": own.bytes, "sha256": own.sha256})
        });
        let files: Vec<Value> = files.collect();
        let (pairs, rows) = (&first["pairs"], &first["rows"]);
        output::json(&json!({"for": receiver, "files": files, "pairs": pairs, "segments": rows}));
        return Ok(());
    }
    let pairs = &first["pairs"];
    let rows = [("members", "/members"), ("allowed by consent", "/allowed")];
    let rows = rows.into_iter().chain([("with an id", "/matched"), ("written", "/wanted")]);
    let rows: Vec<_> = rows.map(|(name, at)| vec![name.to_owned(), count(pairs, at)]).collect();
    output::table(&rows);
    for own in &feed.parts {
        let (lines, bytes) = (output::number(own.lines), output::number(own.bytes));
        line(&format!("{}  {lines} lines, {bytes} bytes", to.join(&own.name).display()));
    }
    if feed.parts.is_empty() {
        line("nothing may be written: see the numbers above, and docs/deliver.md");
    }
    line(&format!("ids and consent are those of {receiver}; it is not noted as delivered"));
    Ok(())
}

/// Writes all of it, a part of the members at a time; and what the server said first.
fn write_for(
    client: &Client,
    names: &[String],
    to: &Path,
    (format, receiver): (FeedLayout, &str),
) -> anyhow::Result<(Feed, Value)> {
    let (folder, packing) = (receiver.into(), Packing::Plain);
    let settings = FilesSettings {
        folder,
        format,
        packing,
        part_bytes: u64::MAX,
        keep_days: 1,
        full: true,
        upload: None,
    };
    let at_ms = crate::clock::now().millis();
    let name = FeedName { destination: receiver.into(), is_full: true, at_ms, about: None };
    let mut writer = FeedWriter::new(to, name, &settings)?;
    let path = format!(
        "/api/v1/destinations/{}/audience?segments={}",
        part(receiver),
        part(&names.join("\n"))
    );
    let (mut first, mut after) = (None, String::new());
    loop {
        let answer = client.get(&format!("{path}{after}"))?;
        writer.write(&batch(receiver, &answer))?;
        let next = text(&answer, "/next");
        first.get_or_insert(answer);
        if next.is_empty() {
            break;
        }
        after = format!("&after={next}");
    }
    Ok((writer.finish()?, first.unwrap_or_default()))
}

/// What the server told, as files are written from.
fn batch(receiver: &str, answer: &Value) -> Batch {
    let segments = items(answer, "/segments")
        .iter()
        .map(|own| SegmentKey { code: text(own, "/code").into(), name: text(own, "/name").into() });
    let add = |own: &Value| {
        let segment = usize::try_from(own[0].as_u64()?).ok()?;
        Some(Add { segment, ttl_s: u32::try_from(own[1].as_u64()?).ok()? })
    };
    let users = items(answer, "/users").iter().map(|own| UserChange {
        uid: text(own, "/uid").into(),
        adds: items(own, "/add").iter().filter_map(add).collect(),
        removes: Vec::new(),
    });
    Batch {
        id: receiver.into(),
        now: Timestamp::from_millis(answer["now_ms"].as_i64().unwrap_or_default()),
        segments: segments.collect(),
        changes: users.collect(),
    }
}
