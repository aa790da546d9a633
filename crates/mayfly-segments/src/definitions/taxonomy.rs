//! Standard taxonomies: the TSV files that the IAB Tech Lab publishes (Content, Audience, Ad
//! Product), read as they are.
//!
//! Source: github.com/InteractiveAdvertisingBureau/Taxonomies. Ids are texts; names are not unique;
//! a row may be its own parent; an id may stand twice, and counts the first time.

use std::collections::HashMap;

use super::mapping;
use super::sensitive::is_sensitive_id;
use crate::problem::{Fault, Problem, ProblemKind, Source, Subject};

/// A standard taxonomy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taxonomy {
    /// Parents before their children.
    pub(crate) nodes: Vec<Node>,
    /// Nodes that are marked as sensitive; so is what lies below them.
    pub sensitive: usize,
}

/// The kinds of standards, as their names begin.
const KINDS: [&str; 3] = ["content", "audience", "ad-product"];

/// Whether a text names a standard: `content-3.1`, `audience-1.1`, `ad-product-2.0`.
#[must_use]
pub fn is_standard(text: &str) -> bool {
    let Some((kind, version)) = text.rsplit_once('-') else { return false };
    KINDS.contains(&kind) && is_version(version)
}

/// Whether a text is a version: `3.1`.
pub(super) fn is_version(text: &str) -> bool {
    matches!(text.as_bytes(), [a, b'.', b] if a.is_ascii_digit() && b.is_ascii_digit())
}

/// A node of a standard taxonomy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    /// Standard and id, as `content-3.1:533`.
    pub(crate) iab: Box<str>,
    /// Place of its parent.
    pub(crate) parent: Option<usize>,
    pub(crate) name: Box<str>,
    pub(crate) is_sensitive: bool,
}

/// Marks a sensitive row of the Content taxonomies.
const SENSITIVE: &str = "SCD";

/// A row as it stands in the file.
struct Row<'t> {
    id: &'t str,
    parent: &'t str,
    name: String,
    is_sensitive: bool,
}

impl Taxonomy {
    /// The standard that a file of this name holds: `Content Taxonomy 3.1.tsv` = `content-3.1`.
    #[must_use]
    pub fn standard_of(file_name: &str) -> Option<String> {
        let name = file_name.to_lowercase();
        let kind = [("audience", "audience"), ("content", "content"), ("ad product", "ad-product")];
        let (_, kind) = kind.into_iter().find(|(word, _)| name.starts_with(word))?;
        let version = name.split([' ', '_']).map(|word| word.trim_end_matches(".tsv"));
        version.into_iter().find(|word| is_version(word)).map(|version| format!("{kind}-{version}"))
    }

    /// Reads a file of this standard.
    ///
    /// # Errors
    /// [`ProblemKind::NotATaxonomy`] where there are no columns of ids and names.
    pub fn parse(text: &str, standard: &str) -> Result<Self, Problem> {
        let is_mapping = text.lines().take(2).any(|line| mapping::columns(line).is_some());
        let Some(rows) = rows(text).filter(|_| !is_mapping) else {
            let end = text.lines().next().map_or(0, str::len);
            let fault = Fault::new(ProblemKind::NotATaxonomy, 0..end);
            return Err(Source::new(Subject::Text, text).problem(fault));
        };
        let mut at: HashMap<&str, usize> = HashMap::new();
        for (place, row) in rows.iter().enumerate() {
            at.entry(row.id).or_insert(place);
        }
        let mut reader = Reader { rows: &rows, at: &at, placed: HashMap::new(), nodes: Vec::new() };
        for (place, row) in rows.iter().enumerate() {
            if at.get(row.id) == Some(&place) {
                reader.place(place, standard, 0);
            }
        }
        let sensitive = reader.nodes.iter().filter(|node| node.is_sensitive).count();
        Ok(Self { nodes: reader.nodes, sensitive })
    }
}

/// Puts rows in an order in which parents come first.
struct Reader<'r, 't> {
    rows: &'r [Row<'t>],
    at: &'r HashMap<&'t str, usize>,
    /// Row to node.
    placed: HashMap<usize, usize>,
    nodes: Vec<Node>,
}

