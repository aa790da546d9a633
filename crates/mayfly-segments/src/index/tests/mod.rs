//! The index against a plain model, and rebuilds against folding.

mod plain;

use mayfly_core::{Event, Retention};
use proptest::prelude::*;

use super::*;
use crate::Evaluation;
use crate::Expression;
use crate::PageMemo;
use crate::definitions::{Definitions, DefinitionsFile};
use crate::why::Why;
use plain::{Plain, RETENTION_DAYS, Raw, pages};

#[derive(Clone, Debug)]
enum Step {
    /// Hits of one visitor: so many, this many days ago.
    Hits {
        ago: u16,
        times: usize,
        raw: Raw,
    },
    Midnight {
        days: u16,
    },
    /// Later on the same day.
    Hours {
        hours: u16,
    },
    Erase {
        ordinal: Ordinal,
    },
    /// All days out of memory, into the store.
    Evict,
    /// Another process takes over from what is stored.
    Restart,
    /// New definitions; hits come while days are prepared.
    Change {
        plain: Plain,
        between: Vec<(u16, Raw)>,
    },
}

struct World {
    index: Index,
    definitions: Definitions,
    plain: Plain,
    stored: BTreeMap<Day, DayCells>,
    raw: Vec<Raw>,
    erased: BTreeSet<Ordinal>,
    pages: Vec<Page>,
    today: Day,
    now: Hour,
}

fn retention() -> Retention {
    Retention::new(RETENTION_DAYS).unwrap()
}

fn applied(definitions: &Definitions, plain: &Plain) -> Definitions {
    let text = plain.file();
    let file = DefinitionsFile::parse(&text).unwrap_or_else(|p| panic!("{}\n{text}", p[0]));
    let applied = definitions.apply(&file, true, retention());
    applied.unwrap_or_else(|p| panic!("{}\n{text}", p[0])).definitions
}

fn compiled(definitions: &Definitions) -> Arc<Compiled> {
    Arc::new(Compiled::new(definitions, retention()).unwrap())
}

impl World {
    fn new(plain: Plain) -> Self {
        let definitions = applied(&Definitions::default(), &plain);
        let today = Day(1000);
        let now = today.first_hour();
        let mut index = Index::new(compiled(&definitions), Partition(0), now);
        index.recalled();
        Self {
            index,
            definitions,
            plain,
            stored: BTreeMap::new(),
            raw: Vec::new(),
            erased: BTreeSet::new(),
            pages: pages(),
            today,
            now,
        }
    }

    fn put(&mut self, day: Day) {
        if !self.index.has_day(day) {
            self.index.put_day(day, self.stored.get(&day).cloned().unwrap_or_default());
        }
    }

    fn fold(&mut self, ago: u16, times: usize, raw: &Raw) {
        let raw = Raw { day: self.today.minus(ago), ..raw.clone() };
        if !retention().keeps(raw.day, self.today) {
            return;
        }
        self.put(raw.day);
        let hit = raw.hit();
        let hits = vec![(&hit, &self.pages[raw.page]); times];
        self.index.fold(raw.day, &hits).unwrap();
        if !self.erased.contains(&raw.ordinal) {
            self.raw.extend(vec![raw; times]);
        }
    }

    fn evict(&mut self) {
        let days: Vec<Day> = self.index.days().collect();
        for day in days {
            let before = self.stored.get(&day).cloned().unwrap_or_default();
            let changed = self.index.changed(day);
            let cells = self.index.evict(day).unwrap();
            // Only what is said to have changed may differ from what is stored.
            for (id, cell) in &before {
                assert!(changed.contains(&id.category) || cells.get(id) == Some(cell));
            }
            self.stored.insert(day, cells);
        }
    }

    fn midnight(&mut self, days: u16) {
        let today = self.today.plus(days);
        let needs = self.index.midnight_needs(today);
        let cells = needs
            .keys()
            .map(|day| (*day, self.stored.get(day).cloned().unwrap_or_default()))
            .collect();
        self.index.midnight(today, &cells).unwrap();
        (self.today, self.now) = (today, today.first_hour());
        self.stored.retain(|day, _| retention().keeps(*day, today));
        self.raw.retain(|raw| retention().keeps(raw.day, today));
    }

