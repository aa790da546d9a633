//! Google's bulk uploader: one protobuf message a request, at most 100 KB.
//!
//! Source: Google, Authorized Buyers, "Bulk Uploader" and its `cookie-bulk-upload.proto`.

use mayfly_segments::destination::IdSpace;
use mayfly_segments::destination::way::GoogleSettings;
use prost::Message;

use super::{Answer, Judged, Method, Rejected, Request, Step, all_taken, by_status, garbled};
use crate::batch::Batch;

/// `UpdateUsersDataRequest`.
#[derive(Clone, PartialEq, Message)]
struct Upload {
    #[prost(message, repeated, tag = "1")]
    ops: Vec<Operation>,
    #[prost(bool, optional, tag = "3")]
    process_consent: Option<bool>,
}

/// `UserDataOperation`.
#[derive(Clone, PartialEq, Message)]
struct Operation {
    #[prost(string, optional, tag = "1")]
    user_id: Option<String>,
    #[prost(int64, optional, tag = "4")]
    user_list_id: Option<i64>,
    #[prost(int64, optional, tag = "5")]
    time_added_to_user_list: Option<i64>,
    #[prost(bool, optional, tag = "6")]
    delete: Option<bool>,
    #[prost(int32, optional, tag = "14")]
    user_id_type: Option<i32>,
}

/// `UpdateUsersDataResponse`.
#[derive(Clone, PartialEq, Message)]
struct Uploaded {
    #[prost(int32, optional, tag = "1")]
    status: Option<i32>,
    #[prost(message, repeated, tag = "2")]
    errors: Vec<Failed>,
}

/// `ErrorInfo`.
#[derive(Clone, PartialEq, Message)]
struct Failed {
    #[prost(int64, optional, tag = "2")]
    user_list_id: Option<i64>,
    #[prost(string, optional, tag = "3")]
    user_id: Option<String>,
    #[prost(int32, optional, tag = "4")]
    error_code: Option<i32>,
}

const PARTNER_PROVIDED_ID: i32 = 4;
const NO_ERROR: i32 = 0;
const PARTIAL_SUCCESS: i32 = 1;
const REQUEST_TOO_BIG: i32 = 8;
const INTERNAL_ERROR: i32 = 10;

/// Names of `ErrorCode`.
const CODES: [(i32, &str); 15] = [
    (0, "NO_ERROR"),
    (1, "PARTIAL_SUCCESS"),
    (2, "PERMISSION_DENIED"),
    (3, "BAD_DATA"),
    (4, "BAD_COOKIE"),
    (5, "BAD_ATTRIBUTE_ID"),
    (7, "BAD_NETWORK_ID"),
    (8, "REQUEST_TOO_BIG"),
    (9, "EMPTY_REQUEST"),
    (10, "INTERNAL_ERROR"),
    (11, "BAD_DATA_SOURCE_ID"),
    (12, "BAD_TIMESTAMP"),
    (21, "UNKNOWN_ID"),
    (22, "MISSING_CONSENT_WILL_BE_DROPPED"),
    (23, "MISSING_CONSENT"),
];

/// The way of one batch.
#[derive(Debug)]
pub struct Google<'b> {
    settings: &'b GoogleSettings,
    ids: IdSpace,
    batch: &'b Batch,
}

impl<'b> Google<'b> {
    /// A batch; the uploader knows its sender by his network id and address.
    #[must_use]
    pub const fn new(settings: &'b GoogleSettings, ids: IdSpace, batch: &'b Batch) -> Self {
        Self { settings, ids, batch }
    }

    /// See [`super::Talk::next`].
    pub fn next(&mut self, answer: Option<&Answer<'_>>) -> Step {
        match answer {
            None => Step::Send(self.request()),
            Some(answer) => Step::Done(self.judge(answer)),
        }
    }

    fn request(&self) -> Request {
        let GoogleSettings { url, network, .. } = self.settings;
        Request {
            method: Method::Post,
            url: format!("{url}?nid={network}"),
            headers: vec![("content-type".to_owned(), "application/octet-stream".to_owned())],
            body: self.upload().encode_to_vec(),
        }
    }

    fn upload(&self) -> Upload {
        let id_type = match self.ids {
            IdSpace::Partner => None,
            IdSpace::Ours => Some(PARTNER_PROVIDED_ID),
        };
        let mut ops = Vec::with_capacity(self.batch.pairs());
        for change in &self.batch.changes {
            let operation = |segment: usize| Operation {
                user_id: Some(change.uid.to_string()),
                user_list_id: self.batch.code(segment).parse().ok(),
                user_id_type: id_type,
                ..Operation::default()
            };
            // The list's own span counts from the time at which a user was added.
            let now = Some(self.batch.now.secs());
            ops.extend(
                change.adds.iter().map(|add| Operation {
                    time_added_to_user_list: now,
                    ..operation(add.segment)
                }),
            );
            ops.extend(
                change
                    .removes
                    .iter()
                    .map(|segment| Operation { delete: Some(true), ..operation(*segment) }),
            );
        }
        Upload { ops, process_consent: Some(true) }
    }

