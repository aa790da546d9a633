//! The way of a hit into Mayfly.
//!
//! ```text
//! request ─► pixel ─► query, canonical, admission ─► Hit::admit ─► visitors ─► intake (bounded)
//!        └► server_hits ─► body, hit_row ─┘                                        │
//! answer ◄── one verdict a hit ◄── batcher: intern, one batch a partition, append ◄┘
//!                                     └─ store away: spill ─► delivery: drain, resend
//! ```
//!
//! Read in this order: [`collector`], [`pixel`], [`server_hits`], `batcher`, `delivery`, `lanes`,
//! `spill`, [`cookie`], [`keys`], `visitors`, `ordinals`.
//!
//! What is absent here: HTTP (plain strings in, plain structs out), clocks (time is an argument),
//! files other than the spill's, and any table of behaviour: that is the store's.

mod admission;
mod agents;
mod batcher;
mod behaviour;
pub mod body;
pub mod bots;
pub mod canonical;
pub mod client;
pub mod collector;
pub mod cookie;
pub mod cookie_header;
mod delivery;
pub mod enrichment;
pub mod examine;
mod gate;
mod hit_row;
pub mod hygiene;
mod intake;
mod intern;
pub mod keys;
mod lanes;
pub mod metrics;
mod network;
pub mod no;
mod ordinals;
pub mod percent;
pub mod pixel;
pub mod query;
mod recent;
mod redirect;
pub mod refusal;
pub mod server_hits;
pub mod signals;
pub mod sites;
mod spill;
mod spill_gate;
mod spilled_values;
pub mod submission;
pub mod sync;
pub mod tail;
mod visitors;
mod whose;

#[cfg(test)]
mod tests;

pub use body::{BodyFormat, BodyItems, parse_hit_line};
pub use canonical::canonical_url;
pub use client::Hints;
pub use collector::{Ack, AttachError, Attached, Collector, CollectorConfig, Runner};
pub use cookie::{CookieFault, ProbeCookie, VisitorCookie};
pub use cookie_header::{CookieNames, OwnCookies, Placement, set_cookie};
pub use enrichment::Geography;
pub use examine::{CookieSeen, Examined};
pub use hygiene::Stripped;
pub use keys::{KeyError, KeyRing};
pub use metrics::{CollectorMetrics, METRICS};
pub use no::{No, WhoseNo};
pub use pixel::{PixelAnswer, PixelRequest};
pub use query::PixelQuery;
pub use refusal::{Reason, Verdict};
pub use server_hits::{HitsAnswer, Refused};
pub use signals::{Signal, SignalKind};
pub use sites::SiteTable;
pub use spill::SpillError;
pub use submission::{Submission, SubmittedClient, VisitorRef};
pub use sync::{BadSync, SyncAnswer, SyncOutcome, SyncRequest};
pub use tail::Passed;
pub use visitors::is_foreign_space;
pub use whose::Holder;
