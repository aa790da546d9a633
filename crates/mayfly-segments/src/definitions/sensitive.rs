//! Sensitive categories: what nobody is sorted by. Hits that meet their rules keep no page and fall
//! nowhere, unless the privacy role has enabled the category and written down on which basis.

use mayfly_core::{CategoryId, Retention};

use super::{Applied, Category, Definitions};
use crate::compiled::Compiled;
use crate::problem::Problem;

/// Whether a category tells what nobody may know.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Sensitivity {
    /// As its parent; at the top not.
    #[default]
    Plain,
    /// It does.
    Sensitive,
    /// It does, and is used on this basis.
    Enabled {
        /// As the privacy role wrote it.
        basis: Box<str>,
    },
}

impl Definitions {
    /// Whether hits may not fall in the category: it is sensitive, or lies below one that is.
    #[must_use]
    pub fn is_sensitive(&self, id: CategoryId) -> bool {
        let mut line = self.line(id).filter_map(|id| self.category(id));
        let marked = line.find(|own| own.sensitivity != Sensitivity::Plain);
        marked.is_some_and(|own| own.sensitivity == Sensitivity::Sensitive)
    }

    /// Whether a category is marked, itself or by what it lies under; enabled or not.
    #[must_use]
    pub fn guards(&self, id: CategoryId) -> bool {
        let mut line = self.line(id).filter_map(|id| self.category(id));
        line.any(|own| own.sensitivity != Sensitivity::Plain)
    }

    /// The definitions with a category enabled on this basis; without one, sensitive again. No
    /// change where it is not sensitive. Segments over what is sensitive again have no members for
    /// it.
    ///
    /// # Errors
    /// What is wrong with them then, under a retention that was shortened.
    pub fn enable(
        &self,
        id: CategoryId,
        basis: Option<&str>,
        retention: Retention,
    ) -> Result<Applied, Vec<Problem>> {
        let mut new = Self { version: self.version.saturating_add(1), ..self.clone() };
        let is_guarded = self.guards(id);
        if let Some(own) = new.categories.edit(id)
            && is_guarded
        {
            own.sensitivity = match basis {
                Some(basis) => Sensitivity::Enabled { basis: basis.into() },
                None => Sensitivity::Sensitive,
            };
        }
        let next = new.following(self);
        Compiled::new(&next.definitions, retention)?;
        Ok(next)
    }
}

impl Category {
    /// Marks it where one of its standard ids is of a sensitive row.
    pub(super) fn mark_by_ids(&mut self) {
        let is_sensitive = self.iab.iter().any(|iab| is_sensitive_id(iab));
        if is_sensitive && self.sensitivity == Sensitivity::Plain {
            self.sensitivity = Sensitivity::Sensitive;
        }
    }
}

/// Standards with the same rows, and the rows.
type Rows = (&'static [&'static str], &'static [(u32, u32)]);

/// Rows that the IAB marks as sensitive (`SCD`), and those of Audience 1.0 that 1.1 has dropped, by
/// standard: numbers from one to another, both included.
const ROWS: [Rows; 3] = [
    (
        &["audience-1.0"],
        &[
            (198, 205),
            (349, 349),
            (351, 351),
            (357, 358),
            (384, 384),
            (396, 396),
            (402, 403),
            (405, 405),
            (552, 580),
            (595, 605),
            (1450, 1450),
            (1457, 1457),
            (1463, 1464),
            (1468, 1468),
            (1509, 1537),
            (1545, 1545),
            (1556, 1584),
        ],
    ),
    (
        &["content-2.0", "content-2.1", "content-2.2"],
        &[
            (136, 136),
            (188, 189),
            (199, 200),
            (211, 211),
            (214, 214),
            (224, 224),
            (231, 231),
            (237, 237),
            (287, 323),
            (387, 388),
            (410, 410),
            (453, 463),
            (465, 465),
            (468, 468),
            (549, 549),
        ],
    ),
    (
        &["content-3.0", "content-3.1"],
        &[
            (135, 135),
            (186, 187),
            (197, 198),
            (209, 209),
            (212, 212),
            (228, 228),
            (234, 234),
            (277, 277),
            (286, 318),
            (323, 323),
            (383, 383),
            (406, 406),
            (429, 429),
            (431, 431),
            (443, 444),
            (451, 461),
            (518, 518),
        ],
    ),
];
/// Those whose ids are no numbers.
const OTHERS: [&str; 3] = ["content-3.0:KHPC6A", "content-3.0:WQC6HR", "content-3.1:KHPC6A"];

/// Whether a standard id, such as `content-3.1:286`, is of a sensitive row.
pub(super) fn is_sensitive_id(iab: &str) -> bool {
    let Some((standard, id)) = iab.split_once(':') else { return false };
    let rows = ROWS.iter().find(|(standards, _)| standards.contains(&standard));
    let within = |number: u32| {
        rows.is_some_and(|(_, rows)| rows.iter().any(|(a, b)| (*a..=*b).contains(&number)))
    };
    id.parse().is_ok_and(within) || OTHERS.contains(&iab)
}
