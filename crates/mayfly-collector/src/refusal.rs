//! Why a hit was refused: a closed list, each reason with its one outcome.

use mayfly_core::{Denial, Outcome, Refusal};

use crate::bots::BotKind;

/// The reason behind an outcome, for `X-Mayfly-Outcome` and the answer of `POST /api/v1/hits`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// The query string is longer than [`mayfly_core::limits::QUERY_BYTES`].
    QueryTooLong,
    /// More parameters than [`mayfly_core::limits::QUERY_PARAMS`].
    TooManyParams,
    /// The cookie headers are longer than [`mayfly_core::limits::COOKIE_HEADER_BYTES`].
    CookiesTooLong,
    /// The page's URL is longer than [`mayfly_core::limits::URL_BYTES`].
    UrlTooLong,
    /// More attributes than [`mayfly_core::limits::ATTRIBUTES`].
    TooManyAttributes,
    /// More hits in one body than [`mayfly_core::limits::HITS_PER_BODY`].
    TooManyHits,
    /// The body is longer than [`mayfly_core::limits::HITS_BODY_BYTES`].
    BodyTooLong,
    /// A consent string is longer than [`mayfly_core::limits::CONSENT_BYTES`].
    ConsentTooLong,
    /// The body of a pixel did not come whole.
    BodyCut,
    /// A `%` that two hexadecimal digits do not follow.
    BadEscape,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// Neither `u` nor a `Referer` names a page.
    NoUrl,
    /// The page's URL is no http or https URL with a host.
    BadUrl,
    /// The event's name breaks the form of names.
    BadEvent,
    /// The engaged time is no whole number of milliseconds.
    BadDuration,
    /// An attribute's name or value breaks its limits.
    BadAttribute,
    /// The time is neither RFC 3339 nor milliseconds since 1970.
    BadTime,
    /// The visitor is neither a foreign id within its limits nor one of our cookies.
    BadVisitor,
    /// The hit's id is empty or too long.
    BadHitId,
    /// The item or body is not JSON of the documented shape.
    BadJson,
    /// The body is not MessagePack of the documented shape.
    BadMessagePack,
    /// No site key was said, or none that is known here.
    UnknownSite,
    /// The client did not bring the probe cookie back.
    NoCookie,
    /// The store was not open yet, so visitors cannot be told apart.
    NotOpen,
    /// The store did not answer, so a foreign id's visitor is not known.
    StoreAway,
    /// The queue between listener and store is full, or the server stops.
    Busy,
    /// No ordinal was at hand for a new visitor.
    NoOrdinal,
    /// Consent.
    Consent(Refusal),
    /// An automaton, by what it says.
    Bot(BotKind),
    /// An automaton, by its pace.
    TooFast,
    /// Its address sends more than its share.
    TooManyRequests,
}

impl Reason {
    /// The outcome that a hit refused for this reason has.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::QueryTooLong
            | Self::TooManyParams
            | Self::CookiesTooLong
            | Self::UrlTooLong
            | Self::TooManyAttributes
            | Self::TooManyHits
            | Self::ConsentTooLong
            | Self::TooManyRequests
            | Self::BodyTooLong => Outcome::OverLimit,
            Self::BodyCut
            | Self::BadEscape
            | Self::NotUtf8
            | Self::NoUrl
            | Self::BadUrl
            | Self::BadEvent
            | Self::BadDuration
            | Self::BadAttribute
            | Self::BadTime
            | Self::BadVisitor
            | Self::BadHitId
            | Self::BadJson
            | Self::BadMessagePack => Outcome::Malformed,
            Self::UnknownSite => Outcome::UnknownSite,
            Self::NoCookie => Outcome::Cookieless,
            Self::NotOpen | Self::StoreAway => Outcome::StoreFailed,
            Self::Busy | Self::NoOrdinal => Outcome::Shed,
            Self::Consent(refusal) => refusal.outcome(),
            Self::Bot(_) | Self::TooFast => Outcome::Bot,
        }
    }

    /// The name in headers and answers.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::QueryTooLong => "query_too_long",
            Self::TooManyParams => "too_many_params",
            Self::CookiesTooLong => "cookies_too_long",
            Self::UrlTooLong => "url_too_long",
            Self::TooManyAttributes => "too_many_attributes",
            Self::TooManyHits => "too_many_hits",
            Self::BodyTooLong => "body_too_long",
            Self::ConsentTooLong => "consent_too_long",
            Self::BodyCut => "body_cut",
            Self::BadEscape => "bad_escape",
            Self::NotUtf8 => "not_utf8",
            Self::NoUrl => "no_url",
            Self::BadUrl => "bad_url",
            Self::BadEvent => "bad_event",
            Self::BadDuration => "bad_duration",
            Self::BadAttribute => "bad_attribute",
            Self::BadTime => "bad_time",
            Self::BadVisitor => "bad_visitor",
            Self::BadHitId => "bad_hit_id",
            Self::BadJson => "bad_json",
            Self::BadMessagePack => "bad_message_pack",
            Self::UnknownSite => "unknown_site",
            Self::NoCookie => "no_cookie",
            Self::NotOpen => "not_open",
            Self::StoreAway => "store_away",
            Self::Busy => "busy",
            Self::NoOrdinal => "no_ordinal",
            Self::Consent(refusal) => refusal.label(),
            Self::Bot(kind) => kind.label(),
            Self::TooFast => "too_fast",
            Self::TooManyRequests => "too_many_requests",
        }
    }
}

/// What became of one hit, and why when a [`Reason`] says more than the outcome does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// The reason, when there is one beyond the outcome.
    pub reason: Option<Reason>,
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, reason: None }
    }
}

impl From<Denial> for Verdict {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Consent(refusal, _) => Reason::Consent(refusal).into(),
            Denial::Malformed | Denial::WrongOrigin | Denial::FromFuture | Denial::TooOld => {
                denial.outcome().into()
            }
        }
    }
}

impl From<Reason> for Verdict {
    fn from(reason: Reason) -> Self {
        Self { outcome: reason.outcome(), reason: Some(reason) }
    }
}
