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
use std::sync::{Arc, LazyLock};

use mayfly_core::{CategoryId, Day, Event, Hit, Page, SiteId};

pub use memo::PageMemo;

use crate::definitions::Fact;
use crate::rule::{Evidence, Facts, Field, HitFacts, Node, PageFacts, Rule, SiteFacts};
use memo::PageMatch;
use table::{RuleAt, Tables};

/// A rule and what it gives.
#[derive(Clone, Debug)]
pub(crate) struct ClassRule {
    pub(crate) rule: Rule,
    /// As it is written.
    pub(crate) text: Box<str>,
    /// Hits that meet one of these it is not for.
    pub(crate) except: Option<Arc<Vec<Exception>>>,
    /// Only hits of these sites; empty = of all.
    pub(crate) sites: Vec<SiteId>,
    /// The category whose rule it is.
    pub(crate) of: CategoryId,
    /// What hits fall in: the category and others, or others alone.
    pub(crate) gives: Box<[CategoryId]>,
    /// The first day on which it is retired.
    pub(crate) until: Option<Day>,
}

/// An exception of a category, as written and read.
#[derive(Clone, Debug)]
pub(crate) struct Exception {
    pub(crate) text: Box<str>,
    pub(crate) node: Node,
}

impl ClassRule {
    /// The rule's tests, and those of its exceptions.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        let except = self.except.iter().flat_map(|all| all.iter());
        std::iter::once(&self.rule.node).chain(except.map(|own| &own.node))
    }

    fn any_field(&self, is_so: impl Fn(&Field) -> bool) -> bool {
        self.nodes().any(|node| node.any_test(&mut |test| is_so(&test.field)))
    }

    /// Whether the page alone decides it for page views.
    fn page_only(&self) -> bool {
        let is_bound = !self.sites.is_empty() || self.until.is_some() || self.rule.names_event;
        !is_bound && !self.any_field(|field| !matches!(field, Field::Page(_)))
    }

    /// Whether it asks for any fact of the page.
    fn asks_page(&self) -> bool {
        self.any_field(|field| matches!(field, Field::Page(_)))
    }

    /// Whether it asks for something that is never stored.
    pub(crate) fn asks_fleeting(&self) -> bool {
        self.any_field(|field| matches!(field, Field::Fleeting(_)))
    }

    /// Whether it is for hits of this site and day.
    pub(crate) fn takes(&self, site: SiteId, day: Day) -> bool {
        (self.sites.is_empty() || self.sites.contains(&site))
            && self.until.is_none_or(|until| day < until)
    }

    /// Whether a hit falls under it; `None` when that hangs on facts that are not given.
    pub(crate) fn decide(&self, facts: &Facts<'_>) -> Option<bool> {
        let holds = self.rule.decide(facts);
        let mut except = self.except.iter().flat_map(|all| all.iter());
        if holds == Some(false) || self.except.is_none() {
            return holds;
        }
        let mut open = holds.is_none();
        loop {
            match except.next().map(|own| own.node.decide(facts)) {
                Some(Some(true)) => return Some(false),
                Some(Some(false)) => {}
                Some(None) => open = true,
                None => return (!open).then_some(true),
            }
        }
    }

    /// Whether its tests hold, whatever the event.
    fn touches(&self, facts: &Facts<'_>) -> bool {
        let mut except = self.except.iter().flat_map(|all| all.iter());
        self.rule.node.decide(facts) == Some(true)
            && !except.any(|own| own.node.decide(facts) == Some(true))
    }

    /// Whether it does not hold, and would if one test or exception were otherwise.
    fn nearly(&self, facts: &Facts<'_>) -> bool {
        if self.rule.holds(facts) {
            self.decide(facts) != Some(true)
        } else {
            self.rule.nearly_holds(facts)
        }
    }

    fn fired(&self, facts: &Facts<'_>) -> Fired {
        let mut evidence = Vec::new();
        self.rule.node.evidence(&self.text, facts, &mut evidence);
        for own in self.except.iter().flat_map(|all| all.iter()) {
            if own.node.decide(facts) == Some(true) {
                own.node.evidence(&own.text, facts, &mut evidence);
            }
        }
        let except: Vec<&str> =
            self.except.iter().flat_map(|all| all.iter()).map(|own| &*own.text).collect();
        let rule = match except.as_slice() {
            [] => self.text.clone(),
            all => format!("{}, except {}", self.text, all.join(", except ")).into(),
        };
        Fired { category: self.of, rule, evidence }
    }
}

/// A rule that a hit falls under, or nearly does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fired {
    /// The category whose rule it is.
    pub category: CategoryId,
    /// The rule and its exceptions, as they are written.
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
    /// What categories give, and until when, for hits that say where they fired at admission; and
    /// for those that a partner declared in a category that it fills.
    lines: HashMap<(CategoryId, bool), Vec<Group>>,
    sites: HashMap<SiteId, SiteFacts>,
}