impl Reader<'_, '_> {
    /// The node of a row. A circle of parents ends at the depth that no taxonomy has.
    fn place(&mut self, row: usize, standard: &str, depth: usize) -> usize {
        if let Some(placed) = self.placed.get(&row) {
            return *placed;
        }
        let own = &self.rows[row];
        let above = self.at.get(own.parent).copied().filter(|above| *above != row);
        let above = above.filter(|_| depth < mayfly_core::limits::CATEGORY_DEPTH * 2);
        let parent = above.map(|above| self.place(above, standard, depth + 1));
        let iab: Box<str> = format!("{standard}:{}", own.id).into();
        let is_sensitive = own.is_sensitive || is_sensitive_id(&iab);
        self.nodes.push(Node { iab, parent, name: own.name.as_str().into(), is_sensitive });
        // Placed already where the circle was cut.
        *self.placed.entry(row).or_insert(self.nodes.len() - 1)
    }
}

/// The rows below the headers; `None` when there is no header that is known.
fn rows<'t>(text: &'t str) -> Option<Vec<Row<'t>>> {
    let cells = |line: &'t str| -> Vec<&'t str> { line.split('\t').map(str::trim).collect() };
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(cells);
    let header = lines
        .by_ref()
        .take(2)
        .find(|row| row.iter().any(|cell| matches!(*cell, "Unique ID" | "IAB Code")))?;
    let column = |names: &[&str]| header.iter().position(|cell| names.contains(cell));
    let id = column(&["Unique ID", "IAB Code"])?;
    let parent = column(&["Parent", "Parent ID"]);
    let tiers: Vec<usize> =
        (0..header.len()).filter(|at| header[*at].starts_with("Tier ")).collect();
    let name = column(&["Name", "IAB Category"]);
    let read = |row: Vec<&'t str>| {
        let cell = |at: usize| row.get(at).copied().unwrap_or_default();
        let own = cell(id);
        // Codes of Content 1.0 say their parent themselves: IAB1-2.
        let parent = match parent {
            Some(parent) => cell(parent),
            None => own.rsplit_once('-').map_or("", |(parent, _)| parent),
        };
        let last_tier = tiers.iter().rev().map(|at| cell(*at)).find(|tier| !tier.is_empty());
        let name = name.map(cell).filter(|name| !name.is_empty()).or(last_tier)?;
        let is_sensitive = row.contains(&SENSITIVE);
        Some(Row { id: own, parent, name: sound(name), is_sensitive })
    };
    Some(lines.filter_map(read).filter(|row| !row.id.is_empty() && !row.name.is_empty()).collect())
}

