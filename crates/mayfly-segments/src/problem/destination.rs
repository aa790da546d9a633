//! What may be wrong with a destination.

use crate::destination::schedule::BadSchedule;

/// What is wrong with a `[[destination]]`.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum DestinationFault {
    /// It does not say how it gets anything.
    #[error("a destination needs one of {}", crate::destination::Way::NAMES.map(|own| format!("[destination.{own}]")).join(", "))]
    NoWay,
    /// It says so twice.
    #[error("a destination has one way, and this one has two")]
    TwoWays,
    /// A schedule that is none.
    #[error("{source}")]
    Schedule {
        /// What would be one.
        source: BadSchedule,
    },
    /// A country that is none.
    #[error("\"{found}\" is no country: two capital letters, as in ISO 3166-1")]
    Country {
        /// As written.
        found: Box<str>,
    },
    /// Data that is said to stay within the EEA, and does not.
    #[error("{country} is not in the European Economic Area: `within` is no basis")]
    NotWithin {
        /// Where the receiver is.
        country: Box<str>,
    },
    /// A secret that is used for nothing.
    #[error("no secret is used for `{found}` here")]
    UnusedSecret {
        /// As written.
        found: Box<str>,
    },
    /// A secret without which nothing can be sent.
    #[error("nothing can be sent without the secret `{used_for}`")]
    MissingSecret {
        /// What for.
        used_for: &'static str,
    },
    /// A name of a secret that is none.
    #[error("\"{found}\" is no name of a secret: a-z, 0-9 and _")]
    SecretName {
        /// As written.
        found: Box<str>,
    },
    /// A folder that is none.
    #[error("\"{found}\" is no name of a folder: a-z, 0-9, _, - and .")]
    Folder {
        /// As written.
        found: Box<str>,
    },
    /// A folder of another destination.
    #[error("destination \"{other}\" has this folder already")]
    SameFolder {
        /// The other.
        other: Box<str>,
    },
    /// A URL that is none, or that tells a secret.
    #[error("\"{found}\" is no URL that can be asked: https://host, without a user or a fragment")]
    Url {
        /// As written.
        found: Box<str>,
    },
    /// A segment's code that the receiver cannot read.
    #[error("\"{found}\" cannot be a code here: {why}")]
    Code {
        /// As written.
        found: Box<str>,
        /// What it must be.
        why: &'static str,
    },
    /// A layout in which nobody can leave.
    #[error("without the field \"expiration\" nobody could leave a segment")]
    NoRemoval,
    /// A place that files cannot be taken to.
    #[error("\"{found}\" is no name of a host, bucket or region, or no host key that can be used")]
    Place {
        /// As written.
        found: Box<str>,
    },
    /// A change that makes it another destination.
    #[error("a destination keeps its {what}: who was sent there could not be told to leave")]
    Kept {
        /// What was changed.
        what: &'static str,
    },
    /// A template that cannot be used.
    #[error("{part}, line {line}, column {column}: {what}")]
    Template {
        /// `url`, `add`, `remove`, `body` or the header's name.
        part: Box<str>,
        /// From 1, in the template.
        line: usize,
        /// From 1.
        column: usize,
        /// What the engine said.
        what: Box<str>,
    },
}

impl DestinationFault {
    /// What would be right.
    pub(super) fn fix(&self) -> Option<&'static str> {
        match self {
            Self::NoWay | Self::TwoWays => Some("docs/deliver.md shows each of them"),
            Self::MissingSecret { .. } => Some(
                "write secrets = { NAME = \"acme_token\" }; docs/deliver.md says where it lies",
            ),
            Self::Place { .. } => Some(
                "names are of letters, digits, . - _; a host key is as `ssh-keyscan -t ed25519 HOST` prints it",
            ),
            Self::NotWithin { .. } => Some(
                "transfer = \"adequacy\", \"clauses\", \"corporate_rules\", \"consent\", or \"none\" where no law asks for one",
            ),
            Self::Kept { .. } => Some("give the new one a name of its own, and take this one out"),
            Self::Template { .. } => Some("docs/deliver-template.md lists what a template can use"),
            Self::Schedule { .. }
            | Self::Country { .. }
            | Self::UnusedSecret { .. }
            | Self::SecretName { .. }
            | Self::Folder { .. }
            | Self::SameFolder { .. }
            | Self::Url { .. }
            | Self::Code { .. }
            | Self::NoRemoval => None,
        }
    }
}
