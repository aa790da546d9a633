//! Applying a file: the next version of the definitions, wholly or not at all.
//!
//! Additive: what the file does not mention stays, unless it is pruned. `was` renames, moves or
//! merges; the category keeps its id, and its cells while its effective rule is the same.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use mayfly_core::{CategoryId, Retention, SegmentId, Site, SiteId, limits};

use super::change::{Change, changes};
use super::file::{CategoryItem, DefinitionsFile, OnPageItem, SegmentItem, SiteItem, is_path};
use super::table::{Placed, PlacedText};
use super::taxonomy::{Node, Taxonomy};
use super::tree::{BETWEEN, levels, tidy};
use super::word_list::WordListItem;
use super::{Category, Definitions, OnPage, RuleText, Segment, Sensitivity, SiteEntry};
use crate::compiled::{Compiled, Places};
use crate::problem::{Fault, Problem, ProblemKind, Source, Subject, listed};

/// What applying a file gives.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The next version; the same as before when nothing changed.
    pub definitions: Definitions,
    /// What differs.
    pub changes: Vec<Change>,
}

impl Definitions {
    /// These definitions as what follows `before`: the same version where nothing differs.
    pub(super) fn following(mut self, before: &Self) -> Applied {
        self.set_since(before);
        if (Self { version: before.version, ..self.clone() }) == *before {
            self.version = before.version;
        }
        Applied { changes: changes(before, &self), definitions: self }
    }

    /// The definitions after this file. With `prune`, what the file does not mention is removed.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file; then nothing is changed.
    pub fn apply(
        &self,
        file: &DefinitionsFile,
        prune: bool,
        retention: Retention,
    ) -> Result<Applied, Vec<Problem>> {
        let mut draft = Draft::new(self);
        file.sites.iter().for_each(|item| draft.site(item));
        file.word_lists.iter().for_each(|item| draft.word_list(item));
        draft.categories(&file.categories);
        draft.implications(&file.categories);
        file.segments.iter().for_each(|item| draft.segment(item));
        if prune {
            draft.prune();
        }
        draft.finish(self, &file.text, retention)
    }

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

/// The next version while it is made.
struct Draft {
    new: Definitions,
    places: Places,
    faults: Vec<Fault>,
    sites: HashSet<SiteId>,
    categories: HashSet<CategoryId>,
    segments: HashSet<SegmentId>,
    word_lists: HashSet<Box<str>>,
}

impl Draft {
    fn new(before: &Definitions) -> Self {
        let new = Definitions { version: before.version.saturating_add(1), ..before.clone() };
        Self {
            new,
            places: Places::default(),
            faults: Vec::new(),
            sites: HashSet::new(),
            categories: HashSet::new(),
            segments: HashSet::new(),
            word_lists: HashSet::new(),
        }
    }

    /// The next version, if nothing is wrong.
    fn finish(
        mut self,
        before: &Definitions,
        text: &str,
        retention: Retention,
    ) -> Result<Applied, Vec<Problem>> {
        self.limits();
        let Self { new, places, mut faults, .. } = self;
        let next = new.following(before);
        faults.sort_by_key(|fault| fault.span.start);
        let source = Source::new(Subject::File, text);
        let mut problems: Vec<_> = faults.into_iter().map(|fault| source.problem(fault)).collect();
        if let Err(more) = Compiled::build(&next.definitions, retention, &places, text) {
            problems.extend(more);
            problems.sort_by_key(|p| (p.subject != Subject::File, p.line, p.column));
        }
        if !problems.is_empty() {
            return Err(listed(problems.into_iter()));
        }
        Ok(next)
    }

