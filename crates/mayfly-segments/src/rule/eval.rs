//! Whether a rule holds. Three answers: yes, no, and "hangs on facts that are not given".

use mayfly_core::{Attribute, Campaign, Value};

use super::facts::{Facts, HitFacts, PageFacts};
use super::{Check, Field, HitField, How, Literal, Node, Order, PageField, Test};

/// What a field holds.
pub(super) enum Found<'a> {
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

    /// Every value.
    pub(super) fn values(&self) -> Vec<String> {
        match self {
            Self::Absent => Vec::new(),
            Self::Text(text) => vec![(*text).to_owned()],
            Self::Texts(texts) => texts.iter().map(|text| text.to_string()).collect(),
            Self::Number(number) => vec![number.to_string()],
        }
    }
}

impl Node {
    /// Kleene's logic: an undecided part matters only where the others leave it open.
    pub(crate) fn decide(&self, facts: &Facts<'_>) -> Option<bool> {
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
    pub(super) fn find<'a>(&self, facts: &Facts<'a>) -> Option<Found<'a>> {
        Some(match &self.field {
            Field::Page(field) => field.find(facts.page),
            Field::Hit(field) => field.find(facts.hit.as_ref()?),
            Field::Attribute(name) => attribute(facts.hit?.attributes, name),
            Field::Fleeting(name) => attribute(facts.hit?.fleeting, name),
        })
    }
}

impl PageField {
    fn find<'a>(&self, page: &'a PageFacts) -> Found<'a> {
        match self {
            Self::Host => Found::text(&page.host),
            Self::Path => Found::text(&page.path),
            Self::Url => Found::text(&page.url),
            Self::Title => Found::text(&page.title),
            Self::Keywords => Found::texts(&page.keywords),
            Self::Categories => Found::texts(&page.categories),
            Self::Query(name) => {
                page.query.get(name).map_or(Found::Absent, |values| Found::Texts(values))
            }
        }
    }
}

impl HitField {
    /// The field as text; `None` where it is absent.
    pub(crate) fn value(self, hit: &HitFacts<'_>) -> Option<String> {
        self.find(hit).values().pop()
    }

    fn find<'a>(self, hit: &HitFacts<'a>) -> Found<'a> {
        let client = &hit.context.client;
        match self {
            Self::Event => Found::text(hit.event.name()),
            Self::ReferrerHost => Found::text(&hit.referrer.host),
            Self::ReferrerKind => Found::Text(hit.referrer.kind.label()),
            Self::CampaignSource => campaign(hit, |campaign| &campaign.source),
            Self::CampaignMedium => campaign(hit, |campaign| &campaign.medium),
            Self::CampaignName => campaign(hit, |campaign| &campaign.name),
            Self::Device => Found::Text(client.device.label()),
            Self::Os => Found::Text(client.os.label()),
            Self::Browser => Found::Text(client.browser.label()),
            Self::Language => Found::some(hit.context.language.as_ref().map(|l| l.as_str())),
            Self::Country => Found::some(hit.context.geo.country()),
            Self::Region => Found::some(hit.context.geo.region()),
            Self::Hour => Found::number(hit.local().map(|(hour, _)| hour)),
            Self::Weekday => Found::number(hit.local().map(|(_, day)| day)),
            Self::Site => Found::some(hit.site_key()),
        }
    }
}

/// A text of the campaign that brought the visitor.
fn campaign<'a>(hit: &HitFacts<'a>, text: fn(&Campaign) -> &str) -> Found<'a> {
    hit.referrer.campaign.as_deref().map_or(Found::Absent, |own| Found::text(text(own)))
}

fn attribute<'a>(attributes: &'a [Attribute], name: &str) -> Found<'a> {
    match attributes.iter().find(|a| *a.name == *name).map(|a| &a.value) {
        None => Found::Absent,
        Some(Value::Text(text)) => Found::Text(text),
        Some(Value::Number(n)) => Found::Number(*n),
    }
}

impl Check {
    pub(super) fn holds(&self, found: &Found<'_>) -> bool {
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
            (Self::Mentions { phrases, all, .. }, _) => phrases.are_in(&found.values(), *all),
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
