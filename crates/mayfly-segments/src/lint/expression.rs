//! Odd expressions: tried on every combination of the sums that make a difference to them.

use mayfly_core::{CategoryId, Partition, Visitor};

use super::{LintKind, PARTS, combine, has_rules};
use crate::compiled::Compiled;
use crate::expr::syntax::{Ago, Branch, Count, Units, What};
use crate::expr::{Expression, Node, parsed};
use crate::leaf::{Measure, Plan, TallyKey, Unit};

/// What is odd about an expression that was applied.
pub(super) fn lint(text: &str, compiled: &Compiled) -> Vec<LintKind> {
    let Ok(branch) = parsed(text) else { return Vec::new() };
    let mut found = Vec::new();
    branch.each_count(&mut |count| {
        if let Ago::Within(Units { number: days @ 1..=3, unit: Unit::Days }) = count.window
            && count.measure != Measure::Days
        {
            let days = u16::try_from(days).unwrap_or(u16::MAX);
            found.push(LintKind::FewDays { days });
        }
        for named in count.all_named() {
            if !has_rules(compiled.definitions(), &named.category) {
                found.push(LintKind::NoRules { category: named.category.clone() });
            }
        }
    });
    found.dedup();
    let mut counts = 0;
    branch.each_count(&mut |_| counts += 1);
    if counts > PARTS {
        return found;
    }
    let whole =
        |text: &str| Expression::parse(text, compiled.definitions(), compiled.retention()).ok();
    // Of samples nothing is known but that they hold for some.
    let Some(own) = whole(text).filter(|own| !own.has_samples()) else { return found };
    // Each with a part left out, over a plan of its own: sums are matched by what they sum up.
    let without: Vec<(Box<str>, Expression)> = parts(&branch, text)
        .into_iter()
        .filter_map(|(part, rest)| Some((part, whole(&rest)?)))
        .collect();
    let keys = own.plan.tallies();
    let values: Vec<Vec<u32>> = (0..keys.len()).map(|at| sums(&own.plan, at)).collect();
    let (mut ever, mut has_effect) = (false, vec![false; without.len()]);
    let tried = combine(&values, |sums| {
        if !is_possible(keys, sums, compiled) {
            return false;
        }
        let all = holds(&own, keys, sums);
        ever |= all;
        for ((_, rest), effect) in without.iter().zip(&mut has_effect) {
            *effect |= holds(rest, keys, sums) != all;
        }
        false
    });
    if tried && !ever {
        found.push(LintKind::Contradiction);
    } else if tried {
        let idle = without.into_iter().zip(has_effect).find(|(_, has_effect)| !has_effect);
        found.extend(idle.map(|((part, _), _)| LintKind::NoEffect { part }));
    }
    found
}

/// Whether it holds for a visitor with these sums, each of the key at its place.
fn holds(of: &Expression, keys: &[TallyKey], sums: &[u32]) -> bool {
    let leaf = |at: usize| {
        let leaf = of.plan.leaves().get(at);
        let key = leaf.and_then(|leaf| of.plan.tallies().get(leaf.tally));
        let place = key.and_then(|key| keys.iter().position(|own| own == key));
        let sum = place.and_then(|place| sums.get(place)).copied().unwrap_or(0);
        leaf.is_some_and(|leaf| sum >= leaf.least)
    };
    let node: &Node = &of.node;
    node.holds(Visitor { partition: Partition(0), ordinal: 0 }, &leaf)
}

/// Sums of a tally that tell its leaves apart.
fn sums(plan: &Plan, tally: usize) -> Vec<u32> {
    let leasts = plan.leaves().iter().filter(|leaf| leaf.tally == tally).map(|leaf| leaf.least);
    let mut all: Vec<u32> = leasts.flat_map(|least| [least - 1, least, least + 1]).collect();
    all.push(0);
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether one visitor can have these sums: a shorter window, a category below, and what is
/// filtered hold no more; and days are hits.
fn is_possible(keys: &[TallyKey], sums: &[u32], compiled: &Compiled) -> bool {
    let definitions = compiled.definitions();
    let is_below = |a: CategoryId, b: CategoryId| {
        b == CategoryId::ALL || definitions.line(a).any(|above| above == b)
    };
    let is_part = |a: &TallyKey, b: &TallyKey| {
        let measures =
            a.measure == b.measure || (a.measure == Measure::Days && b.measure == Measure::Visited);
        measures
            && b.then.is_empty()
            && (b.only.is_none() || a.only == b.only)
            && a.window.is_within(b.window)
            && is_below(a.cell.category, b.cell.category)
    };
    let pairs = keys.iter().zip(sums).flat_map(|a| keys.iter().zip(sums).map(move |b| (a, b)));
    pairs.into_iter().all(|((a, small), (b, large))| {
        let days_agree = a.measure != Measure::Visited
            || b.measure != Measure::Days
            || !is_part(&TallyKey { measure: Measure::Days, ..a.clone() }, b)
            || *small == 0
            || *large > 0;
        (!is_part(a, b) || small <= large) && days_agree
    })
}

/// The text without each of the parts that `and` and `or` join.
fn parts(branch: &Branch, text: &str) -> Vec<(Box<str>, String)> {
    let (branches, word) = match &branch.what {
        What::And(branches) => (branches, "and"),
        What::Or(branches) => (branches, "or"),
        What::Not(_) | What::AtLeast(..) | What::Segment(_) | What::Sample(_) | What::Count(_) => {
            return Vec::new();
        }
    };
    let written = |branch: &Branch| text.get(branch.span.clone()).unwrap_or_default();
    let without = |left_out: usize| {
        let others = branches.iter().enumerate().filter(|(at, _)| *at != left_out);
        let others: Vec<String> = others.map(|(_, own)| format!("({})", written(own))).collect();
        (written(&branches[left_out]).into(), others.join(&format!(" {word} ")))
    };
    (0..branches.len()).map(without).collect()
}

impl Branch {
    fn each_count(&self, each: &mut impl FnMut(&Count)) {
        match &self.what {
            What::And(all) | What::Or(all) | What::AtLeast(_, all) => {
                all.iter().for_each(|branch| branch.each_count(each));
            }
            What::Not(branch) => branch.each_count(each),
            What::Segment(_) | What::Sample(_) => {}
            What::Count(count) => each(count),
        }
    }
}
