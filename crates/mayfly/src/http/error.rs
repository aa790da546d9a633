//! The one table from failure to HTTP: code, status, text. `docs/errors.md` equals it.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use mayfly_collector::{BadSync, SiteTable};
use mayfly_core::{Refusal, limits};
use mayfly_export::ImportError;
use mayfly_segments::{Fact, Problem, nearest};
use mayfly_store::StoreError;
use serde_json::json;

/// Why a call was refused.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No token, or one that is not known.
    #[error("this call needs a token: send `Authorization: Bearer …` (`mayfly token create`)")]
    Unauthorized,
    /// The token's role does not reach.
    #[error("the token's role does not allow this call")]
    Forbidden,
    /// The store is not open yet.
    #[error("the store is not open yet; look at /ready for the reason")]
    Starting,
    /// There is no such route.
    #[error("there is no such route here")]
    NoRoute,
    /// There is no such segment.
    #[error("there is no segment {name:?}; {}", other(nearest, "segment list"))]
    NoSegment {
        /// The name asked for.
        name: String,
        /// The nearest name that there is.
        nearest: Option<Box<str>>,
    },
    /// There is no such category.
    #[error("there is no category of number {id}; `GET /api/v1/categories` lists them")]
    NoCategory {
        /// The number asked for.
        id: u32,
    },
    /// A category that is not sensitive cannot be enabled.
    #[error("category {id} is not sensitive: hits fall in it as they are")]
    NotSensitive {
        /// Its number.
        id: u32,
    },
    /// Not the name of a standard taxonomy.
    #[error("{name:?} is no standard: write content-3.1, audience-1.1 or ad-product-2.0")]
    NoStandard {
        /// As it was said.
        name: String,
    },
    /// Not the name of a fact.
    #[error("{name:?} is no fact of hits; there are {}", Fact::names().join(", "))]
    NoFact {
        /// As it was said.
        name: String,
    },
    /// A number of the query outside its range.
    #[error("`{name}` is from {least} to {most}")]
    OutOfRange {
        /// Of what.
        name: &'static str,
        /// The least.
        least: usize,
        /// The most.
        most: usize,
    },
    /// The route is there, for other methods.
    #[error("this route takes {allowed}")]
    WrongMethod {
        /// The methods that it takes.
        allowed: &'static str,
    },
    /// There is no such site.
    #[error("there is no site {key:?}; {}", other(nearest, "definitions export"))]
    NoSite {
        /// The key asked for.
        key: String,
        /// The nearest key that there is.
        nearest: Option<Box<str>>,
    },
    /// There is no such partner.
    #[error("there is no partner {key:?}; {}", other(nearest, "partner list"))]
    NoPartner {
        /// The key asked for.
        key: String,
        /// The nearest key that there is.
        nearest: Option<Box<str>>,
    },
    /// There is no such destination.
    #[error("there is no destination {name:?}; {}", other(nearest, "delivery list"))]
    NoDestination {
        /// The name asked for.
        name: String,
        /// The nearest name that there is.
        nearest: Option<Box<str>>,
    },
    /// There is no such delivery.
    #[error("there is no delivery {id:?}; `mayfly delivery list` shows their ids")]
    NoDelivery {
        /// The id asked for.
        id: String,
    },
    /// Nothing is held.
    #[error(
        "nothing is held at destination {name:?}: `mayfly delivery list` shows where it stands, \
         `mayfly delivery run {name}` tries now"
    )]
    NothingHeld {
        /// The destination.
        name: String,
    },
    /// No batch that could be dropped.
    #[error(
        "nobody comes with what destination {name:?} holds, and who goes stays owed: mend the cause, \
         then `mayfly delivery resume {name}`"
    )]
    NothingToDrop {
        /// The destination.
        name: String,
    },
    /// A day that is none, or not kept.
    #[error("write a UTC day that is kept, as 2026-11-21: `mayfly retention audit` says which")]
    NoDay,
    /// Hits are not exported.
    #[error(
        "hits are not exported here: the operator switches it on with `privacy.raw_export = true`"
    )]
    RawOff,
    /// No category is filled by the partner.
    #[error(
        "partner {partner:?} fills no category: give one a [category.import] with its `partner`, \
         `code` and `basis`"
    )]
    NothingImported {
        /// Its key.
        partner: String,
    },
    /// The partner fills no category under this code.
    #[error(
        "partner {partner:?} fills no category under the code {code:?}; `mayfly partner imports \
         {partner}` shows them"
    )]
    NoAudience {
        /// Its key.
        partner: String,
        /// As asked for.
        code: String,
    },
    /// What a partner's own token may not.
    #[error("a partner's token brings its own ids, as csv, tsv, jsonl or adobe")]
    NotForPartners,
    /// A space of ids that is ours alone.
    #[error("there is no space of ids of that name: give that of server hits, such as crm")]
    NoSpace,
    /// A file that overwrites, with lines that cannot be read.
    #[error(
        "{lines} lines cannot be read, the first is line {first}: whom they name would be taken \
         out; mend the file, or `--allow-drop` (`allow_drop=true`) does it all the same"
    )]
    BadLines {
        /// How many.
        lines: u64,
        /// The first, from 1.
        first: u64,
    },
    /// A partner's file would take away most of an audience.
    #[error(
        "an audience of 100 members or more would lose over half of them; \
         `allow_drop=true` does it all the same"
    )]
    Emptied,
    /// A file's format that is neither said nor seen.
    #[error("say which format the file has: `format` is one of csv, tsv, jsonl, parquet, adobe")]
    NoFormat,
    /// A file with audiences that cannot be read.
    #[error("{source}")]
    Import {
        /// What is wrong with it.
        source: ImportError,
    },
    /// A file that its reader did not survive.
    #[error("the file cannot be read as what it is said to be")]
    Panicked,
    /// A file that cannot be kept until it is read.
    #[error("the file cannot be kept here while it is read: {source}")]
    NoRoom {
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no such file for this token.
    #[error("there is no such file here for this token")]
    NoFile,
    /// There is no such visitor.
    #[error("no visitor is known by that id; give a cookie value, space:id, or partition.ordinal")]
    NoVisitor,
    /// A name that cannot be a token's.
    #[error("a token's name is 1 to 64 of a-z 0-9 _ - .")]
    TokenName,
    /// There is a token of this name.
    #[error("there is a token {name:?} already; `mayfly token revoke {name}` takes it back first")]
    TokenTaken {
        /// The name.
        name: String,
    },
    /// There is no such token.
    #[error("there is no token of that name")]
    NoToken,
    /// A form of the visitor's pages that another site sent.
    #[error("this form can only be sent from its own page")]
    Foreign,
    /// An encoding of the body that is not read.
    #[error("the body's encoding is not read: send it as it is, or as gzip")]
    Encoding,
    /// More than a token's share.
    #[error("more hits than the token's share; try again in {seconds} s")]
    Limited {
        /// When to try again.
        seconds: u64,
    },
    /// The body cannot be read.
    #[error("the body cannot be read: {source}")]
    Body {
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// The body did not arrive whole.
    #[error("the body did not arrive whole")]
    BodyCut,
    /// The query has an option of the wrong form.
    #[error("{source}")]
    Query {
        /// What is wrong.
        source: actix_web::error::QueryPayloadError,
    },
    /// The body is not UTF-8.
    #[error("the body is not UTF-8 text")]
    NotText,
    /// A whole body of hits that cannot be read.
    #[error("the hits cannot be read: {}", .reason.label())]
    Hits {
        /// What is wrong.
        reason: mayfly_collector::Reason,
    },
    /// One hit or page that cannot be taken for one.
    #[error("this cannot be a hit: {}", .reason.label())]
    Hit {
        /// What is wrong.
        reason: mayfly_collector::Reason,
    },
    /// More things at once than the limit.
    #[error("more {what} than the limit of {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// More than the limit.
    #[error("more than the limit of {limit} bytes")]
    TooLarge {
        /// The limit, bytes.
        limit: usize,
    },
    /// A rule, expression or definitions file with faults.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<Problem>),
    /// A question that would read too much.
    #[error(
        "this asks for {cells} cells (categories times days) of each partition, and the limit is {}: \
         ask for fewer categories or shorter windows, or save it as a segment",
        limits::CELLS_ASKED
    )]
    TooCostly {
        /// What it asks for.
        cells: usize,
    },
    /// A change that takes away most of a segment.
    #[error("{}; `--allow-drop` does it all the same", .0.join("; "))]
    Drop(Vec<String>),
    /// Definitions have another version than the caller expects.
    #[error("version {found} is in force, not {expected}; look at it with `mayfly plan` again")]
    Version {
        /// In force.
        found: u32,
        /// As the caller said.
        expected: u32,
    },
    /// There is no such version of the definitions.
    #[error("there is no version {version}; `mayfly definitions history` shows what there was")]
    NoVersion {
        /// As asked for.
        version: u32,
    },
    /// A request for id sync that cannot be understood.
    #[error("{source}")]
    Sync {
        /// What is wrong.
        source: BadSync,
    },
    /// The browser opted out.
    #[error("this browser has opted out")]
    OptedOut,
    /// The browser's choice does not allow an id sync.
    #[error("no id sync: {refusal}")]
    SyncRefused {
        /// Why.
        refusal: Refusal,
    },
    /// It allows us, and not the partner.
    #[error(
        "no id sync with this partner: its own vendor or purposes are not allowed ({}); \
         `mayfly consent explain STRING --receiver ID` shows them", refusal.label()
    )]
    NotPermitted {
        /// Why.
        refusal: Refusal,
    },
    /// The file was replayed before.
    #[error("this file was replayed on {at}; `--again` counts it once more")]
    SeenFile {
        /// When.
        at: String,
    },
    /// Too much to do at once.
    #[error("the server is too busy; try again in a second")]
    Busy,
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The nearest name, or the command that lists all.
fn other(nearest: &Option<Box<str>>, command: &str) -> String {
    match nearest {
        Some(nearest) => format!("the nearest is {nearest:?}"),
        None => format!("`mayfly {command}` shows what there is"),
    }
}

