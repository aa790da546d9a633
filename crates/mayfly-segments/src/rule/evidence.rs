//! Why a rule holds, or nearly does: the tests that decide it, and the text that met them.

use std::ops::Range;

use super::eval::Found;
use super::facts::Facts;
use super::{Check, How, Node, Test, words};

/// A test of a rule, and what it met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// The test, as it is written in the rule.
    pub test: Box<str>,
    /// Whether it holds. Below `not`, one that does not hold is what makes the rule.
    pub holds: bool,
    /// The value that was looked at, as rules compare it; of a list the one that met the test, or
    /// all of them. `None` = the field is absent.
    pub found: Option<Box<str>>,
    /// The bytes of `found` that met the test.
    pub span: Option<Range<usize>>,
}

impl Node {
    /// The tests that make the rule what it is: of a rule that holds those that were needed, of one
    /// that does not those that stand in the way.
    pub(crate) fn evidence(&self, text: &str, facts: &Facts<'_>, all: &mut Vec<Evidence>) {
        let holds = self.decide(facts) == Some(true);
        match self {
            Self::And(nodes) | Self::Or(nodes) => {
                let decides = |node: &&Self| (node.decide(facts) == Some(true)) == holds;
                nodes.iter().filter(decides).for_each(|node| node.evidence(text, facts, all));
            }
            Self::Not(node) => node.evidence(text, facts, all),
            Self::Test(test) => all.push(test.evidence(text, facts)),
        }
    }
}

impl Test {
    fn evidence(&self, text: &str, facts: &Facts<'_>) -> Evidence {
        let found = self.find(facts);
        let holds = found.as_ref().is_some_and(|found| self.check.holds(found));
        let mut values = found.as_ref().map(Found::values).unwrap_or_default();
        if let Check::Mentions { .. } = self.check {
            values.iter_mut().for_each(|value| *value = words(value));
        }
        let met = values.iter().find_map(|value| Some((value, self.check.span(value)?)));
        let (found, span) = match met {
            Some((value, span)) => (Some(value.as_str().into()), Some(span)),
            None if values.is_empty() => (None, None),
            None => (Some(values.join(", ").into()), None),
        };
        let test = text.get(self.span.clone()).unwrap_or_default().into();
        Evidence { test, holds, found, span }
    }
}

impl Check {
    /// The bytes of a text that meet it.
    fn span(&self, text: &str) -> Option<Range<usize>> {
        match self {
            Self::Exists | Self::Differs(_) | Self::Order(..) => None,
            Self::Text { how, values, .. } => values.iter().find_map(|value| {
                let length = value.text.len();
                let begins = match how {
                    How::Is => (*text == *value.text).then_some(0),
                    How::Contains => text.find(&*value.text),
                    How::StartsWith => text.starts_with(&*value.text).then_some(0),
                    How::EndsWith => {
                        text.ends_with(&*value.text).then(|| text.len().saturating_sub(length))
                    }
                };
                begins.map(|at| at..at + length)
            }),
            Self::Matches { patterns, .. } => {
                patterns.iter().find_map(|pattern| Some(pattern.find(text)?.range()))
            }
            Self::Mentions { phrases, .. } => phrases.span(text),
        }
    }
}
