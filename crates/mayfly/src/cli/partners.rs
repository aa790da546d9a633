//! `partner list|show`.

use clap::Subcommand;
use serde_json::Value;

use super::Asks;
use super::client::{Create, part};
use super::output::{self, items, line, text};
use super::segments::ask;

/// What is asked of partners.
#[derive(Debug, Subcommand)]
pub(crate) enum PartnerCommand {
    /// All partners
    List,
    /// One partner, and how many visitors it has an id of
    Show {
        /// Its key
        key: String,
        /// Of a segment's members instead of all visitors
        #[arg(long, value_name = "NAME")]
        segment: Option<String>,
    },
    /// The audiences that a partner brings in, and what became of its last files
    Imports {
        /// Its key
        key: String,
    },
}

pub(crate) fn run(asks: &Asks, command: PartnerCommand) -> anyhow::Result<()> {
    match command {
        PartnerCommand::List => list(asks),
        PartnerCommand::Show { key, segment } => show(asks, &key, segment.as_deref()),
        PartnerCommand::Imports { key } => super::imports::list(asks, &key),
    }
}

fn list(asks: &Asks) -> anyhow::Result<()> {
    let answer = ask(asks, Create::Never, |c| c.get("/api/v1/partners"))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let mut rows = vec![
        ["partner", "bidder", "kind", "may receive as", "asked at"].map(String::from).to_vec(),
    ];
    for own in items(&answer, "/partners") {
        let at = text(own, "/sync");
        let host = at.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next());
        let mut row = ["/key", "/bidder", "/kind"].map(|path| text(own, path)).to_vec();
        row.extend([ground(own), host.unwrap_or("-").to_owned()]);
        rows.push(row);
    }
    if rows.len() == 1 {
        line("no partners are defined: docs/sync.md shows how");
    } else {
        output::table(&rows);
    }
    Ok(())
}

fn ground(own: &Value) -> String {
    format!("{} {}", text(own, "/ground"), text(own, "/ground_id")).trim_end().to_owned()
}

fn show(asks: &Asks, key: &str, segment: Option<&str>) -> anyhow::Result<()> {
    let of = segment.map(|name| format!("?segment={}", part(name))).unwrap_or_default();
    let path = format!("/api/v1/partners/{}{of}", part(key));
    let answer = ask(asks, Create::Never, |c| c.get(&path))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let whose = segment.map_or_else(|| "visitors".to_owned(), |name| format!("members of {name}"));
    line(&format!(
        "{} ({}), as of {}",
        text(&answer, "/key"),
        ground(&answer),
        text(&answer, "/as_of")
    ));
    let mut rows = vec![["", &*whose, "matched", "percent"].map(String::from).to_vec()];
    let days = text(&answer, "/active_days");
    for (name, at) in [("held".to_owned(), "held"), (format!("seen in {days} days"), "active")] {
        let mut row = vec![name];
        row.extend(
            ["visitors", "matched", "percent"].map(|own| text(&answer, &format!("/{at}/{own}"))),
        );
        rows.push(row);
    }
    output::table(&rows);
    Ok(())
}