    fn judge(&self, answer: &Answer<'_>) -> Judged {
        if !matches!(answer.status, 200 | 400) {
            return by_status(answer);
        }
        let Ok(read) = Uploaded::decode(answer.body) else {
            return if answer.status == 200 { garbled() } else { by_status(answer) };
        };
        match read.status {
            Some(NO_ERROR) => all_taken(),
            Some(PARTIAL_SUCCESS) => {
                let rejected = read.errors.iter().map(|failed| self.rejected(failed));
                Judged::Taken { rejected: rejected.collect() }
            }
            Some(REQUEST_TOO_BIG) => Judged::Smaller,
            Some(INTERNAL_ERROR) => Judged::Later { after_s: None, code: name(INTERNAL_ERROR) },
            Some(other) => Judged::Refused { code: name(other) },
            None => garbled(),
        }
    }

    fn rejected(&self, failed: &Failed) -> Rejected {
        let uid = failed.user_id.as_deref().unwrap_or_default();
        let user = self.batch.changes.iter().position(|change| *change.uid == *uid);
        let list = failed.user_list_id.map(|id| id.to_string()).unwrap_or_default();
        let segment = self.batch.segments.iter().position(|own| *own.code == *list);
        let error = failed.error_code.unwrap_or(NO_ERROR);
        let again = error == INTERNAL_ERROR;
        Rejected { user, segment, code: name(error), pairs: 1, again }
    }
}

fn name(error: i32) -> Box<str> {
    let known = CODES.iter().find(|(own, _)| *own == error);
    known.map_or_else(|| error.to_string().into(), |(_, name)| (*name).into())
}

#[cfg(test)]
mod tests {
    use mayfly_core::Timestamp;

    use super::*;
    use crate::batch::{Add, SegmentKey, UserChange};

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    }

    fn settings() -> GoogleSettings {
        let url = "https://cm.g.doubleclick.net/upload".into();
        GoogleSettings { url, network: "nid".into() }
    }

    fn batch() -> Batch {
        let list = SegmentKey { code: "111".into(), name: "fans".into() };
        let own = UserChange { uid: "cGFydG5lci11c2VyLTQy".into(), ..UserChange::default() };
        let google = UserChange { uid: "CAESEHIV8HXNp0pFdHgi2rElMfk".into(), ..own.clone() };
        Batch {
            id: "1".into(),
            now: Timestamp::from_secs(1_700_000_000),
            segments: vec![list],
            changes: vec![
                UserChange { adds: vec![Add { segment: 0, ttl_s: 60 }], ..google },
                UserChange { removes: vec![0], ..own },
            ],
        }
    }

    /// The vector has an id of each kind in one request; a destination has one kind.
    #[test]
    fn bytes_are_those_of_googles_own_encoder() {
        let batch = batch();
        let of = |ids| Google::new(&settings(), ids, &batch).upload();
        let mixed = Upload {
            ops: vec![
                of(IdSpace::Partner).ops.swap_remove(0),
                of(IdSpace::Ours).ops.swap_remove(1),
            ],
            process_consent: Some(true),
        };
        let given = concat!(
            "0a250a1b43414553454849563848584e70307046644867693272456c4d666b206f2880e2cfaa06",
            "0a1c0a14634746796447356c63693131633256794c545179206f300170041801"
        );
        assert_eq!(mixed.encode_to_vec(), bytes(given));
    }

    #[test]
    fn answers_are_read_as_google_writes_them() {
        let (own, batch) = (settings(), batch());
        let judge = |hex: &str, status| {
            let body = bytes(hex);
            let answer = Answer { status, retry_after_s: None, body: &body };
            Google::new(&own, IdSpace::Ours, &batch).judge(&answer)
        };
        assert_eq!(judge("0800", 200), all_taken());
        let partial = "0801121c106f1a14634746796447356c63693131633256794c54517920153804";
        let partial = judge(partial, 200);
        let Judged::Taken { rejected } = partial else { panic!("{partial:?}") };
        assert_eq!((rejected[0].user, rejected[0].segment), (Some(1), Some(0)));
        assert_eq!((&*rejected[0].code, rejected[0].again), ("UNKNOWN_ID", false));
        assert_eq!(judge("0817", 400), Judged::Refused { code: "MISSING_CONSENT".into() });
        assert_eq!(judge("0808", 200), Judged::Smaller);
        let later = Judged::Later { after_s: None, code: "INTERNAL_ERROR".into() };
        assert_eq!(judge("080a", 200), later);
        assert_eq!(judge("ff", 200), garbled());
        assert_eq!(judge("", 503), Judged::Later { after_s: None, code: "503".into() });
    }
}
