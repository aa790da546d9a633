//! Consent: what a site's policy asks for, what a browser said, and what is kept of it.
//!
//! Every stored hit refers to an interned [`ConsentState`]. Its kinds grow (TCF, GPP); the stored
//! form is versioned by the store.

use std::fmt;

use crate::outcome::Outcome;

mod bits;
pub mod gpp;
pub mod tcf;
pub mod us;
pub mod usp;

/// Why a consent string says nothing: it cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConsentError {
    /// More bytes than [`crate::limits::CONSENT_BYTES`].
    TooLong,
    /// A character that the format does not have.
    Character,
    /// A version that is not read, or another kind of string.
    Version,
    /// It ends before its last field.
    Truncated,
    /// A range whose end comes before its start.
    Backwards,
    /// The header names other sections than there are.
    Sections,
}

impl fmt::Display for ConsentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "is too long",
            Self::Character => "has a character that the format does not have",
            Self::Version => "has a version that is not read, or is of another kind",
            Self::Truncated => "ends before its last field",
            Self::Backwards => "has a range whose end comes before its start",
            Self::Sections => "names other sections than there are",
        })
    }
}

impl std::error::Error for ConsentError {}

/// What a site's silence means. A signal that says no wins under every policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ConsentPolicy {
    /// No consent string is asked for.
    #[default]
    None,
}

/// What a browser chose, as far as it was said; interned like a page.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ConsentState {
    /// Global Privacy Control, when the browser sent it: an opt-out of sharing.
    pub gpc: Option<bool>,
}

/// The key of an interned consent state, made like a page's key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConsentKey(pub u64);

impl ConsentState {
    /// The first key to try under the store's secret `seed`.
    #[must_use]
    pub fn key(&self, seed: u64) -> ConsentKey {
        let gpc = match self.gpc {
            None => 0u8,
            Some(false) => 1,
            Some(true) => 2,
        };
        ConsentKey(xxhash_rust::xxh3::xxh3_64_with_seed(&[gpc], seed))
    }
}

/// Decides whether a hit may be kept at all: `Err` names the outcome.
///
/// # Errors
/// [`Outcome::OptedOut`] for the opt-out cookie or `Sec-GPC: 1`.
pub fn decide(policy: ConsentPolicy, opted_out: bool, state: &ConsentState) -> Result<(), Outcome> {
    if opted_out || state.gpc == Some(true) {
        return Err(Outcome::OptedOut);
    }
    match policy {
        ConsentPolicy::None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_no_wins_under_every_policy() {
        let gpc = |gpc| ConsentState { gpc };
        assert_eq!(decide(ConsentPolicy::None, false, &gpc(None)), Ok(()));
        assert_eq!(decide(ConsentPolicy::None, false, &gpc(Some(false))), Ok(()));
        assert_eq!(decide(ConsentPolicy::None, true, &gpc(None)), Err(Outcome::OptedOut));
        assert_eq!(decide(ConsentPolicy::None, false, &gpc(Some(true))), Err(Outcome::OptedOut));
    }
}
