//! Definitions ready for work: rules as a classifier, expressions over shared leaves.

use std::collections::{BTreeSet, HashMap};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use mayfly_core::{CategoryId, CellId, Day, Hour, Retention, SegmentId};

use crate::arrival::Arrival;
use crate::classify::{ClassRule, Classifier, Exception};
use crate::definitions::{Category, Declaring, Definitions, OnPage, WordLists};
use crate::expr::{Node, Resolver};
use crate::leaf::{Plan, TallyKey};
use crate::problem::{Fault, Problem, ProblemKind, Source, Subject};
use crate::rule::{Rule, SiteFacts};

/// Where rules stand in a definitions file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    pub(crate) rules: HashMap<(CategoryId, usize), Range<usize>>,
    pub(crate) exceptions: HashMap<(CategoryId, usize), Range<usize>>,
    pub(crate) segments: HashMap<SegmentId, Range<usize>>,
}

/// A segment over the leaves of [`Compiled::plan`].
#[derive(Clone, Debug)]
pub struct CompiledSegment {
    /// Its number.
    pub id: SegmentId,
    /// Its name.
    pub name: Box<str>,
    /// Nobody enters; members still leave.
    pub paused: bool,
    /// Where it may be read in the page.
    pub on_page: OnPage,
    /// The hours at which it has members.
    pub hours: Range<Hour>,
    pub(crate) node: Node,
}

/// One version of the definitions, compiled. Immutable; shared by all partitions.
#[derive(Clone, Debug)]
pub struct Compiled {
    version: u32,
    retention: Retention,
    cells: HashMap<CategoryId, CellId>,
    classifier: Classifier,
    arrival: Arc<Arrival>,
    plan: Plan,
    segments: Vec<CompiledSegment>,
    /// For each leaf, the places of the segments above it.
    above: Vec<Vec<usize>>,
    definitions: Definitions,
}

impl Compiled {
    /// Compiles definitions.
    ///
    /// # Errors
    /// Everything that is wrong. Definitions that [`Definitions::apply`] made under the same
    /// retention have no problems; under a shorter one windows may have become too long.
    pub fn new(definitions: &Definitions, retention: Retention) -> Result<Self, Vec<Problem>> {
        Self::build(definitions, retention, &Places::default(), "")
    }

    /// As [`Compiled::new`], with problems told at their places in a definitions file.
    pub(crate) fn build(
        definitions: &Definitions,
        retention: Retention,
        places: &Places,
        file: &str,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let rules = RuleReader::new(definitions, places, file).read(&mut problems);
        let (plan, segments) = segments(definitions, retention, places, file, &mut problems);
        let (classifier, arrival) = classifier(definitions, rules, &plan);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut above = vec![Vec::new(); plan.leaves().len()];
        for (at, segment) in segments.iter().enumerate() {
            segment.node.each_leaf(&mut |leaf| above[leaf].push(at));
        }
        above.iter_mut().for_each(Vec::dedup);
        let all = CellId { category: CategoryId::ALL, since: 0 };
        let cells = definitions.categories().map(|c| CellId { category: c.id, since: c.since });
        Ok(Self {
            version: definitions.version(),
            retention,
            cells: cells.chain([all]).map(|cell| (cell.category, cell)).collect(),
            classifier,
            arrival: Arc::new(arrival),
            plan,
            segments,
            above,
            definitions: definitions.clone(),
        })
    }

    /// The version of the definitions.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The definitions.
    #[must_use]
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// How long behaviour is kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// The rules.
    #[must_use]
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// What is to be asked of a hit while it comes.
    #[must_use]
    pub fn arrival(&self) -> &Arc<Arrival> {
        &self.arrival
    }

    /// The leaves and tallies of all segments.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The segments, by number.
    #[must_use]
    pub fn segments(&self) -> &[CompiledSegment] {
        &self.segments
    }

    /// The place of a segment in [`Compiled::segments`].
    #[must_use]
    pub fn place(&self, id: SegmentId) -> Option<usize> {
        self.segments.binary_search_by_key(&id, |segment| segment.id).ok()
    }

    /// What cells of a category are called now.
    #[must_use]
    pub fn cell(&self, category: CategoryId) -> Option<CellId> {
        self.cells.get(&category).copied()
    }

    /// What all cells are called now, ascending.
    #[must_use]
    pub fn cells(&self) -> BTreeSet<CellId> {
        self.cells.values().copied().collect()
    }

    /// Whether cells of this name are still filled.
    #[must_use]
    pub fn knows(&self, cell: CellId) -> bool {
        self.cell(cell.category) == Some(cell)
    }

    /// The cells to fill from hits when these definitions follow `before`.
    #[must_use]
    pub fn new_cells(&self, before: &Self) -> BTreeSet<CellId> {
        self.cells.values().copied().filter(|cell| !before.knows(*cell)).collect()
    }

    /// The days whose hits are looked at by traced tallies that `before` does not have.
    #[must_use]
    pub fn recalls_after(&self, before: &Self, today: Day) -> Option<RangeInclusive<Day>> {
        self.plan.recalled(self.new_traces(before).into_iter(), today)
    }

    /// The traced tallies that `before` does not have.
    pub(crate) fn new_traces(&self, before: &Self) -> Vec<usize> {
        let is_new = |at: &usize| {
            self.plan.tallies().get(*at).is_some_and(|key| before.plan.find(key).is_none())
        };
        self.plan.traced().filter(is_new).collect()
    }

    /// The day cells that memberships on `today` hang on.
    #[must_use]
    pub fn needs(&self, today: Day) -> Vec<(CellId, RangeInclusive<Day>)> {
        self.plan.needs(today)
    }

    /// The places of the segments above a leaf.
    pub(crate) fn above(&self, leaf: usize) -> &[usize] {
        self.above.get(leaf).map_or(&[], Vec::as_slice)
    }
}

