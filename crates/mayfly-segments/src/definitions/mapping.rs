//! Mapping tables between standard taxonomies, as the IAB Tech Lab publishes them: two columns of
//! ids.

use std::collections::HashMap;

use mayfly_core::Retention;

use super::taxonomy::is_version;
use super::{Applied, Definitions};
use crate::compiled::Compiled;
use crate::problem::{Fault, Problem, ProblemKind, Source, Subject};

/// A table that maps the ids of one standard to those of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// Ids with their standards, as `content-1.0:IAB1`, in the order of the file.
    pub(crate) pairs: Vec<(Box<str>, Box<str>)>,
}

impl Mapping {
    /// The standards of a file of this name: `Content 1.0 to Ad Product 2.0.tsv`.
    #[must_use]
    pub fn standards_of(file_name: &str) -> Option<(String, String)> {
        let name = file_name.to_lowercase().replace(".tsv", "");
        let (from, to) = name.split_once(" to ")?;
        let read = |side: &str| {
            let (kind, version) = side.rsplit_once(' ').unwrap_or(("", side));
            is_version(version).then(|| (kind.replace(' ', "-"), version.to_owned()))
        };
        let ((kind, version), (other, newer)) = (read(from)?, read(to)?);
        // `Ad Product 2.0 to 1.1`: of the same kind.
        let other = if other.is_empty() { kind.clone() } else { other };
        Some((format!("{kind}-{version}"), format!("{other}-{newer}")))
    }

    /// Reads a table from one standard to another.
    ///
    /// # Errors
    /// [`ProblemKind::NotAMapping`] where there are not two columns of ids.
    pub fn parse(text: &str, from: &str, to: &str) -> Result<Self, Problem> {
        let mut lines = text.trim_start_matches('\u{feff}').lines();
        let Some(columns) = lines.by_ref().take(2).find_map(columns) else {
            let end = text.lines().next().map_or(0, str::len);
            let fault = Fault::new(ProblemKind::NotAMapping, 0..end);
            return Err(Source::new(Subject::Text, text).problem(fault));
        };
        let read = |line: &str| {
            let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
            let [one, other] = columns.map(|at| cells.get(at).copied().unwrap_or_default());
            let is_pair = !one.is_empty() && !other.is_empty();
            is_pair.then(|| (format!("{from}:{one}").into(), format!("{to}:{other}").into()))
        };
        Ok(Self { pairs: lines.filter_map(read).collect() })
    }
}

/// The places of the first two columns of ids in a line of headers.
pub(super) fn columns(header: &str) -> Option<[usize; 2]> {
    let is_id = |name: &str| {
        let words: Vec<&str> = name.split_whitespace().collect();
        matches!(words.last(), Some(&"ID" | &"UID")) && !words.contains(&"Parent")
    };
    let mut ids = header.split('\t').enumerate().filter(|(_, name)| is_id(name));
    Some([ids.next()?.0, ids.next()?.0])
}

