//! Expressions as they are written: names unresolved, every branch with its place.

use std::ops::Range;

use crate::leaf::Measure;

/// A branch and the bytes it takes.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Branch {
    pub(crate) what: What,
    pub(crate) span: Range<usize>,
}

/// What a branch is.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum What {
    And(Vec<Branch>),
    Or(Vec<Branch>),
    Not(Box<Branch>),
    AtLeast(u32, Vec<Branch>),
    Segment(Box<str>),
    Count(Count),
}

/// `visited(…)` or `engaged(…)` with its comparison.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Count {
    pub(crate) measure: Measure,
    pub(crate) category: Box<str>,
    pub(crate) category_span: Range<usize>,
    pub(crate) window: Days,
    pub(crate) window_span: Range<usize>,
    pub(crate) comparison: Comparison,
    pub(crate) number: u32,
    pub(crate) comparison_span: Range<usize>,
}

/// A window as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Days {
    Within(u32),
    Between(u32, u32),
    Earlier(u32),
}

/// How the sum is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Comparison {
    Less,
    LessEqual,
    More,
    MoreEqual,
    Equal,
    Unequal,
}

impl Comparison {
    /// Whether a sum meets it.
    pub(crate) fn meets(self, sum: u32, number: u32) -> bool {
        match self {
            Self::Less => sum < number,
            Self::LessEqual => sum <= number,
            Self::More => sum > number,
            Self::MoreEqual => sum >= number,
            Self::Equal => sum == number,
            Self::Unequal => sum != number,
        }
    }

    /// What holds where this does not.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Less => Self::MoreEqual,
            Self::LessEqual => Self::More,
            Self::More => Self::LessEqual,
            Self::MoreEqual => Self::Less,
            Self::Equal => Self::Unequal,
            Self::Unequal => Self::Equal,
        }
    }
}

impl Branch {
    /// Whether it holds for a visitor without hits. Segments do not: each is refused by itself.
    pub(crate) fn of_nobody(&self) -> bool {
        match &self.what {
            What::And(branches) => branches.iter().all(Self::of_nobody),
            What::Or(branches) => branches.iter().any(Self::of_nobody),
            What::Not(branch) => !branch.of_nobody(),
            What::AtLeast(least, branches) => {
                branches.iter().filter(|b| b.of_nobody()).count() >= *least as usize
            }
            What::Segment(_) => false,
            What::Count(count) => count.comparison.meets(0, count.number),
        }
    }

    /// The innermost branch that makes a branch hold for a visitor without hits.
    pub(crate) fn culprit(&self) -> &Self {
        match &self.what {
            What::Or(branches) | What::AtLeast(1, branches) => {
                branches.iter().find(|b| b.of_nobody()).map_or(self, Self::culprit)
            }
            What::And(_) | What::Not(_) | What::AtLeast(..) | What::Segment(_) | What::Count(_) => {
                self
            }
        }
    }
}
