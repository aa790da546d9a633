//! The pages in `docs/` against the code they describe.
//!
//! A table between `<!-- table: NAME -->` and `<!-- end -->` is made from the code. After a change
//! there, `MAYFLY_UPDATE_DOCS=1 cargo test -p mayfly-tests --test tidy` writes it anew; without
//! that variable a difference fails. Other tables are written by hand and only compared.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mayfly_core::Outcome;

use crate::refuse;
use crate::tree;

/// Compares (or writes) the table `name` of a page.
fn check_table(page: &str, name: &str, rows: &[String]) {
    assert!(rows.len() > 2, "{page}: nothing found in the code for the table {name:?}");
    let text = tree::read(page);
    let (begin, end) = (format!("<!-- table: {name} -->\n"), "<!-- end -->");
    let Some((before, rest)) = text.split_once(&begin) else {
        panic!("{page} has no line `{}`", begin.trim());
    };
    let (old, after) = rest.split_once(end).unwrap_or_else(|| panic!("{page} has no `{end}`"));
    let new = format!("{}\n", rows.join("\n"));
    if std::env::var_os("MAYFLY_UPDATE_DOCS").is_some() {
        fs::write(tree::root().join(page), format!("{before}{begin}{new}{end}{after}")).unwrap();
        return;
    }
    let old: Vec<&str> = old.lines().collect();
    let missing = rows.iter().filter(|row| !old.contains(&row.as_str()));
    let stale = old.iter().filter(|line| !rows.iter().any(|row| row == *line));
    let mut faults: Vec<String> = missing.map(|row| format!("missing: {row}")).collect();
    faults.extend(stale.map(|row| format!("stale:   {row}")));
    if faults.is_empty() && old != rows.iter().map(String::as_str).collect::<Vec<_>>() {
        faults.push("the rows stand in another order".to_owned());
    }
    let what_to_do = format!(
        "{page} is not what the code says; \
         MAYFLY_UPDATE_DOCS=1 cargo test -p mayfly-tests --test tidy repairs it:"
    );
    refuse(&what_to_do, &faults);
}

fn row(cells: &[&str]) -> String {
    format!("| {} |", cells.map_escaped().join(" | "))
}

/// Cells of a Markdown table cannot hold a bare `|`.
trait Escaped {
    fn map_escaped(&self) -> Vec<String>;
}

impl Escaped for [&str] {
    fn map_escaped(&self) -> Vec<String> {
        self.iter().map(|cell| cell.replace('|', "\\|")).collect()
    }
}

/// The cells of the rows of every table of a page, without heads and rules.
fn rows_of(page: &str) -> Vec<Vec<String>> {
    let text = tree::read(page);
    let mut rows = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if lines.peek().is_some_and(|next| next.starts_with("|---")) {
            lines.next();
        } else if let Some(inner) = line.strip_prefix('|').and_then(|l| l.strip_suffix('|')) {
            rows.push(inner.split('|').map(|cell| cell.trim().to_owned()).collect());
        }
    }
    rows
}

/// `x` of "`x`", also behind an anchor.
fn code(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or(cell)
}

#[test]
fn settings() {
    let text = tree::read("crates/mayfly/src/mayfly.default.toml");
    let mut rows = vec![row(&["key", "default", "meaning"]), "|---|---|---|".to_owned()];
    let (mut section, mut meaning) = (String::new(), Vec::new());
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            meaning.push(comment);
        } else if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, value)) = line.split_once(" = ") {
            let (key, value) = (format!("`{section}{key}`"), format!("`{value}`"));
            rows.push(row(&[&key, &value, &meaning.join(" ")]));
            meaning.clear();
        }
    }
    check_table("docs/config.md", "config", &rows);
}

#[test]
fn limits() {
    let text = tree::read("crates/mayfly-core/src/limits.rs");
    let mut rows = vec![row(&["limit", "value", "what it limits"]), "|---|---|---|".to_owned()];
    let mut meaning = Vec::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("/// ") {
            meaning.push(comment);
        } else if let Some(rest) = line.strip_prefix("pub const ") {
            let (name, rest) = rest.split_once(':').unwrap();
            let value = rest.split_once(" = ").unwrap().1.trim_end_matches(';');
            rows.push(row(&[&format!("`{name}`"), &format!("`{value}`"), &meaning.join(" ")]));
            meaning.clear();
        }
    }
    check_table("docs/limits.md", "limits", &rows);
}

/// The text literals of product code, in order.
fn literals(path: &str) -> Vec<String> {
    let source = tree::Source { path: path.to_owned(), text: tree::read(path) };
    let text = source.product().map(|(_, line)| line).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once('"') {
        let Some((literal, after)) = after.split_once('"') else { break };
        found.push(literal.to_owned());
        rest = after;
    }
    found
}

/// Name and help of every metric, by name.
pub(crate) fn metrics_of_the_code() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in ["crates/mayfly-collector/src/metrics.rs", "crates/mayfly/src/metrics.rs"] {
        let literals = literals(path);
        let pairs = literals.windows(2).filter(|pair| pair[0].starts_with("mayfly_"));
        found.extend(pairs.map(|pair| (pair[0].clone(), pair[1].clone())));
    }
    found.sort();
    found
}

#[test]
fn metrics() {
    let mut rows = vec![row(&["metric", "meaning"]), "|---|---|".to_owned()];
    for (name, help) in metrics_of_the_code() {
        rows.push(row(&[&format!("`{name}`"), help.trim_end_matches('.')]));
    }
    check_table("docs/metrics.md", "metrics", &rows);
}

