//! Rules: which hits fall in a category.
//!
//! A rule is tests joined by `and`, `or`, `not` and parentheses; `not` binds tightest, `or`
//! loosest.
//!
//! | fields | value |
//! |---|---|
//! | `host` `path` `url` `title` | text of the page; an empty one is absent |
//! | `query.NAME` | the values of this query parameter |
//! | `keywords` `categories` | the page's lists |
//! | `event` | the event's name; a rule that does not name it means `event == "page_view"` |
//! | `referrer` = `referrer.host`, `referrer.kind` | host; one of [`mayfly_core::ReferrerKind`] |
//! | `campaign.source`, `campaign.medium`, `campaign.name` | `utm_*` of the page's URL |
//! | `device` `os` `browser` `language` | words; `language` is `nl` or `nl-be` |
//! | `geo.country` `geo.region` | codes of ISO 3166; absent without a file of networks |
//! | `hour` `weekday` | of the hit in the site's time zone: 0 to 23, 1 = Monday to 7 |
//! | `a.NAME` | an attribute, text or number |
//! | `x.NAME` | an attribute that is never stored: the rule is tried when the hit comes |
//! | `site` | the site's key |
//!
//! | operators | hold when |
//! |---|---|
//! | `== "x"`, `!= "x"`, `in ("x", "y")` | the field is, is there and is not, is one of |
//! | `contains` `startswith` `endswith` | the text has it, begins or ends with it |
//! | `matches` | the regular expression is found in the text |
//! | `has "x"` | the list has exactly this element |
//! | `mentions "x"`, `mentions list "NAME"` | it has this word or phrase, or one of a word list |
//! | `< <= > >=` | the number of an attribute or query parameter compares so |
//! | `exists` | the field is there |
//!
//! After `contains`, `startswith`, `endswith`, `matches`, `has` and `mentions` may stand `any ("x", "y")` or
//! `all ("x", "y")`. A list meets a test of texts when one of its elements does; `!=` on a list
//! says that no element is so.
//!
//! **Absent fields** meet no test, also not `!=`; `not (x == "y")` does hold for an absent `x`.
//!
//! **Case** counts in `path`, `url`, `query.NAME` and `a.NAME`, and does not in host, title,
//! keywords, categories, event, referrer, campaign, device, geo, language and site. The path is
//! compared percent-decoded, the URL as it stands. Limits: [`mayfly_core::limits::RULE_BYTES`],
//! [`mayfly_core::limits::RULE_DEPTH`].

mod candidate;
mod eval;
mod evidence;
pub mod facts;
mod parse;
mod phrases;

use std::ops::Range;

use mayfly_core::Event;
use regex::Regex;

pub(crate) use candidate::Candidate;
pub use evidence::Evidence;
pub use facts::{Facts, HitFacts, PageFacts, SiteFacts};
pub(crate) use phrases::{Phrases, words};

use crate::definitions::WordLists;
use crate::lex::Cursor;
use crate::problem::{Fault, Problem, ProblemKind, Source, Subject};

/// A parsed rule.
///
/// ```
/// use mayfly_core::Page;
/// use mayfly_segments::{Facts, PageFacts, Rule};
///
/// let rule = Rule::parse(r#"path startswith "/sport" or title contains any ("goal", "derby")"#)?;
/// let page = Page {
///     url: "https://news.example/live".into(),
///     title: "The Derby".into(),
///     ..Page::default()
/// };
/// let page = PageFacts::of(&page);
/// assert!(rule.holds(&Facts::page_view(&page)));
/// # Ok::<(), mayfly_segments::Problem>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rule {
    pub(crate) node: Node,
    /// Whether the text names `event`; otherwise the rule means page views.
    pub(crate) names_event: bool,
}

