//! Whether a rule holds. Three answers: yes, no, and "hangs on facts that are not given".

use mayfly_core::{Attribute, Campaign, Value};

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

    fn some(text: Option<&'a str>) -> Self {
        text.map_or(Self::Absent, Self::text)
    }

    fn number(number: Option<i8>) -> Self {
        number.map_or(Self::Absent, |n| Self::Number(f64::from(n)))
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
            Field::CampaignSource => campaign(facts, |campaign| &campaign.source)?,
            Field::CampaignMedium => campaign(facts, |campaign| &campaign.medium)?,
            Field::CampaignName => campaign(facts, |campaign| &campaign.name)?,
            Field::Device => Found::Text(facts.hit?.context.client.device.label()),
            Field::Os => Found::Text(facts.hit?.context.client.os.label()),
            Field::Browser => Found::Text(facts.hit?.context.client.browser.label()),
            Field::Language => {
                Found::some(facts.hit?.context.language.as_ref().map(|l| l.as_str()))
            }
            Field::Country => Found::some(facts.hit?.context.geo.country()),
            Field::Region => Found::some(facts.hit?.context.geo.region()),
            Field::Hour => Found::number(facts.hit?.local().map(|(hour, _)| hour)),
            Field::Weekday => Found::number(facts.hit?.local().map(|(_, day)| day)),
            Field::Site => Found::some(facts.hit?.site_key()),
            Field::Attribute(name) => attribute(facts.hit?.attributes, name),
            Field::Fleeting(name) => attribute(facts.hit?.fleeting, name),
        })
    }
}

/// A text of the campaign that brought the visitor; `None` when the hit is not given.
fn campaign<'a>(facts: &Facts<'a>, text: fn(&Campaign) -> &str) -> Option<Found<'a>> {
    Some(facts.hit?.referrer.campaign.as_deref().map_or(Found::Absent, |c| Found::text(text(c))))
}

fn attribute<'a>(attributes: &'a [Attribute], name: &str) -> Found<'a> {
    match attributes.iter().find(|a| *a.name == *name).map(|a| &a.value) {
        None => Found::Absent,
        Some(Value::Text(text)) => Found::Text(text),
        Some(Value::Number(n)) => Found::Number(*n),
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