    fn hours(&mut self, hours: u16) {
        let hour = self.now.plus(hours);
        if hour.day() == self.today {
            self.index.turn(hour);
            self.now = hour;
        }
    }

    fn restart(&mut self) {
        self.evict();
        let before = self.index.clone();
        self.index = Index::new(compiled(&self.definitions), Partition(0), self.now);
        self.index.set_erased(self.erased.iter().copied().collect());
        for (day, cells) in &self.stored {
            self.index.load_day(*day, cells);
        }
        for raw in &self.raw {
            self.index.note_seen(&raw.hit());
        }
        // Odd days are taken from the memory before, even ones from the hits.
        let days: BTreeSet<Day> = self.raw.iter().map(|raw| raw.day).collect();
        let (odd, even): (BTreeSet<Day>, BTreeSet<Day>) =
            days.into_iter().partition(|day| day.0 % 2 == 1);
        self.index.inherit(&before, &odd);
        odd.iter().for_each(|day| self.index.recall(*day, Built::default()));
        let mut builder = CellsBuilder::recalling(self.index.compiled());
        for day in even {
            let built = self.built(&mut builder, day);
            self.index.recall(day, built);
        }
        self.index.recalled();
        self.index.evaluate();
    }

    fn change(&mut self, plain: Plain, between: Vec<(u16, Raw)>) {
        let definitions = applied(&self.definitions, &plain);
        let next = compiled(&definitions);
        let preparation = self.index.prepare(Arc::clone(&next));
        let mut builder = CellsBuilder::preparing(&next, &preparation);
        let mut between = between.into_iter();
        for day in preparation.days.into_iter().flat_map(|d| d.start().0..=d.end().0).map(Day) {
            if let Some((ago, raw)) = between.next() {
                self.fold(ago, 1, &raw);
            }
            self.put(day);
            let built = self.built(&mut builder, day);
            self.index.prepared(day, built).unwrap();
            if day.0 % 3 == 0 {
                self.evict();
            }
        }
        for (ago, raw) in between {
            self.fold(ago, 1, &raw);
        }
        let before: Vec<_> = self.memberships();
        let changes = self.index.switch();
        (self.plain, self.definitions) = (plain, definitions);
        for (id, was) in before {
            let now = self.index.members(id).cloned().unwrap_or_default();
            let change = changes.iter().find(|c| c.segment == id);
            let (entered, left) =
                change.map(|c| (c.entered.clone(), c.left.clone())).unwrap_or_default();
            assert_eq!((was - left) | entered, now, "what is told is what changed");
        }
    }

    fn memberships(&self) -> Vec<(SegmentId, RoaringBitmap)> {
        let segments = self.index.compiled().segments();
        segments.iter().map(|s| (s.id, self.index.members(s.id).unwrap().clone())).collect()
    }

    fn built(&self, builder: &mut CellsBuilder, day: Day) -> Built {
        let hits: Vec<(Hit, &Page)> = self
            .raw
            .iter()
            .filter(|raw| raw.day == day)
            .map(|raw| (raw.hit(), &self.pages[raw.page]))
            .collect();
        let hits: Vec<(&Hit, &Page)> = hits.iter().map(|(hit, page)| (hit, *page)).collect();
        hits.chunks(7).for_each(|hits| builder.add(hits));
        builder.finish()
    }

