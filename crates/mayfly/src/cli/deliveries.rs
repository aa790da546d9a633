//! `delivery list|show|run|dry-run|resume|drop`.

use anyhow::bail;
use clap::Subcommand;
use serde_json::Value;

use super::client::{Create, part};
use super::output::{self, items, line, text};
use super::segments::ask;
use super::{Asks, feeds};

/// What is asked of deliveries.
#[derive(Debug, Subcommand)]
pub(crate) enum DeliveryCommand {
    /// Destinations, where each stands, and the newest deliveries
    List {
        /// Only of this destination
        #[arg(long, value_name = "NAME")]
        destination: Option<String>,
        /// So many deliveries
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
    /// One delivery: from members to accepted, segment by segment, batch by batch
    Show {
        /// Its id, as `list` shows it; a destination's name shows its last one
        id: String,
    },
    /// Deliver now
    Run {
        /// The destination
        destination: String,
        /// Everything, not what changed
        #[arg(long)]
        full: bool,
    },
    /// Show what would be sent now, as it would be sent; nothing is
    DryRun {
        /// The destination
        destination: String,
        /// Visitors shown
        #[arg(long, default_value_t = 20, value_name = "N")]
        visitors: usize,
        /// Everything, not what changed
        #[arg(long)]
        full: bool,
    },
    /// What was delivered, by month: for an invoice
    Usage {
        /// The destination
        destination: String,
    },
    /// The IAB Tech Lab's data label of what it gets, as CSV
    Label {
        /// The destination
        destination: String,
    },
    /// Try again what is held
    Resume {
        /// The destination
        destination: String,
    },
    /// Give up the batch that is held, and go on with the rest
    Drop {
        /// The destination
        destination: String,
    },
}

pub(crate) fn run(asks: &Asks, command: DeliveryCommand) -> anyhow::Result<()> {
    match command {
        DeliveryCommand::List { destination, limit } => list(asks, destination.as_deref(), limit),
        DeliveryCommand::Show { id } => show(asks, &id),
        DeliveryCommand::Run { destination, full } => {
            let what = if full { "full" } else { "now" };
            order(
                asks,
                &destination,
                what,
                "asked for: it is looked at within a second, and goes if anything changed",
            )
        }
        DeliveryCommand::DryRun { destination, visitors, full } => {
            dry_run(asks, &destination, visitors, full)
        }
        DeliveryCommand::Usage { destination } => feeds::usage(asks, &destination),
        DeliveryCommand::Label { destination } => feeds::label(asks, &destination),
        DeliveryCommand::Resume { destination } => {
            order(asks, &destination, "resume", "it is tried again within a second")
        }
        DeliveryCommand::Drop { destination } => {
            order(asks, &destination, "drop", "the batch counts as delivered, and the rest goes on")
        }
    }
}

fn order(asks: &Asks, destination: &str, what: &str, done: &str) -> anyhow::Result<()> {
    let path = format!("/api/v1/destinations/{}/ask?ask={what}", part(destination));
    let answer = ask(asks, Create::Never, |c| {
        if !c.is_remote() {
            bail!("no server runs on this store: `mayfly serve` delivers");
        }
        c.post(&path, "application/json", b"")
    })?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    match (what, answer["state"].as_str()) {
        ("now" | "full", Some("held")) => line(&format!(
            "noted, but a batch is held: mayfly delivery resume {destination}, or drop"
        )),
        (_, Some("paused")) => line("noted, but it is paused: take `paused` out of its definition"),
        _ => line(&format!("{done}: mayfly delivery show {destination}")),
    }
    Ok(())
}

fn list(asks: &Asks, destination: Option<&str>, limit: usize) -> anyhow::Result<()> {
    let of = destination.map(|name| format!("&destination={}", part(name))).unwrap_or_default();
    let path = format!("/api/v1/deliveries?limit={limit}{of}");
    let answers = ask(asks, Create::Never, |c| {
        let mut all = c.get("/api/v1/destinations")?;
        all["deliveries"] = c.get(&path)?["deliveries"].take();
        Ok(all)
    })?;
    if asks.json {
        output::json(&answers);
        return Ok(());
    }
    let all = items(&answers, "/destinations");
    if all.is_empty() {
        line("no destinations are defined: docs/deliver.md shows how");
        return Ok(());
    }
    let head = ["destination", "partner", "to", "when", "state", "last accepted", "told until"]
        .map(String::from);
    let mut rows = vec![head.to_vec()];
    for own in all.iter().filter(|own| destination.is_none_or(|name| text(own, "/name") == name)) {
        let mut row = vec![text(own, "/name"), text(own, "/partner"), host(&text(own, "/to"))];
        row.push(text(own, "/schedule"));
        row.push(standing(own));
        row.extend(["/accepted_at", "/told_until"].map(|at| or_dash(text(own, at))));
        rows.push(row);
    }
    output::table(&rows);
    for own in all.iter().filter(|own| own["held"].is_object()) {
        let (name, advice) = (text(own, "/name"), text(own, "/held/advice"));
        line(&format!("{name} is held: {advice}"));
    }
    line("");
    let head = ["delivery", "began", "what", "wanted", "sent", "accepted", "status"];
    let mut rows = vec![head.map(String::from).to_vec()];
    let lasts: Vec<String> = all.iter().map(|own| text(own, "/last/id")).collect();
    for own in items(&answers, "/deliveries") {
        let mut row = ["/id", "/began", "/mode"].map(|at| text(own, at)).to_vec();
        row.extend(["/pairs/wanted", "/pairs/sent", "/pairs/accepted"].map(|at| count(own, at)));
        let is_last = lasts.contains(&text(own, "/id"));
        row.push(if is_last { ended(own) } else { past(own) });
        rows.push(row);
    }
    if rows.len() == 1 {
        line("nothing was delivered yet");
    } else {
        output::table(&rows);
    }
    Ok(())
}

/// A URL up to the end of its host; what is none as it is.
fn host(to: &str) -> String {
    let end = to.find("://").and_then(|at| Some(at + 3 + to.get(at + 3..)?.find('/')?));
    to.get(..end.unwrap_or(to.len())).unwrap_or(to).to_owned()
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

/// Where a destination stands, with the reason where it is none to be glad of.
fn standing(own: &Value) -> String {
    match text(own, "/state").as_str() {
        "held" => format!("held: {}", text(own, "/held/code")),
        "waiting" => format!("waiting until {}", text(own, "/retry_at")),
        other => other.to_owned(),
    }
}

fn ended(own: &Value) -> String {
    let (status, code) = (text(own, "/status"), text(own, "/code"));
    if code.is_empty() { status } else { format!("{status}: {code}") }
}

/// How one ended that another one followed.
fn past(own: &Value) -> String {
    match text(own, "/status").as_str() {
        "waiting" | "held" => format!("failed: {}", text(own, "/code")),
        other => other.to_owned(),
    }
}

pub(super) fn count(own: &Value, at: &str) -> String {
    output::number(own.pointer(at).and_then(Value::as_u64).unwrap_or(0))
}

fn show(asks: &Asks, id: &str) -> anyhow::Result<()> {
    let answer = ask(asks, Create::Never, |c| {
        let all = c.get("/api/v1/destinations")?;
        let named = items(&all, "/destinations").iter().find(|own| text(own, "/name") == id);
        let last = named.map(|own| text(own, "/last/id"));
        if last.as_deref() == Some("") {
            anyhow::bail!(
                "nothing was delivered to {id} yet: `mayfly delivery dry-run {id}` says why"
            );
        }
        c.get(&format!("/api/v1/deliveries/{}", part(last.as_deref().unwrap_or(id))))
    })?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let (began, took) = (text(&answer, "/began"), text(&answer, "/ended"));
    line(&format!("{}  {}  {}", text(&answer, "/id"), text(&answer, "/mode"), ended(&answer)));
    line(&format!(
        "began {began}, ended {}; members as of {}, definitions version {}",
        or_dash(took),
        text(&answer, "/as_of"),
        text(&answer, "/version")
    ));
    if text(&answer, "/status") == "waiting" {
        let name = text(&answer, "/destination");
        line(&format!(
            "it goes on by itself; `mayfly delivery run {name}` tries now (docs/deliver.md)"
        ));
    }
    line("");
    waterfall(&answer["pairs"], true);
    segments(&answer);
    batches(&answer);
    Ok(())
}

/// From members to accepted, each line with what falls off it; without what a dry run cannot know.
fn waterfall(pairs: &Value, is_sent: bool) {
    let row = |name: &str, at: &str, off: &str, why: &str| {
        let lost = count(pairs, off);
        let lost =
            if off.is_empty() || lost == "0" { String::new() } else { format!("{lost} {why}") };
        vec![name.to_owned(), count(pairs, at), lost]
    };
    line("counted in pairs of visitor and segment:");
    let mut rows = vec![
        row("members", "/members", "", ""),
        row("allowed by consent", "/allowed", "/not_allowed", "not allowed"),
        row("with an id", "/matched", "/without_id", "without"),
        row("wanted there", "/wanted", "/held_back", "held back"),
        row("there already", "/unchanged", "/together", "in several segments of one code"),
        row("added", "/adds", "", ""),
        row("kept for longer", "/refreshes", "", ""),
        row("removed", "/removes", "", ""),
        row("ids gone", "/gone", "", ""),
    ];
    let sent = [
        row("sent", "/sent", "/left_out", "changed meanwhile"),
        row("accepted", "/accepted", "/unsent", "not sent this time"),
    ];
    rows.extend(sent.into_iter().filter(|_| is_sent));
    for (code, n) in pairs["rejected"].as_object().into_iter().flatten() {
        let n = output::number(n.as_u64().unwrap_or(0));
        rows.push(vec![format!("rejected: {code}"), n, String::new()]);
    }
    output::table(&rows);
}

fn segments(answer: &Value) {
    let head = ["segment", "code", "members", "wanted there", ""].map(String::from);
    let mut rows = vec![head.to_vec()];
    for own in items(answer, "/segments") {
        let why = match text(own, "/held_back").as_str() {
            "below_minimum" => "too small to be sent",
            "label" => "a label forbids it",
            "ended" => "its mapping has ended",
            "not_begun" => "its mapping has not begun",
            "terms_ended" => "the terms are over",
            _ => "",
        };
        let mut row = vec![text(own, "/segment"), text(own, "/code")];
        row.extend([count(own, "/members"), count(own, "/wanted"), why.to_owned()]);
        rows.push(row);
    }
    if rows.len() > 1 {
        line("");
        output::table(&rows);
    }
}

fn batches(answer: &Value) {
    let head = ["batch", "visitors", "pairs", "bytes", "ms", "result"].map(String::from);
    let mut rows = vec![head.to_vec()];
    for own in items(answer, "/batches") {
        let mut row = vec![text(own, "/id")];
        row.extend(["/visitors", "/pairs", "/bytes", "/ms"].map(|at| count(own, at)));
        row.push(text(own, "/result"));
        rows.push(row);
    }
    if rows.len() > 1 {
        line("");
        output::table(&rows);
    }
}

fn dry_run(asks: &Asks, name: &str, visitors: usize, full: bool) -> anyhow::Result<()> {
    let path =
        format!("/api/v1/destinations/{}/preview?visitors={visitors}&full={full}", part(name));
    let answer = ask(asks, Create::Never, |c| c.get(&path))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    line(&format!("{name}: a dry run ({}); nothing was sent", text(&answer, "/mode")));
    if let Some(warning) = answer["warning"].as_str() {
        line(&format!("WARNING      {name} {warning}"));
    }
    line("");
    waterfall(&answer["pairs"], false);
    segments(&answer);
    line("");
    let shown = count(&answer, "/visitors_shown");
    let request = &answer["request"];
    if request.is_object() {
        line(&format!("the first request, with {shown} visitors:"));
        line(&format!("{} {}", text(request, "/method"), text(request, "/url")));
        for header in items(request, "/headers") {
            line(header.as_str().unwrap_or_default());
        }
        line("");
        line(&text(request, "/body"));
    } else if items(&answer, "/lines").is_empty() {
        line("nothing would be sent");
    } else {
        line(&format!("lines of {shown} visitors:"));
        for own in items(&answer, "/lines") {
            line(own.as_str().unwrap_or_default());
        }
    }
    Ok(())
}
