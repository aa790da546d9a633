//! What became of a hit. Each hit received has exactly one outcome; their sum is the hits received.

use std::fmt;

/// The closed list of outcomes. `docs/outcomes.md` says for each what to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    /// In the store.
    Stored,
    /// In the spill file, fsynced; sent to the store when it answers again.
    Spilled,
    /// The same hit id was seen before.
    Duplicate,
    /// The client did not bring back its cookie; nothing is kept.
    Cookieless,
    /// The visitor opted out (`mf_optout`, `Sec-GPC`).
    OptedOut,
    /// The site's policy asks for a consent that is not there.
    NoConsent,
    /// A known robot.
    Bot,
    /// Not a page: an image, a style sheet, an error, a POST.
    NotAPage,
    /// The site key is not known here.
    UnknownSite,
    /// The page's origin is not among the site's origins.
    WrongOrigin,
    /// The hit cannot be read: URL, event, time, encoding.
    Malformed,
    /// Its day is outside the retention.
    TooOld,
    /// Its time is more than five minutes ahead.
    FromFuture,
    /// A limit of size, number or rate was passed.
    OverLimit,
    /// The server was too busy to take it.
    Shed,
    /// Neither store nor spill file took it.
    StoreFailed,
}

impl Outcome {
    /// Every outcome, in the order of the documentation.
    pub const ALL: [Self; 16] = [
        Self::Stored,
        Self::Spilled,
        Self::Duplicate,
        Self::Cookieless,
        Self::OptedOut,
        Self::NoConsent,
        Self::Bot,
        Self::NotAPage,
        Self::UnknownSite,
        Self::WrongOrigin,
        Self::Malformed,
        Self::TooOld,
        Self::FromFuture,
        Self::OverLimit,
        Self::Shed,
        Self::StoreFailed,
    ];

    /// The name in metrics, headers and answers.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Spilled => "spilled",
            Self::Duplicate => "duplicate",
            Self::Cookieless => "cookieless",
            Self::OptedOut => "opted_out",
            Self::NoConsent => "no_consent",
            Self::Bot => "bot",
            Self::NotAPage => "not_a_page",
            Self::UnknownSite => "unknown_site",
            Self::WrongOrigin => "wrong_origin",
            Self::Malformed => "malformed",
            Self::TooOld => "too_old",
            Self::FromFuture => "from_future",
            Self::OverLimit => "over_limit",
            Self::Shed => "shed",
            Self::StoreFailed => "store_failed",
        }
    }

    /// Its place in [`Outcome::ALL`], for tables of counters.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether the hit is kept: these two are what "acknowledged" promises.
    #[must_use]
    pub const fn is_kept(self) -> bool {
        matches!(self, Self::Stored | Self::Spilled)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_stands_at_its_index_under_its_own_label() {
        let mut labels = std::collections::BTreeSet::new();
        for (i, o) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(o.index(), i);
            assert!(labels.insert(o.label()));
        }
    }
}
