//! The Trade Desk's data API: one JSON body, signed; a 200 may hold failures.
//!
//! Source: The Trade Desk, data API (OpenAPI, SDK); `TtdSignature` and `TtlInMinutes: 0` as
//! RudderStack's connector sends them.

use mayfly_segments::destination::way::{Party, TradeDeskSettings};
use serde::{Deserialize, Serialize};

use super::{
    Answer, Judged, Method, Rejected, Request, Step, all_taken, by_status, code, garbled,
    signature, text,
};
use crate::batch::{Batch, UserChange};
use crate::instant::rfc3339;

/// The way of one batch.
#[derive(Debug)]
pub struct TradeDesk<'b> {
    settings: &'b TradeDeskSettings,
    batch: &'b Batch,
    token: &'b str,
    secret: Option<&'b str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    advertiser_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_provider_id: Option<&'a str>,
    data_load_trace_id: &'a str,
    items: Vec<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answered {
    failed_lines: Option<Vec<FailedLine>>,
    error_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FailedLine {
    error_code: Option<String>,
    message: Option<String>,
    /// A text in the documentation.
    item_number: Option<serde_json::Value>,
    data_name: Option<String>,
}

impl<'b> TradeDesk<'b> {
    /// A batch to be sent with a platform token (`TTD-Auth`); signed too, where there is a secret.
    #[must_use]
    pub const fn new(
        settings: &'b TradeDeskSettings,
        batch: &'b Batch,
        token: &'b str,
        secret: Option<&'b str>,
    ) -> Self {
        Self { settings, batch, token, secret }
    }

    /// See [`super::Talk::next`].
    pub fn next(&mut self, answer: Option<&Answer<'_>>) -> Step {
        match answer {
            None => Step::Send(self.request()),
            Some(answer) => Step::Done(self.judge(answer)),
        }
    }

    fn request(&self) -> Request {
        let (path, advertiser, provider) = match &self.settings.party {
            Party::Advertiser(id) => ("/data/advertiser", Some(&**id), None),
            Party::Provider(id) => ("/data/thirdparty", None, Some(&**id)),
        };
        let body = Body {
            advertiser_id: advertiser,
            data_provider_id: provider,
            data_load_trace_id: &self.batch.id,
            items: self.batch.changes.iter().map(|change| self.item(change)).collect(),
        };
        // Maps of texts and numbers can always be written.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if !self.token.is_empty() {
            headers.push(("ttd-auth".to_owned(), self.token.to_owned()));
        }
        if let Some(secret) = self.secret {
            headers.push(("ttdsignature".to_owned(), signature(secret, &body)));
        }
        let url = format!("{}{path}", self.settings.host);
        Request { method: Method::Post, url, headers, body }
    }

    fn item(&self, change: &UserChange) -> serde_json::Map<String, serde_json::Value> {
        let at = rfc3339(self.batch.now);
        // 0 would remove.
        let add = change.adds.iter().map(|add| (add.segment, (add.ttl_s / 60).max(1)));
        let remove = change.removes.iter().map(|segment| (*segment, 0));
        let data = add.chain(remove).map(|(segment, minutes)| {
            let name = self.batch.code(segment);
            serde_json::json!({"Name": name, "TimestampUtc": at, "TtlInMinutes": minutes})
        });
        let mut item = serde_json::Map::new();
        item.insert(self.settings.id_field.to_string(), serde_json::json!(change.uid));
        item.insert("Data".to_owned(), data.collect());
        item
    }

    fn judge(&self, answer: &Answer<'_>) -> Judged {
        let read: Result<Answered, _> = serde_json::from_slice(answer.body);
        match (answer.status, read) {
            (200, Ok(read)) => {
                let lines = read.failed_lines.unwrap_or_default();
                let rejected = lines.iter().map(|line| self.rejected(line));
                Judged::Taken { rejected: rejected.collect() }
            }
            (200, Err(_)) if answer.body.is_empty() => all_taken(),
            (200, Err(_)) => garbled(),
            (_, Ok(Answered { error_code: Some(own), .. })) if answer.status < 429 => {
                match by_status(answer) {
                    Judged::Refused { .. } => Judged::Refused { code: code(&own) },
                    other @ (Judged::Taken { .. } | Judged::Later { .. } | Judged::Smaller) => {
                        other
                    }
                }
            }
            (_, Ok(_) | Err(_)) => by_status(answer),
        }
    }

    /// A failed line names its item, from 1, in a field or at the end of its message.
    fn rejected(&self, line: &FailedLine) -> Rejected {
        let message = line.message.as_deref().unwrap_or_default();
        let in_message = || message.rsplit_once('#').map(|(_, number)| number.to_owned());
        let said = line.item_number.as_ref().map(text);
        let number = said.or_else(in_message);
        let number = number.and_then(|number| number.trim().parse::<usize>().ok());
        let user = number.and_then(|number| number.checked_sub(1));
        let user = user.filter(|user| *user < self.batch.changes.len());
        let error = line.error_code.as_deref().unwrap_or_default();
        let name = line.data_name.as_deref().filter(|name| !name.is_empty());
        let segment =
            name.and_then(|name| self.batch.segments.iter().position(|own| *own.code == *name));
        let whole = user.and_then(|user| self.batch.changes.get(user)).map_or(1, UserChange::pairs);
        Rejected {
            user,
            segment,
            code: code(error),
            pairs: if segment.is_some() { 1 } else { whole },
            again: error == "Unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::push::signature;

    /// As RudderStack's connector makes them.
    #[test]
    fn signatures_are_those_of_the_vectors() {
        for (secret, body, expected) in [
            ("secret", r#"{"data":"example"}"#, "rvxETQ7kIU5Cko3GddD2AeFpz8E="),
            ("secret", r#"{"data":123}"#, "V5RSVwxqHRLkZftZ0+IrZAp4L4s="),
            ("secret", r#"{"data":true}"#, "oZ28NtyMYDGxRV0E+Tgvz7B1jds="),
            (
                "test-advertiser-secret-key",
                concat!(
                    r#"{"AdvertiserId":"test-advertiser-id","DataProviderId":"rudderstack","#,
                    r#""Items":[{"DAID":"test-daid-1","Data":[{"Name":"test-segment","#,
                    r#""TTLInMinutes":43200}]},{"Data":[{"Name":"test-segment","#,
                    r#""TTLInMinutes":43200}],"UID2":"test-uid2-1"},{"DAID":"test-daid-2","#,
                    r#""Data":[{"Name":"test-segment","TTLInMinutes":0}]},{"Data":[{"Name":"#,
                    r#""test-segment","TTLInMinutes":0}],"UID2":"test-uid2-2"}]}"#
                ),
                "8LqGha6I7e3duvhngEvhXoTden0=",
            ),
        ] {
            assert_eq!(signature(secret, body.as_bytes()), expected);
        }
    }
}