/// A name as a level of a path may be: without the signs of paths and texts, without notes' marks.
fn sound(name: &str) -> String {
    let name = name.trim_end_matches('*').replace('>', "›").replace(['"', '\\'], "'");
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use mayfly_core::Retention;

    use super::*;
    use crate::definitions::Definitions;

    const TSV: &str = "Relational ID System\t\t\tv3.1\t\t\tExtension\r\n\
        Unique ID\tParent\tName\tTier 1\tTier 2\tTier 3\t\r\n\
        2\t1\tCars*\tAutos\tCars\t\t\r\n\
        1\t1\tAutos\tAutos\t\t\t\r\n\
        v9i3On\t2\tA \"big\" > small\tAutos\tCars\tA big\t\r\n\
        \t\t\t\t\t\t\r\n\
        1\t\tCoupe\tCoupe\r\n\
        3\t\tHealth\tHealth\t\t\tSCD\r\n\
        4\t3\tHeart\tHealth\tHeart\t\t\r\n\
        5\t6\tRound\tRound\r\n\
        6\t5\tAbout\tAbout\r\n\
        7\t1\tCars\tAutos\tCars\t\t\r\n";

    fn load(definitions: &Definitions, text: &str, standard: &str, under: &str) -> Definitions {
        let taxonomy = Taxonomy::parse(text, standard).unwrap_or_else(|p| panic!("{p}"));
        let applied = definitions.load(&taxonomy, under, Retention::default());
        applied.unwrap_or_else(|p| panic!("{}", p[0])).definitions
    }

    fn iab(definitions: &Definitions, path: &str) -> Vec<String> {
        let category = definitions.category_named(path).unwrap_or_else(|| panic!("{path}"));
        category.iab.iter().map(|iab| iab.to_string()).collect()
    }

    #[test]
    fn a_file_becomes_a_tree_with_its_ids() {
        let one = load(&Definitions::default(), TSV, "content-3.1", "");
        assert_eq!(iab(&one, "Autos"), ["content-3.1:1"]);
        assert_eq!(iab(&one, "Autos > Cars"), ["content-3.1:2"]);
        assert_eq!(iab(&one, "Autos > Cars (7)"), ["content-3.1:7"]);
        assert_eq!(iab(&one, "Autos > Cars > A 'big' › small"), ["content-3.1:v9i3On"]);
        for (path, expected) in [("Health", true), ("Health > Heart", true), ("Autos", false)] {
            let id = one.category_named(path).unwrap().id;
            assert_eq!(one.is_sensitive(id), expected, "{path}");
        }
        assert_eq!(Taxonomy::parse(TSV, "content-3.1").unwrap().sensitive, 1);
        assert_eq!(one.categories().count(), 8, "a circle is cut");
        let again = load(&one, TSV, "content-3.1", "");
        assert_eq!(again, one, "twice changes nothing");
        assert_eq!(load(&one, TSV, "content-3.1", "Elsewhere"), one, "known by their ids");
    }

    #[test]
    fn what_is_there_keeps_its_rules_and_gets_the_ids_of_several_standards() {
        let text = "format = 1\n[[category]]\nname = 'Autos'\nrule = 'path exists'\n\
                    [[category]]\nname = 'My autos'\niab = 'content-3.1:2'\n";
        let file = crate::DefinitionsFile::parse(text).unwrap();
        let retention = Retention::default();
        let before = Definitions::default().apply(&file, false, retention).unwrap().definitions;
        let one = load(&before, TSV, "content-3.1", "");
        assert_eq!(one.category_named("Autos").unwrap().rules.len(), 1);
        assert_eq!(iab(&one, "Autos > Cars"), ["content-3.1:7"], "2 is known elsewhere");
        assert_eq!(iab(&one, "My autos > A 'big' › small"), ["content-3.1:v9i3On"]);
        let two =
            load(&one, "IAB Code\tTier\tIAB Category\nIAB2\tTier 1\tAutos\n", "content-1.0", "");
        assert_eq!(iab(&two, "Autos"), ["content-3.1:1", "content-1.0:IAB2"]);
        // A file that does not speak of ids takes none away; and the export holds all.
        let kept = two.apply(&file, false, retention).unwrap().definitions;
        assert_eq!(iab(&kept, "Autos").len(), 2);
        let export = crate::DefinitionsFile::parse(&kept.export()).unwrap();
        let fresh = Definitions::default().apply(&export, false, retention).unwrap().definitions;
        assert_eq!(iab(&fresh, "Autos"), iab(&kept, "Autos"));
        let stored = Definitions::from_bytes(&kept.to_bytes().unwrap()).unwrap();
        assert_eq!(stored, kept);
        let taxonomy = Taxonomy::parse(TSV, "content-3.1").unwrap();
        for under in ["a > b > c > d > e > f > g", " ", "a > > b", "*", "a\u{7}"] {
            assert!(Definitions::default().load(&taxonomy, under, retention).is_err(), "{under}");
        }
        // The same file as two standards: each node has both ids, and no two one place.
        let older = load(&Definitions::default(), TSV, "content-3.0", "");
        let both = load(&older, TSV, "content-3.1", "");
        assert_eq!(both.categories().count(), older.categories().count());
        assert_eq!(iab(&both, "Autos > Cars (7)"), ["content-3.0:7", "content-3.1:7"]);
    }

    #[test]
    fn other_files_are_refused_and_standards_are_told_by_name() {
        for text in
            ["", "Unique ID\tName\tOld Unique ID\n1\ta\t2", "a,b\n1,2", "\u{feff}x\ty\n1\t2\n3\t4"]
        {
            let problem = Taxonomy::parse(text, "content-3.1").unwrap_err();
            assert_eq!(problem.kind, ProblemKind::NotATaxonomy, "{text}");
        }
        for (name, standard) in [
            ("Content Taxonomy 3.1.tsv", Some("content-3.1")),
            ("Content Taxonomy 3.0 Descriptive Vectors.tsv", Some("content-3.0")),
            ("Audience_Taxonomy_1.1.tsv", Some("audience-1.1")),
            ("Ad Product Taxonomy 2.0.tsv", Some("ad-product-2.0")),
            ("mine.tsv", None),
        ] {
            assert_eq!(Taxonomy::standard_of(name).as_deref(), standard, "{name}");
        }
    }
}