impl Definitions {
    /// The definitions where categories with an id of the one standard and none of the other have
    /// that, too: from left to right, and back where just one row leads there.
    ///
    /// # Errors
    /// What is wrong with them then.
    pub fn map(&self, mapping: &Mapping, retention: Retention) -> Result<Applied, Vec<Problem>> {
        let mut new = Self { version: self.version.saturating_add(1), ..self.clone() };
        let mut there: HashMap<&str, &str> = HashMap::new();
        let mut back: HashMap<&str, Vec<&str>> = HashMap::new();
        for (from, to) in &mapping.pairs {
            there.entry(from).or_insert(to);
            back.entry(to).or_default().push(from);
        }
        let back = back.into_iter().filter_map(|(to, from)| match from.as_slice() {
            [only] => Some((to, *only)),
            [] | [_, _, ..] => None,
        });
        let back: HashMap<&str, &str> = back.collect();
        for category in new.categories.edit_all() {
            let standard = |iab: &str| iab.split_once(':').map(|(own, _)| own.to_owned());
            let mut more: Vec<Box<str>> = Vec::new();
            for iab in &category.iab {
                for found in [&there, &back].into_iter().filter_map(|way| way.get(&**iab)) {
                    let mut all = category.iab.iter().chain(&more);
                    if !all.any(|own| standard(own) == standard(found)) {
                        more.push((*found).into());
                    }
                }
            }
            category.iab.extend(more);
            category.mark_by_ids();
        }
        let next = new.following(self);
        Compiled::new(&next.definitions, retention)?;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DefinitionsFile;

    #[test]
    fn a_table_is_read_whatever_its_columns_are_called() {
        let one = "A\t\tB\t\r\nAP2 Name\tUnique ID\tParent ID\tAP1 UID\tAP1 Parent ID\r\n\
                   Adult\t\t1000\t\t\r\nBars\t1002\t1001\t650\t648\r\n";
        let two = "Content 1.0 Unique ID\tTier\tContent 2.0 Unique ID\nIAB1\tx\t1014\n";
        for (text, from, to, expected) in [
            (
                one,
                "ad-product-2.0",
                "ad-product-1.1",
                ("ad-product-2.0:1002", "ad-product-1.1:650"),
            ),
            (two, "content-1.0", "content-2.0", ("content-1.0:IAB1", "content-2.0:1014")),
        ] {
            let mapping = Mapping::parse(text, from, to).unwrap();
            assert_eq!(mapping.pairs, [(expected.0.into(), expected.1.into())]);
        }
        for text in ["", "a\tb\n", "Unique ID\tParent ID\n"] {
            assert_eq!(
                Mapping::parse(text, "a-1.0", "b-1.0").unwrap_err().kind,
                ProblemKind::NotAMapping
            );
        }
        for (name, expected) in [
            ("Content 1.0 to Ad Product 2.0.tsv", Some(("content-1.0", "ad-product-2.0"))),
            ("Ad Product 2.0 to 1.1.tsv", Some(("ad-product-2.0", "ad-product-1.1"))),
            ("CTV Genre Mapping.tsv", None),
        ] {
            let found = Mapping::standards_of(name);
            assert_eq!(found.as_ref().map(|(a, b)| (&**a, &**b)), expected, "{name}");
        }
    }

    #[test]
    fn ids_are_added_where_they_are_missing_and_the_way_back_is_sure() {
        let text = "format = 1\n[[category]]\nname = 'A'\niab = 'content-1.0:IAB1'\n\
                    [[category]]\nname = 'B'\niab = 'content-2.0:7'\n\
                    [[category]]\nname = 'C'\niab = 'content-2.0:8'\n\
                    [[category]]\nname = 'D'\niab = ['content-1.0:IAB1', 'content-2.0:9']\n";
        let file = DefinitionsFile::parse(text).unwrap();
        let retention = Retention::default();
        let before = Definitions::default().apply(&file, false, retention).unwrap().definitions;
        let table = "Content 1.0 Unique ID\tContent 2.0 Unique ID\n\
                     IAB1\t5\nIAB1\t6\nIAB2\t7\nIAB3\t8\nIAB4\t8\n";
        let mapping = Mapping::parse(table, "content-1.0", "content-2.0").unwrap();
        let after = before.map(&mapping, retention).unwrap().definitions;
        let iab = |name: &str| after.category_named(name).unwrap().iab.join(" ");
        assert_eq!(iab("A"), "content-1.0:IAB1 content-2.0:5");
        assert_eq!(iab("B"), "content-2.0:7 content-1.0:IAB2");
        assert_eq!(iab("C"), "content-2.0:8", "two rows lead there");
        assert_eq!(iab("D"), "content-1.0:IAB1 content-2.0:9", "it has one");
        assert_eq!(after.map(&mapping, retention).unwrap().definitions, after);
    }
}