#[test]
fn redis_keys() {
    let module = tree::read("crates/mayfly-store/src/redis_store/mod.rs");
    let rows: Vec<String> = module
        .lines()
        .filter_map(|line| line.strip_prefix("//! "))
        .filter(|line| line.starts_with('|'))
        .map(str::to_owned)
        .collect();
    check_table("docs/redis.md", "redis keys", &rows);
}

#[test]
fn outcomes() {
    let said: Vec<String> =
        rows_of("docs/outcomes.md").iter().map(|r| code(&r[0]).to_owned()).collect();
    let real: Vec<&str> = Outcome::ALL.iter().map(|o| o.label()).collect();
    assert_eq!(said, real, "the rows of docs/outcomes.md are Outcome::ALL, in that order");
}

#[test]
fn errors() {
    let source = tree::read("crates/mayfly/src/http/error.rs");
    let real: BTreeSet<(String, String)> = source
        .split("(\"")
        .filter_map(|part| {
            let (code, rest) = part.split_once("\", StatusCode::")?;
            let name = rest.split(|c: char| !c.is_ascii_uppercase() && c != '_').next()?;
            Some((code.to_owned(), status(name).to_owned()))
        })
        .collect();
    assert!(real.len() > 10, "the codes in http/error.rs are no longer found");
    let said = rows_of("docs/errors.md");
    let said: BTreeSet<(String, String)> =
        said.iter().map(|r| (code(&r[0]).to_owned(), r[1].clone())).collect();
    let mut faults: Vec<String> =
        real.difference(&said).map(|(c, s)| format!("missing: `{c}` | {s}")).collect();
    faults.extend(said.difference(&real).map(|(c, s)| format!("stale: `{c}` | {s}")));
    refuse("docs/errors.md against ApiError::row in crates/mayfly/src/http/error.rs:", &faults);
}

#[test]
fn routes() {
    let page = tree::read("docs/api.md");
    let mut faults = Vec::new();
    for path in ["crates/mayfly/src/http/mod.rs", "crates/mayfly/src/http/demo.rs"] {
        let routes = literals(path).into_iter().filter(|text| text.starts_with('/'));
        // `{page:.*}` is `{page}` for a reader.
        let routes = routes.map(|route| route.replace(":.*}", "}"));
        faults.extend(routes.filter(|route| !page.contains(route.as_str())));
    }
    refuse("docs/api.md does not tell of these routes:", &faults);
}

fn status(name: &str) -> &'static str {
    match name {
        "BAD_REQUEST" => "400",
        "UNAUTHORIZED" => "401",
        "FORBIDDEN" => "403",
        "NOT_FOUND" => "404",
        "METHOD_NOT_ALLOWED" => "405",
        "CONFLICT" => "409",
        "UNAVAILABLE_FOR_LEGAL_REASONS" => "451",
        "PAYLOAD_TOO_LARGE" => "413",
        "UNSUPPORTED_MEDIA_TYPE" => "415",
        "UNPROCESSABLE_ENTITY" => "422",
        "TOO_MANY_REQUESTS" => "429",
        "INTERNAL_SERVER_ERROR" => "500",
        "SERVICE_UNAVAILABLE" => "503",
        "INSUFFICIENT_STORAGE" => "507",
        other => panic!("give the number of StatusCode::{other} in tests/tidy/tables.rs"),
    }
}

#[test]
fn links_lead_somewhere() {
    let mut faults = Vec::new();
    for page in tree::files(".md") {
        let folder = Path::new(&page.path).parent().unwrap();
        for target in page.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.path.clone().into() } else { folder.join(file) };
            match fs::read_to_string(tree::root().join(&path)) {
                Ok(text) if anchor.is_empty() || anchors(&text).contains(anchor) => {}
                Ok(_) => faults.push(format!("{}: no heading for {target}", page.path)),
                Err(_) if anchor.is_empty() && tree::root().join(&path).exists() => {}
                Err(_) => faults.push(format!("{}: nothing at {target}", page.path)),
            }
        }
    }
    refuse("Dead links:", &faults);
}

#[test]
fn pages_that_the_code_names_are_there() {
    let mut faults = Vec::new();
    for source in tree::rust() {
        for rest in source.text.split("docs/").skip(1) {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "-.".contains(*c))
                .collect();
            let page = format!("docs/{}", name.trim_end_matches('.'));
            if page.ends_with(".md") && !tree::root().join(&page).is_file() {
                faults.push(format!("{}: {page}", source.path));
            }
        }
    }
    refuse("Pages that are named and not there:", &faults);
}

#[test]
fn the_map_of_the_code_is_true() {
    let page = tree::read("docs/ARCHITECTURE.md");
    let quoted = page.split('`').skip(1).step_by(2);
    let paths =
        quoted.filter(|q| ["crates/", "tests/", "deploy/"].iter().any(|p| q.starts_with(p)));
    let gone = paths.filter(|path| !tree::root().join(path).exists());
    refuse("docs/ARCHITECTURE.md names:", &gone.map(str::to_owned).collect::<Vec<_>>());
}

/// The anchors of a page: its headings in GitHub's form, and explicit ids.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|l| l.starts_with('#')).map(|line| {
        line.trim_start_matches('#')
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    });
    let ids = text.split("id=\"").skip(1).filter_map(|rest| rest.split('"').next());
    headings.chain(ids.map(str::to_owned)).collect()
}
