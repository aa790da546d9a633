//! `config check|show`, `status`, `doctor`.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::Asks;
use super::client::{Client, Create};
use super::output::{self, items, line, text};
use super::segments::ask;

/// Loading has checked everything already.
pub(crate) fn config_check(asks: &Asks) -> anyhow::Result<()> {
    if asks.json {
        output::json(&json!({"ok": true}));
    } else {
        line("the settings are good");
    }
    Ok(())
}

/// Every setting with where it came from.
pub(crate) fn config_show(asks: &Asks) -> anyhow::Result<()> {
    let sources = &asks.settings.sources;
    if asks.json {
        let all: serde_json::Map<String, Value> = sources
            .iter()
            .map(|(k, (value, from))| (k.clone(), json!({"value": value, "from": from})))
            .collect();
        output::json(&Value::Object(all));
        return Ok(());
    }
    let width = sources.keys().map(String::len).max().unwrap_or(0);
    for (key, (value, from)) in sources {
        line(&format!("{key:<width$}  {value:<32}  {from}"));
    }
    Ok(())
}

/// Raises the number of partitions.
pub(crate) fn raise_partitions(asks: &Asks, to: u16) -> anyhow::Result<()> {
    let body = json!({"partitions": to});
    let answer = ask(asks, Create::Never, |c| c.post_json("/api/v1/partitions", &body))
        .with_context(|| format!("{to} partitions: not a raise to a power of two up to 1024"))?;
    if asks.json {
        output::json(&answer);
    } else {
        line(&format!("{to} partitions; new visitors go to the new ones"));
    }
    Ok(())
}

/// How the system is.
pub(crate) fn status(asks: &Asks) -> anyhow::Result<()> {
    let answer = ask(asks, Create::Never, |c| {
        let mut all = c.get("/api/v1/status")?;
        all["destinations"] = states(&c.get("/api/v1/destinations")?);
        Ok(all)
    })?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    for key in [
        "store",
        "place",
        "realm",
        "retention_days",
        "partitions",
        "definitions",
        "changing_days",
        "visitors",
        "lag_s",
        "spill_bytes",
        "lost_hits",
        "store_bytes",
        "ready",
    ] {
        line(&format!("{key:<15} {}", text(&answer, &format!("/{key}"))));
    }
    for (state, n) in answer["destinations"].as_object().into_iter().flatten() {
        line(&format!("destinations {state}: {n}"));
    }
    for (outcome, n) in answer["hits"].as_object().into_iter().flatten() {
        line(&format!("hits {outcome:<10} {}", output::number(n.as_u64().unwrap_or(0))));
    }
    Ok(())
}

/// How many destinations are in each state.
fn states(all: &Value) -> Value {
    let mut states: BTreeMap<String, u64> = BTreeMap::new();
    for own in items(all, "/destinations") {
        *states.entry(text(own, "/state")).or_default() += 1;
    }
    json!(states)
}

/// What an operator should change; fails when there is anything.
pub(crate) fn doctor(asks: &Asks) -> anyhow::Result<()> {
    let client = Client::open(asks, Create::Never)?;
    let remote = client.is_remote();
    let status = client.get("/api/v1/status");
    let destinations = client.get("/api/v1/destinations");
    client.close()?;
    let (status, destinations) = (status?, destinations?);
    let of_status = items(&status, "/warnings").iter().filter_map(Value::as_str);
    let of_destination = |own: &Value| {
        let warning = own["warning"].as_str()?;
        Some(format!("destination {} {warning}", text(own, "/name")))
    };
    let of_deliveries = items(&destinations, "/destinations").iter().filter_map(of_destination);
    let warnings: Vec<String> = of_status.map(str::to_owned).chain(of_deliveries).collect();
    if asks.json {
        output::json(&json!({"server": remote, "status": status, "warnings": warnings}));
    } else {
        let state = if remote { "is running" } else { "is not running; looked at the store alone" };
        line(&format!("server       {state}"));
        line(&format!("store        {}", text(&status, "/place")));
        warnings.iter().for_each(|w| line(&format!("WARNING      {w}")));
    }
    if warnings.is_empty() {
        if !asks.json {
            line("nothing to repair");
        }
        Ok(())
    } else {
        bail!("{} warnings", warnings.len())
    }
}