    fn take(&mut self, step: Step) {
        let before = self.memberships();
        match step {
            Step::Hits { ago, times, raw } => {
                // As where it is asked: the current day is never taken out of memory.
                self.put(self.today);
                self.check_present(&raw);
                self.fold(ago, times, &raw);
            }
            Step::Midnight { days } => self.midnight(days),
            Step::Hours { hours } => self.hours(hours),
            Step::Erase { ordinal } => {
                self.index.erase(ordinal);
                self.erased.insert(ordinal);
                self.raw.retain(|raw| raw.ordinal != ordinal);
                for cells in self.stored.values_mut() {
                    cells.values_mut().for_each(|c| c.entries.retain(|e| e.ordinal != ordinal));
                    cells.retain(|_, cell| !cell.entries.is_empty());
                }
            }
            Step::Evict => self.evict(),
            Step::Restart => {
                self.restart();
                assert_eq!(self.memberships(), before, "a restart changes nobody");
            }
            Step::Change { plain, between } => self.change(plain, between),
        }
    }

    fn check(&mut self) {
        let hits: Vec<Raw> = self.raw.clone();
        for (at, (id, members)) in self.memberships().into_iter().enumerate() {
            let expected = self.plain.members(at, &hits, self.now);
            let text = self.plain.trees[at].text();
            assert_eq!(members.iter().collect::<Vec<_>>(), expected, "{id:?} {text}");
            let expression = Expression::parse(&text, &self.definitions, retention()).unwrap();
            assert_eq!(self.ad_hoc(&expression), members, "by itself: {text}");
        }
        self.check_why();
        let now = self.today.at_second(50_000);
        let all: BTreeSet<Ordinal> =
            hits.iter().filter(|h| is_seen(h)).map(|h| h.ordinal).collect();
        assert_eq!(self.index.all(), all.iter().copied().collect());
        let seen = self.index.seen(&self.index.all(), now);
        let week = hits.iter().filter(|h| h.day.0 + 7 > self.today.0 && is_seen(h));
        let week: BTreeSet<Ordinal> = week.map(|h| h.ordinal).collect();
        assert_eq!((seen.d7, seen.d90), (week.len() as u64, all.len() as u64));
        self.check_cells();
    }

    /// Why a visitor is in or out agrees with who is, now and on each day to come.
    fn check_why(&self) {
        let compiled = self.index.compiled();
        let ordinals: BTreeSet<Ordinal> = self.raw.iter().map(|raw| raw.ordinal).collect();
        for ordinal in ordinals {
            let own: Vec<Raw> = self.raw.iter().filter(|r| r.ordinal == ordinal).cloned().collect();
            let hits: Vec<Hit> = own.iter().map(Raw::hit).collect();
            let hits: Vec<_> =
                hits.iter().zip(&own).map(|(hit, raw)| (hit, &self.pages[raw.page])).collect();
            let visitor = Visitor { partition: Partition(0), ordinal };
            for (at, tree) in self.plain.trees.iter().enumerate() {
                let why = Why::of(&tree.text(), compiled, self.now, visitor, &hits).unwrap();
                let is_in = |now| !self.plain.members(at, &own, now).is_empty();
                assert_eq!(why.holds(), is_in(self.now), "{}", tree.text());
                let mut hours = (1..=RETENTION_DAYS * 24).map(|ahead| self.now.plus(ahead));
                let full = |hour: &Hour| tree.has_hours() || hour.0.is_multiple_of(24);
                let changes = hours.find(|hour| full(hour) && is_in(*hour) != why.holds());
                assert_eq!(why.changes_at, changes.map(Hour::start), "{}", tree.text());
                if !tree.text().contains("sample") {
                    assert_eq!(why.nearest.is_some(), !why.holds(), "{}", tree.text());
                }
            }
        }
    }

