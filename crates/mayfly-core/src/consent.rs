//! Consent: what a site's policy asks for, what a browser said, and what is kept of it.
//!
//! Every stored hit refers to an interned [`ConsentState`]: what was said, and what it allowed.
//! [`decide`] is the one decision.

use std::fmt;

pub mod ac;
mod bits;
mod choice;
mod decide;
pub mod gpp;
pub mod receiver;
pub mod tcf;
pub mod us;
pub mod usp;

pub use receiver::{Ground, Receiver};

pub use choice::{Choice, ConsentState};
pub use decide::{
    Allowed, Audience, ConsentPolicy, ConsentRole, ConsentRules, Refusal, Signals, decide,
    withdraws,
};

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

/// The key of an interned consent state, made like a page's key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConsentKey(pub u64);
