//! Real logs in: lines of the combined log format or of JSON Lines become hits of
//! `POST /api/v1/hits`. Lines that are no page never leave here; they are counted.

use jiff::fmt::strtime::BrokenDownTime;
use mayfly_core::{Outcome, Timestamp};
use serde_json::{Value, json};

/// Formats that `mayfly replay` reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// Apache's and nginx's combined log format.
    Combined,
    /// One hit as JSON a line (`docs/api.md`).
    Jsonl,
}

/// Endings of paths that are no pages.
const NOT_PAGES: [&str; 30] = [
    "css", "js", "mjs", "map", "png", "jpg", "jpeg", "gif", "svg", "ico", "webp", "avif", "bmp",
    "woff", "woff2", "ttf", "eot", "otf", "mp3", "mp4", "webm", "avi", "mov", "zip", "gz", "tar",
    "txt", "xml", "json", "rss",
];

/// One line, read.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// The hit's time.
    pub time: Timestamp,
    /// The hit in the form of the API, without its time.
    pub hit: Value,
}

/// Reads one line.
///
/// # Errors
/// [`Outcome::NotAPage`] or [`Outcome::Malformed`].
pub fn read(line: &str, format: Format, site: &str, origin: &str) -> Result<Line, Outcome> {
    match format {
        Format::Combined => combined(line, site, origin),
        Format::Jsonl => jsonl(line, site),
    }
}

/// `address ident user [time] "request" status bytes "referrer" "agent"`.
fn combined(line: &str, site: &str, origin: &str) -> Result<Line, Outcome> {
    let bad = Outcome::Malformed;
    let (address, rest) = line.split_once(' ').ok_or(bad)?;
    let (_, rest) = rest.split_once('[').ok_or(bad)?;
    let (time, rest) = rest.split_once(']').ok_or(bad)?;
    let (request, rest) = quoted(rest).ok_or(bad)?;
    let mut numbers = rest.split_ascii_whitespace();
    let status: u16 = numbers.next().and_then(|s| s.parse().ok()).ok_or(bad)?;
    let rest = rest.find('"').map_or("", |at| rest.get(at..).unwrap_or(""));
    let (referrer, rest) = quoted(rest).unwrap_or(("-", ""));
    // A line that was cut short still has its visitor: what is there of the agent counts.
    let agent = quoted(rest).map_or(rest.trim_start_matches([' ', '"']), |(agent, _)| agent);
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().ok_or(bad)?);
    if method != "GET" || !(matches!(status, 200..=299) || status == 304) || is_asset(target) {
        return Err(Outcome::NotAPage);
    }
    let time = combined_time(time).ok_or(bad)?;
    let path = target.strip_prefix(origin).unwrap_or(target);
    let mut hit = json!({
        "site": site,
        "visitor": {"space": "log", "id": id_of(address, agent)},
        "url": format!("{origin}{path}"),
        "user_agent": agent,
    });
    if referrer != "-" {
        hit["referrer"] = json!(referrer);
    }
    Ok(Line { time, hit })
}

/// Address and agent, cut so that the id stays within its limit.
fn id_of(address: &str, agent: &str) -> String {
    let mut id = format!("{address} {agent}");
    let mut end = id.len().min(mayfly_core::limits::FOREIGN_ID_BYTES);
    while !id.is_char_boundary(end) {
        end -= 1;
    }
    id.truncate(end);
    id
}

/// The text between the next two quotes (`\"` does not end it), and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.get(text.find('"')? + 1..)?;
    let mut escaped = false;
    let end = inner.bytes().position(|b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    })?;
    Some((inner.get(..end)?, inner.get(end + 1..)?))
}

/// `17/May/2015:10:05:03 +0000`.
fn combined_time(text: &str) -> Option<Timestamp> {
    let time = BrokenDownTime::parse("%d/%b/%Y:%H:%M:%S %z", text).ok()?.to_timestamp().ok()?;
    Some(Timestamp::from_secs(time.as_second()))
}

fn is_asset(target: &str) -> bool {
    let path = target.split(['?', '#']).next().unwrap_or("");
    let file = path.rsplit('/').next().unwrap_or("");
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    NOT_PAGES.contains(&ending.as_str())
}

fn jsonl(line: &str, site: &str) -> Result<Line, Outcome> {
    let mut hit: Value = serde_json::from_str(line).map_err(|_| Outcome::Malformed)?;
    let fields = hit.as_object_mut().ok_or(Outcome::Malformed)?;
    let time = fields.remove("time").and_then(|t| json_time(&t)).ok_or(Outcome::Malformed)?;
    fields.entry("site").or_insert_with(|| json!(site));
    Ok(Line { time, hit })
}

/// RFC 3339 text, or epoch milliseconds.
fn json_time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(ms) => ms.as_i64().map(Timestamp::from_millis),
        Value::String(text) => {
            text.parse::<jiff::Timestamp>().ok().map(|t| Timestamp::from_millis(t.as_millisecond()))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /a?b=1 HTTP/1.1" 200 203023 "http://r.example/" "Mozilla/5.0 (X; \"Y\")""#;

    fn one(line: &str) -> Result<Line, Outcome> {
        read(line, Format::Combined, "blog", "http://blog.example")
    }

    #[test]
    fn a_page_of_the_combined_format_becomes_a_hit() {
        let line = one(LINE).unwrap();
        assert_eq!(line.time, Timestamp::from_secs(1_431_857_103));
        assert_eq!(line.hit["url"], "http://blog.example/a?b=1");
        assert_eq!(line.hit["referrer"], "http://r.example/");
        assert_eq!(line.hit["visitor"]["id"], r#"192.0.2.7 Mozilla/5.0 (X; \"Y\")"#);
    }

    #[test]
    fn assets_errors_and_posts_are_no_pages_and_rubbish_is_malformed() {
        for (from, to) in [("GET", "POST"), (" 200 ", " 404 "), ("/a?b=1", "/x/a.CSS?v=1")] {
            assert_eq!(one(&LINE.replace(from, to)), Err(Outcome::NotAPage), "{to}");
        }
        for bad in
            ["", "x", "a b [", "1.2.3.4 - - [yesterday] \"GET / HTTP/1.1\" 200 1 \"-\" \"x\""]
        {
            assert_eq!(one(bad), Err(Outcome::Malformed), "{bad}");
        }
        assert!(one(LINE.trim_end_matches("\"Y\\\")\"")).is_ok(), "a cut agent is still a hit");
    }

    #[test]
    fn json_lines_keep_what_they_say_and_get_the_site() {
        let read = |l| read(l, Format::Jsonl, "blog", "");
        let line = read(r#"{"time":"2026-11-21T10:00:00Z","url":"https://a.example/"}"#).unwrap();
        assert_eq!((line.time.secs(), &line.hit["site"]), (1_795_255_200, &json!("blog")));
        assert_eq!(read(r#"{"url":"https://a.example/"}"#), Err(Outcome::Malformed));
        assert_eq!(read("[1]"), Err(Outcome::Malformed));
    }
}
