//! What may be wrong with a partner.

use mayfly_core::partner::BadSyncUrl;

/// What is wrong with a `[[partner]]`.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum PartnerFault {
    /// A URL with macros that is none.
    #[error("{source}")]
    SyncUrl {
        /// What is wrong with it.
        source: BadSyncUrl,
    },
    /// A URL by which nobody learns anything.
    #[error("this URL has neither {{{{redirect_url}}}} nor {{{{our_uid}}}}: no id is exchanged")]
    IdleSyncUrl,
    /// No ground on which it receives, or more than one.
    #[error("a partner needs one of `vendor_id`, `provider_id`, `processor = true`")]
    Ground,
    /// Two grounds.
    #[error("a partner has one ground, and this one has two")]
    Grounds,
    /// No text that an id could stand in place of.
    #[error("an empty macro stands everywhere")]
    NoMacro,
    /// A name by which another partner is called.
    #[error("\"{name}\" is already what partner \"{other}\" is called")]
    Called {
        /// The key or bidder.
        name: Box<str>,
        /// The other's key.
        other: Box<str>,
    },
    /// An empty list of purposes.
    #[error("a receiver has at least one purpose")]
    Purposes,
    /// `network` of a partner that has none.
    #[error("`network` belongs to kind = \"google\"")]
    Network,
}

impl PartnerFault {
    /// What would be right.
    pub(super) fn fix(&self) -> Option<&'static str> {
        match self {
            Self::SyncUrl { source: BadSyncUrl::Unknown(_) } => Some(
                "macros: {{redirect_url}} {{our_uid}} {{gdpr}} {{gdpr_consent}} {{us_privacy}} \
                 {{gpp}} {{gpp_sid}}",
            ),
            Self::Ground => Some(
                "vendor_id = its number in the Global Vendor List, provider_id = its number in \
                 Google's list, or processor = true when it works for you alone",
            ),
            Self::Grounds => Some("keep one of `vendor_id`, `provider_id`, `processor = true`"),
            Self::Called { .. } => {
                Some("Prebid calls kind = \"xandr\" appnexus; `bidder` changes it")
            }
            Self::SyncUrl { .. }
            | Self::IdleSyncUrl
            | Self::NoMacro
            | Self::Purposes
            | Self::Network => None,
        }
    }
}
