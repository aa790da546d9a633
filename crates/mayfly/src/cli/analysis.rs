//! `export days`, `export hits`: Parquet for tools that analyse.

use std::path::Path;

use anyhow::bail;
use mayfly_core::{Day, Timestamp};
use mayfly_export::{Cell, Kind, Manifest, ManifestFile, TableWriter};
use serde_json::{Value, json};

use super::Asks;
use super::client::{Client, Create, part};
use super::output::{self, items, line, text};
use crate::clock;

/// How often a day is asked for that was sealed meanwhile.
const TRIES: usize = 5;
const DAYS: [(&str, Kind); 7] = [
    ("day", Kind::Date),
    ("kind", Kind::Text),
    ("name", Kind::Text),
    ("visitors", Kind::Number),
    ("hits", Kind::Number),
    ("engaged_s", Kind::Number),
    ("as_of", Kind::Instant),
];
const HITS: [(&str, Kind); 15] = [
    ("visitor", Kind::Text),
    ("time", Kind::Instant),
    ("site", Kind::Text),
    ("event", Kind::Text),
    ("url", Kind::Text),
    ("title", Kind::Text),
    ("engaged_s", Kind::Number),
    ("referrer", Kind::Text),
    ("device", Kind::Text),
    ("os", Kind::Text),
    ("browser", Kind::Text),
    ("language", Kind::Text),
    ("country", Kind::Text),
    ("categories", Kind::Text),
    ("attributes", Kind::Text),
];

/// The last days, today included, the oldest first.
fn last(days: u16, asks: &Asks) -> Vec<Day> {
    let today = clock::now().day().unwrap_or_default();
    let days = days.clamp(1, asks.settings.store.retention.days());
    (0..days).rev().map(|back| today.minus(back)).collect()
}

/// Each day, category by category and segment by segment: counts alone.
pub(super) fn days(asks: &Asks, to: &Path, days: u16) -> anyhow::Result<()> {
    let client = Client::open(asks, Create::Never)?;
    let written = write_days(&client, to, &last(days, asks));
    client.close()?;
    let (path, rows) = written?;
    if asks.json {
        output::json(&json!({"file": path, "rows": rows}));
    } else {
        line(&format!("{path}  {} rows: counts alone, nobody in it", output::number(rows)));
    }
    Ok(())
}

fn write_days(client: &Client, to: &Path, days: &[Day]) -> anyhow::Result<(String, u64)> {
    let path = to.join("days.parquet");
    let mut table = TableWriter::create(&path, &DAYS)?;
    let now = Cell::Number(clock::now().millis());
    for day in days {
        let answer = client.get(&format!("/api/v1/insights/days/{day}"))?;
        for own in items(&answer, "/categories") {
            let number = |at: &str| Cell::from(own[at].as_i64());
            table.push(vec![
                Cell::Number(i64::from(day.0)),
                Cell::from("category"),
                Cell::from(&*text(own, "/category")),
                number("visitors"),
                number("hits"),
                number("engaged_s"),
                now.clone(),
            ])?;
        }
    }
    for segment in items(&client.get("/api/v1/segments")?, "/segments") {
        let name = text(segment, "/name");
        let asked = json!({"of": name, "days": days.len()});
        let sizes = client.post_json("/api/v1/insights/sizes", &asked)?;
        for own in items(&sizes, "/sizes") {
            let day = days.iter().find(|day| day.to_string() == text(own, "/day"));
            let Some(day) = day.filter(|_| own["held"].is_u64()) else { continue };
            table.push(vec![
                Cell::Number(i64::from(day.0)),
                Cell::from("segment"),
                Cell::from(&*name),
                Cell::from(own["held"].as_i64()),
                Cell::Absent,
                Cell::Absent,
                now.clone(),
            ])?;
        }
    }
    let table = table.finish()?;
    Ok((path.display().to_string(), table.rows))
}

/// The hits themselves, a file a day, and a manifest that says until when they may be kept.
pub(super) fn hits(asks: &Asks, to: &Path, days: u16) -> anyhow::Result<()> {
    let client = Client::open(asks, Create::Never)?;
    let written = write_hits(&client, to, &last(days, asks));
    client.close()?;
    let (files, delete_by) = written?;
    if asks.json {
        let rows: Vec<Value> =
            files.iter().map(|own| json!({"file": own.name, "hits": own.lines})).collect();
        output::json(&json!({"files": rows, "delete_by": delete_by}));
        return Ok(());
    }
    for own in &files {
        let path = to.join(&own.name);
        line(&format!("{}  {} hits", path.display(), output::number(own.lines)));
    }
    line(&format!("behaviour of people: delete these files by {delete_by}"));
    Ok(())
}

fn write_hits(
    client: &Client,
    to: &Path,
    days: &[Day],
) -> anyhow::Result<(Vec<ManifestFile>, String)> {
    let status = client.get("/api/v1/status")?;
    let (began, mut files, mut delete_by_ms) = (clock::now(), Vec::new(), i64::MAX);
    for day in days {
        let (file, delete_by) = write_day(client, to, *day)?;
        if file.lines == 0 {
            std::fs::remove_file(to.join(&file.name))?;
            continue;
        }
        delete_by_ms = delete_by_ms.min(delete_by);
        files.push(file);
        let manifest = Manifest {
            format: 1,
            realm: text(&status, "/realm"),
            store: text(&status, "/store"),
            id_space: "visitor".to_owned(),
            consent_checked: false,
            as_of_ms: began.millis(),
            delete_by_ms,
            files: files.clone(),
        };
        // After each day: whatever follows, what lies there says until when.
        manifest.write(to, &format!("hits-{}", began.secs()))?;
    }
    let by = Timestamp::from_millis(delete_by_ms);
    Ok((files, if delete_by_ms == i64::MAX { "-".to_owned() } else { clock::text(by) }))
}

/// One day, asked for again where it was sealed meanwhile; and until when it may be kept.
fn write_day(client: &Client, to: &Path, day: Day) -> anyhow::Result<(ManifestFile, i64)> {
    let name = format!("hits-{day}.parquet");
    for _ in 0..TRIES {
        let mut table = TableWriter::create(&to.join(&name), &HITS)?;
        let mut last = Value::Null;
        client.lines(&format!("/api/v1/hits/days/{}", part(&day.to_string())), |hit| {
            if hit["visitor"].is_string() {
                table.push(row(&hit))?;
            } else {
                last = hit;
            }
            Ok(())
        })?;
        if let Some(delete_by) = last["delete_by_ms"].as_i64() {
            let table = table.finish()?;
            let file = ManifestFile {
                name,
                segment: "*".to_owned(),
                segment_id: 0,
                version: 0,
                format: "parquet".to_owned(),
                members: 0,
                lines: table.rows,
                bytes: table.bytes,
                sha256: table.sha256,
            };
            return Ok((file, delete_by));
        }
    }
    bail!("the hits of {day} did not come whole; try again")
}

fn row(hit: &Value) -> Vec<Cell> {
    let cell = |(name, kind): &(&str, Kind)| match (*name, kind) {
        ("time", _) => Cell::from(hit["time_ms"].as_i64()),
        ("attributes", _) if hit["attributes"].as_object().is_none_or(|own| own.is_empty()) => {
            Cell::Absent
        }
        ("attributes", _) => Cell::from(&*hit["attributes"].to_string()),
        (name, Kind::Text) => Cell::from(hit[name].as_str().unwrap_or_default()),
        (name, Kind::Number | Kind::Date | Kind::Instant) => Cell::from(hit[name].as_i64()),
    };
    HITS.iter().map(cell).collect()
}
