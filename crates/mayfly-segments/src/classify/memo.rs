//! What is remembered of pages, so that their rules run once per page version.

use std::collections::HashMap;

use mayfly_core::{CategoryId, PageKey, limits};

use super::table::RuleAt;

/// What a page decides by itself.
#[derive(Clone, Debug, Default)]
pub(super) struct PageMatch {
    /// The categories of a view of this page by page rules alone, with ancestors, sorted.
    pub(super) categories: Box<[CategoryId]>,
    /// Rules that also hang on the hit, and that this page leaves open.
    pub(super) open: Box<[RuleAt]>,
}

/// A bounded memory of pages, for one [`super::Classifier`] only. Holds the pages of the last
/// [`limits::MEMO_PAGES`] to twice as many look-ups of new pages: two generations, the older
/// dropped whole when the younger is full. About 150 bytes a page.
#[derive(Clone, Debug, Default)]
pub struct PageMemo {
    young: HashMap<PageKey, PageMatch>,
    old: HashMap<PageKey, PageMatch>,
}

impl PageMemo {
    /// The match of the page, made by `make` when it is not remembered.
    pub(super) fn get(&mut self, key: PageKey, make: impl FnOnce() -> PageMatch) -> &PageMatch {
        if !self.young.contains_key(&key) {
            let page = self.old.remove(&key).unwrap_or_else(make);
            if self.young.len() >= limits::MEMO_PAGES {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(key, page);
        }
        self.young.entry(key).or_default()
    }

    /// Pages remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
