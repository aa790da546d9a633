//! Definitions: sites, categories, segments and partners with their stable ids; the document that
//! the catalog keeps, and the file that people write.
//!
//! [`DefinitionsFile`] is what was written, [`Definitions`] what holds; [`Definitions::apply`]
//! makes the next version from both, wholly or not at all. Ids are never reused: a removed category
//! that comes back is another one; a removed site keeps its number and key, because hits refer to
//! it.

mod apply;
mod change;
mod destination_table;
mod effective;
mod export;
mod export_destination;
pub mod file;
mod form;
mod import;
mod load;
mod mapping;
mod partner_table;
mod period;
mod revert;
mod segment_table;
mod sensitive;
mod site_table;
mod stored;
mod stored_destination;
mod stored_partner;
mod table;
pub mod taxonomy;
mod tree;
mod word_list;

use std::collections::BTreeMap;

use jiff::civil::Date;
use mayfly_core::{CategoryId, CellId, Partner, PartnerId, SegmentId, Site, SiteId};

pub use apply::Applied;
pub use change::{Change, How, Noun};
pub(crate) use effective::Declaring;
pub use file::{DefinitionsFile, Fixture};
pub use form::Fact;
pub use import::{Import, Price};
pub use mapping::Mapping;
pub use period::Period;
pub use sensitive::Sensitivity;
pub use stored::DefinitionsError;
pub use taxonomy::{Taxonomy, is_standard};
pub(crate) use word_list::WordLists;

use crate::destination::{Destination, DestinationId};
use crate::problem::nearest;

/// The name that stands for every hit in expressions.
pub const EVERY_HIT: &str = "*";

/// A rule of a category, as written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleText {
    /// The rule.
    pub rule: Box<str>,
    /// Only hits of these sites; empty = of all.
    pub sites: Vec<SiteId>,
}

/// A node of the taxonomy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Category {
    /// Its number, never reused.
    pub id: CategoryId,
    /// What it lies under; [`CategoryId::ALL`] at the top.
    pub parent: CategoryId,
    /// The last level of its name.
    pub name: Box<str>,
    /// Its ids in standard taxonomies, as `content-3.1:533`.
    pub iab: Vec<Box<str>>,
    /// Its own rules; a hit that meets one of them falls in it.
    pub rules: Vec<RuleText>,
    /// Rules whose hits do not fall in it by its own rules.
    pub except: Vec<Box<str>>,
    /// Categories that its hits fall in, too.
    pub implies: Vec<CategoryId>,
    /// The first UTC day on which nothing falls in it, or below it, any more.
    pub retired: Option<Date>,
    /// Whether it tells what nobody may know.
    pub sensitivity: Sensitivity,
    /// Who fills it, where that is a partner.
    pub import: Option<Import>,
    /// Paths that it had before, or that were merged into it.
    pub was: Vec<Box<str>>,
    /// The definitions version that gave it its present effective rule: its own rules and its
    /// descendants'.
    pub since: u32,
}

/// Where a segment may be read in the page.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum OnPage {
    /// Nowhere.
    #[default]
    Nowhere,
    /// On every site.
    Everywhere,
    /// On these sites.
    Sites(Vec<SiteId>),
}

impl OnPage {
    /// Whether pages of the site may read the segment.
    #[must_use]
    pub fn allows(&self, site: SiteId) -> bool {
        match self {
            Self::Nowhere => false,
            Self::Everywhere => true,
            Self::Sites(sites) => sites.contains(&site),
        }
    }
}

/// A segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its number, never reused.
    pub id: SegmentId,
    /// Its name.
    pub name: Box<str>,
    /// Its expression, as written.
    pub rule: Box<str>,
    /// Where it may be read in the page.
    pub on_page: OnPage,
    /// Nobody enters; members still leave.
    pub paused: bool,
    /// For people.
    pub notes: Box<str>,
    /// Who answers for it.
    pub owner: Box<str>,
    /// Words that it is found and sorted by.
    pub labels: Vec<Box<str>>,
    /// Its ids in standard taxonomies, as `audience-1.1:150`: what it is called on the wire.
    pub iab: Vec<Box<str>>,
    /// When it has members.
    pub period: Period,
    /// Names that it had before.
    pub was: Vec<Box<str>>,
}

/// A site, and whether it was removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteEntry {
    /// The site.
    pub site: Site,
    /// Removed: takes no hits any more; old hits still refer to it.
    pub removed: bool,
}

/// Everything that is defined, in one version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Definitions {
    pub(crate) version: u32,
    /// What its author said of this version.
    pub(crate) why: Box<str>,
    pub(crate) next_site: u32,
    pub(crate) next_category: u32,
    pub(crate) next_segment: u32,
    pub(crate) next_partner: u32,
    pub(crate) next_destination: u32,
    pub(crate) sites: BTreeMap<SiteId, SiteEntry>,
    pub(crate) categories: tree::Tree,
    pub(crate) segments: BTreeMap<SegmentId, Segment>,
    pub(crate) partners: BTreeMap<PartnerId, Partner>,
    pub(crate) destinations: BTreeMap<DestinationId, Destination>,
    /// Words and phrases as written, by the list's name.
    pub(crate) word_lists: BTreeMap<Box<str>, Vec<Box<str>>>,
}

