//! The taxonomy as a tree: paths, ancestors, and the effective rules that `since` stands for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;

use mayfly_core::{CategoryId, limits};

use super::{Category, Definitions, RuleText, SiteEntry};
use crate::rule::Rule;

/// Between the levels of a path.
pub(super) const BETWEEN: &str = " > ";

/// All categories, by number; and by place, so that a path is found level by level however many
/// there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<CategoryId, Category>,
    children: HashMap<CategoryId, HashMap<Box<str>, CategoryId>>,
}

/// Places follow from the nodes.
impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.nodes == other.nodes
    }
}

impl Eq for Tree {}

impl Deref for Tree {
    type Target = BTreeMap<CategoryId, Category>;

    fn deref(&self) -> &Self::Target {
        &self.nodes
    }
}

impl FromIterator<Category> for Tree {
    fn from_iter<I: IntoIterator<Item = Category>>(categories: I) -> Self {
        let mut tree = Self::default();
        categories.into_iter().for_each(|category| tree.insert(category));
        tree
    }
}

impl Tree {
    pub(super) fn insert(&mut self, category: Category) {
        let place = self.children.entry(category.parent).or_default();
        place.insert(category.name.clone(), category.id);
        self.nodes.insert(category.id, category);
    }

    pub(super) fn remove(&mut self, id: CategoryId) -> Option<Category> {
        let gone = self.nodes.remove(&id)?;
        self.leave(&gone);
        Some(gone)
    }

    /// Takes a category out of its place, unless another one has it.
    fn leave(&mut self, gone: &Category) {
        if let Some(place) = self.children.get_mut(&gone.parent)
            && place.get(&gone.name) == Some(&gone.id)
        {
            place.remove(&gone.name);
        }
    }

    /// Gives a category another place.
    pub(super) fn put(&mut self, id: CategoryId, parent: CategoryId, name: &str) {
        if let Some(category) = self.remove(id) {
            self.insert(Category { parent, name: name.into(), ..category });
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(CategoryId) -> bool) {
        let gone: Vec<CategoryId> = self.nodes.keys().copied().filter(|id| !keep(*id)).collect();
        gone.into_iter().for_each(|id| drop(self.remove(id)));
    }

    /// A category, to be changed in anything but its place.
    pub(super) fn edit(&mut self, id: CategoryId) -> Option<&mut Category> {
        self.nodes.get_mut(&id)
    }

    /// All categories, to be changed in anything but their place.
    pub(super) fn edit_all(&mut self) -> impl Iterator<Item = &mut Category> {
        self.nodes.values_mut()
    }

    /// The children of a category, by number.
    pub(super) fn children(&self, parent: CategoryId) -> Vec<CategoryId> {
        let place = self.children.get(&parent);
        let mut children: Vec<_> = place.into_iter().flat_map(|p| p.values().copied()).collect();
        children.sort_unstable();
        children
    }

    fn child(&self, parent: CategoryId, name: &str) -> Option<CategoryId> {
        self.children.get(&parent)?.get(name).copied()
    }
}

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
    pub fn line(&self, id: CategoryId) -> impl Iterator<Item = CategoryId> {
        let up = |id: &CategoryId| self.categories.get(id).map(|c| c.parent);
        std::iter::successors(Some(id), up)
            .take_while(|id| *id != CategoryId::ALL)
            // A document from elsewhere may hold a circle; no tree is deeper than this.
            .take(limits::CATEGORY_DEPTH * 2)
    }

    /// The child of `parent` with this name.
    pub(super) fn child(&self, parent: CategoryId, name: &str) -> Option<CategoryId> {
        self.categories.child(parent, name)
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

    /// The categories that hang on hours and weekdays, where a site has another zone than before.
    fn of_other_hours(&self, before: &Self) -> BTreeSet<CategoryId> {
        let has_moved = |(id, old): (_, &SiteEntry)| {
            self.sites.get(id).is_some_and(|now| now.site.time_zone != old.site.time_zone)
        };
        if !before.sites.iter().any(has_moved) {
            return BTreeSet::new();
        }
        let reads = |own: &&Category| {
            let mut rules = own.rules.iter().filter_map(|text| Rule::read(&text.rule).ok());
            rules.any(|rule| rule.asks_local_time())
        };
        self.categories.values().filter(reads).flat_map(|own| self.line(own.id)).collect()
    }

    /// Gives each category whose effective rule is not what it was in `before` this version as
    /// `since`; also where the rule reads hours and they are others now. Ids count too: a new
    /// category is new even under an old rule.
    pub(super) fn set_since(&mut self, before: &Self) {
        let moved = self.of_other_hours(before);
        let (old, new) = (before.effective_rules(), self.effective_rules());
        let since: HashMap<CategoryId, u32> = new
            .iter()
            .map(|(id, rules)| match before.categories.get(id) {
                Some(category) if old.get(id) == Some(rules) && !moved.contains(id) => {
                    (*id, category.since)
                }
                Some(_) | None => (*id, self.version),
            })
            .collect();
        for category in self.categories.edit_all() {
            category.since = since.get(&category.id).copied().unwrap_or(category.since);
        }
    }
}
