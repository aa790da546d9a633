//! A `[[word_list]]` of a definitions file: words and phrases that rules share by its name.

use mayfly_core::limits;
use toml::de::DeTable;
use xxhash_rust::xxh3::xxh3_128;

use super::Definitions;
use super::file::{Span, sound};
use super::table::{PlacedText, Table};
use crate::problem::{Fault, ProblemKind};
use crate::rule::{Phrases, WordLists, words};

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

impl Definitions {
    /// The lists of these names, ready to be searched for. Those that are not there are left out.
    pub(crate) fn word_lists<'n>(&self, names: impl Iterator<Item = &'n str>) -> WordLists {
        let found = names.filter_map(|name| self.word_lists.get_key_value(name));
        let phrases = |words: &[Box<str>]| Phrases::new(words.iter().map(|word| &**word));
        found.map(|(name, words)| (name.clone(), phrases(words))).collect()
    }

    /// The names of the word lists.
    pub(crate) fn list_names(&self) -> impl Iterator<Item = &str> {
        self.word_lists.keys().map(|name| &**name)
    }

    /// What changes when a list that a text names does.
    pub(crate) fn lists_in(&self, text: &str) -> u128 {
        if !text.contains("list") {
            return 0;
        }
        let named = self.word_lists.iter().filter(|(name, _)| text.contains(&***name));
        let each = named.map(|(name, words)| format!("{name}\0{}", words.join("\0")));
        each.fold(0, |all, own| all ^ xxh3_128(own.as_bytes()))
    }
}
