//! Adobe's real-time form: up to ten visitors a message, every scalar a text, signed.
//!
//! Source: Adobe Audience Manager, "Real-time outbound data transfers", "Digitally signed HTTP
//! requests". It is what Audience Manager sends its partners, and many of them take from others.

use mayfly_segments::destination::way::AdobeSettings;
use serde_json::{Value, json};

use super::{Answer, Method, Request, Step, all_taken, by_status, signature};
use crate::batch::{Batch, UserChange};

/// The way of one batch.
#[derive(Debug)]
pub struct Adobe<'b> {
    settings: &'b AdobeSettings,
    batch: &'b Batch,
    key: Option<&'b str>,
}

impl<'b> Adobe<'b> {
    /// Visitors of one message.
    pub const USERS: usize = 10;

    /// A batch of at most [`Self::USERS`]; signed where there is a key.
    #[must_use]
    pub const fn new(settings: &'b AdobeSettings, batch: &'b Batch, key: Option<&'b str>) -> Self {
        Self { settings, batch, key }
    }

    /// See [`super::Talk::next`].
    pub fn next(&mut self, answer: Option<&Answer<'_>>) -> Step {
        match answer {
            None => Step::Send(self.request()),
            Some(answer) if answer.status == 200 => Step::Done(all_taken()),
            Some(answer) => Step::Done(by_status(answer)),
        }
    }

    fn request(&self) -> Request {
        let AdobeSettings { url, data_source, client, destination, .. } = self.settings;
        let at = adobe_time(self.batch);
        let users: Vec<Value> = self.batch.changes.iter().map(|own| self.user(own, &at)).collect();
        let body = json!({
            "ProcessTime": at,
            "User_DPID": data_source,
            "Client_ID": client,
            "AAM_Destination_Id": destination,
            "User_count": users.len().to_string(),
            "Users": users,
        });
        let body = body.to_string().into_bytes();
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if let Some(key) = self.key {
            let name = self.settings.signature_header.to_ascii_lowercase();
            headers.push((name, signature(key, &body)));
        }
        Request { method: Method::Post, url: url.to_string(), headers, body }
    }

    fn user(&self, change: &UserChange, at: &str) -> Value {
        let row = |segment: usize, status: &str| {
            let id = self.batch.code(segment);
            json!({"Segment_ID": id, "Status": status, "DateTime": at})
        };
        let adds = change.adds.iter().map(|add| row(add.segment, "1"));
        let all: Vec<Value> =
            adds.chain(change.removes.iter().map(|segment| row(*segment, "0"))).collect();
        json!({"DataPartner_UUID": change.uid, "Segments": all})
    }
}

/// `Tue Jan 06 10:00:00 UTC 2026`.
fn adobe_time(batch: &Batch) -> String {
    let at = jiff::Timestamp::from_second(batch.now.secs()).unwrap_or_default();
    at.strftime("%a %b %d %H:%M:%S UTC %Y").to_string()
}
