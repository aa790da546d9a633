//! What can be wrong with `[category.import]`, and with conditions over such categories.

/// What is wrong with a category that a partner fills.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ImportFault {
    /// It says by which hits it is filled, too.
    #[error("what a partner fills has no `rule`, `except`, `form` or `implies`")]
    Rules,
    /// Another partner than before.
    #[error("a category keeps the partner that fills it: who is in it came from that one")]
    Kept,
    /// A price that is none.
    #[error("\"{text}\" is no price")]
    Price {
        /// As written.
        text: Box<str>,
    },
    /// A code of the same partner that stands for another category.
    #[error("this code of the partner fills \"{other}\" already")]
    SameCode {
        /// The other category.
        other: Box<str>,
    },
    /// A condition that looks at hits.
    #[error("a partner tells on which day a visitor was in \"{name}\", and nothing else of him")]
    DaysAlone {
        /// The category.
        name: Box<str>,
    },
}

impl ImportFault {
    /// What would be right.
    pub(super) fn fix(&self) -> Option<&'static str> {
        match self {
            Self::Rules => Some("keep the two apart: one category for each, and a segment of both"),
            Self::Price { .. } => Some("write it by thousand impressions, as \"1.20 EUR\""),
            Self::SameCode { .. } => None,
            Self::Kept => Some("make another category for the other partner"),
            Self::DaysAlone { .. } => {
                Some("ask for days, without hours, `where` and `then`: within 30d")
            }
        }
    }
}
