//! Expressions as they are written: names unresolved, every branch with its place.

use std::ops::Range;

use super::Sample;
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
    Sample(Sample),
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
    /// Whether it may hold for a visitor without hits. Segments do not: each is refused by itself.
    pub(crate) fn of_nobody(&self) -> bool {
        self.may_be(true)
    }

    /// Whether the answer for a visitor without hits may be this one. Samples may be either.
    fn may_be(&self, answer: bool) -> bool {
        let number = |branches: &[Self]| branches.iter().filter(|b| b.may_be(true)).count();
        match &self.what {
            What::And(branches) if answer => branches.iter().all(|b| b.may_be(true)),
            What::And(branches) => branches.iter().any(|b| b.may_be(false)),
            What::Or(branches) if answer => branches.iter().any(|b| b.may_be(true)),
            What::Or(branches) => branches.iter().all(|b| b.may_be(false)),
            What::Not(branch) => branch.may_be(!answer),
            What::AtLeast(least, branches) if answer => number(branches) >= *least as usize,
            What::AtLeast(least, branches) => {
                let surely = branches.iter().filter(|b| !b.may_be(false)).count();
                surely < *least as usize
            }
            What::Segment(_) => !answer,
            What::Sample(_) => true,
            What::Count(count) => count.comparison.meets(0, count.number) == answer,
        }
    }

    /// The innermost branch that makes a branch hold for a visitor without hits.
    pub(crate) fn culprit(&self) -> &Self {
        match &self.what {
            What::Or(branches) | What::AtLeast(1, branches) => {
                branches.iter().find(|b| b.of_nobody()).map_or(self, Self::culprit)
            }
            What::And(_)
            | What::Not(_)
            | What::AtLeast(..)
            | What::Segment(_)
            | What::Sample(_)
            | What::Count(_) => self,
        }
    }
}
