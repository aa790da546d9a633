//! Partners that have no form of their own here: the templates that docs/deliver-template.md shows,
//! each against a server written from the partner's documentation.

use std::fs;

use serde_json::{Value, json};

use crate::deliveries_formats::{ok, refused, tell};
use crate::pages::blocks;
use crate::receiver::{Asked, Known, Protocol};

/// The template of the page that goes to this host, with the test's server in its place.
fn shown(host: &str) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/deliver-template.md");
    let all = blocks(&fs::read_to_string(page).unwrap());
    let own = all.into_iter().find(|block| block.contains(host)).expect("it is on the page");
    format!(
        "secrets = {{ token = \"acme_key\" }}\n{}",
        own.replace(&format!("https://{host}"), "BASE")
    )
}

fn tells(protocol: Protocol, host: &str, code: &str) {
    tell(protocol, code, &shown(host), ["c7f1e0d2a4", "b\"\\", "d-4"]);
}

fn is_let_in(asked: &Asked) -> bool {
    let is_json = asked.header("content-type") == "application/json";
    asked.header("authorization") == "Bearer k3y" && is_json
}

/// Exactly these fields.
fn has(object: &Value, names: &[&str]) -> bool {
    let own = object.as_object();
    own.is_some_and(|own| own.len() == names.len() && names.iter().all(|n| own.contains_key(*n)))
}

/// Criteo, "Contact list audiences": an amendment for one audience.
fn criteo(asked: &Asked, known: &mut Known) -> (u16, Vec<u8>) {
    if !is_let_in(asked) {
        return (401, b"{\"errors\":[{\"code\":\"authorization-token-invalid\"}]}".to_vec());
    }
    let path = asked.path.strip_prefix("/2023-10/marketing-solutions/audience-segments/");
    let audience = path.and_then(|own| own.strip_suffix("/contact-list"));
    let body = asked.json();
    let own = &body["data"]["attributes"];
    let names = ["operation", "identifierType", "gumCallerId", "identifiers"];
    let is_amendment = body["data"]["type"] == json!("ContactlistAmendment")
        && has(&body, &["data"])
        && has(&body["data"], &["type", "attributes"])
        && has(own, &names)
        && own["identifierType"] == json!("gum");
    let Some(audience) = audience.filter(|_| asked.method == "PATCH" && is_amendment) else {
        return refused(known, "not of this form", asked);
    };
    if audience != "8811" {
        return (404, b"{\"errors\":[{\"code\":\"audience-invalid\"}]}".to_vec());
    }
    let ids = own["identifiers"].as_array().unwrap();
    if !(1..=50_000).contains(&ids.len()) {
        return refused(known, "too many", asked);
    }
    for id in ids {
        match own["operation"].as_str() {
            Some("add") => known.add(id.as_str().unwrap(), audience, ""),
            Some("remove") => known.remove(id.as_str().unwrap(), audience),
            _ => return refused(known, "no such operation", asked),
        }
    }
    ok(&json!({"data": {"id": audience}, "errors": []}))
}

#[test]
fn criteo_takes_amendments() {
    tells(criteo, "api.criteo.com", "8811");
}

/// What a row of Yahoo's says: when it ends, and of which segment.
fn yahoo_row(row: &Value) -> Option<(&str, &str, i64)> {
    let [id, changes] = row.as_array()?.as_slice() else { return None };
    let mut parts = changes.as_str()?.split('&');
    let exp: i64 = parts.next()?.strip_prefix("exp=")?.parse().ok()?;
    let segment = parts.next()?.strip_prefix("seg_id=")?;
    let _now: i64 = parts.next()?.strip_prefix("ts=")?.parse().ok()?;
    parts.next().is_none().then_some((id.as_str()?, segment, exp))
}

/// Yahoo DataX, "Online audience": rows as the schema says, the segments in the last column.
fn yahoo(asked: &Asked, known: &mut Known) -> (u16, Vec<u8>) {
    if !is_let_in(asked) {
        return (401, b"{}".to_vec());
    }
    let body = asked.json();
    let is_schema = body["schema"] == json!(["HASHEDID", "SEGMENTS"]) && body["gdpr"].is_boolean();
    let is_form = has(&body, &["schema", "data", "gdpr"]) && is_schema;
    if asked.method != "POST" || asked.path != "/online/audience/" || !is_form {
        return refused(known, "not of this form", asked);
    }
    let rows = body["data"].as_array().unwrap();
    for row in rows {
        let Some((id, segment, exp)) = yahoo_row(row) else {
            return refused(known, "a wrong row", asked);
        };
        match exp {
            0 => known.remove(id, segment),
            1_700_000_000.. => known.add(id, segment, exp),
            _ => return refused(known, "no seconds since 1970", asked),
        }
    }
    let n = rows.len();
    ok(&json!({"totalRows": n, "processedRows": n, "invalidRows": 0, "exampleInvalidRows": []}))
}

#[test]
fn yahoo_takes_rows() {
    tells(yahoo, "dataxonline.yahoo.com", "aud_1");
}

/// Meta, "Custom Audience Users": the same body adds by POST and removes by DELETE.
fn meta(asked: &Asked, known: &mut Known) -> (u16, Vec<u8>) {
    if !is_let_in(asked) {
        return (401, b"{\"error\":{\"code\":190}}".to_vec());
    }
    let path = asked.path.strip_prefix("/v25.0/").and_then(|own| own.strip_suffix("/users"));
    let audience = path.filter(|own| own.bytes().all(|b| b.is_ascii_digit()));
    let (body, schema) = (asked.json(), json!(["EXTERN_ID"]));
    let payload = &body["payload"];
    let is_form = has(payload, &["schema", "data"]) && payload["schema"] == schema;
    let Some(audience) = audience.filter(|_| has(&body, &["payload"]) && is_form) else {
        return refused(known, "not of this form", asked);
    };
    let rows = payload["data"].as_array().unwrap();
    if !(1..=10_000).contains(&rows.len()) {
        return refused(known, "too many", asked);
    }
    for row in rows {
        let [Value::String(id)] = row.as_array().unwrap().as_slice() else {
            return refused(known, "a row is not as the schema says", asked);
        };
        match &*asked.method {
            "POST" => known.add(id, audience, ""),
            "DELETE" => known.remove(id, audience),
            _ => return refused(known, "no such method", asked),
        }
    }
    ok(&json!({"audience_id": audience, "session_id": "1", "num_received": rows.len(),
        "num_invalid_entries": 0, "invalid_entry_samples": {}}))
}

#[test]
fn meta_takes_customer_numbers() {
    tells(meta, "graph.facebook.com", "23843090000000001");
}
