//! `init`, `plan`, `apply`, `test`, `definitions export|history|revert`.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use mayfly_core::Origin;
use serde_json::{Value, json};

use super::client::{Client, Create, part};
use super::output::{self, items, line, note, text};
use super::{Asks, ChangeOptions};

/// A first definitions file for a site, and what to do next.
pub(crate) fn init(origin: &str, file: &Path) -> anyhow::Result<()> {
    let Some(Origin::Exact(origin)) = Origin::parse(origin.trim_end_matches('/')) else {
        bail!("--origin {origin:?}: give scheme and host, such as https://news.example");
    };
    if file.exists() {
        bail!("{} is there already; name another with --file", file.display());
    }
    let host = origin.split_once("://").map_or(&*origin, |(_, host)| host);
    let key: String = host
        .trim_start_matches("www.")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let starter = include_str!("starter.toml").replace("{origin}", &origin).replace("{key}", &key);
    fs::write(file, starter).with_context(|| format!("{} cannot be written", file.display()))?;
    let shown = file.display();
    line(&format!("wrote {shown}: site {key:?}, a starter tree of categories, one segment\n"));
    line("Put this on every page (SERVER = where browsers reach `mayfly serve`):\n");
    for text in crate::http::snippet("SERVER", "", &key).lines() {
        line(&format!("  {text}"));
    }
    line("");
    line("Next:\n");
    line(&format!("  mayfly apply {shown}"));
    line(&format!("  mayfly replay access.log --site {key} --format combined --shift-to-now"));
    line("  mayfly segment list");
    Ok(())
}

/// Changes of a version that are printed.
const CHANGES_SHOWN: usize = 20;

pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// What a file would change.
pub(crate) fn plan(asks: &Asks, file: &Path, prune: bool) -> anyhow::Result<()> {
    let query = format!("?prune={prune}");
    // The first thing that is asked may be what would happen.
    send(asks, file, "plan", &query, Create::IfMissing)
}

/// Applies a file and waits until its segments are in force.
pub(crate) fn apply(
    asks: &Asks,
    file: &Path,
    prune: bool,
    change: &ChangeOptions,
) -> anyhow::Result<()> {
    let query = format!("?prune={prune}&{}", change.query());
    send(asks, file, "apply", &query, Create::IfMissing)
}

/// What is odd about a file, or about what is in force.
pub(crate) fn lint(asks: &Asks, file: Option<&Path>) -> anyhow::Result<()> {
    let body = file.map(read).transpose()?.unwrap_or_default();
    let create = if file.is_some() { Create::IfMissing } else { Create::Never };
    let client = Client::open(asks, create)?;
    let answer = client.post("/api/v1/definitions/lint", "application/toml", &body);
    client.close()?;
    let answer = answer?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    items(&answer, "/lints").iter().for_each(print_lint);
    let found = text(&answer, "/found");
    note(&format!(
        "{found} found; looked at {} hits of today and yesterday",
        text(&answer, "/hits")
    ));
    Ok(())
}

fn print_lint(lint: &Value) {
    line(&format!("{}: {} [{}]", text(lint, "/of"), text(lint, "/words"), text(lint, "/kind")));
    let rule = text(lint, "/text");
    if !rule.is_empty() {
        line(&format!("  {rule}"));
    }
}

/// Goes back to an earlier version.
pub(crate) fn revert(asks: &Asks, version: u32, change: &ChangeOptions) -> anyhow::Result<()> {
    let client = Client::open(asks, Create::Never)?;
    let path = format!("/api/v1/definitions/{version}/revert?{}", change.query());
    let answer = client.post(&path, "application/toml", &[]);
    client.close()?;
    let answer = answer?;
    if asks.json {
        output::json(&answer);
    } else {
        print_change(&answer, "apply");
    }
    Ok(())
}

impl ChangeOptions {
    fn query(&self) -> String {
        let expect = self.expect.map(|version| format!("&expect={version}")).unwrap_or_default();
        format!("allow_drop={}&why={}{expect}", self.allow_drop, part(&self.why))
    }
}

