//! Why somebody is a member, or is not: an expression worked out on one visitor's own hits.
//!
//! Nothing is read from cells or memberships, so that each answer also proves them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;

use mayfly_core::{CategoryId, Day, Event, Hit, Hour, Page, Timestamp, Visitor, limits};

use crate::classify::{Classifier, PageMemo};
use crate::compiled::Compiled;
use crate::expr::syntax::{Branch, Comparison, Count, What};
use crate::expr::{Expression, Resolver, parsed};
use crate::leaf::{Filter, Measure, TallyKey, Unit};
use crate::problem::Problem;
use crate::trace::{self, Seen};

/// An expression worked out on one visitor's hits.
///
/// ```
/// use mayfly_core::{Day, Partition, Retention, Visitor};
/// use mayfly_segments::{Compiled, Definitions, Why};
///
/// let retention = Retention::default();
/// let compiled = Compiled::new(&Definitions::default(), retention).map_err(|p| p[0].clone())?;
/// let visitor = Visitor { partition: Partition(0), ordinal: 1 };
/// let now = Day(100).first_hour();
/// let why = Why::of("visited(\"*\", within 7d) >= 2", &compiled, now, visitor, &[])?;
/// assert!(!why.holds());
/// let nearest = why.nearest.unwrap();
/// assert_eq!((nearest.missing, nearest.is_enough), (2, true));
/// # Ok::<(), mayfly_segments::Problem>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Why {
    /// The expression, part by part.
    pub tree: Part,
    /// The first instant at which the answer is another one, if no more hits come: a midnight
    /// (UTC), or a full hour where windows are in hours.
    pub changes_at: Option<Timestamp>,
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
    /// The category; of a sequence the first one.
    pub category: CategoryId,
    /// Whether hits of other categories must follow: then it counts how often that came true.
    pub is_sequence: bool,
    /// Its window now: its first instant, and the first one after it.
    pub window: Range<Timestamp>,
    /// What its window is counted in.
    pub unit: Unit,
    /// The sum that was found.
    pub found: u32,
    /// Places of the newest hits that make the sum, among those given; at most
    /// [`limits::WHY_HITS`].
    pub hits: Vec<usize>,
    /// All hits that make it.
    pub hits_in_all: usize,
    key: TallyKey,
    comparison: Comparison,
    number: u32,
    /// Whether the whole is nearer to holding when it holds.
    is_wanted: bool,
    sums: Sums,
}

/// What the sum at any later hour is made from.
#[derive(Clone, PartialEq, Debug)]
enum Sums {
    /// The sums up to each day, from the oldest that is kept.
    Days(Day, Vec<u32>),
    /// The hits.
    Hits(Vec<Seen>),
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
    /// Works an expression out at `now` (the current UTC hour) for a visitor with these hits, each
    /// with its page (an empty one when it has none). `visitor` is of use for samples.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn of(
        text: &str,
        compiled: &Compiled,
        now: Hour,
        visitor: Visitor,
        hits: &[(&Hit, &Page)],
    ) -> Result<Self, Problem> {
        Expression::parse(text, compiled.definitions(), compiled.retention())?;
        let branch = parsed(text)?;
        let resolver = Resolver::new(compiled.definitions(), compiled.retention());
        let past = Past::new(compiled, now, hits);
        let mut reader = Reader { resolver, past, visitor, places: 0 };
        let mut tree = reader.part(&branch, text, true)?;
        tree.settle(now);
        let hours = tree.conditions().iter().any(|(_, own)| own.unit == Unit::Hours);
        // A hit may be ahead of the clock, and enters its window as much later.
        let farthest = limits::WINDOW_HOURS + 24;
        let hours = (1..=farthest).filter(|_| hours).map(|ahead| now.plus(ahead));
        let days = (1..=compiled.retention().days()).map(|ahead| now.day().plus(ahead));
        let mut moments: Vec<Hour> = hours.chain(days.map(Day::first_hour)).collect();
        moments.sort_unstable();
        let changes = moments.into_iter().find(|at| tree.holds_at(*at, None) != tree.holds);
        let nearest = if tree.holds { None } else { tree.nearest(now) };
        Ok(Self { tree, changes_at: changes.map(Hour::start), nearest })
    }

    /// Whether the expression holds for the visitor.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.tree.holds
    }
}

/// A visitor's hits, classified.
struct Past<'h> {
    classifier: &'h Classifier,
    now: Hour,
    oldest: Day,
    hits: &'h [(&'h Hit, &'h Page)],
    falls: HashMap<CategoryId, Vec<usize>>,
}

impl<'h> Past<'h> {
    fn new(compiled: &'h Compiled, now: Hour, hits: &'h [(&'h Hit, &'h Page)]) -> Self {
        let (mut memo, mut found) = (PageMemo::default(), Vec::new());
        let mut falls: HashMap<CategoryId, Vec<usize>> = HashMap::new();
        for (at, (hit, page)) in hits.iter().enumerate() {
            compiled.classifier().classify(&mut memo, hit, page, &mut found);
            for category in &found {
                let places = falls.entry(*category).or_default();
                if hit.is_declared() {
                    // What a partner declared before on that day: once is enough.
                    let day = hit.day();
                    places.retain(|at| hits.get(*at).is_none_or(|(own, _)| own.day() != day));
                }
                if !hit.takes_back() {
                    places.push(at);
                }
            }
        }
        let oldest = compiled.retention().oldest(now.day());
        Self { classifier: compiled.classifier(), now, oldest, hits, falls }
    }

