//! `segment overlap|composition|sizes|sample`.

use serde_json::{Value, json};

use super::Asks;
use super::client::{Create, part};
use super::output::{self, items, line, text};
use super::segments::{ask, print_as_of};

/// What each two segments have in common.
pub(crate) fn overlap(asks: &Asks, names: &[String]) -> anyhow::Result<()> {
    let body = json!({"segments": names});
    let answer = ask(asks, Create::Never, |c| c.post_json("/api/v1/insights/overlap", &body))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let segments = items(&answer, "/segments");
    let mut header = vec!["in both".to_owned(), "held".to_owned()];
    header.extend(names.iter().cloned());
    let mut rows = vec![header];
    for segment in segments {
        let mut row = vec![text(segment, "/segment"), text(segment, "/held")];
        row.extend(items(segment, "/with").iter().map(|both| text(both, "")));
        rows.push(row);
    }
    output::table(&rows);
    print_as_of(&answer);
    Ok(())
}

/// What the members do more or less than everybody.
pub(crate) fn composition(
    asks: &Asks,
    of: &str,
    days: u16,
    by: Option<&str>,
) -> anyhow::Result<()> {
    let mut body = json!({"of": of, "days": days});
    if let Some(by) = by {
        body["by"] = json!(by);
    }
    let answer = ask(asks, Create::Never, |c| c.post_json("/api/v1/insights/composition", &body))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let (members, everybody) = (text(&answer, "/members"), text(&answer, "/everybody"));
    let days = text(&answer, "/days");
    line(&format!("{members} of {everybody} visitors with a hit in the last {days} days\n"));
    let header = [by.unwrap_or("category"), "members", "share", "everybody", "share", "index"];
    let mut rows = vec![header.map(String::from).to_vec()];
    if answer["complete"] == json!(false) {
        output::note("there are more values than are told apart: some are left out");
    }
    let (list, name) =
        if by.is_some() { ("/values", "/value") } else { ("/categories", "/category") };
    for row in items(&answer, list) {
        rows.push(vec![
            text(row, name),
            text(row, "/members"),
            percent(row, "/share"),
            text(row, "/everybody"),
            percent(row, "/share_of_everybody"),
            row["index"].as_f64().map(|index| format!("{index:.0}")).unwrap_or_default(),
        ]);
    }
    output::table(&rows);
    print_as_of(&answer);
    Ok(())
}

/// Characters of the longest bar.
const BAR: u64 = 40;

/// How large it was, day by day, with a bar for each.
pub(crate) fn sizes(asks: &Asks, of: &str, days: u16) -> anyhow::Result<()> {
    let body = json!({"of": of, "days": days});
    let answer = ask(asks, Create::Never, |c| c.post_json("/api/v1/insights/sizes", &body))?;
    if asks.json {
        output::json(&answer);
        return Ok(());
    }
    let all = items(&answer, "/sizes");
    let held = |row: &Value| row["held"].as_u64().unwrap_or(0);
    let most = all.iter().map(held).max().unwrap_or(0).max(1);
    let mut rows = vec![["day", "held", ""].map(String::from).to_vec()];
    let known = |row: &&Value| row["known"] == json!(true);
    for row in all.iter().skip_while(|row| !known(row)) {
        let bar = "█".repeat(usize::try_from(held(row) * BAR / most).unwrap_or(0));
        let note = match (row["known"].as_bool(), row["recorded_at"].as_str()) {
            (Some(true), None) => bar,
            (Some(true), Some(at)) => format!("{bar} recorded {at}"),
            (Some(false) | None, _) => "not known".to_owned(),
        };
        // Columns end together; this one is to begin together.
        rows.push(vec![text(row, "/day"), text(row, "/held"), format!("{note:<80}")]);
    }
    output::table(&rows);
    print_as_of(&answer);
    Ok(())
}

/// A share as 12.3 %.
fn percent(row: &Value, pointer: &str) -> String {
    let share = row.pointer(pointer).and_then(Value::as_f64);
    share.map(|share| format!("{:.1} %", share * 100.0)).unwrap_or_default()
}

/// A few members, one a line.
pub(crate) fn sample(asks: &Asks, name: &str, number: u64) -> anyhow::Result<()> {
    let path = format!("/api/v1/segments/{}/sample?number={number}", part(name));
    let answer = ask(asks, Create::Never, |c| c.get(&path))?;
    if asks.json {
        output::json(&answer);
    } else {
        items(&answer, "/sample").iter().for_each(|visitor| line(&text(visitor, "")));
    }
    Ok(())
}
