//! Odd rules: tried on every combination of the values that make a difference to them.

use mayfly_core::limits;
use regex::{Regex, RegexBuilder};

use super::{LintKind, PARTS, combine};
use crate::rule::{Candidate, Check, Field, Node, Rule, Test};

/// What is odd about a rule.
pub(super) fn lint(rule: &Rule, text: &str) -> Vec<LintKind> {
    let mut found = Vec::new();
    let mut fields: Vec<Field> = Vec::new();
    let (mut has_patterns, mut texts) = (false, 0);
    rule.node.any_test(&mut |test| {
        if let Check::Differs(_) = test.check {
            let test = written(test, text).into();
            found.push(LintKind::AbsentDiffers { test });
        }
        if let Check::Matches { patterns, .. } = &test.check {
            has_patterns = true;
            if patterns.iter().any(|pattern| is_costly(pattern, &test.field)) {
                found.push(LintKind::CostlyPattern { test: written(test, text).into() });
            }
        }
        test.check.each_text(&mut |_| texts += 1);
        texts += 1;
        if !fields.contains(&test.field) {
            fields.push(test.field.clone());
        }
        false
    });
    // No text that meets a pattern is known.
    if has_patterns || texts > PARTS {
        return found;
    }
    let values: Vec<Vec<Candidate>> = fields.iter().map(|f| candidates(f, &rule.node)).collect();
    let without = parts(&rule.node);
    let (mut ever, mut always) = (false, true);
    let mut has_effect = vec![false; without.len()];
    let tried = combine(&values, |chosen| {
        let holds = |node: &Node| {
            node.holds_for(&|test: &Test| {
                let at = fields.iter().position(|field| *field == test.field);
                at.and_then(|at| chosen.get(at)).is_some_and(|value| test.check.meets(value))
            })
        };
        let all = holds(&rule.node);
        (ever, always) = (ever | all, always & all);
        for ((_, rest), effect) in without.iter().zip(&mut has_effect) {
            *effect |= holds(rest) != all;
        }
        false
    });
    if !tried {
        return found;
    }
    match (ever, always) {
        (false, _) => found.push(LintKind::Contradiction),
        (true, true) => found.push(LintKind::Tautology),
        (true, false) => {
            let idle = without.iter().zip(has_effect).filter(|(_, has_effect)| !has_effect);
            found.extend(idle.take(1).map(|((span, _), _)| LintKind::NoEffect {
                part: text.get(span.clone()).unwrap_or_default().into(),
            }));
        }
    }
    found
}

/// Whether a pattern is large when it is compiled.
fn is_costly(pattern: &Regex, field: &Field) -> bool {
    let mut small = RegexBuilder::new(pattern.as_str());
    small.case_insensitive(!field.exact_case()).size_limit(limits::REGEX_COSTLY_BYTES);
    small.build().is_err()
}

fn written<'t>(test: &Test, text: &'t str) -> &'t str {
    text.get(test.span.clone()).unwrap_or_default()
}

/// Values of a field that tell its tests apart: absent, one that meets none, each text by itself,
/// before and after another, each two joined, numbers at and beside each bound.
fn candidates(field: &Field, node: &Node) -> Vec<Candidate> {
    let mut texts: Vec<String> = Vec::new();
    let mut bounds: Vec<f64> = Vec::new();
    node.any_test(&mut |test| {
        if test.field == *field {
            test.check.each_text(&mut |text| texts.push(text.to_owned()));
            test.check.each_bound(&mut |bound| bounds.extend([bound - 1.0, bound, bound + 1.0]));
        }
        false
    });
    texts.sort();
    texts.dedup();
    let mut all = vec![Candidate::Absent, Candidate::Text("\u{1}".to_owned())];
    let joined = texts.iter().flat_map(|a| texts.iter().map(move |b| format!("{a}\u{1}{b}")));
    if texts.len() > 1 {
        // What has them all: what lists hold, and what `contains` asks for together.
        all.push(Candidate::Text(texts.join("\u{1}")));
        if field.has_many() {
            all.push(Candidate::List(texts.clone()));
        }
        all.extend(joined.map(Candidate::Text));
    }
    for text in &texts {
        let around = [text.clone(), format!("{text}\u{1}"), format!("\u{1}{text}")];
        all.extend(around.map(Candidate::Text));
    }
    all.extend(bounds.into_iter().map(Candidate::Number));
    all
}

/// The rule without each of the parts that `and` and `or` join, with the part's place.
fn parts(node: &Node) -> Vec<(std::ops::Range<usize>, Node)> {
    let (nodes, is_and) = match node {
        Node::And(nodes) => (nodes, true),
        Node::Or(nodes) => (nodes, false),
        Node::Not(_) | Node::Test(_) => return Vec::new(),
    };
    let join = if is_and { Node::And } else { Node::Or };
    let mut all = Vec::new();
    for (at, own) in nodes.iter().enumerate() {
        let rest = |own: Option<Node>| {
            let before = nodes.iter().take(at).cloned();
            let after = nodes.iter().skip(at + 1).cloned();
            join(before.chain(own).chain(after).collect())
        };
        if let Some(span) = own.span() {
            all.push((span, rest(None)));
        }
        all.extend(parts(own).into_iter().map(|(span, inner)| (span, rest(Some(inner)))));
    }
    all
}
