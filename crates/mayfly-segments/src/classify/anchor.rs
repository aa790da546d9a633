//! Anchors: what must be true of a hit for a rule to hold at all, in a form that tables can find.
//!
//! A rule is a candidate only where one of its anchors is met; then it is evaluated in full. So an
//! anchor may be met too often, never too seldom.

use crate::rule::{Check, Field, How, Literal, Node, Test};

/// Something that tables find quickly.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Anchor {
    /// A text of the page relates so to this one.
    Text(Field, Relation, Box<str>),
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
            Self::Text(Field::Host, Relation::Is, _) => 3,
            Self::Text(_, Relation::Is, _) => 1,
            Self::Text(_, Relation::StartsWith | Relation::EndsWith | Relation::Contains, _) => 2,
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
        Check::Matches { patterns, all } if test.field.of_page() => {
            let text = |p: &regex::Regex| {
                Anchor::Text(test.field.clone(), Relation::Matches, p.as_str().into())
            };
            let set: Vec<_> = patterns.iter().map(text).collect();
            if *all { longest(set) } else { Some(set) }
        }
        Check::Matches { .. } => None,
    }
}

/// Where all must be met, the longest is met least often.
fn longest(set: Vec<Anchor>) -> Option<Vec<Anchor>> {
    let length = |anchor: &Anchor| match anchor {
        Anchor::Text(_, _, text) => text.len(),
        Anchor::Hit(_) => 0,
    };
    set.into_iter().max_by_key(length).map(|anchor| vec![anchor])
}

fn of_value(field: &Field, how: How, value: &Literal) -> Option<Anchor> {
    if field.of_page() {
        let relation = match how {
            How::Is if value.bare => return None, // equal as a number, written in other ways
            How::Is => Relation::Is,
            How::Contains => Relation::Contains,
            How::StartsWith => Relation::StartsWith,
            How::EndsWith => Relation::EndsWith,
        };
        return Some(Anchor::Text(field.clone(), relation, value.text.clone()));
    }
    if how != How::Is || value.bare {
        return None;
    }
    let text = value.text.clone();
    Some(Anchor::Hit(match field {
        Field::Event => HitKey::Event(text),
        Field::Site => HitKey::Site(text),
        Field::ReferrerHost => HitKey::ReferrerHost(text),
        Field::ReferrerKind => HitKey::ReferrerKind(text),
        Field::Attribute(_)
        | Field::Fleeting(_)
        | Field::CampaignSource
        | Field::CampaignMedium
        | Field::CampaignName
        | Field::Device
        | Field::Os
        | Field::Browser
        | Field::Language
        | Field::Country
        | Field::Region
        | Field::Hour
        | Field::Weekday
        | Field::Host
        | Field::Path
        | Field::Url
        | Field::Query(_)
        | Field::Title
        | Field::Keywords
        | Field::Categories => return None,
    }))
}
