//! The sites that a collector takes hits for: an immutable table, swapped whole.

use std::collections::HashMap;
use std::sync::Arc;

use mayfly_core::{Origin, Partner, Site};
use mayfly_segments::Arrival;

/// Sites by key, and what the definitions ask of a hit while it comes.
#[derive(Clone, Debug, Default)]
pub struct SiteTable {
    sites: HashMap<Box<str>, Arc<Site>>,
    arrival: Arc<Arrival>,
    partners: Arc<[Partner]>,
}

impl SiteTable {
    /// The site with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Arc<Site>> {
        self.sites.get(key)
    }

    /// The same sites under these definitions.
    #[must_use]
    pub fn with_arrival(self, arrival: Arc<Arrival>) -> Self {
        Self { arrival, ..self }
    }

    /// The same sites with these partners.
    #[must_use]
    pub fn with_partners(self, partners: impl IntoIterator<Item = Partner>) -> Self {
        Self { partners: partners.into_iter().collect(), ..self }
    }

    /// The partners, by number.
    #[must_use]
    pub fn partners(&self) -> &[Partner] {
        &self.partners
    }

    /// The partner whom we, or Prebid, call so.
    #[must_use]
    pub fn partner(&self, name: &str) -> Option<&Partner> {
        self.partners.iter().find(|partner| partner.is_called(name))
    }

    /// What the definitions ask of a hit while it comes.
    #[must_use]
    pub fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// Every site, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.sites.values()
    }

    /// Whether some site names this origin: what CORS asks. That a site takes hits from everywhere
    /// lets nobody read.
    #[must_use]
    pub fn names(&self, origin: &str) -> bool {
        self.named(origin).next().is_some()
    }

    /// The sites that name this origin.
    pub fn named(&self, origin: &str) -> impl Iterator<Item = &Arc<Site>> {
        let names = |o: &Origin| matches!(o, Origin::Exact(own) if **own == *origin);
        self.iter().filter(move |site| site.origins.iter().any(names))
    }
}

impl FromIterator<Site> for SiteTable {
    fn from_iter<I: IntoIterator<Item = Site>>(sites: I) -> Self {
        let sites = sites.into_iter().map(|site| (site.key.clone(), Arc::new(site))).collect();
        Self { sites, ..Self::default() }
    }
}
