//! `hit`, `segment list|count|members`, `export run`.

use std::path::Path;

use anyhow::{Context, bail};
use mayfly_core::{Partition, Retention, Timestamp};
use mayfly_export::{Audience, Format, Source};
use roaring::RoaringTreemap;
use serde_json::{Value, json};

use super::Asks;
use super::client::{Client, Create, part};
use super::output::{self, items, line, text};

/// Opens a client, asks once, closes.
pub(crate) fn ask(
    asks: &Asks,
    create: Create,
    question: impl FnOnce(&Client) -> anyhow::Result<Value>,
) -> anyhow::Result<Value> {
    let client = Client::open(asks, create)?;
    let answer = question(&client);
    client.close()?;
    answer
}

/// One hit through the real admission.
pub(crate) fn hit(
    asks: &Asks,
    url: &str,
    site: &str,
    name: &str,
    title: &str,
) -> anyhow::Result<()> {
    let hit = json!({
        "site": site, "url": url, "title": title, "visitor": {"space": "cli", "id": name},
    });
    let answer = ask(asks, Create::Never, |c| c.post_json("/api/v1/hits/try", &hit))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let list = |pointer| {
        let names: Vec<_> = items(&answer, pointer).iter().filter_map(Value::as_str).collect();
        if names.is_empty() { "-".to_owned() } else { names.join(", ") }
    };
    let reason = text(&answer, "/reason");
    let reason = if reason.is_empty() { reason } else { format!(" ({reason})") };
    line(&format!("outcome     {}{reason}", text(&answer, "/outcome")));
    line(&format!("visitor     {}", text(&answer, "/visitor")));
    line(&format!("categories  {}", list("/categories")));
    line(&format!("segments    {}", list("/segments")));
    Ok(())
}

const SEEN: [&str; 6] = ["24h", "7d", "14d", "30d", "60d", "90d"];

fn size_row(name: String, size: &Value) -> Vec<String> {
    let mut row = vec![name, text(size, "/held")];
    row.extend(SEEN.iter().map(|w| text(size, &format!("/seen/{w}"))));
    row
}

fn size_header(first: &str) -> Vec<String> {
    let mut row = vec![first.to_owned(), "held".to_owned()];
    row.extend(SEEN.iter().map(|w| format!("seen {w}")));
    row
}

pub(super) fn print_as_of(answer: &Value) {
    let exact = if answer["exact"] == json!(true) { "exact" } else { "rounded" };
    line(&format!("\n{exact} as of {}", text(answer, "/as_of")));
}

/// All segments with their sizes.
pub(crate) fn list(asks: &Asks) -> anyhow::Result<()> {
    let answer = ask(asks, Create::Never, |c| c.get("/api/v1/segments"))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let mut rows = vec![size_header("segment")];
    let segments = items(&answer, "/segments");
    rows.extend(segments.iter().map(|s| size_row(text(s, "/name"), s)));
    if segments.is_empty() {
        line("no segments yet; `mayfly init` writes a first definitions file");
        return Ok(());
    }
    output::table(&rows);
    print_as_of(&answer);
    Ok(())
}

/// The size of a segment or expression.
pub(crate) fn count(asks: &Asks, name: Option<&str>, rule: Option<&str>) -> anyhow::Result<()> {
    let answer = ask(asks, Create::Never, |c| match (name, rule) {
        (Some(name), _) => c.get(&format!("/api/v1/segments/{}", part(name))),
        (None, rule) => c.post_json("/api/v1/insights/count", &json!({"rule": rule})),
    })?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let shown = name.or(rule).unwrap_or_default().to_owned();
    output::table(&[size_header("segment"), size_row(shown, &answer)]);
    print_as_of(&answer);
    Ok(())
}

/// The members of a segment as (partition << 32 | ordinal), and what the server says of them.
fn bitmap(client: &Client, name: &str) -> anyhow::Result<(RoaringTreemap, Value)> {
    let path = format!("/api/v1/segments/{}", part(name));
    let about = client.get(&path)?;
    let bytes = client.bytes(&format!("{path}/members"))?;
    let members =
        RoaringTreemap::deserialize_from(&bytes[..]).context("the server's answer is no bitmap")?;
    Ok((members, about))
}

/// The members, one a line.
pub(crate) fn members(asks: &Asks, name: &str) -> anyhow::Result<()> {
    let client = Client::open(asks, Create::Never)?;
    let found = bitmap(&client, name);
    client.close()?;
    let (members, about) = found?;
    let visitors = members.iter().map(|id| format!("{}.{}", id >> 32, id & 0xffff_ffff));
    if asks.json {
        let visitors: Vec<String> = visitors.collect();
        output::json(&json!({"as_of": about["as_of"], "exact": true, "members": visitors}));
    } else {
        visitors.into_iter().for_each(|v| line(&v));
    }
    Ok(())
}

/// Segments to files.
pub(crate) fn export(asks: &Asks, names: &[String], to: &Path, format: &str) -> anyhow::Result<()> {
    let Some(format) = Format::parse(format) else {
        bail!("--format {format:?}: csv, jsonl or roaring");
    };
    let client = Client::open(asks, Create::Never)?;
    let found = names.iter().map(|n| audience(&client, n)).collect::<anyhow::Result<Vec<_>>>();
    let status = client.get("/api/v1/status");
    client.close()?;
    let (found, status) = (found?, status?);
    let as_of = found.iter().map(|(_, as_of)| *as_of).min().unwrap_or_default();
    let source = Source {
        realm: text(&status, "/realm"),
        store: text(&status, "/store"),
        as_of,
        retention: status["retention_days"]
            .as_u64()
            .and_then(|d| Retention::new(u16::try_from(d).ok()?))
            .unwrap_or_default(),
    };
    let audiences: Vec<Audience> = found.into_iter().map(|(audience, _)| audience).collect();
    let (manifest, path) = mayfly_export::export(to, &audiences, format, &source)?;
    let manifest_json = serde_json::to_value(&manifest)?;
    if asks.json {
        output::json(&manifest_json);
        return Ok(());
    }
    for file in &manifest.files {
        let members = output::number(file.members);
        line(&format!("{}  {members} members, {} bytes", file.name, output::number(file.bytes)));
    }
    line(&format!("manifest    {}", path.display()));
    line(&format!("ids         {} (Mayfly's own; no receiver knows them)", manifest.id_space));
    line("consent     no receiver's consent was checked");
    let by = Timestamp::from_millis(manifest.delete_by_ms).day().unwrap_or_default();
    line(&format!("delete by   {by}"));
    Ok(())
}

fn audience(client: &Client, name: &str) -> anyhow::Result<(Audience, Timestamp)> {
    let (members, about) = bitmap(client, name)?;
    let number = |key: &str| about[key].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let members = members
        .bitmaps()
        .map(|(p, ordinals)| (Partition(u16::try_from(p).unwrap_or(u16::MAX)), ordinals.clone()))
        .collect();
    let as_of = Timestamp::from_millis(about["as_of_ms"].as_i64().unwrap_or(0));
    let (segment_id, version) = (number("id"), number("version"));
    Ok((Audience { segment: name.to_owned(), segment_id, version, members }, as_of))
}