impl ApiError {
    /// There is no site of this key among these.
    #[must_use]
    pub fn no_site(key: &str, sites: &SiteTable) -> Self {
        let nearest = nearest(key, sites.iter().map(|site| &*site.key));
        Self::NoSite { key: key.to_owned(), nearest }
    }

    /// Code and status of every error.
    #[must_use]
    pub fn row(&self) -> (&'static str, StatusCode) {
        match self {
            Self::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED),
            Self::Forbidden => ("forbidden", StatusCode::FORBIDDEN),
            Self::Starting => ("starting", StatusCode::SERVICE_UNAVAILABLE),
            Self::NoRoute => ("route_not_found", StatusCode::NOT_FOUND),
            Self::NoSegment { .. } => ("segment_not_found", StatusCode::NOT_FOUND),
            Self::NoCategory { .. } => ("category_not_found", StatusCode::NOT_FOUND),
            Self::NotSensitive { .. } => ("not_sensitive", StatusCode::CONFLICT),
            Self::NoFact { .. } => ("bad_fact", StatusCode::BAD_REQUEST),
            Self::NoStandard { .. } => ("bad_standard", StatusCode::BAD_REQUEST),
            Self::OutOfRange { .. } => ("out_of_range", StatusCode::BAD_REQUEST),
            Self::WrongMethod { .. } => ("wrong_method", StatusCode::METHOD_NOT_ALLOWED),
            Self::NoSite { .. } => ("site_not_found", StatusCode::NOT_FOUND),
            Self::NoPartner { .. } => ("partner_not_found", StatusCode::NOT_FOUND),
            Self::NoDestination { .. } => ("destination_not_found", StatusCode::NOT_FOUND),
            Self::NoDelivery { .. } => ("delivery_not_found", StatusCode::NOT_FOUND),
            Self::NothingHeld { .. } => ("nothing_held", StatusCode::CONFLICT),
            Self::NothingToDrop { .. } => ("nothing_to_drop", StatusCode::CONFLICT),
            Self::NoDay => ("day_not_kept", StatusCode::NOT_FOUND),
            Self::RawOff => ("raw_export_off", StatusCode::FORBIDDEN),
            Self::NothingImported { .. } => ("nothing_imported", StatusCode::CONFLICT),
            Self::NoAudience { .. } => ("audience_not_found", StatusCode::NOT_FOUND),
            Self::NotForPartners => ("not_for_partners", StatusCode::FORBIDDEN),
            Self::NoSpace => ("bad_space", StatusCode::BAD_REQUEST),
            Self::BadLines { .. } => ("bad_lines", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Emptied => ("would_empty", StatusCode::CONFLICT),
            Self::NoFormat => ("no_format", StatusCode::BAD_REQUEST),
            Self::Import { .. } => ("bad_import", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Panicked => ("unreadable", StatusCode::UNPROCESSABLE_ENTITY),
            Self::NoRoom { .. } => ("no_room", StatusCode::INSUFFICIENT_STORAGE),
            Self::NoFile => ("file_not_found", StatusCode::NOT_FOUND),
            Self::NoVisitor => ("visitor_not_found", StatusCode::NOT_FOUND),
            Self::TokenName => ("bad_token_name", StatusCode::BAD_REQUEST),
            Self::TokenTaken { .. } => ("token_taken", StatusCode::CONFLICT),
            Self::NoToken => ("token_not_found", StatusCode::NOT_FOUND),
            Self::Foreign => ("foreign_form", StatusCode::FORBIDDEN),
            Self::Encoding => ("bad_encoding", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::Limited { .. } => ("rate_limited", StatusCode::TOO_MANY_REQUESTS),
            Self::Body { .. } => ("bad_body", StatusCode::BAD_REQUEST),
            Self::BodyCut => ("body_cut", StatusCode::BAD_REQUEST),
            Self::Query { .. } => ("bad_query", StatusCode::BAD_REQUEST),
            Self::NotText => ("not_utf8", StatusCode::BAD_REQUEST),
            Self::Hits { .. } => ("bad_hits", StatusCode::BAD_REQUEST),
            Self::Hit { .. } => ("bad_hit", StatusCode::UNPROCESSABLE_ENTITY),
            Self::TooLarge { .. } => ("too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::TooMany { .. } => ("too_many", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Problems(_) => ("bad_definitions", StatusCode::UNPROCESSABLE_ENTITY),
            Self::TooCostly { .. } => ("too_costly", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Drop(_) => ("would_drop", StatusCode::CONFLICT),
            Self::Version { .. } => ("other_version", StatusCode::CONFLICT),
            Self::NoVersion { .. } => ("version_not_found", StatusCode::NOT_FOUND),
            Self::Sync { .. } => ("bad_sync", StatusCode::BAD_REQUEST),
            Self::OptedOut => ("opted_out", StatusCode::UNAUTHORIZED),
            Self::NotPermitted { .. } => {
                ("partner_not_permitted", StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS)
            }
            Self::SyncRefused { .. } => ("sync_refused", StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS),
            Self::SeenFile { .. } => ("file_replayed_before", StatusCode::CONFLICT),
            Self::Busy => ("busy", StatusCode::SERVICE_UNAVAILABLE),
            Self::Store(StoreError::Conflict { .. }) => ("conflict", StatusCode::CONFLICT),
            Self::Store(StoreError::Gone { .. }) => ("store_gone", StatusCode::SERVICE_UNAVAILABLE),
            Self::Store(e) if e.is_transient() => {
                ("store_unavailable", StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::Store(_) => ("store_failed", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.row().1
    }

    fn error_response(&self) -> HttpResponse {
        let (code, status) = self.row();
        let docs = format!("docs/errors.md#{code}");
        let mut answer = HttpResponse::build(status);
        if let Self::Limited { seconds } = self {
            answer.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if let Self::WrongMethod { allowed } = self {
            answer.insert_header((header::ALLOW, *allowed));
        }
        answer.json(json!({"error": {"code": code, "message": self.to_string(), "docs": docs}}))
    }
}
