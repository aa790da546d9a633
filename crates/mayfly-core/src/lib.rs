//! The nouns of Mayfly and the decisions that need nothing but their arguments.
//!
//! Read in this order: [`time`] (days and retention), [`visitor`], [`page`], [`event`], [`hit`]
//! with its one gate [`hit::Hit::admit`], [`client`], [`outcome`], [`consent`],
//! [`partner`], [`cell`], [`limits`].
//!
//! What is absent here: input and output, async, clocks, environment, serialisation. The time is
//! always an argument; rows on the wire and on disk are structs of the crates at the edge.

pub mod cell;
pub mod client;
pub mod consent;
pub mod event;
pub mod hit;
pub mod language;
pub mod limits;
pub mod outcome;
pub mod page;
pub mod partner;
pub mod referrer;
pub mod site;
pub mod time;
pub mod visitor;

pub use cell::{Cell, CellEntry, CellId, DayCells};
pub use client::{Browser, Client, Context, Device, Geo, NetworkToken, Os};
pub use consent::{
    Allowed, Choice, ConsentKey, ConsentPolicy, ConsentRules, ConsentState, Refusal, Signals,
};
pub use event::{Attribute, Event, Value};
pub use hit::{Admitted, Candidate, Denial, Gate, Hit, HitParts};
pub use language::Language;
pub use outcome::Outcome;
pub use page::{Page, PageKey};
pub use partner::{Partner, PartnerId, PartnerKind, SyncMacro, SyncType, SyncUrl};
pub use referrer::{Campaign, Referrer, ReferrerKind};
pub use site::{DataPlan, Origin, Site, SiteId};
pub use time::{Day, Hour, Retention, Timestamp};
pub use visitor::{CategoryId, Ordinal, Partition, RealmId, SegmentId, StoreId, Visitor};
