//! Why somebody is a member, or is not: an expression worked out on one visitor's own hits.
//!
//! Nothing is read from cells or memberships, so that each answer also proves them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::RangeInclusive;

use mayfly_core::{CategoryId, Day, Event, Hit, Page, Visitor, limits};

use crate::classify::PageMemo;
use crate::compiled::Compiled;
use crate::expr::syntax::{Branch, Comparison, Count, What};
use crate::expr::{Expression, Resolver, parsed};
use crate::leaf::{Measure, TallyKey, Window};
use crate::problem::Problem;

/// An expression worked out on one visitor's hits.
///
/// ```
/// use mayfly_core::{Day, Partition, Retention, Visitor};
/// use mayfly_segments::{Compiled, Definitions, Why};
///
/// let retention = Retention::default();
/// let compiled = Compiled::new(&Definitions::default(), retention).map_err(|p| p[0].clone())?;
/// let visitor = Visitor { partition: Partition(0), ordinal: 1 };
/// let why = Why::of("visited(\"*\", within 7d) >= 2", &compiled, Day(100), visitor, &[])?;
/// assert!(!why.holds());
/// let nearest = why.nearest.unwrap();
/// assert_eq!((nearest.missing, nearest.is_enough), (2, true));
/// # Ok::<(), mayfly_segments::Problem>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Why {
    /// The expression, part by part.
    pub tree: Part,
    /// The first day at whose beginning (00:00 UTC) the answer is another one, if no more hits
    /// come.
    pub changes_on: Option<Day>,
    /// Where it does not hold: the condition that is nearest to what it should be. None where only
    /// a sample stands in the way.
    pub nearest: Option<Nearest>,
}

/// A part of an expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    /// As it is written.
    pub text: Box<str>,
    /// Whether it holds.
    pub holds: bool,
    /// What it is.
    pub kind: PartKind,
}

/// What a part of an expression is.
#[derive(Clone, PartialEq, Debug)]
pub enum PartKind {
    /// All of them, joined by `and`.
    All(Vec<Part>),
    /// One of them, joined by `or`.
    Any(Vec<Part>),
    /// `not`.
    Not(Box<Part>),
    /// At least so many of them.
    AtLeast(u32, Vec<Part>),
    /// Another segment's expression.
    Segment(Box<Part>),
    /// A share of all visitors; whether this one belongs to it.
    Sample(bool),
    /// A condition on hits.
    Condition(Condition),
}

/// A condition, and what was found.
#[derive(Clone, PartialEq, Debug)]
pub struct Condition {
    /// Its place among the conditions, in the order of the text.
    pub place: usize,
    /// What is counted.
    pub measure: Measure,
    /// The category.
    pub category: CategoryId,
    /// Its window now.
    pub days: RangeInclusive<Day>,
    /// The sum that was found.
    pub found: u32,
    /// Places of the newest hits that make the sum, among those given; at most
    /// [`limits::WHY_HITS`].
    pub hits: Vec<usize>,
    /// All hits that make it.
    pub hits_in_all: usize,
    window: Window,
    comparison: Comparison,
    number: u32,
    /// Whether the whole is nearer to holding when it holds.
    is_wanted: bool,
    /// The sums up to each day, from the oldest that is kept.
    sums: Vec<u32>,
}

/// The condition that stands most in the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nearest {
    /// Its place among the conditions.
    pub place: usize,
    /// By how much its sum is too small; below 0 it is too large, which time alone mends.
    pub missing: i64,
    /// Whether the whole holds when this condition alone is met.
    pub is_enough: bool,
}

impl Why {
    /// Works an expression out on `today` (the current UTC day) for a visitor with these hits,
    /// each with its page (an empty one when it has none). `visitor` is of use for samples.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn of(
        text: &str,
        compiled: &Compiled,
        today: Day,
        visitor: Visitor,
        hits: &[(&Hit, &Page)],
    ) -> Result<Self, Problem> {
        Expression::parse(text, compiled.definitions(), compiled.retention())?;
        let branch = parsed(text)?;
        let resolver = Resolver::new(compiled.definitions(), compiled.retention());
        let past = Past::new(compiled, today, hits);
        let mut reader = Reader { resolver, past, visitor, places: 0 };
        let mut tree = reader.part(&branch, text, true)?;
        tree.settle(0, None);
        let last = compiled.retention().days();
        let changes_in = (1..=last).find(|ahead| tree.holds_in(*ahead, None) != tree.holds);
        let nearest = if tree.holds { None } else { tree.nearest() };
        Ok(Self { tree, changes_on: changes_in.map(|ahead| today.plus(ahead)), nearest })
    }

    /// Whether the expression holds for the visitor.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.tree.holds
    }
}