/// The source of a text: its place in the file, or itself as stored.
fn source<'a>(
    place: Option<&Range<usize>>,
    file: &'a str,
    text: &'a str,
    stored: impl FnOnce() -> Subject,
) -> Source<'a> {
    match place {
        Some(span) => Source::within(file, span.clone(), text),
        None => Source::new(stored(), text),
    }
}

/// Reads the rules of all categories.
struct RuleReader<'a> {
    definitions: &'a Definitions,
    places: &'a Places,
    file: &'a str,
    lists: WordLists<'a>,
    declaring: Declaring<'a>,
}

impl<'a> RuleReader<'a> {
    fn new(definitions: &'a Definitions, places: &'a Places, file: &'a str) -> Self {
        let (lists, declaring) = (WordLists::new(definitions), definitions.declaring());
        Self { definitions, places, file, lists, declaring }
    }

    fn read(&self, problems: &mut Vec<Problem>) -> Vec<ClassRule> {
        let each = self.definitions.categories();
        each.flat_map(|category| self.category(category, problems)).collect()
    }

    /// A category's rules: each once for every day on which something that it gives retires.
    fn category(&self, category: &Category, problems: &mut Vec<Problem>) -> Vec<ClassRule> {
        let of = category.id;
        let except = self.exceptions(category, problems);
        let groups = self.definitions.gives_until(of);
        let mut rules = Vec::new();
        let all = self.definitions.rules_of(category, &self.declaring);
        for (at, text) in all.into_iter().enumerate() {
            let place = self.places.rules.get(&(of, at));
            let Some(rule) = self.told(category, place, &text.rule, problems) else { continue };
            rules.extend(groups.iter().map(|(until, gives)| ClassRule {
                rule: rule.clone(),
                text: text.rule.clone(),
                except: except.clone(),
                sites: text.sites.clone(),
                of,
                gives: gives.clone(),
                until: *until,
            }));
        }
        rules
    }

    /// Its exceptions, joined; `None` = it has none.
    fn exceptions(
        &self,
        category: &Category,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<Vec<Exception>>> {
        let mut all = Vec::new();
        for (at, text) in category.except.iter().enumerate() {
            let place = self.places.exceptions.get(&(category.id, at));
            let read = self.told(category, place, text, problems);
            all.extend(read.map(|rule| Exception { text: text.clone(), node: rule.node }));
        }
        (!all.is_empty()).then(|| Arc::new(all))
    }

    /// A rule; what is wrong with it is told.
    fn told(
        &self,
        category: &Category,
        place: Option<&Range<usize>>,
        text: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Rule> {
        let stored = || Subject::StoredCategory(self.definitions.path(category.id).into());
        let tell = |fault| problems.push(source(place, self.file, text, stored).problem(fault));
        self.rule(text).map_err(tell).ok()
    }

    /// A rule whose sites and word lists are known.
    fn rule(&self, text: &str) -> Result<Rule, Fault> {
        let mut rule = Rule::read(text)?;
        rule.node.put_lists(&self.lists)?;
        for name in rule.node.sites() {
            if !self.definitions.knows_site(&name) {
                let at = text.to_lowercase().find(&*name).unwrap_or(0);
                let nearest = self.definitions.nearest_site(&name);
                let span = at..at + name.len();
                return Err(Fault::new(ProblemKind::UnknownSite { name, nearest }, span));
            }
        }
        Ok(rule)
    }
}

fn classifier(
    definitions: &Definitions,
    rules: Vec<ClassRule>,
    plan: &Plan,
) -> (Classifier, Arrival) {
    let plain = definitions.categories().filter(|own| !definitions.is_sensitive(own.id));
    let line = |own: &Category| ((own.id, own.import.is_some()), definitions.gives_until(own.id));
    let lines = plain.map(line).collect();
    let sites: HashMap<_, _> =
        definitions.sites.values().map(|e| (e.site.id, SiteFacts::of(&e.site))).collect();
    let is_sensitive = |rule: &ClassRule| definitions.is_sensitive(rule.of);
    let (sensitive, rules): (Vec<_>, Vec<_>) = rules.into_iter().partition(is_sensitive);
    let (fleeting, rules) = rules.into_iter().partition(ClassRule::asks_fleeting);
    let filters = plan.tallies().iter().flat_map(TallyKey::filters).map(|only| &*only.rule);
    let filters: Vec<_> = filters.collect();
    let sensitive = Classifier::new(sensitive, HashMap::new(), sites.clone());
    let arrival = Arrival::new(fleeting, sensitive, &rules, &filters, sites.clone());
    (Classifier::new(rules, lines, sites), arrival)
}

fn segments(
    definitions: &Definitions,
    retention: Retention,
    places: &Places,
    file: &str,
    problems: &mut Vec<Problem>,
) -> (Plan, Vec<CompiledSegment>) {
    let mut plan = Plan::default();
    let mut resolver = Resolver::new(definitions, retention);
    let mut segments = Vec::new();
    for segment in definitions.segments() {
        // What the file does not speak of may look at what became sensitive: at nobody.
        resolver.tells_sensitive(places.segments.contains_key(&segment.id));
        match resolver.segment(&segment.name, &segment.rule, &mut plan) {
            Ok(node) => segments.push(CompiledSegment {
                id: segment.id,
                name: segment.name.clone(),
                paused: segment.paused,
                on_page: segment.on_page.clone(),
                hours: segment.period.hours(),
                node,
            }),
            Err(fault) => {
                let place = places.segments.get(&segment.id);
                let stored = || Subject::StoredSegment(segment.name.clone());
                problems.push(source(place, file, &segment.rule, stored).problem(fault));
            }
        }
    }
    (plan, segments)
}
