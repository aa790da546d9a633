//! The taxonomy as a tree: paths and ancestors.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;

use mayfly_core::{CategoryId, limits};

use super::{Category, Definitions};

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
}