/// A visitor's hits, classified.
struct Past<'h> {
    today: Day,
    oldest: Day,
    hits: &'h [(&'h Hit, &'h Page)],
    falls: HashMap<CategoryId, Vec<usize>>,
}

impl<'h> Past<'h> {
    fn new(compiled: &Compiled, today: Day, hits: &'h [(&'h Hit, &'h Page)]) -> Self {
        let (mut memo, mut found) = (PageMemo::default(), Vec::new());
        let mut falls: HashMap<CategoryId, Vec<usize>> = HashMap::new();
        for (at, (hit, page)) in hits.iter().enumerate() {
            compiled.classifier().classify(&mut memo, hit, page, &mut found);
            found.iter().for_each(|category| falls.entry(*category).or_default().push(at));
        }
        Self { today, oldest: compiled.retention().oldest(today), hits, falls }
    }

    /// The hits that a measure of this category counts, with their days.
    fn of(&self, key: &TallyKey) -> impl Iterator<Item = (usize, Day, &Hit)> {
        let counts = |hit: &Hit| match key.measure {
            Measure::Visited | Measure::Days => hit.event != Event::Engagement,
            Measure::Engaged => hit.engaged_s > 0,
        };
        let places = self.falls.get(&key.cell.category).into_iter().flatten();
        places.filter_map(move |at| {
            let (hit, _) = self.hits.get(*at)?;
            counts(hit).then(|| (*at, hit.day(), *hit))
        })
    }

    /// The sums of a measure up to each kept day. A day's own sum saturates as a cell's does.
    fn sums(&self, key: &TallyKey) -> Vec<u32> {
        let mut days = vec![0_u32; usize::from(self.today.0.saturating_sub(self.oldest.0)) + 1];
        for (_, day, hit) in self.of(key) {
            let Some(ago) = day.0.checked_sub(self.oldest.0) else { continue };
            let Some(sum) = days.get_mut(usize::from(ago)) else { continue };
            *sum = match key.measure {
                Measure::Visited => (*sum + 1).min(u32::from(u8::MAX)),
                Measure::Engaged => (*sum + u32::from(hit.engaged_s)).min(u32::from(u16::MAX)),
                Measure::Days => 1,
            };
        }
        let up_to = days.iter().scan(0, |sum: &mut u32, day| {
            *sum = sum.saturating_add(*day);
            Some(*sum)
        });
        up_to.collect()
    }
}

/// From an expression as written to its parts.
struct Reader<'d, 'h> {
    resolver: Resolver<'d>,
    past: Past<'h>,
    visitor: Visitor,
    places: usize,
}

impl Reader<'_, '_> {
    fn part(&mut self, branch: &Branch, text: &str, is_wanted: bool) -> Result<Part, Problem> {
        let kind = match &branch.what {
            What::And(parts) => PartKind::All(self.parts(parts, text, is_wanted)?),
            What::Or(parts) => PartKind::Any(self.parts(parts, text, is_wanted)?),
            What::Not(part) => PartKind::Not(Box::new(self.part(part, text, !is_wanted)?)),
            What::AtLeast(least, parts) => {
                PartKind::AtLeast(*least, self.parts(parts, text, is_wanted)?)
            }
            What::Segment(name) => {
                let rule = self.resolver.rule_of(name).unwrap_or_default();
                let part = self.part(&parsed(&rule)?, &rule, is_wanted)?;
                PartKind::Segment(Box::new(part))
            }
            What::Sample(sample) => PartKind::Sample(sample.holds(self.visitor)),
            What::Count(count) => PartKind::Condition(self.condition(count, text, is_wanted)?),
        };
        let text = text.get(branch.span.clone()).unwrap_or_default().into();
        Ok(Part { text, holds: false, kind })
    }

    fn parts(
        &mut self,
        branches: &[Branch],
        text: &str,
        is_wanted: bool,
    ) -> Result<Vec<Part>, Problem> {
        branches.iter().map(|branch| self.part(branch, text, is_wanted)).collect()
    }

