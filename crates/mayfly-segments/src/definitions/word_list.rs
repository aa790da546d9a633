//! A `[[word_list]]` of a definitions file: words and phrases that rules share by its name.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use mayfly_core::limits;
use toml::de::DeTable;
use xxhash_rust::xxh3::xxh3_128;

use super::Definitions;
use super::file::{Span, sound};
use super::table::{PlacedText, Table};
use crate::problem::{Fault, ProblemKind, nearest};
use crate::rule::{Phrases, words};

/// A `[[word_list]]`.
#[derive(Clone, Debug)]
pub(crate) struct WordListItem {
    pub(crate) name: PlacedText,
    pub(crate) words: Vec<Box<str>>,
}

pub(super) fn word_list(
    table: &DeTable<'_>,
    span: Span,
    faults: &mut Vec<Fault>,
) -> Option<WordListItem> {
    let mut table = Table::new("word_list", table, span, &["name", "words"]);
    let (name, texts) = (table.need_text("name"), table.texts("words"));
    if let Some(name) = &name
        && !sound(&name.value)
    {
        let kind = ProblemKind::BadName { what: "word list", name: name.value.clone() };
        table.fault(kind, name.span.clone());
    }
    if texts.is_empty() {
        let kind = ProblemKind::MissingKey { table: "word_list", key: "words" };
        table.fault(kind, table.place("words"));
    }
    if texts.len() > limits::WORDS_PER_LIST {
        let kind = ProblemKind::TooMany { what: "words in a list", limit: limits::WORDS_PER_LIST };
        table.fault(kind, table.place("words"));
    }
    for text in &texts {
        if words(&text.value) == " " {
            table.fault(ProblemKind::NoWord, text.span.clone());
        }
    }
    faults.extend(table.faults());
    Some(WordListItem { name: name?, words: texts.into_iter().map(|text| text.value).collect() })
}

/// The word lists of some definitions, each made ready to be searched for when it is first asked
/// for.
#[derive(Debug)]
pub(crate) struct WordLists<'d> {
    definitions: &'d Definitions,
    ready: RefCell<HashMap<Box<str>, Phrases>>,
}

impl<'d> WordLists<'d> {
    pub(crate) fn new(definitions: &'d Definitions) -> Self {
        Self { definitions, ready: RefCell::default() }
    }

    /// The phrases of a list; `None` where there is none of that name.
    pub(crate) fn get(&self, name: &str) -> Option<Phrases> {
        let words = self.definitions.word_lists.get(name)?;
        let mut ready = self.ready.borrow_mut();
        let make = || Phrases::new(words.iter().map(|word| &**word));
        Some(ready.entry(name.into()).or_insert_with(make).clone())
    }

    pub(crate) fn nearest(&self, name: &str) -> Option<Box<str>> {
        nearest(name, self.definitions.word_lists.keys().map(|name| &**name))
    }
}

impl Definitions {
    /// What changes when one of these lists does.
    pub(crate) fn words_of(&self, lists: impl IntoIterator<Item = Box<str>>) -> String {
        let names: BTreeSet<Box<str>> = lists.into_iter().collect();
        let of = |name: &str| {
            let words = self.word_lists.get(name).map(|words| words.join("\0"));
            format!("{name}={:x}", xxh3_128(words.unwrap_or_default().as_bytes()))
        };
        names.iter().map(|name| of(name)).collect::<Vec<_>>().join(" ")
    }
}
