//! Classification: in which categories a hit falls.
//!
//! Two stages. What a page decides by itself is decided once per page version and remembered
//! ([`PageMemo`]); rules that also look at the hit are tried per hit, but only those that the page
//! leaves open or whose event, site, referrer or attribute the hit has. Which rules are tried at
//! all is found in tables (hash tables of hosts, words and beginnings, Aho-Corasick for contained
//! words, one `RegexSet` a field), so that thousands of rules cost little more than ten.

mod anchor;
mod memo;
mod table;

use std::cell::LazyCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use mayfly_core::{CategoryId, Day, Event, Hit, Page, SiteId};

pub use memo::PageMemo;

use crate::rule::{Evidence, Facts, HitFacts, Node, PageFacts, Rule, SiteFacts};
use memo::PageMatch;
use table::{RuleAt, Tables};

/// A rule and what it gives.
#[derive(Clone, Debug)]
pub(crate) struct ClassRule {
    pub(crate) rule: Rule,
    /// As it is written.
    pub(crate) text: Box<str>,
    /// Only hits of these sites; empty = of all.
    pub(crate) sites: Vec<SiteId>,
    /// The category and all others that its hits fall in.
    pub(crate) gives: Box<[CategoryId]>,
    /// The first day on which it is retired.
    pub(crate) until: Option<Day>,
}

impl ClassRule {
    /// Whether the page alone decides it for page views.
    fn page_only(&self) -> bool {
        self.sites.is_empty() && self.until.is_none() && self.rule.page_only()
    }

    /// Whether it is for hits of this site and day.
    pub(crate) fn takes(&self, site: SiteId, day: Day) -> bool {
        (self.sites.is_empty() || self.sites.contains(&site))
            && self.until.is_none_or(|until| day < until)
    }

    fn fired(&self, facts: &Facts<'_>) -> Option<Fired> {
        let mut evidence = Vec::new();
        self.rule.node.evidence(&self.text, facts, &mut evidence);
        Some(Fired { category: *self.gives.first()?, rule: self.text.clone(), evidence })
    }
}

/// A rule that a hit falls under, or nearly does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fired {
    /// The category whose rule it is.
    pub category: CategoryId,
    /// The rule, as it is written.
    pub rule: Box<str>,
    /// The tests that make it hold, or that stand in the way.
    pub evidence: Vec<Evidence>,
}

/// Compiled rules. See the module's text; [`crate::Compiled::classifier`] makes one.
#[derive(Clone, Debug, Default)]
pub struct Classifier {
    rules: Vec<ClassRule>,
    tables: Tables,
    /// Rules without anchors that ask for something of the page.
    anywhere_page: Vec<RuleAt>,
    /// Rules without anchors that ask for the hit alone.
    anywhere_hit: Vec<RuleAt>,
    /// What is given at all; `None` = every category.
    only: Option<BTreeSet<CategoryId>>,
    /// What categories give, and until when, for hits that say where they fired at admission.
    lines: HashMap<CategoryId, Line>,
    sites: HashMap<SiteId, SiteFacts>,
}

/// What a category gives, and the first day on which it is retired.
type Line = (Box<[CategoryId]>, Option<Day>);

static NO_PAGE: LazyLock<PageFacts> = LazyLock::new(PageFacts::default);

impl Classifier {
    pub(crate) fn new(
        rules: Vec<ClassRule>,
        lines: HashMap<CategoryId, Line>,
        sites: HashMap<SiteId, SiteFacts>,
    ) -> Self {
        let mut anchors = Vec::new();
        let mut anywhere = Vec::new();
        for (at, rule) in (0..).zip(&rules) {
            match anchor::anchors(&rule.rule.node) {
                Some(set) => anchors.extend(set.into_iter().map(|anchor| (anchor, at))),
                None => anywhere.push(at),
            }
        }
        let (tables, left_over) = Tables::build(anchors);
        anywhere.extend(left_over);
        let asks_page = |at: &RuleAt| rules.get(*at as usize).is_some_and(|r| r.rule.asks_page());
        let (anywhere_page, anywhere_hit) = anywhere.into_iter().partition(asks_page);
        Self { rules, tables, anywhere_page, anywhere_hit, only: None, lines, sites }
    }

    /// A classifier that gives only these categories: for rebuilding their cells. Rules that give
    /// none of them are left out.
    #[must_use]
    pub fn restrict(&self, categories: &BTreeSet<CategoryId>) -> Self {
        let keep = |ids: &[CategoryId]| -> Box<[CategoryId]> {
            ids.iter().copied().filter(|id| categories.contains(id)).collect()
        };
        let rules = self.rules.iter().filter_map(|rule| {
            let gives = keep(&rule.gives);
            (!gives.is_empty()).then(|| ClassRule { gives, ..rule.clone() })
        });
        let lines = self.lines.iter().map(|(id, (line, until))| (*id, (keep(line), *until)));
        let mut restricted = Self::new(rules.collect(), lines.collect(), self.sites.clone());
        restricted.only = Some(categories.clone());
        restricted
    }

