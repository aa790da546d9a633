//! Names to ids: categories, windows within the retention, other segments put in.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use mayfly_core::{CellId, Retention, limits};

use super::Node;
use super::parse;
use super::syntax::{Ago, Branch, Comparison, Count, Following, Named, Units, What};
use crate::definitions::{Definitions, WordLists};
use crate::leaf::{Filter, Measure, Plan, Step, TallyKey, Unit, Window};
use crate::problem::{Fault, ImportFault, Problem, ProblemKind, Source, Subject};

/// Resolves expressions against definitions; keeps the parsed segments.
pub(crate) struct Resolver<'a> {
    definitions: &'a Definitions,
    retention: Retention,
    parsed: HashMap<Box<str>, Branch>,
    /// The segments that are being put in, outermost first.
    path: Vec<Box<str>>,
    leaves: usize,
    depth: usize,
    lists: WordLists<'a>,
    /// A condition over a sensitive category is refused; else it holds for nobody.
    tells_sensitive: bool,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(definitions: &'a Definitions, retention: Retention) -> Self {
        let (parsed, path) = (HashMap::new(), Vec::new());
        let lists = WordLists::new(definitions);
        let (leaves, depth, tells_sensitive) = (0, 0, true);
        Self { definitions, retention, parsed, path, leaves, depth, lists, tells_sensitive }
    }

    /// Whether conditions over sensitive categories are refused from now on.
    pub(crate) fn tells_sensitive(&mut self, tells: bool) {
        self.tells_sensitive = tells;
    }

    /// The expression of the segment `name`, whose rule is `text`.
    pub(crate) fn segment(
        &mut self,
        name: &str,
        text: &str,
        plan: &mut Plan,
    ) -> Result<Node, Fault> {
        self.path = vec![name.into()];
        let node = self.expression(text, plan);
        self.path.clear();
        node
    }

    /// An expression by itself.
    pub(crate) fn expression(&mut self, text: &str, plan: &mut Plan) -> Result<Node, Fault> {
        let branch = parse::expression(text)?;
        if branch.of_nobody() {
            let span = branch.culprit().span.clone();
            let branch = text.get(span.clone()).unwrap_or_default().into();
            return Err(Fault::new(ProblemKind::TrueForNoHits { branch }, span));
        }
        (self.leaves, self.depth) = (0, 0);
        self.branch(&branch, plan)
    }

    fn branch(&mut self, branch: &Branch, plan: &mut Plan) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > limits::RULE_DEPTH {
            return Err(Fault::new(ProblemKind::TooDeep, branch.span.clone()));
        }
        let node = match &branch.what {
            What::And(branches) => Node::And(self.branches(branches, plan)?),
            What::Or(branches) => Node::Or(self.branches(branches, plan)?),
            What::Not(branch) => Node::Not(Box::new(self.branch(branch, plan)?)),
            What::AtLeast(least, branches) => {
                Node::AtLeast(*least as usize, self.branches(branches, plan)?)
            }
            What::Sample(sample) => {
                self.count_leaf(branch)?;
                Node::Sample(*sample)
            }
            What::Segment(name) => self.other(name, branch, plan)?,
            What::Count(count) => {
                self.count_leaf(branch)?;
                self.count(count, plan)?
            }
        };
        self.depth -= 1;
        Ok(node)
    }

    fn count_leaf(&mut self, branch: &Branch) -> Result<(), Fault> {
        self.leaves += 1;
        if self.leaves > limits::LEAVES {
            return Err(Fault::new(ProblemKind::TooManyLeaves, branch.span.clone()));
        }
        Ok(())
    }

    fn branches(&mut self, branches: &[Branch], plan: &mut Plan) -> Result<Vec<Node>, Fault> {
        branches.iter().map(|branch| self.branch(branch, plan)).collect()
    }

    /// Puts another segment's expression in. Faults inside it are told at the place of its name.
    fn other(&mut self, name: &str, at: &Branch, plan: &mut Plan) -> Result<Node, Fault> {
        let here = |kind| Fault::new(kind, at.span.clone());
        let Some(segment) = self.definitions.segment_named(name) else {
            let nearest = self.definitions.nearest_segment(name);
            return Err(here(ProblemKind::UnknownSegment { name: name.into(), nearest }));
        };
        if let Some(first) = self.path.iter().position(|seen| *seen == segment.name) {
            let mut path: Vec<String> = self.path[first..].iter().map(|s| s.to_string()).collect();
            path.push(segment.name.to_string());
            return Err(here(ProblemKind::Cycle { path }));
        }
        let parsed = match self.parsed.get(&segment.name) {
            Some(branch) => branch.clone(),
            None => parse::expression(&segment.rule).map_err(|fault| here(fault.kind))?,
        };
        self.parsed.insert(segment.name.clone(), parsed.clone());
        self.path.push(segment.name.clone());
        let node = self.branch(&parsed, plan).map_err(|fault| here(fault.kind));
        self.path.pop();
        node
    }

    /// The expression of another segment, as written.
    pub(crate) fn rule_of(&self, name: &str) -> Option<Box<str>> {
        self.definitions.segment_named(name).map(|segment| segment.rule.clone())
    }

    /// What a condition of this text sums up.
    pub(crate) fn key(&self, count: &Count, text: &str) -> Result<TallyKey, Problem> {
        self.tally(count).map_err(|fault| Source::new(Subject::Text, text).problem(fault))
    }

    fn tally(&self, count: &Count) -> Result<TallyKey, Fault> {
        let (cell, only) = self.named(&count.of)?;
        let window = self.window(count.window, count)?;
        if let Some(first) = count.then.first()
            && count.measure != Measure::Visited
        {
            return Err(Fault::new(ProblemKind::SequenceMeasure, first.named.span.clone()));
        }
        let then = count.then.iter().map(|step| self.step(step)).collect::<Result<_, _>>()?;
        Ok(TallyKey { cell, window, measure: count.measure, only, then })
    }

    fn step(&self, step: &Following) -> Result<Step, Fault> {
        let (cell, only) = self.named(&step.named)?;
        let days = self.retention.days();
        if step.within_s == 0 || step.within_s > u32::from(days) * 86_400 {
            return Err(Fault::new(ProblemKind::StepTime { days }, step.within_span.clone()));
        }
        Ok(Step { cell, only, within_s: step.within_s })
    }

    /// A category's cell and what its hits must meet. The sites that a filter names are known.
    fn named(&self, named: &Named) -> Result<(CellId, Option<Filter>), Fault> {
        let cell = self.cell(named)?;
        for name in named.only.iter().flat_map(|only| only.rule.sites()) {
            if !self.definitions.knows_site(&name) {
                let nearest = self.definitions.nearest_site(&name);
                let kind = ProblemKind::UnknownSite { name, nearest };
                return Err(Fault::new(kind, named.only_span.clone()));
            }
        }
        let only = named.only.as_ref().map(|only| self.filter(only, &named.only_span));
        Ok((cell, only.transpose()?))
    }

    /// What hits must meet, with its word lists; the text says what else it hangs on.
    fn filter(&self, only: &Filter, span: &Range<usize>) -> Result<Filter, Fault> {
        let mut only = only.clone();
        let lists = only.rule.lists();
        if !lists.is_empty() {
            let put = Arc::make_mut(&mut only.rule).put_lists(&self.lists);
            put.map_err(|fault| Fault::new(fault.kind, span.clone()))?;
            only.text = format!("{} ({})", only.text, self.definitions.words_of(lists)).into();
        }
        if only.rule.asks_local_time() {
            // In another zone the same test asks for other hits.
            only.text = format!("{} ({})", only.text, self.definitions.zones()).into();
        }
        Ok(only)
    }

    fn count(&self, count: &Count, plan: &mut Plan) -> Result<Node, Fault> {
        if let Some(last) = count.then.get(limits::SEQUENCE_STEPS - 1) {
            return Err(Fault::new(ProblemKind::TooManySteps, last.named.span.clone()));
        }
        let key = self.tally(count)?;
        if key.is_traced() {
            self.refuse_imported(&key, count)?;
        }
        if key.is_traced() && plan.traced().len() >= limits::TRACES {
            return Err(Fault::new(ProblemKind::TooManyTraces, count.of.span.clone()));
        }
        let n = count.number;
        let not = |node| Node::Not(Box::new(node));
        match count.comparison {
            Comparison::Equal => equal(count, key, plan),
            Comparison::Unequal => equal(count, key, plan).map(not),
            Comparison::More => least(count, key, n.saturating_add(1), plan),
            Comparison::MoreEqual => least(count, key, n, plan),
            Comparison::Less => least(count, key, n, plan).map(not),
            Comparison::LessEqual => least(count, key, n.saturating_add(1), plan).map(not),
        }
    }

    /// What a partner declares has a day, and nothing else that could be looked at.
    fn refuse_imported(&self, key: &TallyKey, count: &Count) -> Result<(), Fault> {
        let imported = key.cells().find(|cell| self.definitions.is_imported(cell.category));
        imported.map_or(Ok(()), |cell| {
            let name = self.definitions.path(cell.category).into();
            let fault = ImportFault::DaysAlone { name };
            Err(Fault::new(ProblemKind::Import { fault }, count.of.span.clone()))
        })
    }

    fn cell(&self, named: &Named) -> Result<CellId, Fault> {
        let name = &named.category;
        let here = |kind| Err(Fault::new(kind, named.span.clone()));
        if let Some(category) = self.definitions.category_named(name)
            && self.tells_sensitive
            && self.definitions.is_sensitive(category.id)
        {
            return here(ProblemKind::SensitiveCategory { name: name.clone() });
        }
        self.definitions.cell_named(name).ok_or_else(|| {
            let nearest = self.definitions.nearest_category(name);
            let kind = ProblemKind::UnknownCategory { name: name.clone(), nearest };
            Fault::new(kind, named.span.clone())
        })
    }

    fn window(&self, ago: Ago, count: &Count) -> Result<Window, Fault> {
        let retention = self.retention.days();
        let here = |kind| Err(Fault::new(kind, count.window_span.clone()));
        let (Ago::Within(first) | Ago::Between(first, _) | Ago::Earlier(first)) = ago;
        // The oldest day or hour, counting the current one as 1; and the two ends, so long ago.
        let (reach, newest, oldest) = match ago {
            Ago::Within(Units { number: 0, .. }) => return here(ProblemKind::WindowEmpty),
            Ago::Within(Units { number, .. }) => (number, 0, number - 1),
            Ago::Between(Units { number: a, unit }, Units { number: b, unit: other }) => {
                if unit != other {
                    return here(ProblemKind::MixedWindow);
                }
                (a.max(b).saturating_add(1), a.min(b), a.max(b))
            }
            Ago::Earlier(Units { unit: Unit::Hours, .. }) => {
                return here(ProblemKind::MixedWindow);
            }
            Ago::Earlier(Units { number, .. }) => {
                (number.saturating_add(1), number, u32::from(retention) - 1)
            }
        };
        if first.unit == Unit::Hours {
            let within = reach <= u32::from(limits::WINDOW_HOURS.min(retention * 24));
            return match (u16::try_from(newest), u16::try_from(oldest)) {
                (Ok(newest), Ok(oldest)) if within => Ok(Window::hours_ago(newest, oldest)),
                (Ok(_) | Err(_), Ok(_) | Err(_)) => {
                    here(ProblemKind::TooManyHours { hours: reach })
                }
            };
        }
        match (u16::try_from(newest), u16::try_from(oldest)) {
            (Ok(newest), Ok(oldest)) if reach <= u32::from(retention) => {
                Ok(Window::ago(newest, oldest))
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => {
                here(ProblemKind::WindowTooLong { days: reach, retention })
            }
        }
    }
}

/// "At least `n`", the one comparison that leaves make.
fn least(count: &Count, key: TallyKey, n: u32, plan: &mut Plan) -> Result<Node, Fault> {
    let here = |kind| Err(Fault::new(kind, count.comparison_span.clone()));
    let highest = match count.measure {
        Measure::Visited => limits::VISITED_MAX,
        Measure::Engaged => limits::ENGAGED_MAX,
        Measure::Days => u32::from(limits::RETENTION_DAYS_MAX),
    };
    if n > highest {
        return here(ProblemKind::ThresholdTooHigh { highest });
    }
    if n == 0 {
        let result = count.comparison == Comparison::MoreEqual;
        return here(ProblemKind::NoComparison { result });
    }
    Ok(Node::Leaf(plan.leaf(key, n)))
}

/// "At least n, and not at least n + 1".
fn equal(count: &Count, key: TallyKey, plan: &mut Plan) -> Result<Node, Fault> {
    let n = count.number;
    let more = Node::Not(Box::new(least(count, key.clone(), n.saturating_add(1), plan)?));
    if n == 0 { Ok(more) } else { Ok(Node::And(vec![least(count, key, n, plan)?, more])) }
}
