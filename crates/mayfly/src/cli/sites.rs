//! `site snippet|unmapped`, `tail`.

use std::time::Duration;

use serde_json::json;

use super::Asks;
use super::client::{Client, Create, part};
use super::output::{self, items, line, text};
use super::segments::ask;

/// Between two looks.
const GLANCE: Duration = Duration::from_millis(500);

/// What a page embeds.
pub(crate) fn snippet(asks: &Asks, key: &str, server: Option<&str>) -> anyhow::Result<()> {
    let path = format!("/api/v1/sites/{}", part(key));
    let site = ask(asks, Create::Never, |c| c.get(&path))?;
    let server = server.unwrap_or("https://YOUR-MAYFLY-HOST").trim_end_matches('/');
    let text = crate::http::snippet(server, &asks.settings.prefix, &text(&site, "/key"));
    if asks.json {
        output::json(&json!({"snippet": text}));
    } else {
        line(&text);
    }
    Ok(())
}

/// What a site sends that no rule uses.
pub(crate) fn unmapped(asks: &Asks, key: &str) -> anyhow::Result<()> {
    let path = format!("/api/v1/sites/{}/unmapped", part(key));
    let client = Client::open(asks, Create::Never)?;
    if !client.is_remote() {
        client.close()?;
        anyhow::bail!("no server is running on this store: signals are counted while one runs");
    }
    let answer = client.get(&path)?;
    client.close()?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let mut rows = vec![["name", "kind", "hits"].map(String::from).to_vec()];
    for signal in items(&answer, "/unmapped") {
        rows.push(["/name", "/kind", "/hits"].map(|p| text(signal, p)).to_vec());
    }
    if rows.len() == 1 {
        line("every signal since the server's start is used by some rule");
    } else {
        output::table(&rows);
    }
    Ok(())
}

/// Follows the pixels of a site.
pub(crate) fn tail(asks: &Asks, key: &str, seconds: u64) -> anyhow::Result<()> {
    let client = Client::open(asks, Create::Never)?;
    if !client.is_remote() {
        client.close()?;
        anyhow::bail!("no server is running on this store: there is nothing to follow");
    }
    output::note(&format!("following site {key}; end with Ctrl-C"));
    let begun = crate::clock::stopwatch();
    let (mut after, mut is_first) = (0, true);
    while seconds == 0 || (crate::clock::stopwatch() - begun).as_secs() < seconds {
        let path = format!("/api/v1/sites/{}/tail?after={after}", part(key));
        let answer = client.get(&path)?;
        after = answer["last"].as_u64().unwrap_or(after);
        // What passed before is not what is followed.
        for pixel in items(&answer, "/pixels").iter().filter(|_| !is_first) {
            if asks.json {
                line(&pixel.to_string());
                continue;
            }
            let outcome = [text(pixel, "/outcome"), text(pixel, "/reason")];
            let outcome = outcome.iter().filter(|t| !t.is_empty()).map(String::as_str);
            let outcome = outcome.collect::<Vec<_>>().join("; ");
            let outcome = if outcome.is_empty() { "probe".to_owned() } else { outcome };
            let [time, event, url] = ["/time", "/event", "/url"].map(|p| text(pixel, p));
            line(&format!("{time}  {outcome:<24}  {event:<12}  {url}"));
        }
        is_first = false;
        std::thread::sleep(GLANCE);
    }
    client.close()
}