    /// The present page gives what the hit would give once it is stored.
    fn check_present(&self, raw: &Raw) {
        let event = Event::PageView;
        let raw = Raw { day: self.today, event, declared: None, ..raw.clone() };
        let (hit, page) = (raw.hit(), &self.pages[raw.page]);
        let known = (!self.erased.contains(&raw.ordinal)).then_some(raw.ordinal);
        let mut hits: Vec<Raw> =
            self.raw.iter().filter(|h| Some(h.ordinal) == known).cloned().collect();
        hits.push(raw.clone());
        let trees = self.plain.trees.iter().enumerate();
        let unsampled =
            trees.filter(|(_, tree)| known.is_some() || !tree.text().contains("sample"));
        let expected: Vec<_> = unsampled
            .filter(|(at, _)| !self.plain.members(*at, &hits, self.now).is_empty())
            .map(|(at, _)| self.index.compiled().segments()[at].id)
            .collect();
        let mut found = self.index.segments_with(known, (&hit, page), &mut PageMemo::default());
        let sampled = |id: &SegmentId| {
            let at = self.index.compiled().place(*id).unwrap();
            known.is_none() && self.plain.trees[at].text().contains("sample")
        };
        found.retain(|id| !sampled(id));
        assert_eq!(found, expected, "{raw:?}");
    }

    fn ad_hoc(&mut self, expression: &Expression) -> RoaringBitmap {
        let mut evaluation = Evaluation::new(expression, Partition(0), self.now);
        let compiled = Arc::clone(self.index.compiled());
        let mut builder = CellsBuilder::asking(&compiled, expression);
        for day in (self.today.0 - RETENTION_DAYS..=self.today.0).map(Day) {
            let loaded = self.index.day_cells(day).cloned();
            let cells = loaded.or_else(|| self.stored.get(&day).cloned()).unwrap_or_default();
            evaluation.add_day(day, &cells);
            evaluation.add_traces(self.built(&mut builder, day));
        }
        evaluation.finish()
    }

    /// Cells are a function of hits and definitions.
    fn check_cells(&mut self) {
        let compiled = Arc::clone(self.index.compiled());
        let mut builder = CellsBuilder::new(&compiled, &compiled.cells());
        for day in (self.today.0 - RETENTION_DAYS..=self.today.0).map(Day) {
            let built = self.built(&mut builder, day);
            if let Some(cells) = self.index.day_cells(day) {
                assert_eq!(*cells, built.cells, "{day}");
            }
        }
    }
}

fn raw() -> impl Strategy<Value = Raw> {
    let event = prop_oneof![
        4 => Just(Event::PageView),
        2 => Just(Event::Engagement),
        1 => Just(Event::AdClick),
    ];
    let ordinal = prop_oneof![1u32..5, Just(65_535), Just(65_536)];
    let engaged = prop_oneof![Just(0), 0u16..70];
    let declared = prop_oneof![
        6 => Just(None),
        2 => Just(Some(true)),
        1 => Just(Some(false)),
    ];
    let page = 0..pages().len();
    let all = (ordinal, page, event, engaged, prop::option::of(0u8..6), 0u32..50_000, declared);
    all.prop_map(|(ordinal, page, event, engaged_s, v, second, declared)| {
        // What is declared is a hit, whatever it is called.
        let (event, engaged_s) = match declared {
            Some(_) => (Event::Import, 0),
            None => (event, engaged_s),
        };
        Raw { day: Day(0), second, ordinal, page, event, engaged_s, v, declared }
    })
}

/// Whether somebody was there.
fn is_seen(raw: &Raw) -> bool {
    adds(&raw.hit()) != (0, 0) && raw.declared.is_none()
}