impl Rule {
    /// Reads a rule that stands by itself.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        Self::read(text).map_err(|fault| Source::new(Subject::Text, text).problem(fault))
    }

    pub(crate) fn read(text: &str) -> Result<Self, Fault> {
        let node = parse::rule(text)?;
        let names_event = node.any_test(&mut |test| test.field == Field::Hit(HitField::Event));
        Ok(Self { node, names_event })
    }

    /// Whether a hit with these facts falls under the rule. Engagement counts as a view of its
    /// page.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        self.decide(facts) == Some(true)
    }

    /// As [`Rule::holds`], and `None` when it hangs on facts of the hit that are not given.
    pub(crate) fn decide(&self, facts: &Facts<'_>) -> Option<bool> {
        if !self.names_event && facts.hit.is_some_and(|hit| *hit.event != Event::PageView) {
            return Some(false);
        }
        self.node.decide(facts)
    }

    /// Whether it tests the path, and neither the host nor the site.
    pub(crate) fn is_bare_path(&self) -> bool {
        let asks = |field: &Field| self.node.any_test(&mut |test| test.field == *field);
        let places =
            [Field::Page(PageField::Host), Field::Page(PageField::Url), Field::Hit(HitField::Site)];
        asks(&Field::Page(PageField::Path)) && !places.iter().any(asks)
    }

    /// Whether the rule does not hold, and would if one of the tests that it joins by `and` did.
    #[must_use]
    pub fn nearly_holds(&self, facts: &Facts<'_>) -> bool {
        !self.holds(facts) && self.node.nearly(facts)
    }

    /// Whether it asks for any fact of the page.
    pub(crate) fn asks_page(&self) -> bool {
        self.node.asks_page()
    }
}

/// The tree of a rule.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Test(Test),
}

impl Node {
    /// Reads what hits must meet besides their category: tests as in a rule, where a name that is
    /// no field is an attribute's.
    pub(crate) fn filter(cursor: &mut Cursor) -> Result<Self, Fault> {
        parse::filter(cursor)
    }

    /// Whether it reads the hour or weekday in the site's zone.
    pub(crate) fn asks_local_time(&self) -> bool {
        let local = [HitField::Hour, HitField::Weekday].map(Field::Hit);
        self.any_test(&mut |test| local.contains(&test.field))
    }

    /// Whether it asks for any fact of the page.
    pub(crate) fn asks_page(&self) -> bool {
        self.any_test(&mut |test| matches!(test.field, Field::Page(_)))
    }

    /// Puts the phrases of word lists in.
    ///
    /// # Errors
    /// A name that `lists` does not know.
    pub(crate) fn put_lists(&mut self, lists: &WordLists<'_>) -> Result<(), Fault> {
        match self {
            Self::And(nodes) | Self::Or(nodes) => {
                nodes.iter_mut().try_for_each(|node| node.put_lists(lists))
            }
            Self::Not(node) => node.put_lists(lists),
            Self::Test(Test {
                check: Check::Mentions { phrases, list: Some(name), .. },
                span,
                ..
            }) => {
                let found = lists.get(name).ok_or_else(|| {
                    let nearest = lists.nearest(name);
                    let kind = ProblemKind::UnknownList { name: name.clone(), nearest };
                    Fault::new(kind, span.clone())
                });
                found.map(|found| *phrases = found)
            }
            Self::Test(_) => Ok(()),
        }
    }

    /// The names of the word lists that it uses.
    pub(crate) fn lists(&self) -> Vec<Box<str>> {
        let mut names = Vec::new();
        self.any_test(&mut |test| {
            if let Check::Mentions { list: Some(name), .. } = &test.check {
                names.push(name.clone());
            }
            false
        });
        names
    }

    /// Calls `each` with every field that it reads.
    pub(crate) fn each_field(&self, each: &mut dyn FnMut(&Field)) {
        self.any_test(&mut |test| {
            each(&test.field);
            false
        });
    }

    /// The keys of sites that it compares `site` with.
    pub(crate) fn sites(&self) -> Vec<Box<str>> {
        self.compared_with(&Field::Hit(HitField::Site))
    }

    /// The names that it compares `event` with.
    pub(crate) fn events(&self) -> Vec<Box<str>> {
        self.compared_with(&Field::Hit(HitField::Event))
    }