    /// The categories of a hit on this page, into `out`: ascending, each once, ancestors and
    /// [`CategoryId::ALL`] included. Engagement falls where a view of its page does.
    ///
    /// `page` is the page that `hit.page` is the key of (an empty one when the hit has none);
    /// `memo` is used with this classifier alone.
    pub fn classify(&self, memo: &mut PageMemo, hit: &Hit, page: &Page, out: &mut Vec<CategoryId>) {
        out.clear();
        let fresh;
        let of_page = match hit.page {
            Some(key) => memo.get(key, || self.match_page(page)),
            None => {
                fresh = self.match_page(page);
                &fresh
            }
        };
        if matches!(hit.event, Event::PageView | Event::Engagement) {
            out.extend_from_slice(&of_page.categories);
        } else if self.gives(CategoryId::ALL) {
            out.push(CategoryId::ALL);
        }
        let before = out.len();
        self.try_open(hit, page, &of_page.open, out);
        for id in &hit.fired {
            let line = self.lines.get(id).filter(|(_, until)| until.is_none_or(|u| hit.day() < u));
            out.extend(line.into_iter().flat_map(|(gives, _)| gives));
        }
        if out.len() > before {
            out.sort_unstable();
            out.dedup();
        }
    }

    /// The rules that a hit falls under, then those that it would if one more test held; of each at
    /// most `limit`. Every rule is tried: for a person who asks, not for each hit.
    #[must_use]
    pub fn why(&self, hit: &Hit, page: &Page, limit: usize) -> [Vec<Fired>; 2] {
        let facts = PageFacts::of(page);
        let facts = Facts::new(&facts, HitFacts::of(hit, self.sites.get(&hit.site)));
        let own = |of: &dyn Fn(&Rule) -> bool| {
            let takes = |rule: &&ClassRule| rule.takes(hit.site, hit.day()) && of(&rule.rule);
            let rules = self.rules.iter().filter(takes);
            rules.filter_map(|rule| rule.fired(&facts)).take(limit).collect()
        };
        [own(&|rule| rule.holds(&facts)), own(&|rule| rule.nearly_holds(&facts))]
    }

    /// The categories one of whose rules holds, whatever the event, without their ancestors.
    pub(crate) fn touched(
        &self,
        page: &Page,
        hit: HitFacts<'_>,
        site: SiteId,
        day: Day,
    ) -> BTreeSet<CategoryId> {
        if self.rules.is_empty() {
            return BTreeSet::new();
        }
        let page = PageFacts::of(page);
        let mut found = [&*self.anywhere_page, &*self.anywhere_hit].concat();
        self.tables.find_page(&page, &mut found);
        self.tables.find_hit(&hit, &mut found);
        let facts = Facts::new(&page, hit);
        let rules = found.into_iter().filter_map(|at| self.rule(at));
        let holds =
            rules.filter(|own| own.takes(site, day) && own.rule.node.decide(&facts) == Some(true));
        holds.filter_map(|own| own.gives.first().copied()).collect()
    }

    /// Every rule with its category and its text.
    pub(crate) fn each_rule(&self) -> impl Iterator<Item = (CategoryId, &str, &Rule)> {
        let first = |own: &ClassRule| own.gives.first().copied().unwrap_or(CategoryId::ALL);
        self.rules.iter().map(move |own| (first(own), &*own.text, &own.rule))
    }

    /// Whether a rule has nothing that tables find, and looks at the page.
    pub(crate) fn is_tried_everywhere(&self, rule: &Rule) -> bool {
        rule.asks_page() && anchor::anchors(&rule.node).is_none()
    }

    /// Whether a hit on this page meets a filter. What a filter says of the event is all that is
    /// asked of it: the category has seen to the rest.
    pub(crate) fn meets(&self, filter: &Node, hit: &Hit, page: &Page) -> bool {
        let facts = HitFacts::of(hit, self.sites.get(&hit.site));
        let of_page = if filter.asks_page() { PageFacts::of(page) } else { PageFacts::default() };
        filter.decide(&Facts::new(&of_page, facts)) == Some(true)
    }

    fn gives(&self, category: CategoryId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&category))
    }

    fn rule(&self, at: RuleAt) -> Option<&ClassRule> {
        self.rules.get(at as usize)
    }

    /// Runs the page's rules.
    fn match_page(&self, page: &Page) -> PageMatch {
        let facts = PageFacts::of(page);
        let mut found = self.anywhere_page.clone();
        self.tables.find_page(&facts, &mut found);
        found.sort_unstable();
        found.dedup();
        let mut categories = Vec::new();
        if self.gives(CategoryId::ALL) {
            categories.push(CategoryId::ALL);
        }
        let mut open = Vec::new();
        for at in found {
            let Some(rule) = self.rule(at) else { continue };
            let decided = rule.rule.decide(&Facts::page_alone(&facts));
            if rule.page_only() && decided == Some(true) {
                categories.extend_from_slice(&rule.gives);
            } else if !rule.page_only() && decided != Some(false) {
                open.push(at);
            }
        }
        categories.sort_unstable();
        categories.dedup();
        PageMatch { categories: categories.into(), open: open.into() }
    }

    /// Tries the rules that the page left open, and those that the hit's own facts lead to.
    fn try_open(&self, hit: &Hit, page: &Page, open: &[RuleAt], out: &mut Vec<CategoryId>) {
        let facts = HitFacts::of(hit, self.sites.get(&hit.site));
        let mut found = Vec::new();
        self.tables.find_hit(&facts, &mut found);
        let page_facts = LazyCell::new(|| PageFacts::of(page));
        for at in open.iter().chain(&self.anywhere_hit).chain(&found) {
            let Some(rule) = self.rule(*at) else { continue };
            if !rule.takes(hit.site, hit.day())
                || (!rule.rule.names_event && *facts.event != Event::PageView)
            {
                continue;
            }
            let page = if rule.rule.asks_page() { &*page_facts } else { &*NO_PAGE };
            if rule.rule.holds(&Facts::new(page, facts)) {
                out.extend_from_slice(&rule.gives);
            }
        }
    }
}

#[cfg(test)]
mod tests;