/// Every version that there was.
pub(crate) fn history(asks: &Asks) -> anyhow::Result<()> {
    let client = Client::open(asks, Create::Never)?;
    let answer = client.get("/api/v1/definitions/history");
    client.close()?;
    let answer = answer?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let versions = items(&answer, "/versions");
    if versions.is_empty() {
        note("no definitions were ever in force; `mayfly init` makes a first file");
    }
    for version in versions {
        let (at, by) = (text(version, "/at"), text(version, "/by"));
        line(&format!(
            "version {}  {at}  {by}  {}",
            text(version, "/version"),
            text(version, "/why")
        ));
        let changes = items(version, "/changes");
        changes.iter().take(CHANGES_SHOWN).for_each(|c| line(&format!("  {}", text(c, ""))));
        let more = changes.len().saturating_sub(CHANGES_SHOWN);
        if more > 0 {
            line(&format!("  and {} more", output::number(more as u64)));
        }
    }
    Ok(())
}

fn send(asks: &Asks, file: &Path, verb: &str, query: &str, create: Create) -> anyhow::Result<()> {
    let body = read(file)?;
    let client = Client::open(asks, create)?;
    let path = format!("/api/v1/definitions/{verb}{query}");
    let answer = client.post(&path, "application/toml", &body);
    client.close()?;
    let answer = answer.with_context(|| format!("{}", file.display()))?;
    if asks.json {
        output::json(&answer);
    } else {
        print_change(&answer, verb);
    }
    Ok(())
}

fn print_change(answer: &Value, verb: &str) {
    let changes = items(answer, "/changes");
    for change in changes {
        line(change.as_str().unwrap_or_default());
    }
    for (first, many) in [("category", "categories"), ("segment", "segments")] {
        let mut rows = vec![[first, "now", "after", "entered", "left"].map(String::from).to_vec()];
        let all = items(answer, &format!("/{many}"));
        let changes = |own: &&Value| own["entered"] != json!(0) || own["left"] != json!(0);
        for own in all.iter().filter(changes) {
            let row = ["/name", "/now", "/after", "/entered", "/left"].map(|p| text(own, p));
            rows.push(row.to_vec());
        }
        let same = all.len() + 1 - rows.len();
        if rows.len() > 1 {
            line("");
            output::table(&rows);
        }
        if same > 0 {
            let those = if same == 1 { first } else { many };
            line(&format!("{same} {those}: nobody enters or leaves"));
        }
    }
    let lints = items(answer, "/lints");
    if !lints.is_empty() {
        line("\nodd, and not refused (`mayfly lint` looks at hits, too):");
        lints.iter().take(CHANGES_SHOWN).for_each(print_lint);
        if lints.len() > CHANGES_SHOWN {
            line("and more");
        }
    }
    let drops = items(answer, "/drops");
    for drop in drops {
        line(&format!("\n{}; `mayfly apply` needs --allow-drop for that", text(drop, "")));
    }
    let version = text(answer, "/version");
    match (changes.is_empty(), verb) {
        (true, _) => line(&format!("nothing to change; version {version} is in force")),
        (false, "plan") => line("\nnothing was changed; `mayfly apply` does it"),
        (false, _) => line(&format!("\napplied as version {version}")),
    }
}

/// Runs the fixtures of a file.
pub(crate) fn test(asks: &Asks, file: &Path) -> anyhow::Result<()> {
    // Fixtures need no store: they are a pure function of the file.
    let body = read(file)?;
    let body = std::str::from_utf8(&body).context("the file is not UTF-8 text")?;
    let results = crate::app::definitions::run_fixtures(body)
        .map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
    let failed: Vec<_> = results.iter().filter(|r| !r.faults.is_empty()).collect();
    if asks.json {
        let passed = results.len() - failed.len();
        output::json(&json!({
            "passed": passed,
            "failed": failed.iter().map(|r| json!({"test": r.name, "faults": r.faults}))
                .collect::<Vec<_>>(),
        }));
    } else {
        for result in &failed {
            line(&format!("FAILED {}", result.name));
            result.faults.iter().for_each(|fault| line(&format!("  {fault}")));
        }
        line(&format!("{} passed, {} failed", results.len() - failed.len(), failed.len()));
    }
    if failed.is_empty() { Ok(()) } else { bail!("{} fixtures failed", failed.len()) }
}

/// The definitions in force, or those of an earlier version, as a file.
pub(crate) fn export(asks: &Asks, version: Option<u32>) -> anyhow::Result<()> {
    let client = Client::open(asks, Create::Never)?;
    let version = version.map(|version| format!("/{version}")).unwrap_or_default();
    let bytes = client.bytes(&format!("/api/v1/definitions{version}"));
    client.close()?;
    let text = String::from_utf8(bytes?)?;
    if text.is_empty() {
        note("no definitions are in force; `mayfly init` makes a first file");
    }
    line(text.trim_end());
    Ok(())
}
