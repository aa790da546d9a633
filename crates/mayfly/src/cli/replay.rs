//! `replay`: a file of log lines, in two passes: one for its hash and newest time, one to send.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use mayfly_core::{Origin, Outcome, Timestamp, limits};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Asks;
use super::client::{Client, Create, part};
use super::output::{self, items};
use crate::replay::{self, Format};
use crate::tokens::hex;

/// Hits sent in one request.
const CHUNK: usize = 2000;
/// Bytes of them at most, well below what a body may have.
const CHUNK_BYTES: usize = limits::HITS_BODY_BYTES / 4;
/// Outcomes of hits that may be sent again.
const UNTAKEN: [&str; 2] = [Outcome::Shed.label(), Outcome::StoreFailed.label()];

/// Options of `replay`.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The log
    file: PathBuf,
    /// The site's key
    #[arg(long, value_name = "KEY")]
    site: String,
    /// The log's format
    #[arg(long)]
    format: Format,
    /// Move all times so that the last hit is now
    #[arg(long)]
    shift_to_now: bool,
    /// Count a file that was replayed before once more
    #[arg(long)]
    again: bool,
    /// Origin of the log's paths [default: the site's first origin]
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
}

/// What the first pass finds.
struct Survey {
    sha256: String,
    newest: Option<Timestamp>,
    bytes: u64,
}

/// Replays a file.
pub(crate) fn run(asks: &Asks, replay: &Replay) -> anyhow::Result<()> {
    let client = Client::open(asks, Create::Never)?;
    let done = send(asks, replay, &client);
    client.close()?;
    done
}

fn send(asks: &Asks, replay: &Replay, client: &Client) -> anyhow::Result<()> {
    let site = client.get(&format!("/api/v1/sites/{}", part(&replay.site)))?;
    let origin = origin(replay, &site)?;
    let survey = survey(replay, &origin)?;
    let now = Timestamp::from_millis(site["now_ms"].as_i64().unwrap_or(0));
    let shift_s = match survey.newest {
        Some(newest) if replay.shift_to_now => now.secs() - newest.secs(),
        Some(_) | None => 0,
    };
    let file = json!({
        "sha256": survey.sha256, "name": replay.file.display().to_string(), "again": replay.again,
    });
    client.post_json("/api/v1/files/check", &file)?;
    let started = Instant::now();
    let mut sender = Sender {
        client,
        // A second try of a broken replay carries the same ids and counts nothing twice.
        id_prefix: (!replay.again).then(|| survey.sha256.chars().take(16).collect()),
        waiting: Vec::with_capacity(CHUNK),
        at: Vec::with_capacity(CHUNK),
        complaints: Vec::new(),
        bytes: 0,
        outcomes: BTreeMap::new(),
        lines: 0,
    };
    let bar = progress(survey.bytes, asks.json);
    each_line(&replay.file, |line| {
        bar.inc(line.len() as u64 + 1);
        sender.lines += 1;
        match replay::read(&String::from_utf8_lossy(line), replay.format, &replay.site, &origin) {
            Ok(read) => sender.push(read, shift_s),
            Err(outcome) => {
                sender.count(outcome.label(), 1);
                sender.complain(sender.lines, outcome.label(), None);
                Ok(())
            }
        }
    })?;
    sender.flush()?;
    bar.finish_and_clear();
    let untaken: u64 = UNTAKEN.iter().filter_map(|outcome| sender.outcomes.get(*outcome)).sum();
    sender.complaints.iter().for_each(|complaint| output::note(complaint));
    if !sender.has_kept() {
        // A file of which nothing came in may be tried again as it is.
        let is_old = sender.outcomes.contains_key("too_old") && !replay.shift_to_now;
        let hint = if is_old { "; --shift-to-now moves its newest hit to now" } else { "" };
        output::note(&format!("nothing of this file was stored{hint}"));
    } else if untaken == 0 {
        client.post_json("/api/v1/files", &file)?;
    } else {
        output::note(&format!(
            "{untaken} hits were not taken; replay the file again: what was counted today or \
             yesterday is not counted twice"
        ));
    }
    report(asks, &sender, started.elapsed().as_secs_f64());
    Ok(())
}

/// `--origin`, else the first exact origin of the site.
fn origin(replay: &Replay, site: &Value) -> anyhow::Result<String> {
    let said = replay.origin.as_deref().or_else(|| site["origins"][0].as_str()).unwrap_or("*");
    match Origin::parse(said) {
        Some(Origin::Exact(origin)) => Ok(origin.into()),
        Some(Origin::Any) if replay.format == Format::Jsonl => Ok(String::new()),
        Some(Origin::Any) | None => {
            bail!("--origin {said:?}: give the origin of the log's paths, https://news.example")
        }
    }
}

