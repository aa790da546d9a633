//! Applying a file: the next version of the definitions, wholly or not at all.
//!
//! Additive: what the file does not mention stays, unless it is pruned. `was` renames, moves or
//! merges; the category keeps its id, and its cells while its effective rule is the same.

mod destinations;
mod imports;
mod partners;

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use mayfly_core::{CategoryId, PartnerId, Retention, SegmentId, Site, SiteId, limits};

use super::change::{Change, changes};
use super::file::{CategoryItem, DefinitionsFile, OnPageItem, SegmentItem, SiteItem};
use super::table::{Placed, PlacedText};
use super::tree::{BETWEEN, levels, tidy};
use super::word_list::WordListItem;
use super::{Category, Definitions, OnPage, RuleText, Segment, Sensitivity, SiteEntry};
use crate::compiled::{Compiled, Places};
use crate::destination::DestinationId;
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
        file.partners.iter().for_each(|item| draft.partner(item));
        file.categories.iter().for_each(|item| draft.import(item));
        file.destinations.iter().for_each(|item| draft.destination(item));
        if prune {
            draft.prune();
        }
        draft.unmap();
        file.sites.iter().for_each(|item| draft.sync(item));
        draft.finish(self, &file.text, retention)
    }
}

/// The next version while it is made.
pub(super) struct Draft {
    pub(super) new: Definitions,
    places: Places,
    faults: Vec<Fault>,
    sites: HashSet<SiteId>,
    categories: HashSet<CategoryId>,
    segments: HashSet<SegmentId>,
    word_lists: HashSet<Box<str>>,
    partners: HashSet<PartnerId>,
    destinations: HashSet<DestinationId>,
}

impl Draft {
    pub(super) fn new(before: &Definitions) -> Self {
        let new = Definitions { version: before.version.saturating_add(1), ..before.clone() };
        Self {
            new,
            places: Places::default(),
            faults: Vec::new(),
            sites: HashSet::new(),
            categories: HashSet::new(),
            segments: HashSet::new(),
            word_lists: HashSet::new(),
            partners: HashSet::new(),
            destinations: HashSet::new(),
        }
    }

    /// The next version, if nothing is wrong.
    pub(super) fn finish(
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

    /// What was sensitive in its old place is so in its new one.
    fn stays_sensitive(&mut self, id: CategoryId, was: bool) {
        if was
            && !self.new.is_sensitive(id)
            && let Some(category) = self.new.categories.edit(id)
        {
            category.sensitivity = Sensitivity::Sensitive;
        }
    }

    fn word_list(&mut self, item: &WordListItem) {
        if !self.word_lists.insert(item.name.value.clone()) {
            return self.twice("word list", &item.name);
        }
        self.new.word_lists.insert(item.name.value.clone(), item.words.clone());
    }

    pub(super) fn fault(&mut self, kind: ProblemKind, span: &Range<usize>) {
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
        let inherits = self.new.is_sensitive(id);
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
            Some(Placed { value: false, span }) if is_marked || inherits => {
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
                        // A list of faults is cut; to look for names takes long.
                        let is_told = self.faults.len() <= limits::PROBLEMS;
                        let nearest = is_told.then(|| self.new.nearest_category(&path.value));
                        let (name, nearest) = (path.value.clone(), nearest.flatten());
                        self.fault(ProblemKind::UnknownCategory { name, nearest }, &path.span);
                    }
                }
            }
            implied.remove(&id);
            if let Some(category) = self.new.categories.edit(id) {
                category.implies = implied.into_iter().collect();
            }
        }
        // Merged ones came to be others: each once, and none itself.
        for category in self.new.categories.edit_all() {
            let own = category.id;
            category.implies.sort_unstable();
            category.implies.dedup();
            category.implies.retain(|id| *id != own);
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
        let was = self.new.is_sensitive(id);
        self.new.categories.put(id, parent, name);
        self.stays_sensitive(id, was);
        Some(id)
    }

    /// The category of a path, added with its parents where it is missing.
    pub(super) fn ensure(&mut self, path: &str) -> CategoryId {
        let mut parent = CategoryId::ALL;
        for name in levels(path) {
            parent = match self.new.child(parent, name) {
                Some(id) => id,
                None => self.add(parent, name),
            };
        }
        parent
    }

    pub(super) fn add(&mut self, parent: CategoryId, name: &str) -> CategoryId {
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
            import: None,
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
        let was = self.new.is_sensitive(from);
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
        }
        self.stays_sensitive(into, was);
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

    /// Removes what the file does not mention. Categories above a mentioned one stay, and so do
    /// sensitive ones.
    fn prune(&mut self) {
        let implied = |id: &CategoryId| self.new.category(*id).map(|own| own.implies.clone());
        let implied = self.categories.iter().filter_map(implied).flatten();
        // What is sensitive goes on guarding what is read there.
        let guards = self.new.categories().filter(|own| self.new.guards(own.id));
        let guards: HashSet<CategoryId> = guards.map(|own| own.id).collect();
        let named = self.categories.iter().copied().chain(implied).chain(guards.iter().copied());
        let kept: HashSet<CategoryId> = named.flat_map(|id| self.new.line(id)).collect();
        self.new.categories.retain(|id| kept.contains(&id));
        // What stays without being mentioned holds its children together and has no rule.
        for category in self.new.categories.edit_all() {
            if !self.categories.contains(&category.id) && !guards.contains(&category.id) {
                category.rules.clear();
                category.except.clear();
                category.implies.clear();
                category.retired = None;
                category.import = None;
            }
        }
        self.new.word_lists.retain(|name, _| self.word_lists.contains(name));
        self.new.segments.retain(|id, _| self.segments.contains(id));
        self.new.destinations.retain(|id, _| self.destinations.contains(id));
        // Who is delivered to, or fills a category, stays.
        let receivers = self.new.destinations.values().map(|own| own.partner);
        let sources = self.new.categories().filter_map(|own| Some(own.import.as_ref()?.partner));
        let needed: HashSet<PartnerId> = receivers.chain(sources).collect();
        let partners = &self.partners;
        self.new.partners.retain(|id, _| partners.contains(id) || needed.contains(id));
        for entry in self.new.sites.values_mut() {
            entry.site.sync.retain(|id| self.new.partners.contains_key(id));
        }
        for (id, entry) in &mut self.new.sites {
            entry.removed |= !self.sites.contains(id);
        }
    }

    fn limits(&mut self) {
        let words = self.new.word_lists.values().map(Vec::len).sum();
        let implied = self.new.categories().map(|own| own.implies.len()).max().unwrap_or(0);
        let gives = |own: &Category| self.new.gives(own.id).len();
        let given = match implied {
            0 => 0,
            _ => self.new.categories().map(gives).max().unwrap_or(0),
        };
        for (what, number, limit) in [
            ("sites", self.new.sites.len(), limits::SITES),
            ("categories", self.new.categories.len(), limits::CATEGORIES),
            ("segments", self.new.segments.len(), limits::SEGMENTS),
            ("word lists", self.new.word_lists.len(), limits::WORD_LISTS),
            ("partners", self.new.partners.len(), limits::PARTNERS),
            ("destinations", self.new.destinations.len(), limits::DESTINATIONS),
            ("words in all lists", words, limits::WORDS),
            ("categories that one implies", implied, limits::IMPLIED),
            ("categories that a hit in one falls in", given, limits::GIVEN),
        ] {
            if number > limit {
                self.fault(ProblemKind::TooMany { what, limit }, &(0..0));
            }
        }
    }
}