    fn compared_with(&self, field: &Field) -> Vec<Box<str>> {
        let mut texts = Vec::new();
        self.any_test(&mut |test| {
            if let Check::Text { how: How::Is, values, .. } = &test.check
                && test.field == *field
            {
                texts.extend(values.iter().map(|value| value.text.clone()));
            }
            false
        });
        texts
    }

    /// Whether all but one of the parts joined by `and` hold.
    fn nearly(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::And(nodes) => {
                nodes.iter().filter(|node| node.decide(facts) != Some(true)).count() == 1
            }
            Self::Or(nodes) => nodes.iter().any(|node| node.nearly(facts)),
            Self::Not(_) | Self::Test(_) => false,
        }
    }

    /// Whether `holds` for one of the tests.
    pub(crate) fn any_test(&self, holds: &mut impl FnMut(&Test) -> bool) -> bool {
        match self {
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().any(|node| node.any_test(holds)),
            Self::Not(node) => node.any_test(holds),
            Self::Test(test) => holds(test),
        }
    }
}

/// One comparison.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) field: Field,
    pub(crate) check: Check,
    /// Where it stands in the rule's text.
    pub(crate) span: Range<usize>,
}

/// What a test looks at.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Field {
    Page(PageField),
    Hit(HitField),
    Attribute(Box<str>),
    Fleeting(Box<str>),
}

/// A fact of the page: the same for each of its hits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum PageField {
    Host,
    Path,
    Url,
    Query(Box<str>),
    Title,
    Keywords,
    Categories,
}

/// A fact of the hit under one fixed name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum HitField {
    Event,
    ReferrerHost,
    ReferrerKind,
    CampaignSource,
    CampaignMedium,
    CampaignName,
    Device,
    Os,
    Browser,
    Language,
    Country,
    Region,
    Hour,
    Weekday,
    Site,
}

impl PageField {
    /// Whether case counts.
    pub(crate) fn exact_case(&self) -> bool {
        matches!(self, Self::Path | Self::Url | Self::Query(_))
    }
}

impl Field {
    /// Whether case counts.
    pub(crate) fn exact_case(&self) -> bool {
        match self {
            Self::Page(field) => field.exact_case(),
            Self::Hit(_) => false,
            Self::Attribute(_) | Self::Fleeting(_) => true,
        }
    }

    /// Whether a hit may have several values of it.
    pub(crate) fn has_many(&self) -> bool {
        self.is_list() || matches!(self, Self::Page(PageField::Query(_)))
    }

    /// Whether it is a list of the page.
    fn is_list(&self) -> bool {
        matches!(self, Self::Page(PageField::Keywords | PageField::Categories))
    }

    /// Whether its values may be texts with words.
    fn has_texts(&self) -> bool {
        !matches!(self, Self::Hit(HitField::Hour | HitField::Weekday))
    }

    /// Whether its values may be numbers.
    fn has_numbers(&self) -> bool {
        match self {
            Self::Page(field) => matches!(field, PageField::Query(_)),
            Self::Hit(field) => matches!(field, HitField::Hour | HitField::Weekday),
            Self::Attribute(_) | Self::Fleeting(_) => true,
        }
    }
}

/// What a test asks.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    Exists,
    Differs(Literal),
    Order(Order, f64),
    Text {
        how: How,
        values: Vec<Literal>,
        all: bool,
    },
    Matches {
        patterns: Vec<Regex>,
        all: bool,
    },
    /// `list` = the phrases are those of this word list, once they are put in.
    Mentions {
        phrases: Phrases,
        all: bool,
        list: Option<Box<str>>,
    },
}

/// How texts are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    Is,
    Contains,
    StartsWith,
    EndsWith,
}

/// Ordered comparisons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    Less,
    LessEqual,
    More,
    MoreEqual,
}

/// A value in a rule: folded as its field is, and as a number when it reads as one.
#[derive(Clone, Debug)]
pub(crate) struct Literal {
    pub(crate) text: Box<str>,
    pub(crate) number: Option<f64>,
    /// Written without quotes: texts are compared as numbers, too.
    pub(crate) bare: bool,
}

#[cfg(test)]
mod tests;
