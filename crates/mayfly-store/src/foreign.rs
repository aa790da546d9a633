//! Foreign ids: whom they stand for. See [`crate::Store::claim_ids`].

use mayfly_core::{Timestamp, Visitor};

/// A foreign id: keyed 128-bit hash of an id in a named space. The id itself is never stored.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ForeignId {
    /// The id space (`crm`, `ifa`, `log`, `probe`, …), at most
    /// [`mayfly_core::limits::SPACE_NAME_BYTES`].
    pub space: Box<str>,
    /// Keyed hash of the id.
    pub hash: u128,
}

/// A foreign id that asks to stand for a visitor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The id.
    pub id: ForeignId,
    /// Whom it shall stand for, unless it stands for someone (not erased) already.
    pub visitor: Visitor,
    /// It shall stand for him whoever it stood for: the newest one counts.
    pub takes_over: bool,
    /// Kept at least until then; a later instant prolongs, an earlier one changes nothing.
    pub until: Timestamp,
}