/// What a category gives until this day.
type Group = (Option<Day>, Box<[CategoryId]>);

static NO_PAGE: LazyLock<PageFacts> = LazyLock::new(PageFacts::default);

impl Classifier {
    pub(crate) fn new(
        rules: Vec<ClassRule>,
        lines: HashMap<(CategoryId, bool), Vec<Group>>,
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
        let asks_page = |at: &RuleAt| rules.get(*at as usize).is_some_and(ClassRule::asks_page);
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
        let groups = |all: &[Group]| -> Vec<Group> {
            all.iter().map(|(until, gives)| (*until, keep(gives))).collect()
        };
        let lines = self.lines.iter().map(|(id, all)| (*id, groups(all)));
        let mut restricted = Self::new(rules.collect(), lines.collect(), self.sites.clone());
        restricted.only = Some(categories.clone());
        restricted
    }

    /// What a hit says of a fact, in its site's time zone; see [`Fact::of`].
    #[must_use]
    pub fn fact(&self, fact: &Fact, hit: &Hit) -> Option<String> {
        fact.of(hit, self.sites.get(&hit.site))
    }

    /// The categories of a hit on this page, into `out`: ascending, each once, ancestors and
    /// [`CategoryId::ALL`] included. Engagement falls where a view of its page does.
    ///
    /// `page` is the page that `hit.page` is the key of (an empty one when the hit has none);
    /// `memo` is used with this classifier alone.
    pub fn classify(&self, memo: &mut PageMemo, hit: &Hit, page: &Page, out: &mut Vec<CategoryId>) {
        out.clear();
        if hit.is_declared() {
            return self.put_fired(hit, out);
        }
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
        self.put_fired(hit, out);
        if out.len() > before {
            out.sort_unstable();
            out.dedup();
        }
    }

    /// What the categories give that fired at admission, or that a partner declared.
    fn put_fired(&self, hit: &Hit, out: &mut Vec<CategoryId>) {
        for id in &hit.fired {
            let groups = self.lines.get(&(*id, hit.is_declared())).into_iter().flatten();
            let open = groups.filter(|(until, _)| until.is_none_or(|until| hit.day() < until));
            out.extend(open.flat_map(|(_, gives)| gives));
        }
    }

    /// The rules that a hit falls under, then those that it would if one more test held; of each at
    /// most `limit`. Every rule is tried: for a person who asks, not for each hit.
    #[must_use]
    pub fn why(&self, hit: &Hit, page: &Page, limit: usize) -> [Vec<Fired>; 2] {
        let facts = PageFacts::of(page);
        let facts = Facts::new(&facts, HitFacts::of(hit, self.sites.get(&hit.site)));
        let own = |is_so: &dyn Fn(&ClassRule) -> bool| {
            let takes = |own: &&ClassRule| own.takes(hit.site, hit.day()) && is_so(own);
            let mut seen = BTreeSet::new();
            // What is given until different days is one rule.
            let rules = self.rules.iter().filter(takes);
            let rules = rules.filter(|own| seen.insert((own.of, &own.text, &own.sites)));
            rules.map(|rule| rule.fired(&facts)).take(limit).collect()
        };
        [own(&|rule| rule.decide(&facts) == Some(true)), own(&|rule| rule.nearly(&facts))]
    }

    /// The categories one of whose rules holds, whatever the event, without their ancestors.
    pub(crate) fn touched(
        &self,
        page: &Page,
        hit: HitFacts<'_>,
        site: SiteId,
    ) -> BTreeSet<CategoryId> {
        if self.rules.is_empty() {
            return BTreeSet::new();
        }
        let page = PageFacts::of(page);
        let mut found = [&*self.anywhere_page, &*self.anywhere_hit].concat();
        self.tables.find_page(&page, &mut found);
        self.tables.find_hit(&hit, &mut found);
        found.sort_unstable();
        found.dedup();
        let facts = Facts::new(&page, hit);
        let rules = found.into_iter().filter_map(|at| self.rule(at));
        let is_of = |own: &ClassRule| own.sites.is_empty() || own.sites.contains(&site);
        rules.filter(|own| is_of(own) && own.touches(&facts)).map(|own| own.of).collect()
    }

    /// Every rule with its category and its text.
    pub(crate) fn each_rule(&self) -> impl Iterator<Item = (CategoryId, &str, &Rule)> {
        let mut seen = BTreeSet::new();
        let mut once =
            move |own: &'_ ClassRule| seen.insert((own.of, own.text.clone(), own.sites.clone()));
        let rules = self.rules.iter().filter(move |own| once(own));
        rules.map(|own| (own.of, &*own.text, &own.rule))
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
            let decided = rule.decide(&Facts::page_alone(&facts));
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
            let page = if rule.asks_page() { &*page_facts } else { &*NO_PAGE };
            if rule.decide(&Facts::new(page, facts)) == Some(true) {
                out.extend_from_slice(&rule.gives);
            }
        }
    }
}

#[cfg(test)]
mod tests;
