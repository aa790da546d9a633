//! The sites that a collector takes hits for: an immutable table, swapped whole.

use std::collections::HashMap;
use std::sync::Arc;

use mayfly_core::Site;

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

    /// Whether some site allows this origin: what CORS asks.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        self.iter().any(|site| site.allows(origin))
    }
}

impl FromIterator<Site> for SiteTable {
    fn from_iter<I: IntoIterator<Item = Site>>(sites: I) -> Self {
        Self(sites.into_iter().map(|site| (site.key.clone(), Arc::new(site))).collect())
    }
}