impl Default for Definitions {
    /// Version 0: nothing is defined.
    fn default() -> Self {
        Self {
            version: 0,
            why: Box::default(),
            next_site: 1,
            next_category: 1,
            next_segment: 1,
            next_partner: 1,
            next_destination: 1,
            sites: BTreeMap::new(),
            categories: tree::Tree::default(),
            segments: BTreeMap::new(),
            partners: BTreeMap::new(),
            destinations: BTreeMap::new(),
            word_lists: BTreeMap::new(),
        }
    }
}

impl Definitions {
    /// Grows by one with each change.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The sites that take hits, by number.
    pub fn sites(&self) -> impl Iterator<Item = &Site> {
        self.sites.values().filter(|entry| !entry.removed).map(|entry| &entry.site)
    }

    /// The site with this key, unless it was removed.
    #[must_use]
    pub fn site(&self, key: &str) -> Option<&Site> {
        self.sites().find(|site| *site.key == *key)
    }

    /// The key of a site, also of a removed one.
    #[must_use]
    pub fn site_key(&self, id: SiteId) -> Option<&str> {
        self.sites.get(&id).map(|entry| &*entry.site.key)
    }

    /// The categories, by number.
    pub fn categories(&self) -> impl Iterator<Item = &Category> {
        self.categories.values()
    }

    /// A category.
    #[must_use]
    pub fn category(&self, id: CategoryId) -> Option<&Category> {
        self.categories.get(&id)
    }

    /// The category that this path names now, or named before.
    #[must_use]
    pub fn category_named(&self, path: &str) -> Option<&Category> {
        let path = tree::tidy(path);
        self.id_of_path(&path).and_then(|id| self.categories.get(&id))
    }

    /// What cells of the category are called: the category and its `since`. `"*"` = every hit.
    #[must_use]
    pub fn cell_named(&self, path: &str) -> Option<CellId> {
        if path == EVERY_HIT {
            return Some(CellId { category: CategoryId::ALL, since: 0 });
        }
        let category = self.category_named(path)?;
        Some(CellId { category: category.id, since: category.since })
    }

    /// The segments, by number.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.values()
    }

    /// A segment.
    #[must_use]
    pub fn segment(&self, id: SegmentId) -> Option<&Segment> {
        self.segments.get(&id)
    }

    /// The segment that this name names now, or named before.
    #[must_use]
    pub fn segment_named(&self, name: &str) -> Option<&Segment> {
        let now = self.segments.values().find(|s| *s.name == *name);
        now.or_else(|| self.segments.values().find(|s| s.was.iter().any(|was| **was == *name)))
    }

    /// The partners, by number.
    pub fn partners(&self) -> impl Iterator<Item = &Partner> {
        self.partners.values()
    }

    /// The partner with this number.
    #[must_use]
    pub fn partner_by_id(&self, id: PartnerId) -> Option<&Partner> {
        self.partners.get(&id)
    }

    /// The partner with this key.
    #[must_use]
    pub fn partner(&self, key: &str) -> Option<&Partner> {
        self.partners().find(|partner| *partner.key == *key)
    }

    /// The destinations, by number.
    pub fn destinations(&self) -> impl Iterator<Item = &Destination> {
        self.destinations.values()
    }

    /// The destination with this name.
    #[must_use]
    pub fn destination(&self, name: &str) -> Option<&Destination> {
        self.destinations().find(|own| *own.name == *name)
    }

    pub(crate) fn nearest_category(&self, path: &str) -> Option<Box<str>> {
        let paths: Vec<String> = self.categories.keys().map(|id| self.path(*id)).collect();
        nearest(path, paths.iter().map(String::as_str))
    }

    pub(crate) fn nearest_segment(&self, name: &str) -> Option<Box<str>> {
        nearest(name, self.segments.values().map(|s| &*s.name))
    }

    /// Whether a site has or had this key. A removed site is known: old hits are of it.
    pub(crate) fn knows_site(&self, key: &str) -> bool {
        self.sites.values().any(|entry| *entry.site.key == *key)
    }

    /// The time zones of all sites.
    pub(crate) fn zones(&self) -> String {
        let zone = |entry: &SiteEntry| format!("{}={}", entry.site.id.0, entry.site.time_zone);
        self.sites.values().map(zone).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn nearest_site(&self, key: &str) -> Option<Box<str>> {
        nearest(key, self.sites().map(|site| &*site.key))
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_categories;
#[cfg(test)]
mod tests_of_destinations;
#[cfg(test)]
mod tests_of_imports;
#[cfg(test)]
mod tests_of_partners;
