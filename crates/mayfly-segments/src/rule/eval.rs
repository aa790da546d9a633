//! Whether a rule holds. Three answers: yes, no, and "hangs on facts that are not given".

use mayfly_core::Value;

use super::facts::Facts;
use super::{Check, Field, How, Literal, Node, Order, Test};

/// What a field holds.
enum Found<'a> {
    Absent,
    Text(&'a str),
    Texts(&'a [Box<str>]),
    Number(f64),
}

impl<'a> Found<'a> {
    fn text(text: &'a str) -> Self {
        if text.is_empty() { Self::Absent } else { Self::Text(text) }
    }

    fn texts(texts: &'a [Box<str>]) -> Self {
        if texts.is_empty() { Self::Absent } else { Self::Texts(texts) }
    }
}

impl Node {
    /// Kleene's logic: an undecided part matters only where the others leave it open.
    pub(super) fn decide(&self, facts: &Facts<'_>) -> Option<bool> {
        match self {
            Self::And(nodes) => until(nodes, false, facts),
            Self::Or(nodes) => until(nodes, true, facts),
            Self::Not(node) => node.decide(facts).map(|holds| !holds),
            Self::Test(test) => test.find(facts).map(|found| test.check.holds(&found)),
        }
    }
}

/// `end` as soon as one node says so; else undecided if one is; else the opposite.
fn until(nodes: &[Node], end: bool, facts: &Facts<'_>) -> Option<bool> {
    let mut answer = Some(!end);
    for node in nodes {
        match node.decide(facts) {
            Some(holds) if holds == end => return Some(end),
            Some(_) => {}
            None => answer = None,
        }
    }
    answer
}

impl Test {
    /// The field's value; `None` when the facts of the hit are not given.
    fn find<'a>(&self, facts: &Facts<'a>) -> Option<Found<'a>> {
        let page = facts.page;
        Some(match &self.field {
            Field::Host => Found::text(&page.host),
            Field::Path => Found::text(&page.path),
            Field::Url => Found::text(&page.url),
            Field::Title => Found::text(&page.title),
            Field::Keywords => Found::texts(&page.keywords),
            Field::Categories => Found::texts(&page.categories),
            Field::Query(name) => {
                page.query.get(name).map_or(Found::Absent, |values| Found::Texts(values))
            }
            Field::Event => Found::text(facts.hit?.event.name()),
            Field::ReferrerHost => Found::text(&facts.hit?.referrer.host),
            Field::ReferrerKind => Found::Text(facts.hit?.referrer.kind.label()),
            Field::Site => facts.hit?.site.map_or(Found::Absent, Found::text),
            Field::Attribute(name) => {
                let mut named = facts.hit?.attributes.iter().filter(|a| a.name == *name);
                match named.next().map(|a| &a.value) {
                    None => Found::Absent,
                    Some(Value::Text(text)) => Found::Text(text),
                    Some(Value::Number(n)) => Found::Number(*n),
                }
            }
        })
    }
}

impl Check {
    fn holds(&self, found: &Found<'_>) -> bool {
        match (self, found) {
            (_, Found::Absent) => false,
            (Self::Exists, _) => true,
            (Self::Differs(value), _) => !meets(found, &|one| value.equals(one)),
            (Self::Order(order, bound), _) => {
                meets(found, &|one| one.number().is_some_and(|n| order.holds(n, *bound)))
            }
            (Self::Text { how, values, all }, _) => {
                let holds = |value: &Literal| meets(found, &|one| how.holds(one, value));
                if *all { values.iter().all(holds) } else { values.iter().any(holds) }
            }
            (Self::Matches { patterns, all }, _) => {
                let holds = |pattern: &regex::Regex| {
                    meets(found, &|one| one.with_text(|text| pattern.is_match(text)))
                };
                if *all { patterns.iter().all(holds) } else { patterns.iter().any(holds) }
            }
        }
    }
}

/// One value of a field.
enum One<'a> {
    Text(&'a str),
    Number(f64),
}

impl One<'_> {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text.parse().ok().filter(|n: &f64| n.is_finite()),
            Self::Number(n) => Some(*n),
        }
    }

    fn with_text(&self, holds: impl FnOnce(&str) -> bool) -> bool {
        match self {
            Self::Text(text) => holds(text),
            Self::Number(n) => holds(&n.to_string()),
        }
    }
}

/// Whether one of the values meets the test.
fn meets(found: &Found<'_>, holds: &dyn Fn(&One<'_>) -> bool) -> bool {
    match found {
        Found::Absent => false,
        Found::Text(text) => holds(&One::Text(text)),
        Found::Texts(texts) => texts.iter().any(|text| holds(&One::Text(text))),
        Found::Number(n) => holds(&One::Number(*n)),
    }
}

impl Literal {
    /// Numbers are equal as numbers; texts as texts, and as numbers when written without quotes.
    fn equals(&self, one: &One<'_>) -> bool {
        let numbers = || self.number.is_some() && self.number == one.number();
        match one {
            One::Number(_) => numbers(),
            One::Text(text) => **text == *self.text || self.bare && numbers(),
        }
    }
}

impl How {
    fn holds(self, one: &One<'_>, value: &Literal) -> bool {
        match self {
            Self::Is => value.equals(one),
            Self::Contains => one.with_text(|text| text.contains(&*value.text)),
            Self::StartsWith => one.with_text(|text| text.starts_with(&*value.text)),
            Self::EndsWith => one.with_text(|text| text.ends_with(&*value.text)),
        }
    }
}

impl Order {
    fn holds(self, n: f64, bound: f64) -> bool {
        match self {
            Self::Less => n < bound,
            Self::LessEqual => n <= bound,
            Self::More => n > bound,
            Self::MoreEqual => n >= bound,
        }
    }
}