    fn taxonomy(&mut self, taxonomy: &Taxonomy, under: &str) {
        let all = self.new.categories.values();
        let mut known: HashMap<Box<str>, CategoryId> =
            all.flat_map(|c| c.iab.iter().map(|iab| (iab.clone(), c.id))).collect();
        let mut placed = Vec::with_capacity(taxonomy.nodes.len());
        for node in &taxonomy.nodes {
            let id = match (known.get(&node.iab), node.parent.and_then(|at| placed.get(at))) {
                (Some(id), _) => *id,
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
            if node.is_sensitive && category.sensitivity == Sensitivity::Plain {
                category.sensitivity = Sensitivity::Sensitive;
            }
        }
        id
    }

    fn word_list(&mut self, item: &WordListItem) {
        if !self.word_lists.insert(item.name.value.clone()) {
            return self.twice("word list", &item.name);
        }
        self.new.word_lists.insert(item.name.value.clone(), item.words.clone());
    }

    fn fault(&mut self, kind: ProblemKind, span: &Range<usize>) {
        self.faults.push(Fault::new(kind, span.clone()));
    }

    fn twice(&mut self, what: &'static str, name: &PlacedText) {
        self.fault(ProblemKind::Twice { what, name: name.value.clone() }, &name.span);
    }

    fn site(&mut self, item: &SiteItem) {
        let key = &item.key.value;
        let known = self.new.sites.values().find(|entry| entry.site.key == *key);
        let id = match known {
            Some(entry) => entry.site.id,
            None => {
                let id = SiteId(self.new.next_site);
                self.new.next_site = self.new.next_site.saturating_add(1);
                id
            }
        };
        if !self.sites.insert(id) {
            return self.twice("site", &item.key);
        }
        let site = Site { id, ..item.site.clone() };
        self.new.sites.insert(id, SiteEntry { site, removed: false });
    }

    /// Renames first, from the top down, so that what lies below a renamed category is found there.
    fn categories(&mut self, items: &[CategoryItem]) {
        let mut order: Vec<&CategoryItem> = items.iter().collect();
        order.sort_by_key(|item| match item.was.as_slice() {
            [] => usize::MAX,
            [_, ..] => levels(&item.name.value).len(),
        });
        for item in order {
            self.category(item);
        }
    }

    fn category(&mut self, item: &CategoryItem) {
        let path = tidy(&item.name.value);
        let Some(id) = self.place(&path, item) else {
            let kind = ProblemKind::UnderItself { name: item.name.value.clone() };
            return self.fault(kind, &item.name.span);
        };
        if !self.categories.insert(id) {
            return self.twice("category", &item.name);
        }
        for was in &item.was {
            self.merge_path(&tidy(&was.value), id);
        }
        let mut rules = Vec::with_capacity(item.rules.len());
        for (at, rule) in item.rules.iter().enumerate() {
            self.places.rules.insert((id, at), rule.rule.span.clone());
            let sites = self.sites_named(&rule.sites);
            rules.push(RuleText { rule: rule.rule.value.clone(), sites });
        }
        for (at, except) in item.except.iter().enumerate() {
            self.places.exceptions.insert((id, at), except.span.clone());
        }
        let Some(category) = self.new.categories.edit(id) else { return };
        category.rules = rules;
        category.except = item.except.iter().map(|rule| rule.value.clone()).collect();
        category.retired = item.retired;
        if let Some(iab) = &item.iab {
            category.iab = iab.iter().map(|id| id.value.clone()).collect();
        }
        category.mark_by_ids();
        let is_marked = category.sensitivity != Sensitivity::Plain;
        match &item.sensitive {
            Some(Placed { value: false, span }) if is_marked => {
                self.faults.push(Fault::new(ProblemKind::StaysSensitive, span.clone()));
            }
            Some(Placed { value: true, .. }) if !is_marked => {
                category.sensitivity = Sensitivity::Sensitive;
            }
            Some(_) | None => {}
        }
    }

    /// What categories imply, once all of them have their places.
    fn implications(&mut self, items: &[CategoryItem]) {
        for item in items {
            let Some(id) = self.new.id_of_present_path(&tidy(&item.name.value)) else { continue };
            let mut implied = BTreeSet::new();
            for path in &item.implies {
                match self.new.category_named(&path.value) {
                    Some(found) => drop(implied.insert(found.id)),
                    None => {
                        let (name, nearest) =
                            (path.value.clone(), self.new.nearest_category(&path.value));
                        self.fault(ProblemKind::UnknownCategory { name, nearest }, &path.span);
                    }
                }
            }
            if let Some(category) = self.new.categories.edit(id) {
                category.implies = implied.into_iter().collect();
            }
        }
    }

    /// The category of this path: there already, renamed from what it was, or new. `None` when it
    /// would come to lie under itself.
    fn place(&mut self, path: &str, item: &CategoryItem) -> Option<CategoryId> {
        if let Some(id) = self.new.id_of_present_path(path) {
            return Some(id);
        }
        let (parent, name) = path.rsplit_once(BETWEEN).unwrap_or(("", path));
        let was = item.was.iter().find_map(|was| self.new.id_of_present_path(&tidy(&was.value)));
        let parent = if parent.is_empty() { CategoryId::ALL } else { self.ensure(parent) };
        let Some(id) = was else { return Some(self.add(parent, name)) };
        if self.new.line(parent).any(|above| above == id) {
            return None;
        }
        self.remember(id);
        self.new.categories.put(id, parent, name);
        Some(id)
    }

    /// The category of a path, added with its parents where it is missing.
    fn ensure(&mut self, path: &str) -> CategoryId {
        let mut parent = CategoryId::ALL;
        for name in levels(path) {
            parent = match self.new.child(parent, name) {
                Some(id) => id,
                None => self.add(parent, name),
            };
        }
        parent
    }

    fn add(&mut self, parent: CategoryId, name: &str) -> CategoryId {
        let id = CategoryId(self.new.next_category);
        self.new.next_category = self.new.next_category.saturating_add(1);
        let category = Category {
            id,
            parent,
            name: name.into(),
            iab: Vec::new(),
            rules: Vec::new(),
            except: Vec::new(),
            implies: Vec::new(),
            retired: None,
            sensitivity: Sensitivity::Plain,
            was: Vec::new(),
            since: self.new.version,
        };
        self.new.categories.insert(category);
        id
    }

    /// Keeps the present path of a category among those it had.
    fn remember(&mut self, id: CategoryId) {
        let path: Box<str> = self.new.path(id).into();
        if let Some(category) = self.new.categories.edit(id)
            && !category.was.contains(&path)
        {
            category.was.push(path);
        }
    }

    /// Merges the category that has this path now, if any, into `into`.
    fn merge_path(&mut self, path: &str, into: CategoryId) {
        if let Some(from) = self.new.id_of_present_path(path)
            && from != into
            && !self.new.line(into).any(|above| above == from)
        {
            self.merge(from, into);
        }
    }

    fn merge(&mut self, from: CategoryId, into: CategoryId) {
        self.remember(from);
        let mut heir = None;
        for child in self.new.categories.children(from) {
            let name = self.new.categories.get(&child).map(|c| c.name.clone()).unwrap_or_default();
            match self.new.child(into, &name) {
                // It has the name of the one that goes, and comes into its place.
                Some(same) if same == from => {
                    self.remember(child);
                    heir = Some((child, name));
                }
                Some(same) if same != child => self.merge(child, same),
                Some(_) | None => {
                    self.remember(child);
                    self.new.categories.put(child, into, &name);
                }
            }
        }
        let Some(gone) = self.new.categories.remove(from) else { return };
        for other in self.new.categories.edit_all() {
            other.implies.iter_mut().filter(|id| **id == from).for_each(|id| *id = into);
        }
        if let Some((child, name)) = heir {
            self.new.categories.put(child, into, &name);
        }
        if let Some(category) = self.new.categories.edit(into) {
            let new = gone.was.into_iter().filter(|was| !category.was.contains(was));
            let new: Vec<_> = new.collect();
            category.was.extend(new);
            if category.sensitivity == Sensitivity::Plain {
                category.sensitivity = gone.sensitivity;
            }
        }
    }

    fn sites_named(&mut self, keys: &[PlacedText]) -> Vec<SiteId> {
        let mut sites = BTreeSet::new();
        for key in keys {
            match self.new.site(&key.value) {
                Some(site) => {
                    sites.insert(site.id);
                }
                None => {
                    let nearest = self.new.nearest_site(&key.value);
                    let kind = ProblemKind::UnknownSite { name: key.value.clone(), nearest };
                    self.fault(kind, &key.span);
                }
            }
        }
        sites.into_iter().collect()
    }

    fn segment(&mut self, item: &SegmentItem) {
        let named = |name: &str| self.new.segments.values().find(|s| *s.name == *name);
        let known = named(&item.name.value)
            .or_else(|| item.was.iter().find_map(|was| named(&was.value)))
            .map(|s| (s.id, s.name.clone(), s.was.clone()));
        let (id, mut was) = match known {
            Some((id, name, mut was)) => {
                if name != item.name.value && !was.contains(&name) {
                    was.push(name);
                }
                (id, was)
            }
            None => {
                let id = SegmentId(self.new.next_segment);
                self.new.next_segment = self.new.next_segment.saturating_add(1);
                (id, Vec::new())
            }
        };
        was.retain(|was| *was != item.name.value);
        if !self.segments.insert(id) {
            return self.twice("segment", &item.name);
        }
        self.places.segments.insert(id, item.rule.span.clone());
        let on_page = match &item.on_page {
            OnPageItem::Flag(true) => OnPage::Everywhere,
            OnPageItem::Flag(false) => OnPage::Nowhere,
            OnPageItem::Sites(keys) => OnPage::Sites(self.sites_named(keys)),
        };
        let segment = Segment {
            id,
            name: item.name.value.clone(),
            rule: item.rule.value.clone(),
            on_page,
            paused: item.paused,
            notes: item.notes.clone(),
            owner: item.owner.clone(),
            labels: item.labels.clone(),
            iab: item.iab.clone(),
            period: item.period.clone(),
            was,
        };
        self.new.segments.insert(id, segment);
    }

    /// Removes what the file does not mention. Categories above a mentioned one stay.
    fn prune(&mut self) {
        let implied = |id: &CategoryId| self.new.category(*id).map(|own| own.implies.clone());
        let implied = self.categories.iter().filter_map(implied).flatten();
        let named = self.categories.iter().copied().chain(implied);
        let kept: HashSet<CategoryId> = named.flat_map(|id| self.new.line(id)).collect();
        self.new.categories.retain(|id| kept.contains(&id));
        // What stays without being mentioned holds its children together and has no rule.
        for category in self.new.categories.edit_all() {
            if !self.categories.contains(&category.id) {
                category.rules.clear();
                category.except.clear();
                category.implies.clear();
            }
        }
        self.new.word_lists.retain(|name, _| self.word_lists.contains(name));
        self.new.segments.retain(|id, _| self.segments.contains(id));
        for (id, entry) in &mut self.new.sites {
            entry.removed |= !self.sites.contains(id);
        }
    }

    fn limits(&mut self) {
        for (what, number, limit) in [
            ("sites", self.new.sites.len(), limits::SITES),
            ("categories", self.new.categories.len(), limits::CATEGORIES),
            ("segments", self.new.segments.len(), limits::SEGMENTS),
            ("word lists", self.new.word_lists.len(), limits::WORD_LISTS),
        ] {
            if number > limit {
                self.fault(ProblemKind::TooMany { what, limit }, &(0..0));
            }
        }
    }
}
