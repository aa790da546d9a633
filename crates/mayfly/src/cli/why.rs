//! `segment why`, `page why`.

use anyhow::Context;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::Asks;
use super::client::{Create, part};
use super::output::{self, items, line, text};
use super::segments::ask;

/// Why a visitor is in a segment, or is not.
pub(crate) fn why(asks: &Asks, name: &str, visitor: &str) -> anyhow::Result<()> {
    let path = format!("/api/v1/segments/{}/why?visitor={}", part(name), part(visitor));
    let answer = ask(asks, Create::Never, |c| c.get(&path))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let is_in = answer["member"] == json!(true);
    let standing = if is_in { "is in" } else { "is not in" };
    let segment = text(&answer, "/segment");
    line(&format!("visitor {} {standing} {segment}", text(&answer, "/visitor")));
    let changes = text(&answer, "/changes_at");
    let (holds, paused) = (answer["holds"] == json!(true), answer["paused"] == json!(true));
    let runs = answer["runs"] == json!(true);
    match (is_in, holds) {
        (false, true) if !runs && !changes.is_empty() => {
            line(&format!("enters at {changes}, when the segment starts"));
        }
        _ if changes.is_empty() => {}
        (true, true) => line(&format!("leaves at {changes} if no more hits come")),
        (false, false) if !paused => line(&format!("enters at {changes} if no more hits come")),
        (true, false) | (false, true | false) => {}
    }
    if !runs {
        let [starts, ends] = ["/starts", "/ends"].map(|day| text(&answer, day));
        line(&format!("the segment has members from {starts} to {ends}, and none now"));
    } else if paused {
        line("the segment is paused: nobody enters, members still leave");
    } else if is_in != holds {
        line("a change of definitions is being put in force: ask again");
    }
    if let Some(nearest) = answer.get("nearest").filter(|nearest| !nearest.is_null()) {
        line(&missing(nearest));
    }
    line("");
    show(answer.get("tree").context("the server's answer has no tree")?, 0);
    line(&format!("\nfrom the hits themselves, as of {}", text(&answer, "/as_of")));
    Ok(())
}

/// A page, as the pixel would be told of it.
#[derive(Debug, clap::Args)]
pub(crate) struct PageAsked {
    /// Its URL
    url: String,
    /// The site it is on
    #[arg(long, value_name = "KEY")]
    site: String,
    /// Its title
    #[arg(long, default_value = "")]
    title: String,
    /// Its keywords, by comma
    #[arg(long, default_value = "")]
    keywords: String,
    /// The publisher's categories of it, by comma
    #[arg(long, default_value = "")]
    categories: String,
    /// What happened on it, instead of a view
    #[arg(long, default_value = "")]
    event: String,
    /// Where the visitor came from
    #[arg(long, default_value = "")]
    referrer: String,
    /// An attribute as name=value; may be given several times
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
}

/// Why a page falls in its categories, and in which it nearly does.
pub(crate) fn page(asks: &Asks, asked: &PageAsked) -> anyhow::Result<()> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [
        ("u", &asked.url),
        ("t", &asked.title),
        ("k", &asked.keywords),
        ("c", &asked.categories),
        ("e", &asked.event),
        ("r", &asked.referrer),
    ] {
        query.append_pair(name, value);
    }
    for attribute in &asked.attributes {
        let (name, value) = attribute.split_once('=').context("an attribute is NAME=VALUE")?;
        query.append_pair(&format!("a.{name}"), value);
    }
    let path = format!("/api/v1/sites/{}/why?{}", part(&asked.site), query.finish());
    let answer = ask(asks, Create::Never, |c| c.get(&path))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let names: Vec<_> = items(&answer, "/categories").iter().filter_map(Value::as_str).collect();
    let names = if names.is_empty() { "in no category".to_owned() } else { names.join(", ") };
    line(&format!("{}  {names}", text(&answer, "/url")));
    for path in items(&answer, "/sensitive").iter().filter_map(Value::as_str) {
        line(&format!("sensitive  {path}: the page is not kept, and no rule sees it"));
    }
    for (head, rows) in [("fires", "/fires"), ("nearly", "/nearly")] {
        for rule in items(&answer, rows) {
            line(&format!("\n{head}  {}", text(rule, "/category")));
            line(&format!("  {}", text(rule, "/rule")));
            items(rule, "/tests").iter().for_each(tested);
        }
    }
    Ok(())
}

/// A test of a rule with the text that met it underlined.
fn tested(row: &Value) {
    let holds = if row["holds"] == json!(true) { "yes" } else { "no " };
    line(&format!("  {holds}  {}", text(row, "/test")));
    let Some(found) = row["found"].as_str() else {
        return line("       the field is absent");
    };
    line(&format!("       {found}"));
    let end = |at: usize| usize::try_from(row["span"][at].as_u64()?).ok();
    let Some((start, end)) = end(0).zip(end(1)) else { return };
    let width = |text: Option<&str>| text.map_or(0, |text| text.chars().count());
    let (before, marked) = (width(found.get(..start)), width(found.get(start..end)));
    line(&format!("       {}{}", " ".repeat(before), "^".repeat(marked.max(1))));
}

/// What stands most in the way.
fn missing(nearest: &Value) -> String {
    let (condition, unit) = (text(nearest, "/condition"), text(nearest, "/unit"));
    let number = nearest["missing"].as_i64().unwrap_or(0);
    let amount = output::number(number.unsigned_abs());
    let way = if number < 0 {
        format!("{amount} {unit} too many: they have to grow old")
    } else {
        format!("{amount} more {unit} needed")
    };
    let rest = if nearest["is_enough"] == json!(true) { "" } else { "; that alone is not enough" };
    format!("nearest: {condition}: {way}{rest}")
}

/// A part and what is below it.
fn show(part: &Value, depth: usize) {
    let holds = if part["holds"] == json!(true) { "yes" } else { "no " };
    let indent = "  ".repeat(depth);
    let is = text(part, "/is");
    if is == "condition" {
        let (found, unit) = (text(part, "/found"), text(part, "/unit"));
        let (from, to) = (text(part, "/from"), text(part, "/to"));
        line(&format!("{holds}  {indent}{}", text(part, "/text")));
        line(&format!("     {indent}{found} {unit} from {from} to {to}"));
        let hits = items(part, "/hits");
        for hit in hits {
            let url = text(hit, "/url");
            let source = text(hit, "/declared_by");
            let page = match &*source {
                "" if url.is_empty() => "(no page kept)".to_owned(),
                "" => url,
                source => format!("declared by {source}"),
            };
            let attributes = hit["attributes"].as_object().into_iter().flatten();
            let attributes: String =
                attributes.map(|(name, value)| format!("  {name}={value}")).collect();
            line(&format!("     {indent}- {}  {page}{attributes}", text(hit, "/time")));
        }
        let more = part["hits_in_all"].as_u64().unwrap_or(0).saturating_sub(hits.len() as u64);
        if more > 0 {
            line(&format!("     {indent}- and {} older", output::number(more)));
        }
        return;
    }
    let head = match &*is {
        "at least" => format!("at least {} of", text(part, "/least")),
        "segment" => format!("segment {}", text(part, "/text")),
        _ => is,
    };
    line(&format!("{holds}  {indent}{head}"));
    items(part, "/parts").iter().for_each(|below| show(below, depth + 1));
}
