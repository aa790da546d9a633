//! Batches as a partner's server takes them: which requests carry a batch, and what its answers
//! mean. Nothing here connects: a [`Talk`] is told the answer to its last request and says what is
//! to be done next.
//!
//! ```text
//! Talk::next(None) ─► Send(request) ─► the caller sends it ─► next(Some(answer)) ─► … ─► Done
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use mayfly_segments::destination::way::Method;
use sha1::Sha1;

mod adobe;
mod google;
mod template;
mod trade_desk;
mod xandr;

pub use adobe::Adobe;
pub use google::Google;
pub use template::{Template, TemplateFault, Templated};
pub use trade_desk::TradeDesk;
pub use xandr::Xandr;

/// A request to a partner. Its headers may hold a secret: it is not for logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where.
    pub url: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// The bytes that a signature covers.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Request {
    /// Tells no header's value and no body.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let bytes = self.body.len();
        f.debug_struct("Request").field("headers", &names).field("bytes", &bytes).finish()
    }
}

/// What a partner's server answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// `Retry-After` in seconds, when it was there.
    pub retry_after_s: Option<u64>,
    /// The body, as far as it came.
    pub body: &'a [u8],
}

/// A pair of visitor and segment that the partner did not take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejected {
    /// The visitor, by his place in [`crate::Batch::changes`]; none where the partner only counts.
    pub user: Option<usize>,
    /// The segment, by its place in [`crate::Batch::segments`]; none = all of the visitor's.
    pub segment: Option<usize>,
    /// The partner's code for it.
    pub code: Box<str>,
    /// How many pairs.
    pub pairs: usize,
    /// Whether it may go another time.
    pub again: bool,
}

/// What became of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judged {
    /// It was taken, but for these.
    Taken {
        /// What was not.
        rejected: Vec<Rejected>,
    },
    /// Not now: it is to be sent again.
    Later {
        /// After so many seconds, when the partner says so.
        after_s: Option<u64>,
        /// Why: the partner's code, or the status.
        code: Box<str>,
    },
    /// It is too large: half of it may go.
    Smaller,
    /// It will not go as it is: a person has to look.
    Refused {
        /// Why: the partner's code, or the status.
        code: Box<str>,
    },
}

/// What is to be done next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Send this, and tell the answer.
    Send(Request),
    /// Come back after so many seconds, without an answer.
    Wait(u64),
    /// That is all.
    Done(Judged),
}

/// The way of one batch to one partner.
#[derive(Debug)]
pub enum Talk<'b> {
    /// Xandr's batch segment service.
    Xandr(Xandr<'b>),
    /// The Trade Desk's data API.
    TradeDesk(TradeDesk<'b>),
    /// Google's bulk uploader.
    Google(Google<'b>),
    /// Adobe's real-time form.
    Adobe(Adobe<'b>),
    /// Requests from a template.
    Template(Templated<'b>),
}

impl Talk<'_> {
    /// What is to be done next, given the answer to the last request.
    pub fn next(&mut self, answer: Option<&Answer<'_>>) -> Step {
        match self {
            Self::Xandr(own) => own.next(answer),
            Self::TradeDesk(own) => own.next(answer),
            Self::Google(own) => own.next(answer),
            Self::Adobe(own) => own.next(answer),
            Self::Template(own) => own.next(answer),
        }
    }

    /// What is to be done when the last request got no answer, and why.
    pub fn unanswered(&mut self, why: Judged) -> Step {
        match self {
            Self::Xandr(own) => own.missed(why),
            Self::TradeDesk(_) | Self::Google(_) | Self::Adobe(_) | Self::Template(_) => {
                Step::Done(why)
            }
        }
    }

    /// Whether the partner took a part of the batch already: templates send it in parts, and a job
    /// of Xandr is looked at after it was uploaded.
    #[must_use]
    pub const fn is_partly_taken(&self) -> bool {
        match self {
            Self::Xandr(own) => own.job().is_some(),
            Self::TradeDesk(_) | Self::Google(_) | Self::Adobe(_) => false,
            Self::Template(own) => own.is_partly_taken(),
        }
    }
}

/// What a status means that the protocol does not explain: 429 and 5xx are tried again, 413 is too
/// much, all else is for a person.
#[must_use]
pub fn by_status(answer: &Answer<'_>) -> Judged {
    let code = answer.status.to_string().into();
    match answer.status {
        413 => Judged::Smaller,
        408 | 425 | 429 | 500..=599 => Judged::Later { after_s: answer.retry_after_s, code },
        _ => Judged::Refused { code },
    }
}

/// An answer that is no answer of this protocol: perhaps half of one. It may have arrived.
fn garbled() -> Judged {
    Judged::Later { after_s: None, code: "garbled".into() }
}

/// A scalar as text.
fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Nothing was rejected.
const fn all_taken() -> Judged {
    Judged::Taken { rejected: Vec::new() }
}

/// Base64 of an HMAC-SHA1 over the very bytes that are sent: The Trade Desk's and Adobe's.
fn signature(key: &str, body: &[u8]) -> String {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Cuts a partner's text to what a ledger keeps of it, without control characters.
fn code(text: &str) -> Box<str> {
    const MOST: usize = 64;
    text.chars().filter(|c| !c.is_control()).take(MOST).collect::<String>().into()
}

#[cfg(test)]
mod tests;
