//! The pages that new hits refer to, kept for the next hits.

use std::collections::HashMap;
use std::sync::Arc;

use mayfly_core::{Hit, Page, PageKey};
use mayfly_store::{Store, StoreError};

/// Pages kept; when there are more, all go and come again as they are needed.
const PAGES: usize = 50_000;

/// A bounded memory of pages.
#[derive(Debug, Default)]
pub(super) struct Pages {
    known: HashMap<PageKey, Arc<Page>>,
    empty: Page,
}

impl Pages {
    /// Fetches the pages of these hits; answers how many hits have a page that is not there.
    pub(super) async fn fetch(&mut self, store: &Store, hits: &[Hit]) -> Result<i64, StoreError> {
        if self.known.len() > PAGES {
            self.known.clear();
        }
        let mut wanted: Vec<PageKey> = hits
            .iter()
            .filter_map(|hit| hit.page)
            .filter(|key| !self.known.contains_key(key))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(0);
        }
        for (key, page) in wanted.iter().zip(store.pages(&wanted).await?) {
            if let Some(page) = page {
                self.known.insert(*key, Arc::new(page));
            }
        }
        let missing = hits.iter().filter(|h| h.page.is_some_and(|k| !self.known.contains_key(&k)));
        Ok(i64::try_from(missing.count()).unwrap_or(i64::MAX))
    }

    /// The hits with their pages; a hit without one has the empty page.
    pub(super) fn of<'a>(&'a self, hits: &'a [Hit]) -> Vec<(&'a Hit, &'a Page)> {
        let page = |hit: &Hit| hit.page.and_then(|key| self.known.get(&key));
        hits.iter().map(|hit| (hit, page(hit).map_or(&self.empty, |page| &**page))).collect()
    }
}
