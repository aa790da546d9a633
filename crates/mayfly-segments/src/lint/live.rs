//! What is odd beside hits that really came: names that none of them has, texts in another case.

use std::collections::BTreeSet;

use mayfly_core::{Hit, Page};

use super::{Lint, LintKind};
use crate::compiled::Compiled;
use crate::rule::{Check, Field, HitField, How, PageFacts, PageField, Test};

/// Pages whose texts are compared.
const PAGES: usize = 1000;
/// Hits below which nothing is said.
const LEAST: usize = 100;

/// What rules ask for and these hits, each with its page, do not have.
#[must_use]
pub fn lint_beside(compiled: &Compiled, hits: &[(&Hit, &Page)]) -> Vec<Lint> {
    if hits.len() < LEAST {
        return Vec::new();
    }
    let seen = Seen::of(hits);
    let mut found = Vec::new();
    for (category, text, rule) in compiled.classifier().each_rule() {
        let mut kinds = Vec::new();
        rule.node.any_test(&mut |test| {
            let written = text.get(test.span.clone()).unwrap_or_default();
            kinds.extend(seen.odd(test, written));
            false
        });
        kinds.dedup();
        let of: Box<str> = format!("category {}", compiled.definitions().path(category)).into();
        found.extend(kinds.into_iter().map(|kind| Lint {
            of: of.clone(),
            text: text.into(),
            kind,
        }));
    }
    found
}

struct Seen {
    attributes: BTreeSet<Box<str>>,
    query: BTreeSet<Box<str>>,
    events: BTreeSet<Box<str>>,
    /// Each as it is, and in lower case.
    pages: Vec<[PageFacts; 2]>,
}

impl Seen {
    fn of(hits: &[(&Hit, &Page)]) -> Self {
        let mut urls = BTreeSet::new();
        let pages = hits.iter().filter(|(_, page)| urls.insert(&page.url));
        let pages: Vec<[PageFacts; 2]> = pages
            .take(PAGES)
            .map(|(_, page)| [PageFacts::of(page), PageFacts::of(page).in_lower_case()])
            .collect();
        let names = hits.iter().flat_map(|(hit, _)| hit.attributes.iter().map(|a| a.name.clone()));
        Self {
            attributes: names.collect(),
            query: pages.iter().flat_map(|[page, _]| page.query.keys().cloned()).collect(),
            events: hits.iter().map(|(hit, _)| hit.event.name().into()).collect(),
            pages,
        }
    }

    fn odd(&self, test: &Test, written: &str) -> Option<LintKind> {
        let unseen = |name: &str| LintKind::NeverSeen { name: name.into() };
        match &test.field {
            Field::Attribute(name) => {
                (!self.attributes.contains(name)).then(|| unseen(&format!("a.{name}")))
            }
            Field::Page(PageField::Query(name)) if !self.query.contains(name) => {
                Some(unseen(&format!("query.{name}")))
            }
            Field::Page(field @ (PageField::Path | PageField::Url | PageField::Query(_))) => {
                self.in_other_case(field, &test.check, written)
            }
            Field::Hit(HitField::Event) => {
                let mut names = Vec::new();
                test.check.each_text(&mut |name| names.push(name.to_owned()));
                let name = names.into_iter().find(|name| !self.events.contains(name.as_str()))?;
                Some(unseen(&format!("event {name}")))
            }
            Field::Page(_) | Field::Hit(_) | Field::Fleeting(_) => None,
        }
    }

    /// A text that pages have in another case only.
    fn in_other_case(&self, field: &PageField, check: &Check, written: &str) -> Option<LintKind> {
        let Check::Text { how, values, .. } = check else { return None };
        let related = |text: &str, value: &str| match how {
            How::Is => text == value,
            How::Contains => text.contains(value),
            How::StartsWith => text.starts_with(value),
            How::EndsWith => text.ends_with(value),
        };
        for value in values {
            let (mut is_met, mut other) = (false, None);
            let folded = value.text.to_lowercase();
            for [page, lower] in &self.pages {
                page.each_text(field, &mut |text| is_met |= related(text, &value.text));
                let mut is_near = false;
                lower.each_text(field, &mut |text| is_near |= related(text, &folded));
                if is_near && other.is_none() {
                    page.each_text(field, &mut |text| other = Some(text.into()));
                }
            }
            if let (false, Some(live)) = (is_met, other) {
                return Some(LintKind::OtherCase { test: written.into(), live });
            }
        }
        None
    }
}
