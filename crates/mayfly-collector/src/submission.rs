//! Hits that come from a server, a file or the command line: with their visitor named.

use std::net::IpAddr;

use mayfly_core::{Attribute, Candidate, Visitor};

/// Whose hit it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VisitorRef {
    /// A foreign id in a named space; it stands for a new visitor when it is new.
    Foreign {
        /// The space, a name of at most [`mayfly_core::limits::SPACE_NAME_BYTES`].
        space: Box<str>,
        /// The id, at most [`mayfly_core::limits::FOREIGN_ID_BYTES`].
        id: Box<str>,
    },
    /// The value of our cookie.
    Cookie(Box<str>),
    /// A visitor by its own number.
    Known(Visitor),
}

/// What a server tells of its visitor's request; none of it is kept as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SubmittedClient {
    /// The user agent; a hit without one is not judged to be an automaton's.
    pub user_agent: Option<Box<str>>,
    /// The address.
    pub address: Option<IpAddr>,
    /// A language, or an `Accept-Language` header.
    pub language: Option<Box<str>>,
}

/// A hit that asks to be taken.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The site's key.
    pub site: Box<str>,
    /// Whose it is.
    pub visitor: VisitorRef,
    /// The hit; its URL canonical ([`crate::canonical_url`]).
    pub candidate: Candidate,
    /// Attributes that are for rules alone.
    pub fleeting: Vec<Attribute>,
    /// What was told of the visitor's request.
    pub client: SubmittedClient,
    /// The client's id of the hit: the same one twice within a day is a duplicate.
    pub hit_id: Option<Box<str>>,
}
