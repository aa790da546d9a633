//! What decides which hits a category holds: its own rules, those of the categories below it and of
//! those that imply it, and what these rules hang on. `since` stands for all of that.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::civil::Date;
use mayfly_core::{CategoryId, Day, Timestamp};
use xxhash_rust::xxh3::xxh3_128;

use super::{Category, Definitions, RuleText};

impl Definitions {
    /// The category, and all others that its hits fall in: those above it, those that it implies,
    /// and so on. Sensitive ones are left out.
    #[must_use]
    pub fn gives(&self, id: CategoryId) -> Vec<CategoryId> {
        let mut all = vec![id];
        let mut at = 0;
        while let Some(own) = all.get(at) {
            let own = self.category(*own);
            let more = own.into_iter().flat_map(|own| own.implies.iter().chain([&own.parent]));
            for id in more.copied().filter(|id| *id != CategoryId::ALL) {
                if !all.contains(&id) {
                    all.push(id);
                }
            }
            at += 1;
        }
        all.retain(|other| *other == id || !self.is_sensitive(*other));
        all
    }

    /// The first day on which nothing falls in the category any more: it, or what it lies under, is
    /// retired.
    #[must_use]
    pub fn retired(&self, id: CategoryId) -> Option<Day> {
        let line = self.line(id).filter_map(|id| self.category(id));
        line.filter_map(|own| own.retired).map(day).min()
    }

    /// The rules of a category: its own, and one for its standard ids where sites declare such.
    #[must_use]
    pub fn rules_of(&self, own: &Category) -> Vec<RuleText> {
        let mut rules = own.rules.clone();
        for iab in &own.iab {
            let Some((standard, id)) = iab.split_once(':') else { continue };
            let declares =
                |site: &&mayfly_core::Site| site.plan.declared.as_deref() == Some(standard);
            let sites: Vec<_> = self.sites().filter(declares).map(|site| site.id).collect();
            if !sites.is_empty() {
                let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
                let (id, iab) = (quoted(id), quoted(iab));
                let rule = format!("categories has any (\"{id}\", \"{iab}\")").into();
                rules.push(RuleText { rule, sites });
            }
        }
        rules
    }

    /// The effective rules of all categories, as numbers that stand for them.
    fn effective_rules(&self, zones: &str) -> BTreeMap<CategoryId, BTreeSet<u128>> {
        let mut rules: BTreeMap<CategoryId, BTreeSet<u128>> = BTreeMap::new();
        for category in self.categories() {
            let own = self.fingerprints(category, zones);
            if own.is_empty() {
                rules.entry(category.id).or_default();
                continue;
            }
            for id in self.gives(category.id) {
                rules.entry(id).or_default().extend(&own);
            }
        }
        rules
    }

    /// One number for each rule of the category; none where it is sensitive.
    fn fingerprints(&self, category: &Category, zones: &str) -> Vec<u128> {
        if self.is_sensitive(category.id) {
            return Vec::new();
        }
        let except = category.except.join("\0");
        let retired = self.retired(category.id);
        let number = |RuleText { rule, sites }: &RuleText| {
            let asks_local_time = |text: &str| text.contains("hour") || text.contains("weekday");
            let is_local = asks_local_time(rule) || asks_local_time(&except);
            let lists = self.lists_in(rule) ^ self.lists_in(&except);
            let zones = if is_local { zones } else { "" };
            let all = format!("{rule}\0{sites:?}\0{except}\0{retired:?}\0{lists}\0{zones}");
            xxh3_128(all.as_bytes())
        };
        self.rules_of(category).iter().map(number).collect()
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
        let old = before.effective_rules(&before.zones_known_to(self));
        let new = self.effective_rules(&self.zones_known_to(before));
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
