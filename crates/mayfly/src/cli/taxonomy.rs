//! `taxonomy load|map|enable|disable`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;
use mayfly_segments::{Mapping, Taxonomy, nearest};
use serde_json::{Value, json};

use super::Asks;
use super::client::{Client, Create, part};
use super::definitions::read;
use super::output::{self, items, line, text};

/// What is done to the taxonomy.
#[derive(Debug, Subcommand)]
pub(crate) enum TaxonomyCommand {
    /// Put a taxonomy of the IAB Tech Lab into the tree; what is there keeps its rules
    Load {
        /// Its .tsv file, as published
        file: PathBuf,
        /// Which standard it is, such as content-3.1; without it, as the file's name says
        #[arg(long)]
        standard: Option<String>,
        /// The category that it goes below; without it, at the top
        #[arg(long, value_name = "PATH")]
        under: Option<String>,
        /// Also where most of a segment's members go, since what is sensitive leaves it
        #[arg(long)]
        allow_drop: bool,
    },
    /// Give categories the ids of another standard, by a mapping table of the IAB Tech Lab
    Map {
        /// Its .tsv file, as published
        file: PathBuf,
        /// The standard of its first ids; without it, as the file's name says
        #[arg(long, requires = "to")]
        from: Option<String>,
        /// The standard of its second ids
        #[arg(long, requires = "from")]
        to: Option<String>,
        /// Also where most of a segment's members go, since what is sensitive leaves it
        #[arg(long)]
        allow_drop: bool,
    },
    /// Use a sensitive category; needs the privacy role
    Enable {
        /// Its path, such as "Health > Diets"
        path: String,
        /// Why it may be used; kept in the history and shown with the category
        #[arg(long)]
        basis: String,
    },
    /// Make a category sensitive again
    Disable {
        /// Its path
        path: String,
    },
}

/// Does it.
pub(crate) fn run(asks: &Asks, command: TaxonomyCommand) -> anyhow::Result<()> {
    match command {
        TaxonomyCommand::Load { file, standard, under, allow_drop } => {
            load(asks, &file, standard.as_deref(), &under.unwrap_or_default(), allow_drop)
        }
        TaxonomyCommand::Map { file, from, to, allow_drop } => {
            map(asks, &file, from.zip(to), allow_drop)
        }
        TaxonomyCommand::Enable { path, basis } => enable(asks, &path, Some(&basis)),
        TaxonomyCommand::Disable { path } => enable(asks, &path, None),
    }
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Puts a standard taxonomy into the tree.
fn load(
    asks: &Asks,
    file: &Path,
    standard: Option<&str>,
    under: &str,
    allow_drop: bool,
) -> anyhow::Result<()> {
    let name = name_of(file);
    let told = || Taxonomy::standard_of(&name);
    let Some(standard) = standard.map(str::to_owned).or_else(told) else {
        bail!("{name:?} does not say which standard it is; add --standard, such as content-3.1");
    };
    let query = format!("standard={}&under={}", part(&standard), part(under));
    let path = format!("/api/v1/taxonomies?{query}&allow_drop={allow_drop}");
    let Some(answer) = send(asks, file, &path)? else { return Ok(()) };
    let (added, changed) = (text(&answer, "/added"), text(&answer, "/changed"));
    line(&format!("{standard}: {added} categories added, {changed} got their id"));
    line(&format!(
        "{} of its rows are sensitive: nothing falls in them",
        text(&answer, "/sensitive")
    ));
    line(&format!("version {} is in force", text(&answer, "/version")));
    Ok(())
}

/// Gives categories the ids of another standard.
fn map(
    asks: &Asks,
    file: &Path,
    columns: Option<(String, String)>,
    allow_drop: bool,
) -> anyhow::Result<()> {
    let name = name_of(file);
    let Some((from, to)) = columns.or_else(|| Mapping::standards_of(&name)) else {
        bail!("{name:?} does not say what it maps; add --from content-1.0 --to content-2.0");
    };
    let query = format!("from={}&to={}", part(&from), part(&to));
    let path = format!("/api/v1/taxonomies/mappings?{query}&allow_drop={allow_drop}");
    let Some(answer) = send(asks, file, &path)? else { return Ok(()) };
    line(&format!("{from} to {to}: {} categories got an id", text(&answer, "/changed")));
    line(&format!("version {} is in force", text(&answer, "/version")));
    Ok(())
}

/// Sends a file; `None` where the answer is printed already.
fn send(asks: &Asks, file: &Path, path: &str) -> anyhow::Result<Option<Value>> {
    let body = read(file)?;
    let client = Client::open(asks, Create::IfMissing)?;
    let answer = client.post(path, "text/tab-separated-values", &body);
    client.close()?;
    let answer = answer.with_context(|| format!("{}", file.display()))?;
    if asks.json {
        output::json(&answer);
        return Ok(None);
    }
    Ok(Some(answer))
}

/// Lets hits fall in a sensitive category; without a basis, no longer.
fn enable(asks: &Asks, path: &str, basis: Option<&str>) -> anyhow::Result<()> {
    let client = Client::open(asks, Create::Never)?;
    let done = enabled(&client, path, basis);
    client.close()?;
    let answer = done?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    match (answer["sensitive"].as_bool(), answer["basis"].as_str()) {
        (Some(true), _) => line(&format!("{path} is sensitive: nothing falls in it")),
        (_, Some(basis)) => line(&format!("{path} is in use: {basis}")),
        (_, None) => line(&format!("{path} is not sensitive: nothing to change")),
    }
    Ok(())
}

fn enabled(client: &Client, path: &str, basis: Option<&str>) -> anyhow::Result<Value> {
    let (mut after, mut names) = (0, Vec::new());
    let id = loop {
        let page = client.get(&format!("/api/v1/categories?after={after}&limit=10000"))?;
        let rows = items(&page, "/categories");
        names.extend(rows.iter().map(|row| text(row, "/path")));
        if let Some(found) = rows.iter().find(|row| text(row, "/path") == path) {
            break text(found, "/id");
        }
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => match nearest(path, names.iter().map(String::as_str)) {
                Some(nearest) => bail!("there is no category {path:?}; the nearest is {nearest:?}"),
                None => bail!("there is no category {path:?}"),
            },
        }
    };
    let route = format!("/api/v1/categories/{id}/basis");
    match basis {
        Some(basis) => client.put(&route, &json!({"basis": basis})),
        None => client.delete(&route),
    }
}
