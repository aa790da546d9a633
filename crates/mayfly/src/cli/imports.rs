//! `import`: a partner's audiences, from a file; and what became of earlier ones.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use mayfly_export::ImportFormat;
use serde_json::Value;

use super::Asks;
use super::client::{Client, Create, part};
use super::output::{self, items, line, text};
use super::segments::ask;
use crate::import::ImportMode;

/// Options of `import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file; gzip and Zstandard are unpacked
    file: PathBuf,
    /// Whose audiences they are
    #[arg(long, value_name = "KEY")]
    partner: String,
    /// How it is laid out [default: as its name says]
    #[arg(long)]
    format: Option<Layout>,
    /// What becomes of those whom it does not name [default: add; overwrite-users for Adobe's
    /// .overwrite]
    #[arg(long)]
    mode: Option<ImportMode>,
    /// The partner's code of the audience, for lines that name none
    #[arg(long)]
    code: Option<String>,
    /// The space of its ids, such as crm [default: the partner's own ids, from id sync]
    #[arg(long, value_name = "SPACE")]
    ids: Option<String>,
    /// Also where an audience of 100 members or more loses over half of them
    #[arg(long)]
    allow_drop: bool,
}

/// How a file is laid out.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Layout {
    Csv,
    Tsv,
    Jsonl,
    Parquet,
    Adobe,
}

impl Layout {
    const fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
            Self::Adobe => "adobe",
        }
    }
}

/// Sends a file, and prints its receipt.
pub(crate) fn run(asks: &Asks, asked: &Import) -> anyhow::Result<()> {
    let shown = asked.file.display();
    let file = File::open(&asked.file).with_context(|| format!("{shown} cannot be read"))?;
    let name = asked.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut query = format!("name={}", part(&name));
    if asked.format.is_none() && ImportFormat::of(&name).is_none() {
        anyhow::bail!("{shown}: say with --format csv|tsv|jsonl|parquet|adobe what it is");
    }
    let mode = asked.mode.and_then(|mode| mode.to_possible_value());
    let mode = mode.as_ref().map(|mode| mode.get_name().replace('-', "_"));
    for (key, value) in [
        ("format", asked.format.map(Layout::word)),
        ("mode", mode.as_deref()),
        ("code", asked.code.as_deref()),
        ("ids", asked.ids.as_deref()),
    ] {
        if let Some(value) = value {
            query.push_str(&format!("&{key}={}", part(value)));
        }
    }
    if asked.allow_drop {
        query.push_str("&allow_drop=true");
    }
    let client = Client::open(asks, Create::Never)?;
    let bar = progress(file.metadata()?.len());
    let path = format!("/api/v1/partners/{}/audiences?{query}", part(&asked.partner));
    let answer = client.post_reader(&path, &mut bar.wrap_read(file));
    bar.finish_and_clear();
    client.close()?;
    let receipt = answer?;
    if asks.json {
        output::json(&receipt);
    } else {
        print(&receipt);
    }
    Ok(())
}

fn progress(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let style = "{bar:30} {bytes}/{total_bytes}, {binary_bytes_per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

/// What each count means, in the order of what is looked at first.
const MEANINGS: [(&str, &str); 11] = [
    ("bad", "lines that cannot be read"),
    ("unknown_code", "name no audience, or none that is defined"),
    ("licence_over", "of an audience whose licence is over"),
    ("sensitive", "of an audience that is sensitive"),
    ("unknown_id", "nobody here has the id"),
    ("suppressed", "he said no, or is about to be erased"),
    ("repeated", "said before in this file"),
    ("unchanged", "so already today"),
    ("stored", "in the audience from today on"),
    ("removed", "in it no more, as the file says"),
    ("removed_unnamed", "in it no more, for the file does not name them"),
];

fn print(receipt: &Value) {
    line(&format!(
        "import {} of {}: {} pairs of id and audience",
        text(receipt, "/id"),
        text(receipt, "/file"),
        text(receipt, "/counts/received")
    ));
    let count = |name: &str| text(receipt, &format!("/counts/{name}"));
    let rows = MEANINGS.iter().filter(|(name, _)| *name == "stored" || count(name) != "0");
    for (name, means) in rows {
        line(&format!("  {name:<16}{:>12}  {means}", count(name)));
    }
    if count("stored") == "0" && count("unknown_id") != "0" {
        let partner = text(receipt, "/partner");
        line(&format!(
            "  `mayfly partner show {partner}` tells of how many it has an id (docs/import.md)"
        ));
    }
    for bad in items(receipt, "/bad_lines").iter().take(10) {
        line(&format!("  line {}: {}", text(bad, "/line"), text(bad, "/reason")));
    }
    let unknown = receipt["unknown_codes"].as_object().into_iter().flatten();
    for (code, times) in unknown.take(10) {
        line(&format!("  no audience has the code {code}: {times} pairs"));
    }
    for own in items(receipt, "/audiences") {
        let (code, came, left) = (text(own, "/code"), text(own, "/came"), text(own, "/left"));
        line(&format!("  audience {code}: {came} came, {left} left"));
    }
}

/// The partner's audiences and its last files.
pub(crate) fn list(asks: &Asks, key: &str) -> anyhow::Result<()> {
    let path = format!("/api/v1/partners/{}/audiences", part(key));
    let answer = ask(asks, Create::Never, |c| c.get(&path))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let mut rows = vec![["code", "category", "licence ends", "CPM"].map(String::from).to_vec()];
    for own in items(&answer, "/audiences") {
        let or_none = |path: &str| match text(own, path) {
            none if none.is_empty() => "-".to_owned(),
            said => said,
        };
        let all = ["/code", "/category", "/ends", "/price_cpm"].map(or_none);
        rows.push(all.to_vec());
    }
    if rows.len() == 1 {
        line("it fills no category: docs/import.md shows how");
        return Ok(());
    }
    output::table(&rows);
    let mut rows =
        vec![["import", "at", "file", "received", "stored", "removed"].map(String::from).to_vec()];
    for own in items(&answer, "/imports") {
        let all = ["/id", "/began", "/file", "/counts/received", "/counts/stored"];
        let mut row = all.map(|path| text(own, path)).to_vec();
        let counted = |name: &str| own["counts"][name].as_u64().unwrap_or(0);
        row.push((counted("removed") + counted("removed_unnamed")).to_string());
        rows.push(row);
    }
    if rows.len() > 1 {
        line("");
        output::table(&rows);
    }
    Ok(())
}
