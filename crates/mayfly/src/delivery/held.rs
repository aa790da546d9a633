//! Batches that wait for a person, and what he can do about them.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mayfly_core::{Day, Ordinal, Partition};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

/// A batch that cannot go.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Why.
    pub(crate) code: String,
    /// Since when, milliseconds.
    pub(crate) since_ms: i64,
    /// Its id.
    pub(crate) batch: String,
    /// What is in it, so that a person can drop it.
    pub(crate) told: Vec<Told>,
    /// News of matches that are in it instead: up to where, by partition.
    #[serde(default)]
    pub(crate) gone: BTreeMap<u16, (u64, u64)>,
}

/// What a person can do about a code.
pub(crate) fn advice(code: &str) -> &'static str {
    match code {
        "no_secret" => {
            "a secret is neither in its variable MAYFLY_SECRET_… nor in the folder of secrets"
        }
        "denied" => "the place does not let us in: look at the secrets and at what they may do",
        "no_place" => "there is no such bucket, container or folder: make it, or write another",
        "host_key" => "the host has another key than `host_key`: ask the partner which is right",
        "insecure" => "not https: only hosts in delivery.allow_hosts may be asked without TLS",
        "private_address" => {
            "the host is inside a private network: name it in delivery.allow_hosts"
        }
        "bad_request" => "the URL or a header cannot be sent: look at `mayfly delivery dry-run`",
        "template" => "the template cannot be filled: apply the definitions again to see why",
        "may_have_arrived" => {
            "ask the partner: `drop` if it has the batch, `resume` if it has not; `resume` a removal"
        }
        "long_answer" => "ask the partner whether it has the batch, and make `batch` smaller",
        "job_unfinished" => {
            "the partner's job did not end in a day: ask it, then `resume`, or `drop` if it has it"
        }
        "too_large" => "the partner refuses even one visitor as too much",
        "401" | "403" => "the partner does not let us in: look at the secret, then `resume`",
        "404" => "the partner knows no such address or segment: look at `url` and `code`",
        _ if code.starts_with('3') => "the partner answers with a redirect: write the new URL",
        _ => "mend the cause, then `mayfly delivery resume`; or `drop` who comes with the batch",
    }
}

/// What a batch says of visitors under one code.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The partition.
    pub(crate) partition: u16,
    /// The code.
    pub(crate) code: String,
    /// The day on which they are forgotten; none = they leave.
    pub(crate) until: Option<u16>,
    /// Who: a bitmap in base64, for there may be very many.
    #[serde(default)]
    pub(crate) who: String,
    /// Who, as it was written once.
    #[serde(default, skip_serializing)]
    ordinals: Vec<Ordinal>,
}

impl Told {
    /// What a batch says of these.
    pub(super) fn new(
        (partition, until): (Partition, Option<Day>),
        code: &str,
        who: &RoaringBitmap,
    ) -> Self {
        let mut bytes = Vec::with_capacity(who.serialized_size());
        // It is written to memory.
        who.serialize_into(&mut bytes).ok();
        let (who, ordinals) = (STANDARD.encode(bytes), Vec::new());
        let until = until.map(|day| day.0);
        Self { partition: partition.0, code: code.to_owned(), until, who, ordinals }
    }

    /// Whom it is about, by partition and code.
    pub(crate) fn who(&self) -> ((Partition, Box<str>), RoaringBitmap) {
        let place = (Partition(self.partition), Box::from(self.code.as_str()));
        let bytes = STANDARD.decode(&self.who).unwrap_or_default();
        let mut who = RoaringBitmap::deserialize_from(&*bytes).unwrap_or_default();
        who.extend(&self.ordinals);
        (place, who)
    }
}

impl Held {
    /// Whether somebody comes with it: who goes is always owed.
    pub(crate) fn is_droppable(&self) -> bool {
        self.told.iter().any(|told| told.until.is_some())
    }
}
