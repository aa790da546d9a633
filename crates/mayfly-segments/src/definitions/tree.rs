//! The taxonomy as a tree: paths, ancestors, and the effective rules that `since` stands for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mayfly_core::{CategoryId, limits};

use super::{Category, Definitions, RuleText};

/// Between the levels of a path.
pub(super) const BETWEEN: &str = " > ";

/// The levels of a path, trimmed.
pub(super) fn levels(path: &str) -> Vec<&str> {
    path.split('>').map(str::trim).collect()
}

/// A path in its one form.
pub(super) fn tidy(path: &str) -> String {
    levels(path).join(BETWEEN)
}

impl Definitions {
    /// The path of a category: its levels from the top, joined by ` > `. Empty for an unknown id.
    #[must_use]
    pub fn path(&self, id: CategoryId) -> String {
        let mut levels: Vec<&str> =
            self.line(id).filter_map(|id| self.categories.get(&id)).map(|c| &*c.name).collect();
        levels.reverse();
        levels.join(BETWEEN)
    }

    /// The category and its ancestors, upwards, without [`CategoryId::ALL`].
    pub(crate) fn line(&self, id: CategoryId) -> impl Iterator<Item = CategoryId> {
        let up = |id: &CategoryId| self.categories.get(id).map(|c| c.parent);
        std::iter::successors(Some(id), up)
            .take_while(|id| *id != CategoryId::ALL)
            // A document from elsewhere may hold a circle; no tree is deeper than this.
            .take(limits::CATEGORY_DEPTH * 2)
    }

    /// The child of `parent` with this name.
    pub(super) fn child(&self, parent: CategoryId, name: &str) -> Option<CategoryId> {
        let is = |c: &&Category| c.parent == parent && *c.name == *name;
        self.categories.values().find(is).map(|c| c.id)
    }

    /// The category with this tidy path; else the one that had it before. A path below a renamed
    /// category is found by its old name, too.
    pub(super) fn id_of_path(&self, path: &str) -> Option<CategoryId> {
        self.id_of_present_path(path).or_else(|| {
            let was = |c: &&Category| c.was.iter().any(|was| **was == *path);
            if let Some(category) = self.categories.values().find(was) {
                return Some(category.id);
            }
            let (parent, name) = path.rsplit_once(BETWEEN)?;
            self.child(self.id_of_path(parent)?, name)
        })
    }

    /// The category with this tidy path now.
    pub(super) fn id_of_present_path(&self, path: &str) -> Option<CategoryId> {
        levels(path).into_iter().try_fold(CategoryId::ALL, |parent, name| self.child(parent, name))
    }

    /// The effective rules of all categories: each has its own and its descendants', as a set.
    fn effective_rules(&self) -> BTreeMap<CategoryId, BTreeSet<&RuleText>> {
        let mut rules: BTreeMap<CategoryId, BTreeSet<&RuleText>> = BTreeMap::new();
        for category in self.categories.values() {
            for id in self.line(category.id) {
                rules.entry(id).or_default().extend(&category.rules);
            }
        }
        rules
    }

    /// Gives each category whose effective rule is not what it was in `before` this version as
    /// `since`. Ids count too: a new category is new even under an old rule.
    pub(super) fn set_since(&mut self, before: &Self) {
        let (old, new) = (before.effective_rules(), self.effective_rules());
        let since: HashMap<CategoryId, u32> = new
            .iter()
            .map(|(id, rules)| match before.categories.get(id) {
                Some(category) if old.get(id) == Some(rules) => (*id, category.since),
                Some(_) | None => (*id, self.version),
            })
            .collect();
        for (id, category) in &mut self.categories {
            category.since = since.get(id).copied().unwrap_or(category.since);
        }
    }
}
