//! Anchors: what must be true of a hit for a rule to hold at all, in a form that tables can find.
//!
//! A rule is a candidate only where one of its anchors is met; then it is evaluated in full. So an
//! anchor may be met too often, never too seldom.

use crate::rule::{Check, Field, HitField, How, Literal, Node, PageField, Phrases, Test};

/// Something that tables find quickly.
#[derive(Clone, Debug)]
pub(super) enum Anchor {
    /// A text of the page relates so to this one.
    Text(PageField, Relation, Box<str>),
    /// A text of the page mentions one of this word list.
    List(PageField, Box<str>, Phrases),
    /// A fact of the hit.
    Hit(HitKey),
}

/// How a text of the page relates to an anchor's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Relation {
    Is,
    StartsWith,
    EndsWith,
    Contains,
    Mentions,
    Matches,
}

/// A fact of a hit that can be looked up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum HitKey {
    Event(Box<str>),
    Site(Box<str>),
    ReferrerHost(Box<str>),
    ReferrerKind(Box<str>),
    /// The attribute is there, whatever its value.
    Attribute(Box<str>),
}

impl Anchor {
    /// How many hits it probably meets, and what looking it up costs: less is better. Anchors on
    /// the page come first, for they are looked up once per page.
    fn cost(&self) -> u32 {
        match self {
            Self::Text(PageField::Host, Relation::Is, _) => 3,
            Self::Text(_, Relation::Is, _) => 1,
            Self::Text(_, Relation::StartsWith | Relation::EndsWith | Relation::Contains, _) => 2,
            Self::Text(_, Relation::Mentions, _) | Self::List(..) => 3,
            Self::Text(_, Relation::Matches, _) => 8,
            Self::Hit(HitKey::Attribute(_) | HitKey::ReferrerHost(_)) => 20,
            Self::Hit(HitKey::Event(_)) => 30,
            Self::Hit(HitKey::Site(_) | HitKey::ReferrerKind(_)) => 40,
        }
    }
}

/// The anchors of a rule: it holds only where one of them is met. `None`: it may hold anywhere.
pub(super) fn anchors(node: &Node) -> Option<Vec<Anchor>> {
    match node {
        Node::And(nodes) => nodes
            .iter()
            .filter_map(anchors)
            .min_by_key(|set| (set.iter().map(Anchor::cost).max().unwrap_or(0), set.len())),
        Node::Or(nodes) => {
            let sets: Option<Vec<_>> = nodes.iter().map(anchors).collect();
            sets.map(|sets| sets.into_iter().flatten().collect())
        }
        Node::Not(_) => None,
        Node::Test(test) => of_test(test),
    }
}

fn of_test(test: &Test) -> Option<Vec<Anchor>> {
    if let Field::Attribute(name) = &test.field {
        // An absent attribute meets no test.
        return Some(vec![Anchor::Hit(HitKey::Attribute(name.clone()))]);
    }
    match &test.check {
        Check::Exists | Check::Differs(_) | Check::Order(..) => None,
        Check::Text { how, values, all } => {
            let set: Option<Vec<_>> =
                values.iter().map(|value| of_value(&test.field, *how, value)).collect();
            if *all { longest(set?) } else { set }
        }
        Check::Matches { patterns, all } => {
            let Field::Page(field) = &test.field else { return None };
            let text = |pattern: &regex::Regex| {
                Anchor::Text(field.clone(), Relation::Matches, pattern.as_str().into())
            };
            let set: Vec<_> = patterns.iter().map(text).collect();
            if *all { longest(set) } else { Some(set) }
        }
        Check::Mentions { phrases, all, list } => {
            let Field::Page(field) = &test.field else { return None };
            if let Some(name) = list {
                return Some(vec![Anchor::List(field.clone(), name.clone(), phrases.clone())]);
            }
            let anchor = |own: &str| Anchor::Text(field.clone(), Relation::Mentions, own.into());
            let set: Vec<_> = phrases.iter().map(anchor).collect();
            if *all { longest(set) } else { Some(set) }
        }
    }
}

/// Where all must be met, the longest is met least often.
fn longest(set: Vec<Anchor>) -> Option<Vec<Anchor>> {
    let length = |anchor: &Anchor| match anchor {
        Anchor::Text(_, _, text) => text.len(),
        Anchor::List(..) | Anchor::Hit(_) => 0,
    };
    set.into_iter().max_by_key(length).map(|anchor| vec![anchor])
}

fn of_value(field: &Field, how: How, value: &Literal) -> Option<Anchor> {
    let relation = match how {
        How::Is if value.bare => return None, // equal as a number, written in other ways
        How::Is => Relation::Is,
        How::Contains => Relation::Contains,
        How::StartsWith => Relation::StartsWith,
        How::EndsWith => Relation::EndsWith,
    };
    let text = value.text.clone();
    match field {
        Field::Page(field) => Some(Anchor::Text(field.clone(), relation, text)),
        Field::Hit(field) if how == How::Is => of_hit(*field, text),
        Field::Hit(_) | Field::Attribute(_) | Field::Fleeting(_) => None,
    }
}

fn of_hit(field: HitField, text: Box<str>) -> Option<Anchor> {
    Some(Anchor::Hit(match field {
        HitField::Event => HitKey::Event(text),
        HitField::Site => HitKey::Site(text),
        HitField::ReferrerHost => HitKey::ReferrerHost(text),
        HitField::ReferrerKind => HitKey::ReferrerKind(text),
        HitField::CampaignSource
        | HitField::CampaignMedium
        | HitField::CampaignName
        | HitField::Device
        | HitField::Os
        | HitField::Browser
        | HitField::Language
        | HitField::Country
        | HitField::Region
        | HitField::Hour
        | HitField::Weekday => return None,
    }))
}
