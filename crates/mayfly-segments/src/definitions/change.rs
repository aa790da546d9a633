//! What differs between two versions of the definitions.

use std::collections::HashMap;
use std::fmt;

use mayfly_core::CategoryId;

use super::{Category, Definitions, Segment};

/// What changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Noun {
    /// A site.
    Site,
    /// A category.
    Category,
    /// A segment.
    Segment,
    /// A word list.
    WordList,
    /// A partner.
    Partner,
    /// A destination.
    Destination,
}

/// How it changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum How {
    /// It is new.
    Added,
    /// It has another name or place; its id and cells stay.
    Renamed {
        /// The name it had.
        from: Box<str>,
    },
    /// Which hits or visitors it holds may differ.
    RuleChanged,
    /// Something else about it differs.
    Changed,
    /// It became part of another category.
    Merged {
        /// The other.
        into: Box<str>,
    },
    /// It is gone.
    Removed,
}

/// One difference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// What.
    pub noun: Noun,
    /// Its name: now, or before when it is gone.
    pub name: Box<str>,
    /// How.
    pub how: How,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = match self.noun {
            Noun::Site => "site",
            Noun::Category => "category",
            Noun::Segment => "segment",
            Noun::WordList => "word list",
            Noun::Partner => "partner",
            Noun::Destination => "destination",
        };
        let name = &self.name;
        match &self.how {
            How::Added => write!(f, "+ {noun} {name}"),
            How::Renamed { from } => write!(f, "~ {noun} {name} (was {from})"),
            How::RuleChanged => write!(f, "~ {noun} {name} (rule)"),
            How::Changed => write!(f, "~ {noun} {name}"),
            How::Merged { into } => write!(f, "- {noun} {name} (merged into {into})"),
            How::Removed => write!(f, "- {noun} {name}"),
        }
    }
}

/// Every difference: sites, categories, segments, each by number; what is gone comes last.
pub(super) fn changes(old: &Definitions, new: &Definitions) -> Vec<Change> {
    let mut changes = Vec::new();
    sites(old, new, &mut changes);
    categories(old, new, &mut changes);
    segments(old, new, &mut changes);
    word_lists(old, new, &mut changes);
    partners(old, new, &mut changes);
    destinations(old, new, &mut changes);
    changes
}

fn word_lists(old: &Definitions, new: &Definitions, changes: &mut Vec<Change>) {
    for (name, words) in &new.word_lists {
        match old.word_lists.get(name) {
            Some(before) if before == words => {}
            Some(_) => push(changes, Noun::WordList, name, How::Changed),
            None => push(changes, Noun::WordList, name, How::Added),
        }
    }
    for name in old.word_lists.keys().filter(|name| !new.word_lists.contains_key(*name)) {
        push(changes, Noun::WordList, name, How::Removed);
    }
}

fn partners(old: &Definitions, new: &Definitions, changes: &mut Vec<Change>) {
    for (id, own) in &new.partners {
        match old.partners.get(id) {
            Some(before) if before == own => {}
            Some(before) if before.key != own.key => {
                let from = before.key.clone();
                push(changes, Noun::Partner, &own.key, How::Renamed { from });
            }
            Some(_) => push(changes, Noun::Partner, &own.key, How::Changed),
            None => push(changes, Noun::Partner, &own.key, How::Added),
        }
    }
    for (_, own) in old.partners.iter().filter(|(id, _)| !new.partners.contains_key(id)) {
        push(changes, Noun::Partner, &own.key, How::Removed);
    }
}

fn destinations(old: &Definitions, new: &Definitions, changes: &mut Vec<Change>) {
    for (id, own) in &new.destinations {
        match old.destinations.get(id) {
            Some(before) if before == own => {}
            Some(before) if before.name != own.name => {
                let from = before.name.clone();
                push(changes, Noun::Destination, &own.name, How::Renamed { from });
            }
            Some(_) => push(changes, Noun::Destination, &own.name, How::Changed),
            None => push(changes, Noun::Destination, &own.name, How::Added),
        }
    }
    for (_, own) in old.destinations.iter().filter(|(id, _)| !new.destinations.contains_key(id)) {
        push(changes, Noun::Destination, &own.name, How::Removed);
    }
}

fn push(changes: &mut Vec<Change>, noun: Noun, name: &str, how: How) {
    changes.push(Change { noun, name: name.into(), how });
}

fn sites(old: &Definitions, new: &Definitions, changes: &mut Vec<Change>) {
    for (id, entry) in &new.sites {
        let how = match old.sites.get(id) {
            Some(before) if before == entry => continue,
            Some(_) if entry.removed => How::Removed,
            Some(before) if !before.removed => How::Changed,
            Some(_) | None => How::Added,
        };
        push(changes, Noun::Site, &entry.site.key, how);
    }
}

fn categories(old: &Definitions, new: &Definitions, changes: &mut Vec<Change>) {
    for (id, category) in new.categories.iter() {
        let path = new.path(*id);
        let Some(before) = old.categories.get(id) else {
            push(changes, Noun::Category, &path, How::Added);
            continue;
        };
        let was = old.path(*id);
        if was != path {
            push(changes, Noun::Category, &path, How::Renamed { from: was.into() });
        }
        if before.since != category.since {
            push(changes, Noun::Category, &path, How::RuleChanged);
        } else if *before
            != (Category {
                name: before.name.clone(),
                parent: before.parent,
                was: before.was.clone(),
                ..category.clone()
            })
        {
            push(changes, Noun::Category, &path, How::Changed);
        }
    }
    let merged: HashMap<&str, CategoryId> =
        new.categories.values().flat_map(|c| c.was.iter().map(|was| (&**was, c.id))).collect();
    for id in old.categories.keys().filter(|id| !new.categories.contains_key(id)) {
        let path = old.path(*id);
        let how = match new.id_of_present_path(&path).or(merged.get(&*path).copied()) {
            Some(now) => How::Merged { into: new.path(now).into() },
            None => How::Removed,
        };
        push(changes, Noun::Category, &path, how);
    }
}

fn segments(old: &Definitions, new: &Definitions, changes: &mut Vec<Change>) {
    for (id, segment) in &new.segments {
        let Some(before) = old.segments.get(id) else {
            push(changes, Noun::Segment, &segment.name, How::Added);
            continue;
        };
        if before.name != segment.name {
            let from = before.name.clone();
            push(changes, Noun::Segment, &segment.name, How::Renamed { from });
        }
        if before.rule != segment.rule {
            push(changes, Noun::Segment, &segment.name, How::RuleChanged);
        } else if *before
            != (Segment { name: before.name.clone(), was: before.was.clone(), ..segment.clone() })
        {
            push(changes, Noun::Segment, &segment.name, How::Changed);
        }
    }
    for (id, segment) in old.segments.iter().filter(|(id, _)| !new.segments.contains_key(id)) {
        debug_assert_eq!(*id, segment.id);
        push(changes, Noun::Segment, &segment.name, How::Removed);
    }
}
