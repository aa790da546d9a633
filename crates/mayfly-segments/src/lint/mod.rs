//! Lints: definitions that are right in form and probably wrong in meaning. Nothing is refused.
//!
//! Contradictions, tautologies and parts without effect are found by trying: of everything that a
//! rule or expression asks, the few values that make a difference, in all combinations
//! ([`COMBINATIONS`] at most; what asks for more is not looked at).

mod expression;
mod live;
mod rule;

pub use live::lint_beside;

use crate::compiled::Compiled;
use crate::definitions::{Category, Definitions, EVERY_HIT};

/// Combinations of values tried for one rule or expression.
const COMBINATIONS: usize = 5_000;

/// Texts, or parts, of one rule or expression above which it is not looked at.
const PARTS: usize = 60;

/// What is odd.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LintKind {
    /// Nothing can meet it.
    Contradiction,
    /// Everything meets it.
    Tautology,
    /// Without this part it means the same.
    NoEffect {
        /// The part, as it is written.
        part: Box<str>,
    },
    /// `!=` does not hold where the field is absent.
    AbsentDiffers {
        /// The test, as it is written.
        test: Box<str>,
    },
    /// A path without a host or site, where there are several sites.
    BarePath,
    /// No table finds it: it is tried on each page.
    TriedEverywhere,
    /// A regular expression that is large when it is compiled, and slow on long texts.
    CostlyPattern {
        /// The test, as it is written.
        test: Box<str>,
    },
    /// Few days, where hours may be meant.
    FewDays {
        /// How many.
        days: u16,
    },
    /// An expression asks for a category without rules.
    NoRules {
        /// The category.
        category: Box<str>,
    },
    /// An attribute, parameter or event that no hit has lately had.
    NeverSeen {
        /// Its name.
        name: Box<str>,
    },
    /// Pages have this text in another case only.
    OtherCase {
        /// The test, as it is written.
        test: Box<str>,
        /// The text of a page.
        live: Box<str>,
    },
    /// Nobody had a hit in the category lately.
    Quiet {
        /// For so many days.
        days: u16,
    },
    /// The same visitors had hits in another category.
    SameVisitors {
        /// The other category.
        other: Box<str>,
        /// In so many days.
        days: u16,
    },
}

/// Something odd, and where.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Lint {
    /// `category` or `segment`, and its name.
    pub of: Box<str>,
    /// The rule or expression.
    pub text: Box<str>,
    /// What.
    pub kind: LintKind,
}

impl LintKind {
    /// The name of its kind, stable.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Contradiction => "contradiction",
            Self::Tautology => "tautology",
            Self::NoEffect { .. } => "no_effect",
            Self::AbsentDiffers { .. } => "absent_differs",
            Self::BarePath => "bare_path",
            Self::TriedEverywhere => "tried_everywhere",
            Self::CostlyPattern { .. } => "costly_pattern",
            Self::FewDays { .. } => "few_days",
            Self::NoRules { .. } => "no_rules",
            Self::NeverSeen { .. } => "never_seen",
            Self::OtherCase { .. } => "other_case",
            Self::Quiet { .. } => "quiet",
            Self::SameVisitors { .. } => "same_visitors",
        }
    }

    /// What is odd, and what to do, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Contradiction => "nothing can ever meet this".to_owned(),
            Self::Tautology => {
                "every hit meets this: leave it out, or say what is meant".to_owned()
            }
            Self::NoEffect { part } => {
                format!("without `{part}` this means the same: leave it out, or mend it")
            }
            Self::AbsentDiffers { test } => {
                format!("`{test}` does not hold where the field is absent; `not (… == …)` does")
            }
            Self::BarePath => {
                "this path counts on every site: name the `host`, or give the rule `sites`"
                    .to_owned()
            }
            Self::TriedEverywhere => {
                "this is tried on each page: begin with a test of host, path or words that few \
                 pages meet"
                    .to_owned()
            }
            Self::CostlyPattern { test } => format!(
                "`{test}` is a large automaton: count fewer repeats, or classes of ASCII \
                 ([a-z0-9_] for \\w, [0-9] for \\d)"
            ),
            Self::FewDays { days } => format!(
                "`within {days}d` begins at 00:00 UTC: for the last {} hours write `within {}h`",
                days * 24,
                days * 24
            ),
            Self::NeverSeen { name } => format!("no hit of today or yesterday has `{name}`"),
            Self::OtherCase { test, live } => {
                format!("case counts in `{test}`; pages have \"{live}\"")
            }
            Self::Quiet { days } => format!("nobody had a hit in it for {days} days"),
            Self::SameVisitors { other, days } => {
                format!("in {days} days the very same visitors were in \"{other}\"")
            }
            Self::NoRules { category } => {
                format!("\"{category}\" has no rule, nor has anything below it: nobody is in it")
            }
        }
    }
}

/// Everything that is odd by itself, without a look at hits.
#[must_use]
pub fn lint(compiled: &Compiled) -> Vec<Lint> {
    let definitions = compiled.definitions();
    let mut found = Vec::new();
    let several_sites = definitions.sites().count() > 1;
    for (category, text, own) in compiled.classifier().each_rule() {
        let mut kinds = rule::lint(own, text);
        if several_sites && own.is_bare_path() {
            kinds.push(LintKind::BarePath);
        }
        if compiled.classifier().is_tried_everywhere(own) {
            kinds.push(LintKind::TriedEverywhere);
        }
        let of: Box<str> = format!("category {}", definitions.path(category)).into();
        found.extend(kinds.into_iter().map(|kind| Lint {
            of: of.clone(),
            text: text.into(),
            kind,
        }));
    }
    for segment in definitions.segments() {
        let of: Box<str> = format!("segment {}", segment.name).into();
        for kind in expression::lint(&segment.rule, compiled) {
            found.push(Lint { of: of.clone(), text: segment.rule.clone(), kind });
        }
    }
    found
}

/// Whether a category, or one whose hits fall in it, has a rule.
fn has_rules(definitions: &Definitions, path: &str) -> bool {
    if path == EVERY_HIT {
        return true;
    }
    let Some(own) = definitions.category_named(path) else { return true };
    if own.import.is_some() {
        return true;
    }
    let declaring = definitions.declaring();
    let has_own = |other: &&Category| !definitions.rules_of(other, &declaring).is_empty();
    let mut all = definitions.categories().filter(has_own);
    all.any(|other| definitions.gives(other.id).contains(&own.id))
}

/// All combinations of one value of each list, until `visit` says that it is enough; `false` where
/// there are more than are tried.
fn combine<T: Clone>(lists: &[Vec<T>], mut visit: impl FnMut(&[T]) -> bool) -> bool {
    let number = lists.iter().try_fold(1usize, |all, list| all.checked_mul(list.len()));
    if number.is_none_or(|number| number > COMBINATIONS) {
        return false;
    }
    let mut places = vec![0; lists.len()];
    loop {
        let chosen = lists.iter().zip(&places).filter_map(|(list, at)| list.get(*at).cloned());
        let chosen: Vec<T> = chosen.collect();
        if chosen.len() < lists.len() || visit(&chosen) {
            return true;
        }
        let next = places.iter_mut().zip(lists).find_map(|(place, list)| {
            *place = (*place + 1) % list.len();
            (*place > 0).then_some(())
        });
        if next.is_none() {
            return true;
        }
    }
}

#[cfg(test)]
mod tests;
