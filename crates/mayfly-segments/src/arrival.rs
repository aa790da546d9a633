//! What definitions have to say of a hit while it comes: rules over values that are never stored,
//! and which values of a hit some rule reads.

use std::collections::{BTreeSet, HashMap, HashSet};

use mayfly_core::{Admitted, Attribute, Candidate, CategoryId, Denial, Event, Gate, Hit, SiteId};

use crate::classify::{ClassRule, Classifier};
use crate::rule::{Facts, Field, HitFacts, Node, PageFacts, PageField, SiteFacts};

/// The part of compiled definitions that the collector needs.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    fleeting: Vec<ClassRule>,
    sensitive: Classifier,
    sites: HashMap<SiteId, SiteFacts>,
    attributes: HashSet<Box<str>>,
    query: HashSet<Box<str>>,
    events: HashSet<Box<str>>,
}

impl Arrival {
    /// `fleeting` are the rules that read `x.NAME`, `sensitive` those of sensitive categories,
    /// `rules` all others; `filters` what segments ask of hits.
    pub(crate) fn new(
        fleeting: Vec<ClassRule>,
        sensitive: Classifier,
        rules: &[ClassRule],
        filters: &[&Node],
        sites: HashMap<SiteId, SiteFacts>,
    ) -> Self {
        let (mut attributes, mut query) = (HashSet::new(), HashSet::new());
        let mut events = HashSet::new();
        let nodes = rules.iter().chain(&fleeting).flat_map(ClassRule::nodes);
        for node in nodes.chain(filters.iter().copied()) {
            node.each_field(&mut |field| {
                if let Field::Attribute(name) = field {
                    attributes.insert(name.clone());
                }
                if let Field::Page(PageField::Query(name)) = field {
                    query.insert(name.clone());
                }
            });
            events.extend(node.events());
        }
        Self { fleeting, sensitive, sites, attributes, query, events }
    }

    /// Whether some rule reads the attribute of this name.
    #[must_use]
    pub fn reads_attribute(&self, name: &str) -> bool {
        self.attributes.contains(name)
    }

    /// Whether some rule reads the query parameter of this name.
    #[must_use]
    pub fn reads_query(&self, name: &str) -> bool {
        self.query.contains(name)
    }

    /// Whether some rule names this event.
    #[must_use]
    pub fn reads_event(&self, name: &str) -> bool {
        self.events.contains(name)
    }

    /// The sensitive categories whose rules a hit meets, ascending: its page may not be kept. To
    /// be asked before anything is taken out of the hit.
    #[must_use]
    pub fn sensitive(
        &self,
        hit: &Candidate,
        site: SiteId,
        fleeting: &[Attribute],
    ) -> BTreeSet<CategoryId> {
        let facts = HitFacts::sent(hit, fleeting, self.sites.get(&site));
        self.sensitive.touched(&hit.page, facts, site)
    }

    /// Lets a hit of which nothing was taken out through the gate, without its page where that is
    /// sensitive; and the categories that say so.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn admit(
        &self,
        hit: Candidate,
        gate: &Gate<'_>,
    ) -> Result<(Admitted, BTreeSet<CategoryId>), Denial> {
        let sensitive = self.sensitive(&hit, gate.site.id, &[]);
        let mut admitted = Hit::admit(hit, gate)?;
        if !sensitive.is_empty() {
            admitted.forget_page();
        }
        Ok((admitted, sensitive))
    }

    /// The categories that a hit falls in by rules over its values that are never stored, ascending
    /// and without their ancestors.
    #[must_use]
    pub fn fired(&self, hit: &Admitted, site: SiteId, fleeting: &[Attribute]) -> Vec<CategoryId> {
        if fleeting.is_empty() || self.fleeting.is_empty() {
            return Vec::new();
        }
        let Some(page) = hit.page() else { return Vec::new() };
        let page = PageFacts::of(page);
        let facts = HitFacts::coming(hit, fleeting, self.sites.get(&site));
        let holds = |rule: &&ClassRule| {
            let is_view = *facts.event == Event::PageView;
            rule.takes(site, hit.day())
                && (rule.rule.names_event || is_view)
                && rule.decide(&Facts::new(&page, facts)) == Some(true)
        };
        let fired = self.fleeting.iter().filter(holds);
        let mut fired: Vec<_> = fired.map(|rule| rule.of).collect();
        fired.sort_unstable();
        fired.dedup();
        fired
    }
}