    /// The sums, and the places of the hits that make the present one.
    fn found(&self, key: &TallyKey) -> (Sums, Vec<usize>) {
        if key.is_traced() {
            let traced = self.traced(key);
            let own: Vec<Seen> = traced.iter().map(|(seen, _)| *seen).collect();
            let shown = trace::shows(key, &own, self.now);
            let places = shown.iter().filter_map(|at| traced.get(*at)).map(|(_, at)| *at);
            return (Sums::Hits(own), places.collect());
        }
        let window = key.window.days(self.now.day());
        let within = self.of(key).filter(|(_, day, _)| window.contains(day));
        (Sums::Days(self.now.day(), self.sums(key)), within.map(|(at, ..)| at).collect())
    }

    /// The hits that a traced tally looks at, the oldest first, with their places.
    fn traced(&self, key: &TallyKey) -> Vec<(Seen, usize)> {
        let filters = std::iter::once(&key.only).chain(key.then.iter().map(|step| &step.only));
        let mut steps: HashMap<usize, u8> = HashMap::new();
        for (step, (cell, only)) in key.cells().zip(filters).enumerate() {
            for at in self.falls.get(&cell.category).into_iter().flatten() {
                let Some((hit, page)) = self.hits.get(*at) else { continue };
                let meets = |only: &Filter| self.classifier.meets(&only.rule, hit, page);
                let counts = hit.event != Event::Engagement || key.measure == Measure::Engaged;
                if counts && only.as_ref().is_none_or(meets) {
                    *steps.entry(*at).or_default() |= 1 << step;
                }
            }
        }
        let seen = |(at, steps): (usize, u8)| Some((Seen::new(self.hits.get(at)?.0, steps), at));
        let mut all: Vec<_> = steps.into_iter().filter_map(seen).collect();
        all.sort_unstable();
        all.drain(..all.len().saturating_sub(limits::TRACE_HITS));
        all
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
        let today = self.now.day();
        let mut days = vec![0_u32; usize::from(today.0.saturating_sub(self.oldest.0)) + 1];
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
        let window = key.window.seconds(self.past.now);
        let (sums, places) = self.past.found(&key);
        let time = |at: usize| Some((Reverse(self.past.hits.get(at)?.0.time), at));
        let mut hits: Vec<_> = places.into_iter().filter_map(time).collect();
        let hits_in_all = hits.len();
        hits.sort_unstable();
        hits.truncate(limits::WHY_HITS);
        Ok(Condition {
            place,
            measure: key.measure,
            category: key.cell.category,
            is_sequence: !key.then.is_empty(),
            found: 0,
            hits: hits.into_iter().map(|(_, at)| at).collect(),
            hits_in_all,
            window: Timestamp::from_secs(window.start)..Timestamp::from_secs(window.end),
            unit: key.window.unit(),
            comparison: count.comparison,
            number: count.number,
            is_wanted,
            sums,
            key,
        })
    }
}

impl Part {
    /// Whether it holds in an hour to come, if no more hits come; with the condition at `turned`
    /// taken for the opposite of what it is.
    fn holds_at(&self, now: Hour, turned: Option<usize>) -> bool {
        let holds = |part: &Self| part.holds_at(now, turned);
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
                let is_met = condition.comparison.meets(condition.sum(now), condition.number);
                is_met != (turned == Some(condition.place))
            }
        }
    }

    /// Writes down what holds now.
    fn settle(&mut self, now: Hour) {
        self.holds = self.holds_at(now, None);
        match &mut self.kind {
            PartKind::All(parts) | PartKind::Any(parts) | PartKind::AtLeast(_, parts) => {
                parts.iter_mut().for_each(|part| part.settle(now));
            }
            PartKind::Not(part) | PartKind::Segment(part) => part.settle(now),
            PartKind::Sample(_) => {}
            PartKind::Condition(condition) => condition.found = condition.sum(now),
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
    fn nearest(&self, now: Hour) -> Option<Nearest> {
        let conditions = self.conditions();
        let unmet = conditions.iter().filter(|(part, own)| part.holds != own.is_wanted);
        let with_share = unmet.filter_map(|(_, own)| {
            let missing = own.missing()?;
            let is_enough = self.holds_at(now, Some(own.place));
            let nearest = Nearest { place: own.place, missing, is_enough };
            let share = missing.unsigned_abs() * 1000 / u64::from(own.number.max(1));
            Some(((!is_enough, missing < 0, share), nearest))
        });
        with_share.min_by_key(|(order, _)| *order).map(|(_, nearest)| nearest)
    }
}

impl Condition {
    /// The sum in an hour to come, if no more hits come.
    fn sum(&self, now: Hour) -> u32 {
        let (today, sums) = match &self.sums {
            Sums::Hits(own) => return trace::sum(&self.key, own, now),
            Sums::Days(today, sums) => (*today, sums),
        };
        let last = i64::try_from(sums.len()).unwrap_or(i64::MAX) - 1;
        let up_to = |day: i64| {
            let at = usize::try_from((last + day - i64::from(today.0)).min(last)).ok();
            at.and_then(|at| sums.get(at)).copied().unwrap_or(0)
        };
        let days = self.key.window.days(now.day());
        up_to(i64::from(days.end().0)) - up_to(i64::from(days.start().0) - 1)
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
