//! What decides which hits a category holds: its own rules, those of the categories below it and of
//! those that imply it, and what these rules hang on. `since` stands for all of that.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::civil::Date;
use mayfly_core::{CategoryId, Day, SiteId, Timestamp, limits};
use xxhash_rust::xxh3::xxh3_128;

use super::{Category, Definitions, RuleText};
use crate::rule::Rule;

/// Which sites declare the ids of a standard.
pub(crate) type Declaring<'d> = HashMap<&'d str, Vec<SiteId>>;

/// What a rule of a category stands for, and when what it gives retires.
type Effective = BTreeSet<(u128, Option<Day>)>;

impl Definitions {
    /// The category, and all others that its hits fall in: those above it, those that it implies,
    /// and so on, at most one more than [`limits::GIVEN`]. Sensitive ones are left out, and those
    /// that a partner fills; and those give nothing but themselves.
    #[must_use]
    pub fn gives(&self, id: CategoryId) -> Vec<CategoryId> {
        let (mut all, mut known) = (vec![id], HashSet::from([id]));
        if self.is_imported(id) {
            return all;
        }
        let mut at = 0;
        while let Some(own) = all.get(at)
            && all.len() <= limits::GIVEN
        {
            let own = self.category(*own);
            let more = own.into_iter().flat_map(|own| own.implies.iter().chain([&own.parent]));
            let more = more.filter(|id| **id != CategoryId::ALL && known.insert(**id));
            all.extend(more.copied().collect::<Vec<_>>());
            at += 1;
        }
        let is_open = |id: CategoryId| !self.is_sensitive(id) && !self.is_imported(id);
        all.retain(|other| *other == id || is_open(*other));
        all
    }

    /// What the category gives, by the first day on which it no longer does; its own group first.
    /// A sensitive one never retires: it guards what is read there.
    pub(crate) fn gives_until(&self, id: CategoryId) -> Vec<(Option<Day>, Box<[CategoryId]>)> {
        if self.is_sensitive(id) {
            return vec![(None, [id].into())];
        }
        let own = self.retired(id);
        let mut groups = vec![(own, Vec::new())];
        for given in self.gives(id) {
            let until = own.into_iter().chain(self.retired(given)).min();
            match groups.iter_mut().find(|(of, _)| *of == until) {
                Some((_, group)) => group.push(given),
                None => groups.push((until, vec![given])),
            }
        }
        groups.into_iter().map(|(until, group)| (until, group.into())).collect()
    }

    /// The first day on which nothing falls in the category any more: it, or what it lies under, is
    /// retired.
    #[must_use]
    pub fn retired(&self, id: CategoryId) -> Option<Day> {
        let line = self.line(id).filter_map(|id| self.category(id));
        line.filter_map(|own| own.retired).map(day).min()
    }

    /// The sites that declare ids, also removed ones: their hits are still there.
    pub(crate) fn declaring(&self) -> Declaring<'_> {
        let mut sites = Declaring::new();
        for entry in self.sites.values() {
            if let Some(standard) = &entry.site.plan.declared {
                sites.entry(standard).or_default().push(entry.site.id);
            }
        }
        sites
    }

    /// The rules of a category: its own, and one for each standard id that sites declare.
    pub(crate) fn rules_of(&self, own: &Category, declaring: &Declaring<'_>) -> Vec<RuleText> {
        if own.import.is_some() {
            return Vec::new();
        }
        let mut rules = own.rules.clone();
        for iab in &own.iab {
            let Some((standard, id)) = iab.split_once(':') else { continue };
            if let Some(sites) = declaring.get(standard) {
                let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
                let (id, iab) = (quoted(id), quoted(iab));
                let rule = format!("categories has any (\"{id}\", \"{iab}\")").into();
                rules.push(RuleText { rule, sites: sites.clone() });
            }
        }
        rules
    }

    /// The effective rules of all categories, as numbers that stand for them, as far as they can
    /// differ between the two versions: a site that is only in one of them has no hits in both.
    fn effective_rules(&self, other: &Self) -> BTreeMap<CategoryId, Effective> {
        let zones = self.zones_known_to(other);
        let mut declaring = self.declaring();
        declaring.values_mut().for_each(|sites| sites.retain(|id| other.sites.contains_key(id)));
        declaring.retain(|_, sites| !sites.is_empty());
        let mut rules: BTreeMap<CategoryId, Effective> = BTreeMap::new();
        for category in self.categories() {
            let own = self.fingerprints(category, &zones, &declaring);
            rules.entry(category.id).or_default();
            for (until, given) in self.gives_until(category.id) {
                for id in given {
                    rules.entry(id).or_default().extend(own.iter().map(|n| (*n, until)));
                }
            }
        }
        rules
    }

    /// One number for each rule of the category; none where it is sensitive.
    fn fingerprints(&self, own: &Category, zones: &str, declaring: &Declaring<'_>) -> Vec<u128> {
        if self.is_sensitive(own.id) {
            return Vec::new();
        }
        if let Some(import) = &own.import {
            return vec![xxh3_128(format!("import {}", import.partner.0).as_bytes())];
        }
        let except: Vec<String> =
            own.except.iter().map(|text| self.hangs_on(text, zones)).collect();
        let number = |RuleText { rule, sites }: &RuleText| {
            let all = format!("{}\0{sites:?}\0{except:?}", self.hangs_on(rule, zones));
            xxh3_128(all.as_bytes())
        };
        self.rules_of(own, declaring).iter().map(number).collect()
    }

    /// A rule's text, and what else it hangs on: word lists, and the zones of sites.
    fn hangs_on(&self, text: &str, zones: &str) -> String {
        if !["list", "hour", "weekday"].iter().any(|word| text.contains(word)) {
            return text.to_owned();
        }
        let Ok(rule) = Rule::read(text) else { return text.to_owned() };
        let zones = if rule.node.asks_local_time() { zones } else { "" };
        format!("{text}\0{}\0{zones}", self.words_of(rule.node.lists()))
    }

    /// The time zones of the sites that are in both versions.
    fn zones_known_to(&self, other: &Self) -> String {
        let both = self.sites.iter().filter(|(id, _)| other.sites.contains_key(id));
        let zones = both.map(|(id, entry)| format!("{}={}", id.0, entry.site.time_zone));
        zones.collect::<Vec<_>>().join(" ")
    }

    /// Gives each category whose effective rule is not what it was in `before` this version as
    /// `since`. Ids count too: a new category is new even under an old rule.
    pub(super) fn set_since(&mut self, before: &Self) {
        let (old, new) = (before.effective_rules(self), self.effective_rules(before));
        let since: HashMap<CategoryId, u32> = new
            .iter()
            .map(|(id, rules)| match before.category(*id) {
                Some(category) if old.get(id) == Some(rules) => (*id, category.since),
                Some(_) | None => (*id, self.version),
            })
            .collect();
        for category in self.categories.edit_all() {
            category.since = since.get(&category.id).copied().unwrap_or(category.since);
        }
    }
}

/// A date as a day; what lies before 1970 is its first day.
fn day(date: Date) -> Day {
    let at =
        date.to_zoned(jiff::tz::TimeZone::UTC).map_or(i64::MAX, |at| at.timestamp().as_second());
    let before = Day::default();
    if at < 0 { before } else { Timestamp::from_secs(at).day().unwrap_or(Day(u16::MAX)) }
}
