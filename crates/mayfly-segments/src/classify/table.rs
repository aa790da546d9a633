//! Tables that find the rules whose anchors a page or hit meets.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aho_corasick::AhoCorasick;
use mayfly_core::limits;
use regex::{RegexSet, RegexSetBuilder};

use super::anchor::{Anchor, HitKey, Relation};
use crate::rule::{HitFacts, PageFacts, PageField, Phrases, words};

/// A rule's place in the classifier.
pub(super) type RuleAt = u32;

/// Everything that can be looked up.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    texts: HashMap<PageField, TextTable>,
    hits: HitTables,
}

type ByText = HashMap<Box<str>, Vec<RuleAt>>;

/// The facts of hits that rules ask for; apart, so that a look-up needs no key to be built.
#[derive(Clone, Debug, Default)]
struct HitTables {
    events: ByText,
    sites: ByText,
    referrer_hosts: ByText,
    referrer_kinds: ByText,
    attributes: ByText,
}

impl HitTables {
    fn add(&mut self, key: HitKey, rule: RuleAt) {
        let (table, text) = match key {
            HitKey::Event(text) => (&mut self.events, text),
            HitKey::Site(text) => (&mut self.sites, text),
            HitKey::ReferrerHost(text) => (&mut self.referrer_hosts, text),
            HitKey::ReferrerKind(text) => (&mut self.referrer_kinds, text),
            HitKey::Attribute(text) => (&mut self.attributes, text),
        };
        table.entry(text).or_default().push(rule);
    }
}

/// The texts of one field that rules ask for.
#[derive(Clone, Debug, Default)]
struct TextTable {
    exact: HashMap<Box<str>, Vec<RuleAt>>,
    prefixes: Affixes,
    suffixes: Affixes,
    words: Option<(AhoCorasick, Vec<Vec<RuleAt>>)>,
    phrases: Option<(AhoCorasick, Vec<Vec<RuleAt>>)>,
    /// Word lists by name.
    lists: HashMap<Box<str>, (Phrases, Vec<RuleAt>)>,
    patterns: Option<(RegexSet, Vec<Vec<RuleAt>>)>,
}

/// Beginnings or endings, found by their lengths.
#[derive(Clone, Debug, Default)]
struct Affixes {
    rules: HashMap<Box<str>, Vec<RuleAt>>,
    lengths: BTreeSet<usize>,
}

impl Affixes {
    fn add(&mut self, text: Box<str>, rules: Vec<RuleAt>) {
        self.lengths.insert(text.len());
        self.rules.insert(text, rules);
    }

    /// The rules of all affixes that `cut` (given a length) takes off a text of `len` bytes.
    fn find<'t>(
        &self,
        len: usize,
        cut: impl Fn(usize) -> Option<&'t str>,
        found: &mut Vec<RuleAt>,
    ) {
        for length in self.lengths.range(..=len) {
            if let Some(rules) = cut(*length).and_then(|affix| self.rules.get(affix)) {
                found.extend(rules);
            }
        }
    }
}

impl Tables {
    /// Tables of these anchors. Gives back the rules whose anchors cannot be put into a table: they
    /// must be tried everywhere.
    pub(super) fn build(anchors: Vec<(Anchor, RuleAt)>) -> (Self, Vec<RuleAt>) {
        let mut tables = Self::default();
        let mut texts: HashMap<(PageField, Relation), BTreeMap<Box<str>, Vec<RuleAt>>> =
            HashMap::new();
        for (anchor, rule) in anchors {
            match anchor {
                Anchor::Hit(key) => tables.hits.add(key, rule),
                Anchor::List(field, name, phrases) => {
                    let lists = &mut tables.texts.entry(field).or_default().lists;
                    lists.entry(name).or_insert_with(|| (phrases, Vec::new())).1.push(rule);
                }
                Anchor::Text(field, relation, text) => {
                    texts.entry((field, relation)).or_default().entry(text).or_default().push(rule);
                }
            }
        }
        let mut left_over = Vec::new();
        for ((field, relation), texts) in texts {
            let exact_case = field.exact_case();
            let table = tables.texts.entry(field).or_default();
            match relation {
                Relation::Is => table.exact = texts.into_iter().collect(),
                Relation::StartsWith => {
                    texts.into_iter().for_each(|(t, r)| table.prefixes.add(t, r))
                }
                Relation::EndsWith => texts.into_iter().for_each(|(t, r)| table.suffixes.add(t, r)),
                Relation::Contains => {
                    table.words = search(texts).map_err(|all| left_over.extend(all)).ok();
                }
                Relation::Mentions => {
                    table.phrases = search(texts).map_err(|all| left_over.extend(all)).ok();
                }
                Relation::Matches => {
                    table.patterns = pattern_set(&texts, exact_case)
                        .map(|set| (set, texts.values().cloned().collect()))
                        .map_err(|_| left_over.extend(texts.values().flatten()))
                        .ok();
                }
            }
        }
        (tables, left_over)
    }

