//! A standard taxonomy put into the tree.

use std::collections::HashMap;

use mayfly_core::{CategoryId, Retention};

use super::apply::{Applied, Draft};
use super::file::is_path;
use super::taxonomy::{Node, Taxonomy};
use super::tree::tidy;
use super::{Definitions, Sensitivity};
use crate::problem::{Problem, ProblemKind};

impl Definitions {
    /// The definitions with a standard taxonomy below the category `under` (empty = at the top).
    /// Nodes that are there already, by id or by place, stay as they are, with their rules, and get
    /// the id where they had it not.
    ///
    /// # Errors
    /// A tree that becomes too deep, or has too many nodes; then nothing is changed.
    pub fn load(
        &self,
        taxonomy: &Taxonomy,
        under: &str,
        retention: Retention,
    ) -> Result<Applied, Vec<Problem>> {
        let mut draft = Draft::new(self);
        draft.taxonomy(taxonomy, under);
        draft.finish(self, under, retention)
    }
}

impl Draft {
    fn taxonomy(&mut self, taxonomy: &Taxonomy, under: &str) {
        let all = self.new.categories.values();
        let mut known: HashMap<Box<str>, CategoryId> =
            all.flat_map(|c| c.iab.iter().map(|iab| (iab.clone(), c.id))).collect();
        let mut placed = Vec::with_capacity(taxonomy.nodes.len());
        for node in &taxonomy.nodes {
            let id = match (known.get(&node.iab), node.parent.and_then(|at| placed.get(at))) {
                (Some(id), _) => {
                    self.mark(*id, node);
                    *id
                }
                (None, Some(parent)) => self.standard(*parent, node),
                (None, None) if under.is_empty() => self.standard(CategoryId::ALL, node),
                (None, None) => {
                    let top = self.ensure(&tidy(under));
                    self.standard(top, node)
                }
            };
            known.insert(node.iab.clone(), id);
            placed.push(id);
        }
        let path = placed.iter().map(|id| self.new.path(*id)).find(|path| !is_path(path));
        if let Some(name) = path {
            let kind = ProblemKind::BadName { what: "category", name: name.into() };
            self.fault(kind, &(0..under.len()));
        }
    }

    /// The category of a standard's node below `parent`. Where another node of the same standard
    /// has the name already, the id stands behind it.
    fn standard(&mut self, parent: CategoryId, node: &Node) -> CategoryId {
        let (standard, number) = node.iab.split_once(':').unwrap_or((&node.iab, ""));
        let of_standard = |iab: &str| iab.split_once(':').is_some_and(|(own, _)| own == standard);
        let there = self.new.child(parent, &node.name).and_then(|id| self.new.categories.get(&id));
        let id = match there {
            Some(there) if there.iab.iter().any(|iab| of_standard(iab)) => {
                let name = format!("{} ({number})", node.name);
                self.new.child(parent, &name).unwrap_or_else(|| self.add(parent, &name))
            }
            Some(there) => there.id,
            None => self.add(parent, &node.name),
        };
        if let Some(category) = self.new.categories.edit(id) {
            category.iab.push(node.iab.clone());
        }
        self.mark(id, node);
        id
    }

    /// Marks a category as its node is.
    fn mark(&mut self, id: CategoryId, node: &Node) {
        if let Some(category) = self.new.categories.edit(id)
            && node.is_sensitive
            && category.sensitivity == Sensitivity::Plain
        {
            category.sensitivity = Sensitivity::Sensitive;
        }
    }
}