    fn condition(
        &mut self,
        count: &Count,
        text: &str,
        is_wanted: bool,
    ) -> Result<Condition, Problem> {
        let key = self.resolver.key(count, text)?;
        let place = self.places;
        self.places += 1;
        let days = key.window.days(self.past.today);
        let within = self.past.of(&key).filter(|(_, day, _)| days.contains(day));
        let mut hits: Vec<_> = within.map(|(at, _, hit)| (Reverse(hit.time), at)).collect();
        let hits_in_all = hits.len();
        hits.sort_unstable();
        hits.truncate(limits::WHY_HITS);
        Ok(Condition {
            place,
            measure: key.measure,
            category: key.cell.category,
            found: 0,
            hits: hits.into_iter().map(|(_, at)| at).collect(),
            hits_in_all,
            window: key.window,
            comparison: count.comparison,
            number: count.number,
            is_wanted,
            sums: self.past.sums(&key),
            days,
        })
    }
}

impl Part {
    /// Whether it holds so many days from now, if no more hits come; with the condition at `turned`
    /// taken for the opposite of what it is.
    fn holds_in(&self, ahead: u16, turned: Option<usize>) -> bool {
        let holds = |part: &Self| part.holds_in(ahead, turned);
        match &self.kind {
            PartKind::All(parts) => parts.iter().all(holds),
            PartKind::Any(parts) => parts.iter().any(holds),
            PartKind::Not(part) => !holds(part),
            PartKind::AtLeast(least, parts) => {
                parts.iter().filter(|part| holds(part)).count() >= *least as usize
            }
            PartKind::Segment(part) => holds(part),
            PartKind::Sample(is_in) => *is_in,
            PartKind::Condition(condition) => {
                let is_met = condition.comparison.meets(condition.sum(ahead), condition.number);
                is_met != (turned == Some(condition.place))
            }
        }
    }

    /// Writes down what holds now.
    fn settle(&mut self, ahead: u16, turned: Option<usize>) {
        self.holds = self.holds_in(ahead, turned);
        match &mut self.kind {
            PartKind::All(parts) | PartKind::Any(parts) | PartKind::AtLeast(_, parts) => {
                parts.iter_mut().for_each(|part| part.settle(ahead, turned));
            }
            PartKind::Not(part) | PartKind::Segment(part) => part.settle(ahead, turned),
            PartKind::Sample(_) => {}
            PartKind::Condition(condition) => condition.found = condition.sum(ahead),
        }
    }

    /// Every condition, in the order of the text.
    #[must_use]
    pub fn conditions(&self) -> Vec<(&Self, &Condition)> {
        match &self.kind {
            PartKind::All(parts) | PartKind::Any(parts) | PartKind::AtLeast(_, parts) => {
                parts.iter().flat_map(Self::conditions).collect()
            }
            PartKind::Not(part) | PartKind::Segment(part) => part.conditions(),
            PartKind::Sample(_) => Vec::new(),
            PartKind::Condition(condition) => vec![(self, condition)],
        }
    }

    /// The condition that is nearest to what it should be: those that are enough by themselves
    /// first, then by the share that is missing.
    fn nearest(&self) -> Option<Nearest> {
        let conditions = self.conditions();
        let unmet = conditions.iter().filter(|(part, own)| part.holds != own.is_wanted);
        let with_share = unmet.filter_map(|(_, own)| {
            let missing = own.missing()?;
            let is_enough = self.holds_in(0, Some(own.place));
            let nearest = Nearest { place: own.place, missing, is_enough };
            let share = missing.unsigned_abs() * 1000 / u64::from(own.number.max(1));
            Some(((!is_enough, missing < 0, share), nearest))
        });
        with_share.min_by_key(|(order, _)| *order).map(|(_, nearest)| nearest)
    }
}

impl Condition {
    /// The sum so many days from now, if no more hits come.
    fn sum(&self, ahead: u16) -> u32 {
        let last = i64::try_from(self.sums.len()).unwrap_or(i64::MAX) - 1;
        let up_to = |ago: i64| {
            let at = usize::try_from((last - ago).min(last)).ok();
            at.and_then(|at| self.sums.get(at)).copied().unwrap_or(0)
        };
        let (newest, oldest) = self.window.ends();
        let ahead = i64::from(ahead);
        up_to(i64::from(newest) - ahead) - up_to(i64::from(oldest) + 1 - ahead)
    }

    /// By how much the sum would have to grow for the condition to be what is wanted; `None` when
    /// no sum makes it so.
    fn missing(&self) -> Option<i64> {
        let comparison = if self.is_wanted { self.comparison } else { self.comparison.opposite() };
        let (found, number) = (i64::from(self.found), i64::from(self.number));
        let wanted = match comparison {
            Comparison::MoreEqual | Comparison::LessEqual | Comparison::Equal => number,
            Comparison::More => number + 1,
            Comparison::Less => number - 1,
            Comparison::Unequal => found + 1,
        };
        (wanted >= 0).then_some(wanted - found)
    }
}
