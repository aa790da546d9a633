//! Going back to definitions that were in force before.

use mayfly_core::Retention;

use super::change::changes;
use super::{Applied, Change, Definitions, Sensitivity, SiteEntry};
use crate::compiled::Compiled;
use crate::problem::Problem;

impl Definitions {
    /// The definitions as they were in `then`, as the next version: with the ids that they had, so
    /// that what was removed since comes back as itself. A site that came since is removed, as hits
    /// refer to it. What is sensitive now stays so.
    ///
    /// # Errors
    /// What is wrong with them now: a window may be beyond a retention that was shortened.
    pub fn revert(&self, then: &Self, retention: Retention) -> Result<Applied, Vec<Problem>> {
        let mut new = Self {
            version: self.version.saturating_add(1),
            why: self.why.clone(),
            next_site: self.next_site.max(then.next_site),
            next_category: self.next_category.max(then.next_category),
            next_segment: self.next_segment.max(then.next_segment),
            next_partner: self.next_partner.max(then.next_partner),
            next_destination: self.next_destination.max(then.next_destination),
            ..then.clone()
        };
        for (id, entry) in &self.sites {
            let gone = SiteEntry { removed: true, ..entry.clone() };
            new.sites.entry(*id).or_insert(gone);
        }
        for category in new.categories.edit_all() {
            category.sensitivity = match (self.category(category.id), &category.sensitivity) {
                // Who may revert may not take marks off, nor bring a basis back.
                (Some(now), _) => now.sensitivity.clone(),
                (None, Sensitivity::Plain) => Sensitivity::Plain,
                (None, Sensitivity::Sensitive | Sensitivity::Enabled { .. }) => {
                    Sensitivity::Sensitive
                }
            };
        }
        let next = new.following(self);
        Compiled::new(&next.definitions, retention)?;
        Ok(next)
    }

    /// What differs from earlier definitions.
    #[must_use]
    pub fn changes_since(&self, before: &Self) -> Vec<Change> {
        changes(before, self)
    }

    /// What its author said of this version.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// The same, with what its author says of it.
    #[must_use]
    pub fn because(self, why: &str) -> Self {
        Self { why: why.into(), ..self }
    }
}
