//! Expressions as they are written: names unresolved, every branch with its place.

use std::ops::Range;

use super::Sample;
use crate::leaf::{Filter, Measure, Unit};

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

/// A category, and what its hits must meet besides.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Named {
    pub(crate) category: Box<str>,
    pub(crate) span: Range<usize>,
    pub(crate) only: Option<Filter>,
    pub(crate) only_span: Range<usize>,
}

/// What follows in a sequence, within so many seconds.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Following {
    pub(crate) named: Named,
    pub(crate) within_s: u32,
    pub(crate) within_span: Range<usize>,
}

/// `visited(…)`, `engaged(…)` or `days(…)` with what follows and its comparison.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Count {
    pub(crate) measure: Measure,
    pub(crate) of: Named,
    pub(crate) window: Ago,
    pub(crate) window_span: Range<usize>,
    pub(crate) then: Vec<Following>,
    pub(crate) comparison: Comparison,
    pub(crate) number: u32,
    pub(crate) comparison_span: Range<usize>,
}

impl Count {
    /// Every category that it names.
    pub(crate) fn all_named(&self) -> impl Iterator<Item = &Named> {
        std::iter::once(&self.of).chain(self.then.iter().map(|step| &step.named))
    }
}

/// A window as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ago {
    Within(Units),
    Between(Units, Units),
    Earlier(Units),
}

/// So many days or hours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Units {
    pub(crate) number: u32,
    pub(crate) unit: Unit,
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