fn survey(replay: &Replay, origin: &str) -> anyhow::Result<Survey> {
    let mut hash = Sha256::new();
    let (mut newest, mut bytes) = (None, 0);
    each_line(&replay.file, |line| {
        hash.update(line);
        hash.update(b"\n");
        bytes += line.len() as u64 + 1;
        let text = String::from_utf8_lossy(line);
        if replay.shift_to_now
            && let Ok(read) = replay::read(&text, replay.format, &replay.site, origin)
        {
            newest = newest.max(Some(read.time));
        }
        Ok(())
    })?;
    Ok(Survey { sha256: hex(&hash.finalize()), newest, bytes })
}

/// Calls `each` with every line; a line above the limit is cut there (and so is malformed).
fn each_line(path: &Path, mut each: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be read", path.display());
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path).with_context(failed)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = limits::REPLAY_LINE_BYTES as u64;
        let n = reader.by_ref().take(limit).read_until(b'\n', &mut line).with_context(failed)?;
        if n == 0 {
            return Ok(());
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if n as u64 == limit {
            skip_line(&mut reader).with_context(failed)?;
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if !line.is_empty() {
            each(&line)?;
        }
    }
}

/// Reads on to the end of an overlong line without keeping it.
fn skip_line(reader: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|&b| b == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// Lines that are told of.
const COMPLAINTS: usize = 10;
/// Outcomes whose lines are told of: those that something is wrong with.
const TOLD: [&str; 4] = ["malformed", "over_limit", "unknown_site", "wrong_origin"];

/// Collects hits and sends them a chunk at a time.
struct Sender<'a> {
    client: &'a Client,
    id_prefix: Option<String>,
    waiting: Vec<Value>,
    /// The lines of those that wait.
    at: Vec<u64>,
    /// The first lines that were refused, and why.
    complaints: Vec<String>,
    outcomes: BTreeMap<String, u64>,
    lines: u64,
    /// Of those that wait.
    bytes: usize,
}

impl Sender<'_> {
    fn push(&mut self, line: replay::Line, shift_s: i64) -> anyhow::Result<()> {
        let mut hit = line.hit;
        hit["time"] = json!(line.time.plus_secs(shift_s).millis());
        if let Some(prefix) = &self.id_prefix
            && hit.get("id").is_none()
        {
            hit["id"] = json!(format!("{prefix}:{}", self.lines));
        }
        self.bytes += hit.to_string().len() + 1;
        self.waiting.push(hit);
        self.at.push(self.lines);
        let is_full = self.waiting.len() >= CHUNK || self.bytes >= CHUNK_BYTES;
        if is_full { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let body = serde_json::to_vec(&self.waiting)?;
        self.waiting.clear();
        self.bytes = 0;
        let answer = self.client.post("/api/v1/hits", "application/json", &body)?;
        for (outcome, n) in answer["outcomes"].as_object().into_iter().flatten() {
            self.count(outcome, n.as_u64().unwrap_or(0));
        }
        let at = std::mem::take(&mut self.at);
        for refused in items(&answer, "/refused") {
            let index = refused["index"].as_u64().and_then(|index| usize::try_from(index).ok());
            let outcome = refused["outcome"].as_str().unwrap_or_default();
            if let Some(line) = index.and_then(|index| at.get(index)) {
                self.complain(*line, outcome, refused["reason"].as_str());
            }
        }
        Ok(())
    }

    /// Notes why a line was refused, of the first few that no person could foresee.
    fn complain(&mut self, line: u64, outcome: &str, reason: Option<&str>) {
        if self.complaints.len() < COMPLAINTS && TOLD.contains(&outcome) {
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            self.complaints.push(format!("line {line}: {outcome}{reason}"));
        }
    }

    /// Whether anything of the file is in the store.
    fn has_kept(&self) -> bool {
        let kept = Outcome::ALL.iter().filter(|outcome| outcome.is_kept());
        let here = |outcome: &Outcome| self.outcomes.contains_key(outcome.label());
        kept.copied().chain([Outcome::Duplicate]).any(|outcome| here(&outcome))
    }

    fn count(&mut self, outcome: &str, n: u64) {
        *self.outcomes.entry(outcome.to_owned()).or_default() += n;
    }
}

fn progress(bytes: u64, hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn report(asks: &Asks, sender: &Sender<'_>, seconds: f64) {
    let total: u64 = sender.outcomes.values().sum();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate for people"
    )]
    let rate = (total as f64 / seconds.max(0.001)) as u64;
    if asks.json {
        output::json(&json!({
            "lines": sender.lines, "outcomes": sender.outcomes, "seconds": seconds,
            "lines_per_second": rate,
        }));
        return;
    }
    let known: Vec<&str> = Outcome::ALL.iter().map(|o| o.label()).collect();
    let mut rows = vec![vec!["outcome".to_owned(), "hits".to_owned()]];
    for label in known {
        if let Some(&n) = sender.outcomes.get(label) {
            rows.push(vec![label.to_owned(), output::number(n)]);
        }
    }
    rows.push(vec!["all".to_owned(), output::number(total)]);
    output::table(&rows);
    output::line(&format!("\n{} lines a second", output::number(rate)));
}
