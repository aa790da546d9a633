//! Segment expressions: which visitors are members.
//!
//! ```text
//! visited("Sports > Football", within 30d) >= 3 and not visited("Betting", within 7d)
//! engaged("Autos", between 30d and 7d ago) >= 2m
//! at least 2 of (visited("A", within 7d), visited("B", earlier than 30d), "another segment")
//! ```
//!
//! `visited` counts hits, `engaged` seconds (`120s`, `2m`, `1h`; no unit = seconds), `days` the UTC
//! days with a hit; without a comparison all mean at least 1. `within Nd` = the current UTC day and
//! the N - 1 before it; `between 30d and 7d ago` = both ends included; `earlier than Nd` = the days
//! before `within Nd`, as far as the retention goes. Windows of hours (`within 24h`,
//! `between 48h and 24h ago`) are of UTC hours likewise, at most
//! [`mayfly_core::limits::WINDOW_HOURS`]. `visited("*", …)` counts every hit. Another segment
//! stands by its name, in quotes or bare, and means that segment's expression.
//!
//! `visited("Shop > Cart", within 7d, value >= 50)` counts only hits that meet the test: a rule
//! ([`crate::rule`]) in which a name that is no field is an attribute's. `visited("A", within 30d)
//! then "B" within 2d` counts the hits in A that a hit in B follows, one second later or more and
//! within two days; more steps may follow, each counted from the hit before it.
//!
//! `sample(10%)` holds for a share of all visitors, always the same ones; `sample(10%, "b")` for
//! others, that have nothing to do with the first.
//!
//! An expression that holds for a visitor without hits is refused. Limits:
//! [`mayfly_core::limits::LEAVES`], [`mayfly_core::limits::RULE_DEPTH`] (other segments included).

mod parse;
mod resolve;
mod sample;
pub(crate) mod syntax;

use std::ops::RangeInclusive;

use mayfly_core::{CellId, Day, Retention, Visitor};

use crate::definitions::Definitions;
use crate::leaf::Plan;
use crate::problem::{Problem, Source, Subject};
pub(crate) use resolve::Resolver;
pub(crate) use sample::Sample;

/// The tree of an expression over the leaves of a [`Plan`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Node {
    Leaf(usize),
    Sample(Sample),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    /// At least so many of the branches.
    AtLeast(usize, Vec<Node>),
}

/// An expression as written.
pub(crate) fn parsed(text: &str) -> Result<syntax::Branch, Problem> {
    parse::expression(text).map_err(|fault| Source::new(Subject::Text, text).problem(fault))
}

impl Node {
    /// Whether it holds for a visitor where `leaf` says which leaves do.
    pub(crate) fn holds(&self, visitor: Visitor, leaf: &impl Fn(usize) -> bool) -> bool {
        let holds = |node: &Self| node.holds(visitor, leaf);
        match self {
            Self::Leaf(at) => leaf(*at),
            Self::Sample(sample) => sample.holds(visitor),
            Self::Not(node) => !holds(node),
            Self::And(nodes) => nodes.iter().all(holds),
            Self::Or(nodes) => nodes.iter().any(holds),
            Self::AtLeast(least, nodes) => {
                nodes.iter().filter(|node| holds(node)).take(*least).count() == *least
            }
        }
    }

    fn has_samples(&self) -> bool {
        match self {
            Self::Sample(_) => true,
            Self::Leaf(_) => false,
            Self::Not(node) => node.has_samples(),
            Self::And(nodes) | Self::Or(nodes) | Self::AtLeast(_, nodes) => {
                nodes.iter().any(Self::has_samples)
            }
        }
    }

    /// Calls `each` with every leaf in it.
    pub(crate) fn each_leaf(&self, each: &mut impl FnMut(usize)) {
        match self {
            Self::Leaf(at) => each(*at),
            Self::Sample(_) => {}
            Self::Not(node) => node.each_leaf(each),
            Self::And(nodes) | Self::Or(nodes) | Self::AtLeast(_, nodes) => {
                nodes.iter().for_each(|node| node.each_leaf(each));
            }
        }
    }
}

/// An expression by itself, its names resolved: what `segment count --rule` evaluates.
///
/// ```
/// use mayfly_core::Retention;
/// use mayfly_segments::{Definitions, DefinitionsFile, Expression};
///
/// let file = DefinitionsFile::parse(
///     "format = 1\n[[category]]\nname = \"Sports\"\nrule = 'path startswith \"/sport\"'",
/// ).map_err(|p| p[0].clone())?;
/// let retention = Retention::default();
/// let definitions = Definitions::default().apply(&file, false, retention)
///     .map_err(|p| p[0].clone())?.definitions;
///
/// let fans = "visited(\"Sports\", within 30d) >= 3";
/// assert!(Expression::parse(fans, &definitions, retention).is_ok());
/// let problem = Expression::parse("visited(\"Sport\", within 30d)", &definitions, retention);
/// assert_eq!(problem.unwrap_err().help().as_deref(), Some("the nearest name is \"Sports\""));
/// # Ok::<(), mayfly_segments::Problem>(())
/// ```
#[derive(Clone, Debug)]
pub struct Expression {
    pub(crate) node: Node,
    pub(crate) plan: Plan,
}

impl Expression {
    /// Reads an expression and resolves its names.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(
        text: &str,
        definitions: &Definitions,
        retention: Retention,
    ) -> Result<Self, Problem> {
        let mut plan = Plan::default();
        let mut resolver = Resolver::new(definitions, retention);
        match resolver.expression(text, &mut plan) {
            Ok(node) => Ok(Self { node, plan }),
            Err(fault) => Err(Source::new(Subject::Text, text).problem(fault)),
        }
    }

    /// The day cells that an evaluation on `today` reads.
    #[must_use]
    pub fn needs(&self, today: Day) -> Vec<(CellId, RangeInclusive<Day>)> {
        self.plan.needs(today)
    }

    /// The days whose hits an evaluation on `today` looks at, besides cells; `None` = none. See
    /// [`crate::CellsBuilder::asking`].
    #[must_use]
    pub fn recalls(&self, today: Day) -> Option<RangeInclusive<Day>> {
        self.plan.recalled(self.plan.traced(), today)
    }

    /// How many of its conditions look at hits themselves: at most
    /// [`mayfly_core::limits::TRACES_ASKED`] are to be evaluated by themselves.
    #[must_use]
    pub fn traces(&self) -> usize {
        self.plan.traced().len()
    }

    /// Whether it takes samples of visitors.
    #[must_use]
    pub fn has_samples(&self) -> bool {
        self.node.has_samples()
    }

    /// The expression's leaves and tallies.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

#[cfg(test)]
mod tests;