fn step() -> impl Strategy<Value = Step> {
    let times = prop_oneof![8 => 1usize..4, 1 => Just(300)];
    let between = prop::collection::vec((0..RETENTION_DAYS, raw()), 0..14);
    prop_oneof![
        12 => (0..RETENTION_DAYS, times, raw())
            .prop_map(|(ago, times, raw)| Step::Hits { ago, times, raw }),
        3 => (1u16..4).prop_map(|days| Step::Midnight { days }),
        3 => (1u16..14).prop_map(|hours| Step::Hours { hours }),
        1 => (1u32..5).prop_map(|ordinal| Step::Erase { ordinal }),
        1 => Just(Step::Evict),
        1 => Just(Step::Restart),
        2 => (plain::plain(), between).prop_map(|(plain, between)| Step::Change { plain, between }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Random lives: whatever happens, members are those that the plain model counts.
    #[test]
    fn memberships_and_cells_are_those_of_the_plain_model(
        plain in plain::plain(),
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let mut world = World::new(plain);
        for step in steps {
            world.take(step);
            world.check();
        }
    }
}

#[test]
fn nobody_enters_a_paused_segment_and_members_still_leave() {
    let text =
        "format = 1\n[[segment]]\nname = 's'\npaused = true\nrule = 'visited(\"*\", within 2d)'\n";
    let file = DefinitionsFile::parse(text).unwrap();
    let definitions = Definitions::default().apply(&file, false, retention()).unwrap().definitions;
    let segment = definitions.segment_named("s").unwrap().id;
    let mut index = Index::new(compiled(&definitions), Partition(0), Day(1000).first_hour());
    let raw = |ordinal| Raw {
        day: Day(1000),
        second: 0,
        ordinal,
        page: 0,
        event: Event::PageView,
        engaged_s: 0,
        v: None,
        declared: None,
    };
    let page = &pages()[0];
    assert_eq!(index.fold(Day(1000), &[]), Err(DayNotLoaded { day: Day(1000) }));
    index.put_day(Day(1000), DayCells::new());
    let hits = [raw(1).hit(), raw(2).hit()];
    let hits: Vec<_> = hits.iter().map(|hit| (hit, page)).collect();
    assert_eq!(index.fold(Day(1000), &hits).unwrap().flips, []);
    index.restore(segment, RoaringBitmap::from_iter([1, 7]));
    index.evaluate();
    assert_eq!(index.members(segment), Some(&RoaringBitmap::from_iter([1])));
    assert_eq!(index.midnight(Day(1001), &needed(&index, Day(1001))), Ok(vec![]));
    let left = Flip { segment, ordinal: 1, entered: false };
    assert_eq!(index.midnight(Day(1002), &needed(&index, Day(1002))), Ok(vec![left]));
}

#[test]
fn a_segment_has_members_from_its_first_day_to_its_last() {
    let text = "format = 1\n[[segment]]\nname = 's'\nstarts = 1972-09-28\nends = 1972-09-28\n\
                time_zone = 'Europe/Amsterdam'\nrule = 'visited(\"*\", within 9d)'\n";
    let file = DefinitionsFile::parse(text).unwrap();
    let definitions = Definitions::default().apply(&file, false, retention()).unwrap().definitions;
    let segment = definitions.segment_named("s").unwrap().id;
    let mut index = Index::new(compiled(&definitions), Partition(0), Day(1000).first_hour());
    index.put_day(Day(1000), DayCells::new());
    let raw = Raw {
        day: Day(1000),
        second: 0,
        ordinal: 1,
        page: 0,
        event: Event::PageView,
        engaged_s: 0,
        v: None,
        declared: None,
    };
    index.fold(Day(1000), &[(&raw.hit(), &pages()[0])]).unwrap();
    let is_in = |index: &Index| !index.members(segment).unwrap().is_empty();
    // 1972-09-27 is day 1000; Amsterdam was one hour ahead of UTC.
    assert_eq!((index.turn(Day(1000).first_hour().plus(22)), is_in(&index)), (vec![], false));
    let flips = index.turn(Day(1000).first_hour().plus(23));
    assert_eq!(flips, [Flip { segment, ordinal: 1, entered: true }]);
    let mut restarted = index.clone();
    restarted.evaluate();
    assert_eq!(restarted.members(segment), index.members(segment));
    index.midnight(Day(1001), &needed(&index, Day(1001))).unwrap();
    assert!(is_in(&index));
    let flips = index.turn(Day(1001).first_hour().plus(23));
    assert_eq!(flips, [Flip { segment, ordinal: 1, entered: false }]);
    index.evaluate();
    assert!(!is_in(&index));
}

/// Days that are not in memory, without hits.
fn needed(index: &Index, today: Day) -> BTreeMap<Day, DayCells> {
    index.midnight_needs(today).into_keys().map(|day| (day, DayCells::new())).collect()
}
