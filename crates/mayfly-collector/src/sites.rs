//! The sites that a collector takes hits for: an immutable table, swapped whole.

use std::collections::HashMap;
use std::sync::Arc;

use mayfly_core::{Origin, Site};

/// Sites by key.
#[derive(Clone, Debug, Default)]
pub struct SiteTable(HashMap<Box<str>, Arc<Site>>);

impl SiteTable {
    /// The site with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Arc<Site>> {
        self.0.get(key)
    }

    /// Every site, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.0.values()
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
        Self(sites.into_iter().map(|site| (site.key.clone(), Arc::new(site))).collect())
    }
}
