//! Matches: which id a partner has for a visitor. See [`crate::Store::note_matches`].
//!
//! A match lives as long as a hit of the day on which it was last seen. Its generation grows with
//! each new id: who was told the old one must be told the new one.

use mayfly_core::{Day, PartnerId, Visitor};

use crate::Store;

/// A partner's id of a visitor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Match {
    /// The id; at most [`mayfly_core::limits::PARTNER_UID_BYTES`].
    pub uid: Box<str>,
    /// 0 for the first id, one more for each other one that followed; it stays at the highest.
    pub generation: u16,
    /// The day on which it was last seen.
    pub seen: Day,
}

impl Store {
    /// The first day on which a match that was last seen on a day may be forgotten.
    #[must_use]
    pub fn match_ends(&self, seen: Day) -> Day {
        match self {
            Self::Embedded(s) => s.match_ends(seen),
            Self::Redis(s) => s.match_ends(seen),
        }
    }
}

/// What a partner said about a visitor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MatchNote {
    /// Of whom.
    pub visitor: Visitor,
    /// Who said so.
    pub partner: PartnerId,
    /// His id there; `None` = he has none any more.
    pub uid: Option<Box<str>>,
}

/// What became of a note.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Noted {
    /// There was no match.
    New,
    /// There was one with another id.
    Changed,
    /// It was last seen on an earlier day.
    Renewed,
    /// It was seen today already; nothing was written.
    Known,
    /// It is gone.
    Forgotten,
    /// There was none to forget.
    Absent,
    /// The visitor is erased; nothing was written.
    Erased,
}

/// A match after a note, and what became of it.
pub(crate) fn after(
    before: Option<&Match>,
    uid: Option<&str>,
    today: Day,
) -> (Option<Match>, Noted) {
    match (before, uid) {
        (None, None) => (None, Noted::Absent),
        (Some(_), None) => (None, Noted::Forgotten),
        (None, Some(uid)) => {
            (Some(Match { uid: uid.into(), generation: 0, seen: today }), Noted::New)
        }
        (Some(own), Some(uid)) if *own.uid != *uid => {
            let generation = own.generation.saturating_add(1);
            (Some(Match { uid: uid.into(), generation, seen: today }), Noted::Changed)
        }
        (Some(own), Some(_)) if own.seen < today => {
            (Some(Match { seen: today, ..own.clone() }), Noted::Renewed)
        }
        (Some(own), Some(_)) => (Some(own.clone()), Noted::Known),
    }
}