    /// Adds the rules whose anchors the page meets; some may come twice.
    pub(super) fn find_page(&self, page: &PageFacts, found: &mut Vec<RuleAt>) {
        for (field, table) in &self.texts {
            page.each_text(field, &mut |text| table.find(text, found));
        }
    }

    /// Adds the rules whose anchors the hit meets; some may come twice.
    pub(super) fn find_hit(&self, hit: &HitFacts<'_>, found: &mut Vec<RuleAt>) {
        let tables = &self.hits;
        let mut look = |table: &ByText, text: &str| {
            found.extend(table.get(text).into_iter().flatten());
        };
        look(&tables.events, hit.event.name());
        look(&tables.referrer_hosts, &hit.referrer.host);
        look(&tables.referrer_kinds, hit.referrer.kind.label());
        hit.site_key().into_iter().for_each(|site| look(&tables.sites, site));
        hit.attributes.iter().for_each(|a| look(&tables.attributes, &a.name));
    }
}

/// All texts in one search; where that cannot be built, their rules.
fn search(
    texts: BTreeMap<Box<str>, Vec<RuleAt>>,
) -> Result<(AhoCorasick, Vec<Vec<RuleAt>>), Vec<RuleAt>> {
    let built = AhoCorasick::new(texts.keys().map(|text| text.as_bytes()));
    let rules: Vec<Vec<RuleAt>> = texts.into_values().collect();
    match built {
        Ok(search) => Ok((search, rules)),
        Err(_) => Err(rules.concat()),
    }
}

fn pattern_set(
    texts: &BTreeMap<Box<str>, Vec<RuleAt>>,
    exact_case: bool,
) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(texts.keys().map(|text| &**text))
        .case_insensitive(!exact_case)
        .size_limit(limits::REGEX_COMPILED_BYTES.saturating_mul(texts.len()))
        .build()
}

fn find_all(
    (search, rules): &(AhoCorasick, Vec<Vec<RuleAt>>),
    text: &str,
    found: &mut Vec<RuleAt>,
) {
    for own in search.find_overlapping_iter(text) {
        found.extend(rules.get(own.pattern().as_usize()).into_iter().flatten());
    }
}

impl TextTable {
    fn find(&self, text: &str, found: &mut Vec<RuleAt>) {
        if let Some(rules) = self.exact.get(text) {
            found.extend(rules);
        }
        let len = text.len();
        self.prefixes.find(len, |n| text.get(..n), found);
        self.suffixes.find(len, |n| text.get(len - n..), found);
        if let Some(words) = &self.words {
            find_all(words, text, found);
        }
        if self.phrases.is_none() && self.lists.is_empty() {
            return self.find_patterns(text, found);
        }
        let words = words(text);
        if let Some(phrases) = &self.phrases {
            find_all(phrases, &words, found);
        }
        for (phrases, rules) in self.lists.values() {
            if phrases.any_in(&words) {
                found.extend(rules);
            }
        }
        self.find_patterns(text, found);
    }

    fn find_patterns(&self, text: &str, found: &mut Vec<RuleAt>) {
        if let Some((patterns, rules)) = &self.patterns {
            for pattern in patterns.matches(text) {
                found.extend(rules.get(pattern).into_iter().flatten());
            }
        }
    }
}
