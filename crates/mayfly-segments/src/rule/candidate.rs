//! A rule tried on values that nobody sent: what lints ask.

use std::ops::Range;

use super::eval::Found;
use super::{Check, Node, Test};

/// A value that a field might have.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Candidate {
    Absent,
    Text(String),
    List(Vec<String>),
    Number(f64),
}

impl Node {
    /// Whether it holds where `test` says which tests do.
    pub(crate) fn holds_for(&self, test: &impl Fn(&Test) -> bool) -> bool {
        match self {
            Self::And(nodes) => nodes.iter().all(|node| node.holds_for(test)),
            Self::Or(nodes) => nodes.iter().any(|node| node.holds_for(test)),
            Self::Not(node) => !node.holds_for(test),
            Self::Test(own) => test(own),
        }
    }

    /// From its first test to its last.
    pub(crate) fn span(&self) -> Option<Range<usize>> {
        let mut span: Option<Range<usize>> = None;
        self.any_test(&mut |test| {
            let all = span.get_or_insert_with(|| test.span.clone());
            *all = all.start.min(test.span.start)..all.end.max(test.span.end);
            false
        });
        span
    }
}

impl Check {
    /// Whether a value meets it.
    pub(crate) fn meets(&self, value: &Candidate) -> bool {
        match value {
            Candidate::Absent => false,
            Candidate::Text(text) => self.holds(&Found::Text(text)),
            Candidate::List(texts) => {
                let texts: Vec<Box<str>> = texts.iter().map(|text| text.as_str().into()).collect();
                self.holds(&Found::Texts(&texts))
            }
            Candidate::Number(number) => self.holds(&Found::Number(*number)),
        }
    }

    /// Calls `each` with every text that it compares with.
    pub(crate) fn each_text(&self, each: &mut dyn FnMut(&str)) {
        match self {
            Self::Exists | Self::Order(..) | Self::Matches { .. } => {}
            Self::Differs(value) => each(&value.text),
            Self::Text { values, .. } => values.iter().for_each(|value| each(&value.text)),
            Self::Mentions { phrases, .. } => phrases.iter().for_each(each),
        }
    }

    /// Calls `each` with every number that it compares with.
    pub(crate) fn each_bound(&self, each: &mut dyn FnMut(f64)) {
        match self {
            Self::Order(_, bound) => each(*bound),
            Self::Differs(value) => value.number.into_iter().for_each(each),
            Self::Text { values, .. } => values.iter().filter_map(|v| v.number).for_each(each),
            Self::Exists | Self::Matches { .. } | Self::Mentions { .. } => {}
        }
    }
}
