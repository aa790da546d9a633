//! Midnight: windows slide, and only visitors in the cells that enter or leave are tested again.
//! At each full hour the same for windows of hours.

use std::collections::{BTreeMap, BTreeSet};

use mayfly_core::{CategoryId, Cell, Day, DayCells, Hour};
use roaring::RoaringBitmap;

use super::layer::{Layer, Slide};
use super::{DayNotLoaded, Flip, Index};

impl Index {
    /// The cells that [`Index::midnight`] will read of days that are not in memory.
    ///
    /// The oldest day of the longest window is gone from the store at midnight itself: ask for the
    /// coming day a little before, and load that day ([`Index::put_day`]), so that late hits are
    /// folded into what will be taken away.
    #[must_use]
    pub fn midnight_needs(&self, today: Day) -> BTreeMap<Day, BTreeSet<CategoryId>> {
        let mut needs: BTreeMap<Day, BTreeSet<CategoryId>> = BTreeMap::new();
        for slide in self.slides(today).into_iter().flatten() {
            if !self.days.contains_key(&slide.day) {
                needs.entry(slide.day).or_default().insert(slide.cell.category);
            }
        }
        needs
    }

    /// The slides of the present and of the next definitions.
    fn slides(&self, today: Day) -> [Vec<Slide>; 2] {
        let live = self.live.slides(self.today, today);
        let next = self.next.as_ref().map_or(Vec::new(), |next| {
            let mut slides = next.layer.slides(self.today, today);
            slides.retain(|slide| next.owns(slide.tally) && next.days.contains(&slide.day));
            slides
        });
        [live, next]
    }

    /// Makes `today` the current day. `cells` holds what [`Index::midnight_needs`] named, read now
    /// (an empty map for a day without hits). A day before the current one changes nothing.
    ///
    /// # Errors
    /// A day is neither in memory nor given; nothing is changed. When it cannot be had any more,
    /// load the index anew.
    pub fn midnight(
        &mut self,
        today: Day,
        cells: &BTreeMap<Day, DayCells>,
    ) -> Result<Vec<Flip>, DayNotLoaded> {
        if today <= self.today {
            return Ok(Vec::new());
        }
        let missing = self.midnight_needs(today).into_keys().find(|day| !cells.contains_key(day));
        if let Some(day) = missing {
            return Err(DayNotLoaded { day });
        }
        self.days.values_mut().for_each(|open| {
            open.settle();
        });
        let [live, next] = self.slides(today);
        let mut touched = BTreeMap::new();
        let before = self.hour;
        self.hour = before.max(today.first_hour());
        self.live.turn(self.hour, true, &mut touched);
        self.apply(&live, cells, |index| &mut index.live, &mut touched);
        if let Some(mut coming) = self.next.take() {
            let mut nobody = BTreeMap::new();
            for slide in &next {
                let cell = self.cell(slide, cells);
                coming.layer.slide(slide, &cell, &mut nobody);
            }
            self.next = Some(coming);
        }
        self.today = today;
        let retention = self.live.compiled.retention();
        self.days.retain(|day, _| retention.keeps(*day, today));
        let mut flips = self.retest_all(touched);
        flips.extend(self.start_and_end(before));
        Ok(flips)
    }

    /// Makes `hour` the current one, for windows of hours. An hour of a coming day, or one before
    /// the current one, changes nothing: see [`Index::midnight`].
    pub fn turn(&mut self, hour: Hour) -> Vec<Flip> {
        if hour <= self.hour || hour.day() != self.today {
            return Vec::new();
        }
        let before = std::mem::replace(&mut self.hour, hour);
        let mut touched = BTreeMap::new();
        self.live.turn(hour, false, &mut touched);
        let mut flips = self.retest_all(touched);
        flips.extend(self.start_and_end(before));
        flips
    }

    /// Segments that began or ended since the hour `before` get their members, or lose them.
    fn start_and_end(&mut self, before: Hour) -> Vec<Flip> {
        let mut flips = Vec::new();
        for at in 0..self.members.len() {
            if self.runs(at, before) == self.runs(at, self.hour) {
                continue;
            }
            let now = self.evaluated(at, &self.members[at]);
            let was = std::mem::replace(&mut self.members[at], now);
            let Some(segment) = self.live.compiled.segments().get(at).map(|s| s.id) else {
                continue;
            };
            let (now, is_in) =
                (&self.members[at], |entered| move |ordinal| Flip { segment, ordinal, entered });
            flips.extend((now - &was).iter().map(is_in(true)));
            flips.extend((&was - now).iter().map(is_in(false)));
        }
        flips
    }

    fn retest_all(&mut self, touched: BTreeMap<usize, RoaringBitmap>) -> Vec<Flip> {
        let mut flips = Vec::new();
        for (segment, ordinals) in touched {
            ordinals.iter().for_each(|ordinal| flips.extend(self.retest(segment, ordinal)));
        }
        flips
    }

    fn apply(
        &mut self,
        slides: &[Slide],
        cells: &BTreeMap<Day, DayCells>,
        layer: fn(&mut Self) -> &mut Layer,
        touched: &mut BTreeMap<usize, RoaringBitmap>,
    ) {
        for slide in slides {
            let cell = self.cell(slide, cells);
            layer(self).slide(slide, &cell, touched);
        }
    }

    /// The cell that a slide moves, without erased visitors.
    fn cell(&self, slide: &Slide, given: &BTreeMap<Day, DayCells>) -> Cell {
        let loaded = self.days.get(&slide.day).map(super::day::OpenDay::settled);
        let cell = loaded.or_else(|| given.get(&slide.day)).and_then(|day| day.get(&slide.cell));
        let mut cell = cell.cloned().unwrap_or_default();
        cell.entries.retain(|entry| !self.erased.contains(entry.ordinal));
        cell
    }
}
