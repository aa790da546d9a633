//! `consent explain`: what a string says, and what we make of it.

use mayfly_core::consent::{self, Audience, ConsentRole, Receiver};
use mayfly_core::{ConsentPolicy, ConsentRules, ConsentState, Signals};
use serde_json::{Value, json};

use super::Asks;
use super::client::{Create, part};
use super::output::{self, line, text};
use super::segments::ask;
use crate::explain::{Kind, advice};

/// Explains a consent string, for a site when one is named.
pub(crate) fn explain(
    asks: &Asks,
    string: &str,
    site: Option<&str>,
    receiver: Option<u16>,
) -> anyhow::Result<()> {
    let kind = Kind::of(string);
    let rules = match site {
        Some(key) => {
            rules(&ask(asks, Create::Never, |c| c.get(&format!("/api/v1/sites/{}", part(key))))?)
        }
        // What the string allows by itself, whoever reads it.
        None => ConsentRules { policy: ConsentPolicy::Any, ..ConsentRules::default() },
    };
    let signals = Signals { choice: kind.choice(string), ..Signals::default() };
    let decision = decision(&rules, &signals, receiver);
    let decoded = kind.decode(string);
    if asks.json {
        let mut answer = json!({"kind": kind.label(), "decision": decision});
        match decoded {
            Ok(decoded) => answer["decoded"] = decoded,
            Err(error) => answer["error"] = json!(error.to_string()),
        }
        output::json(&answer);
        return Ok(());
    }
    line(&format!("kind      {}", kind.label()));
    match decoded {
        Ok(decoded) => fields(&decoded, 0),
        Err(error) => line(&format!("broken    the string {error}")),
    }
    let for_site = site.map_or_else(|| "by itself".to_owned(), |key| format!("for site {key}"));
    line(&format!("\ndecision  {for_site}: {}", text(&decision, "/words")));
    let advice = text(&decision, "/advice");
    if !advice.is_empty() {
        line(&format!("          {advice}"));
    }
    let receiver = text(&decision, "/receiver/words");
    if !receiver.is_empty() {
        line(&format!("receiver  {receiver}"));
    }
    Ok(())
}

/// What a site asks for, from the answer of the API.
fn rules(site: &Value) -> ConsentRules {
    let said = &site["consent"];
    let policy = match said["policy"].as_str() {
        Some("tcf") => ConsentPolicy::Tcf,
        Some("gpp") => ConsentPolicy::Gpp,
        Some("any") => ConsentPolicy::Any,
        Some(_) | None => ConsentPolicy::None,
    };
    let vendor = said["vendor_id"].as_u64().and_then(|id| u16::try_from(id).ok());
    let role = match (said["role"].as_str(), vendor) {
        (Some("vendor"), Some(id)) => Some(ConsentRole::Vendor(id)),
        (Some("publisher"), _) => Some(ConsentRole::Publisher),
        (Some(_) | None, _) => None,
    };
    let audience = match said["audience"].as_str() {
        Some("children") => Audience::Children,
        Some("mixed") => Audience::Mixed,
        Some(_) | None => Audience::General,
    };
    ConsentRules { policy, role, scope: "".into(), audience }
}

fn decision(rules: &ConsentRules, signals: &Signals, receiver: Option<u16>) -> Value {
    match consent::decide(rules, signals) {
        Err(refusal) => json!({
            "kept": false,
            "reason": refusal.label(),
            "outcome": refusal.outcome().label(),
            "words": format!("nothing is stored: {refusal}"),
            "advice": advice(refusal),
        }),
        Ok(allowed) => {
            let uses = [
                ("profiles for advertising", true),
                ("profiles for content", allowed.content),
                ("measurement", allowed.measure),
                ("passing it on", allowed.share),
            ];
            let (may, may_not): (Vec<_>, Vec<_>) = uses.into_iter().partition(|(_, on)| *on);
            let names = |all: &[(&str, bool)]| {
                all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
            };
            let mut words = format!("the hit is kept, for {}", names(&may));
            if !may_not.is_empty() {
                words.push_str(&format!("; not for {}", names(&may_not)));
            }
            let state = ConsentState { choice: signals.choice.clone(), allowed };
            json!({
                "kept": true,
                "allowed": {
                    "content": allowed.content,
                    "measure": allowed.measure,
                    "share": allowed.share,
                },
                "words": words,
                "receiver": receiver.map(|id| permitted(&state, id)),
            })
        }
    }
}

fn permitted(state: &ConsentState, vendor: u16) -> Value {
    let (permitted, words) = match Receiver::vendor(vendor).is_permitted(state) {
        Ok(()) => (true, format!("vendor {vendor} may receive it")),
        Err(refusal) => (false, format!("vendor {vendor} may not receive it: {refusal}")),
    };
    json!({"vendor_id": vendor, "permitted": permitted, "words": words})
}

/// Fields, one a line; long lists are cut for people.
fn fields(value: &Value, depth: usize) {
    const SHOWN: usize = 24;
    for (name, value) in value.as_object().into_iter().flatten() {
        let indent = " ".repeat(2 * depth);
        match value {
            Value::Object(_) => {
                line(&format!("{indent}{name}"));
                fields(value, depth + 1);
            }
            Value::Array(all) if all.len() > SHOWN => {
                let first: Vec<String> = all.iter().take(SHOWN).map(Value::to_string).collect();
                line(&format!("{indent}{name}  {} … ({} in all)", first.join(" "), all.len()));
            }
            Value::Array(all) => {
                let all: Vec<String> = all.iter().map(Value::to_string).collect();
                line(&format!("{indent}{name}  {}", all.join(" ")));
            }
            Value::Null => {}
            Value::String(text) => line(&format!("{indent}{name}  {text}")),
            Value::Bool(_) | Value::Number(_) => line(&format!("{indent}{name}  {value}")),
        }
    }
}
