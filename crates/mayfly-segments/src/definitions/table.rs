//! Reading the tables of a TOML file with the place of every key and value.

use std::ops::Range;

use jiff::civil::Date;
use mayfly_core::limits;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{Fault, ProblemKind, nearest};

/// A value and the bytes it takes in the file, quotes included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Placed<T> {
    /// The value.
    pub(crate) value: T,
    /// Where it stands.
    pub(crate) span: Range<usize>,
}

/// A text and its place.
pub(crate) type PlacedText = Placed<Box<str>>;

/// A table whose keys are known.
pub(super) struct Table<'t, 'i> {
    name: &'static str,
    table: &'t DeTable<'i>,
    span: Range<usize>,
    faults: Vec<Fault>,
}

impl<'t, 'i> Table<'t, 'i> {
    /// A table that may have these keys; others are faults.
    pub(super) fn new(
        name: &'static str,
        table: &'t DeTable<'i>,
        span: Range<usize>,
        keys: &[&str],
    ) -> Self {
        let faults = table
            .keys()
            .filter(|key| !keys.contains(&&**key.get_ref()))
            .map(|key| {
                let (text, span) = (key.get_ref(), key.span());
                let nearest = nearest(text, keys.iter().copied());
                let kind = ProblemKind::UnknownKey { table: name, key: (**text).into(), nearest };
                Fault::new(kind, span)
            })
            .collect();
        Self { name, table, span, faults }
    }

    /// What was wrong so far.
    pub(super) fn faults(self) -> Vec<Fault> {
        self.faults
    }

    pub(super) fn fault(&mut self, kind: ProblemKind, span: Range<usize>) {
        self.faults.push(Fault::new(kind, span));
    }

    fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.table.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn wrong(&mut self, key: &'static str, expected: &'static str, span: Range<usize>) {
        self.fault(ProblemKind::WrongType { key: key.into(), expected }, span);
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<PlacedText> {
        let value = self.get(key)?;
        let text = placed_text(value);
        if text.is_none() {
            self.wrong(key, "a text", value.span());
        }
        text
    }

    /// A text that must be there.
    pub(super) fn need_text(&mut self, key: &'static str) -> Option<PlacedText> {
        if !self.has(key) {
            let kind = ProblemKind::MissingKey { table: self.name, key };
            self.fault(kind, self.span.clone());
        }
        self.text(key)
    }

    /// A list of texts; empty when absent.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<PlacedText> {
        const EXPECTED: &str = "a list of texts";
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(key, EXPECTED, value.span());
            return Vec::new();
        };
        let texts: Vec<_> = items.iter().filter_map(placed_text).collect();
        if texts.len() != items.len() {
            self.wrong(key, EXPECTED, value.span());
        }
        texts
    }

    /// A text, or a list of texts; empty when absent.
    pub(super) fn one_or_more(&mut self, key: &'static str) -> Vec<PlacedText> {
        if self.is_list(key) { self.texts(key) } else { self.text(key).into_iter().collect() }
    }

    /// A day of the calendar, with or without quotes.
    pub(super) fn calendar_day(&mut self, key: &'static str) -> Option<Date> {
        let text = self.date(key)?;
        let date: Option<Date> = text.value.parse().ok();
        if date.is_none() {
            self.fault(ProblemKind::BadDate { found: text.value }, text.span);
        }
        date
    }

    fn date(&mut self, key: &'static str) -> Option<PlacedText> {
        let value = self.get(key)?;
        match value.get_ref().as_datetime() {
            Some(date) => Some(Placed { value: date.to_string().into(), span: value.span() }),
            None => self.text(key),
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong(key, "true or false", value.span());
        }
        flag
    }

    /// Whether the value is a list.
    pub(super) fn is_list(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.get_ref().is_array())
    }

    /// A table.
    pub(super) fn table(&mut self, key: &'static str) -> Option<(&'t DeTable<'i>, Range<usize>)> {
        let value = self.get(key)?;
        let table = value.get_ref().as_table().map(|table| (table, value.span()));
        if table.is_none() {
            self.wrong(key, "a table", value.span());
        }
        table
    }

    /// A list of tables; empty when absent.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<(&'t DeTable<'i>, Range<usize>)> {
        const EXPECTED: &str = "a list of tables";
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(key, EXPECTED, value.span());
            return Vec::new();
        };
        let tables: Vec<_> = items
            .iter()
            .filter_map(|item| item.get_ref().as_table().map(|table| (table, item.span())))
            .collect();
        if tables.len() != items.len() {
            self.wrong(key, EXPECTED, value.span());
        }
        tables
    }

    /// Whether this key is the whole number `n`.
    pub(super) fn is_number(&self, key: &str, n: &str) -> bool {
        let number = self.get(key).and_then(|value| value.get_ref().as_integer());
        number.is_some_and(|number| number.radix() == 10 && number.as_str() == n)
    }

    /// A whole number in a range.
    pub(super) fn whole(&mut self, key: &'static str, least: u32, most: u32) -> Option<u32> {
        let value = self.get(key)?;
        let number = value.get_ref().as_integer().filter(|n| n.radix() == 10);
        let number = number.and_then(|n| n.as_str().replace('_', "").parse::<u32>().ok());
        let number = number.filter(|n| (least..=most).contains(n));
        if number.is_none() {
            let kind = ProblemKind::NumberRange { key, least, most };
            self.fault(kind, value.span());
        }
        number
    }

    /// Whole numbers in a range; `None` when absent.
    pub(super) fn wholes(&mut self, key: &'static str, least: u32, most: u32) -> Option<Vec<u32>> {
        let value = self.get(key)?;
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(key, "a list of numbers", value.span());
            return None;
        };
        let number = |item: &Spanned<DeValue<'_>>| {
            let number = item.get_ref().as_integer().filter(|n| n.radix() == 10)?;
            number.as_str().parse::<u32>().ok().filter(|n| (least..=most).contains(n))
        };
        let numbers: Vec<u32> = items.iter().filter_map(number).collect();
        if numbers.len() != items.len() {
            let kind = ProblemKind::NumberRange { key, least, most };
            self.fault(kind, value.span());
        }
        Some(numbers)
    }

    /// The value of one of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| **word == *text.value);
        if found.is_none() {
            let allowed = words.iter().map(|(word, _)| *word).collect();
            self.fault(ProblemKind::UnknownWord { word: text.value, allowed }, text.span);
        }
        found.map(|(_, value)| *value)
    }

    /// At most so many of something.
    pub(super) fn at_most(&mut self, key: &'static str, number: usize, limit: usize) {
        if number > limit {
            self.fault(ProblemKind::TooMany { what: key, limit }, self.place(key));
        }
    }

    /// A list of names, each of them sound.
    pub(super) fn names(
        &mut self,
        key: &'static str,
        is_sound: impl Fn(&str) -> bool,
    ) -> Vec<Box<str>> {
        let texts = self.texts(key);
        self.at_most(key, texts.len(), limits::PLAN_NAMES);
        let mut names = Vec::new();
        for PlacedText { value, span } in texts {
            if is_sound(&value) {
                names.push(value);
            } else {
                self.fault(ProblemKind::BadName { what: key, name: value }, span);
            }
        }
        names
    }

    /// A list of hosts, as URLs have them.
    pub(super) fn hosts(&mut self, key: &'static str) -> Vec<Box<str>> {
        self.names(key, |name| {
            let url = url::Url::parse(&format!("https://{name}/"));
            let is_host = url.is_ok_and(|url| url.host_str() == Some(name) && url.path() == "/");
            is_host && !name.contains('*')
        })
    }

    /// Where the key's value stands, else the table.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.get(key).map_or(self.span.clone(), Spanned::span)
    }
}

fn placed_text(value: &Spanned<DeValue<'_>>) -> Option<PlacedText> {
    let text = value.get_ref().as_str()?;
    Some(Placed { value: text.into(), span: value.span() })
}
