//! `delivery usage`, `delivery label`: what an invoice and a buyer ask for.

use std::io::Write;

use super::Asks;
use super::client::{Client, Create, part};
use super::output::{self, items, line, text};
use super::segments::ask;

/// What was delivered, by month and code.
pub(super) fn usage(asks: &Asks, name: &str) -> anyhow::Result<()> {
    let path = format!("/api/v1/destinations/{}/usage", part(name));
    let answer = ask(asks, Create::Never, |c| c.get(&path))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let terms = &answer["terms"];
    if terms.is_object() {
        let price = text(terms, "/price_cpm");
        let price = if price.is_empty() { "no price".to_owned() } else { format!("{price} CPM") };
        let ends = text(terms, "/ends");
        let ends = if ends.is_empty() { String::new() } else { format!(", until {ends}") };
        line(&format!("{}: {price}{ends}", text(terms, "/contract")));
    }
    let head = ["month", "code", "added", "refreshed", "removed", "most at once"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for month in items(&answer, "/months") {
        for own in items(month, "/codes") {
            let mut row = vec![text(month, "/month"), text(own, "/code")];
            row.extend(["/added", "/refreshed", "/removed", "/most"].map(|at| text(own, at)));
            rows.push(row);
        }
    }
    if rows.len() > 1 {
        output::table(&rows);
    } else {
        line("nothing was delivered yet");
    }
    Ok(())
}

/// The data label.
pub(super) fn label(asks: &Asks, name: &str) -> anyhow::Result<()> {
    let client = Client::open(asks, Create::Never)?;
    let answer = client.bytes(&format!("/api/v1/destinations/{}/label", part(name)));
    client.close()?;
    // Who does not listen any more wants nothing more.
    std::io::stdout().write_all(&answer?).ok();
    Ok(())
}
