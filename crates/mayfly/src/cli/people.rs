//! `visitor show|erase`, `retention audit`, `token create|list|revoke`.

use std::path::PathBuf;

use anyhow::bail;
use serde_json::{Value, json};

use super::Asks;
use super::client::{Create, part};
use super::output::{self, items, line, text};
use super::segments::ask;
use crate::tokens::Role;

/// Everything held about a visitor.
pub(crate) fn show(asks: &Asks, id: &str) -> anyhow::Result<()> {
    let answer = ask(asks, Create::Never, |c| c.get(&format!("/api/v1/visitors/{}", part(id))))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    line(&format!("visitor   {}", text(&answer, "/visitor")));
    let names = |pointer| {
        let all: Vec<_> = items(&answer, pointer).iter().filter_map(|v| v.as_str()).collect();
        if all.is_empty() { "-".to_owned() } else { all.join(", ") }
    };
    line(&format!("segments  {}", names("/segments")));
    for own in items(&answer, "/partners") {
        let [partner, uid, seen] = ["/partner", "/uid", "/seen"].map(|path| text(own, path));
        line(&format!("partner   {partner}:{uid}, last seen {seen}"));
    }
    line(&format!("hits      {}\n", items(&answer, "/hits").len()));
    let mut rows = vec![["time", "event", "site", "page"].map(String::from).to_vec()];
    for hit in items(&answer, "/hits") {
        rows.push(["/time", "/event", "/site", "/url"].map(|p| text(hit, p)).to_vec());
    }
    rows.iter().for_each(|row| line(&row.join("  ")));
    Ok(())
}

/// Erases a visitor.
pub(crate) fn erase(asks: &Asks, id: &str, now: bool) -> anyhow::Result<()> {
    let path = format!("/api/v1/visitors/{}?now={now}", part(id));
    let answer = ask(asks, Create::Never, |c| c.delete(&path))?;
    if asks.json {
        output::json(&answer);
    } else {
        let before =
            if answer["was_erased"] == json!(true) { " (it was erased before)" } else { "" };
        line(&format!("erased {}: invisible now{before}", text(&answer, "/visitor")));
        line(if answer["bytes_gone"] == json!(true) {
            "its bytes are gone from hits and cells"
        } else {
            "its bytes go with the nightly pass (from 01:00 UTC); --now has them go at once"
        });
        for own in items(&answer, "/destinations") {
            line(&told(own, &text(&answer, "/erased_at")));
        }
    }
    Ok(())
}

/// When a destination is told to forget somebody.
fn told(own: &Value, at: &str) -> String {
    let (name, schedule) = (text(own, "/name"), text(own, "/schedule"));
    match text(own, "/state").as_str() {
        "held" => format!("{name} is HELD: it is told after `mayfly delivery resume {name}`"),
        "paused" => format!("{name} is PAUSED: it is told when `paused` is taken out"),
        _ => format!(
            "{name} is told to forget it ({schedule}; at once: `mayfly delivery run {name}`); done when \
             `mayfly delivery list` says it was told until after {at}"
        ),
    }
}

/// Looks for behaviour that outlives the retention.
pub(crate) fn audit(asks: &Asks, exports: &[PathBuf]) -> anyhow::Result<()> {
    let mut answer = ask(asks, Create::Never, |c| c.get("/api/v1/audit/retention"))?;
    let now_ms = answer["as_of_ms"].as_i64().unwrap_or(0);
    let mut findings: Vec<String> =
        items(&answer, "/findings").iter().filter_map(|f| f.as_str()).map(String::from).collect();
    for folder in exports {
        for overdue in mayfly_export::overdue(folder, now_ms)? {
            findings.push(format!("{}: past its delete_by", overdue.manifest.display()));
        }
    }
    if asks.json {
        answer["findings"] = json!(findings);
        output::json(&answer);
    } else {
        for (kind, n) in answer["seen"].as_object().into_iter().flatten() {
            line(&format!("{kind:<12} {n}"));
        }
        line(&format!("oldest day   {}", text(&answer, "/oldest")));
        line(&format!("retention    {} days", text(&answer, "/retention_days")));
        findings.iter().for_each(|f| line(&format!("FINDING      {f}")));
    }
    if findings.is_empty() {
        if !asks.json {
            line("nothing outlives the retention");
        }
        Ok(())
    } else {
        bail!("{} findings", findings.len())
    }
}

/// Makes a token.
pub(crate) fn new_token(
    asks: &Asks,
    name: &str,
    role: Role,
    (sites, partner): (&[String], Option<&str>),
) -> anyhow::Result<()> {
    let body = json!({"name": name, "role": role, "sites": sites, "partner": partner});
    let answer = ask(asks, Create::IfMissing, |c| c.post_json("/api/v1/tokens", &body))?;
    if asks.json {
        output::json(&answer);
    } else {
        line(&text(&answer, "/secret"));
        output::note("this is the only time the secret is shown");
    }
    Ok(())
}

/// All tokens.
pub(crate) fn tokens(asks: &Asks) -> anyhow::Result<()> {
    let answer = ask(asks, Create::Never, |c| c.get("/api/v1/tokens"))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let mut rows = vec![["name", "role", "sites", "partner", "created"].map(String::from).to_vec()];
    for token in items(&answer, "/tokens") {
        let sites: Vec<_> = items(token, "/sites").iter().filter_map(|s| s.as_str()).collect();
        let sites = if sites.is_empty() { "all".to_owned() } else { sites.join(" ") };
        let [name, role, created] = ["/name", "/role", "/created"].map(|p| text(token, p));
        let partner = text(token, "/partner");
        let partner = if partner.is_empty() { "-".to_owned() } else { partner };
        rows.push(vec![name, role, sites, partner, created]);
    }
    output::table(&rows);
    Ok(())
}

/// Takes a token back.
pub(crate) fn revoke(asks: &Asks, name: &str) -> anyhow::Result<()> {
    let answer = ask(asks, Create::Never, |c| c.delete(&format!("/api/v1/tokens/{}", part(name))))?;
    if asks.json {
        output::json(&answer);
    } else {
        line(&format!("revoked {name}"));
    }
    Ok(())
}
