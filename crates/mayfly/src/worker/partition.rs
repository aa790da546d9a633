//! One partition's task: lease, load, then fold, slide, checkpoint, seal until told to stop.
//!
//! Everything here happens one after the other, so that a day's cells and cursor always belong
//! together. What fails for want of the store is tried again at the next step; a lost lease, a
//! moved cursor or a restarted server means: drop the memory and load anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mayfly_core::{Day, Timestamp};
use mayfly_segments::Compiled;
use mayfly_store::{DayHeader, EntryId, Head, Lease, Leased, StoreError, StoreUrl};
use tokio::sync::{Semaphore, watch};

use super::calendar::Calendar;
use super::pages::Pages;
use super::rebuild::Pending;
use super::seal::Purge;
use super::slot::Slot;
use super::{checkpoint, evaluate};
use crate::app::App;
use crate::clock;

/// Hits folded at a time: a reader of the index waits no longer than that takes.
pub(super) const FOLD_HITS: usize = 2000;
/// From this second of a day on, the day that leaves at midnight is kept in memory.
const LEAVING_FROM_SECOND: u32 = 86_400 - 600;
/// One partition of a process moves its windows at a time: whoever looks visitors up at midnight
/// waits for one lock, and finds a core free.
static SLIDING: Semaphore = Semaphore::const_new(1);
/// After a failure of the store.
const PAUSE: Duration = Duration::from_millis(500);

/// What is known of a day.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DayState {
    /// The header that the store has.
    pub(super) stored: DayHeader,
    /// How far the memory goes.
    pub(super) cursor: EntryId,
    /// Since when its log holds entries that are in no sealed block.
    pub(super) unsealed: Option<Timestamp>,
}

/// Why the work ended.
enum End {
    Stop,
    Reload,
}

/// The task of one partition.
pub(super) struct Task {
    pub(super) app: Arc<App>,
    pub(super) slot: Arc<Slot>,
    pub(super) lease: Option<Lease>,
    pub(super) days: BTreeMap<Day, DayState>,
    pub(super) pages: Pages,
    pub(super) active: Arc<Compiled>,
    pub(super) calendar: Calendar,
    pub(super) pending: Option<Pending>,
    pub(super) purged: u64,
    /// The day of the stored memberships; `None` when cells were written since.
    pub(super) memberships: Option<Day>,
    definitions: watch::Receiver<Arc<Compiled>>,
    stopping: watch::Receiver<bool>,
    leased: Instant,
    checkpointed: Instant,
    generation: u64,
    /// The pass that takes erased visitors out, when one is under way.
    pub(super) purge: Option<Purge>,
    /// The kind of failure that was told last, until a step goes well.
    told: Option<&'static str>,
}

impl Task {
    pub(super) fn new(app: Arc<App>, slot: Arc<Slot>, stopping: watch::Receiver<bool>) -> Self {
        let definitions = app.watch_definitions();
        let (active, generation) = (app.active(), app.health().generation);
        Self {
            app,
            slot,
            lease: None,
            days: BTreeMap::new(),
            pages: Pages::default(),
            active,
            calendar: Calendar::new(clock::now()),
            pending: None,
            purged: 0,
            memberships: None,
            definitions,
            stopping,
            leased: Instant::now(),
            checkpointed: Instant::now(),
            generation,
            purge: None,
            told: None,
        }
    }

    /// Runs until told to stop.
    pub(super) async fn run(mut self) {
        loop {
            if let Err(error) = self.start().await {
                self.report(&error);
                if self.pause().await {
                    return;
                }
                continue;
            }
            self.slot.set_beat(clock::now());
            self.slot.set_loaded();
            match self.work().await {
                End::Reload => {}
                End::Stop => break,
            }
        }
        if let Err(error) = self.finish().await {
            self.report(&error);
        }
    }

    /// Counts a failure, and tells of it unless the last one was of its kind.
    fn report(&mut self, error: &StoreError) {
        self.app.metrics().failed(error);
        if self.told.replace(error.label()) != Some(error.label()) {
            let partition = self.slot.partition().0;
            tracing::warn!(partition, %error, "the worker could not go on");
        }
    }

    fn goes_well(&mut self) {
        if self.told.take().is_some() {
            tracing::info!(partition = self.slot.partition().0, "the worker goes on");
        }
    }

    /// Waits a little; whether it is time to stop.
    async fn pause(&mut self) -> bool {
        let stop = self.stopping.wait_for(|stop| *stop);
        tokio::time::timeout(PAUSE, stop).await.is_ok()
    }

    /// Asks for the lease and loads the memory.
    async fn start(&mut self) -> Result<(), StoreError> {
        self.generation = self.app.health().generation;
        self.renew(clock::now()).await?;
        self.load(clock::now()).await?;
        self.checkpointed = Instant::now();
        Ok(())
    }

    /// Steps until told to stop, or until the memory is no longer true.
    async fn work(&mut self) -> End {
        let mut every = tokio::time::interval(self.app.settings().poll);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                _ = self.stopping.wait_for(|stop| *stop) => return End::Stop,
            }
            if self.app.health().generation != self.generation {
                return End::Reload;
            }
            match self.step(clock::now()).await {
                Ok(()) => self.goes_well(),
                Err(error @ (StoreError::LeaseLost { .. } | StoreError::CursorMoved { .. })) => {
                    self.report(&error);
                    return End::Reload;
                }
                Err(error) => {
                    self.report(&error);
                    if self.pause().await {
                        return End::Stop;
                    }
                }
            }
        }
    }

    /// One round: each part does what is due.
    async fn step(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let checkpoint = self.app.settings().checkpoint;
        self.keep_lease(now).await?;
        self.slide(now).await?;
        self.turn_hour(now);
        self.fold_news(now).await?;
        self.follow_definitions(now).await?;
        self.keep_leaving(now).await?;
        let dirty = self.slot.read(mayfly_segments::Index::dirty_bytes).unwrap_or(0);
        let due = self.checkpointed.elapsed() >= checkpoint;
        if due && self.lease.is_none() {
            // A follower's memory grows old where the owner seals and rebuilds.
            self.checkpointed = Instant::now();
            return self.load(now).await;
        }
        if due || dirty > mayfly_core::limits::DIRTY_BYTES {
            checkpoint::write(self, now).await?;
            self.checkpointed = Instant::now();
        }
        self.seal_due(now).await
    }

    /// Prolongs the lease in time.
    pub(super) async fn keep_lease(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let lease_s = u64::from(self.app.settings().lease_s);
        if self.leased.elapsed() > Duration::from_secs(lease_s) / 3 {
            self.renew(now).await?;
        }
        Ok(())
    }

    /// Asks for, or prolongs, the lease.
    async fn renew(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let settings = self.app.settings();
        let (address, seconds) = (settings.public.clone(), settings.lease_s);
        let partition = self.slot.partition();
        let store = self.app.store();
        let (had, asked) = (self.lease.is_some(), Instant::now());
        // The embedded store is of one process alone.
        let is_shared = !matches!(settings.store.url, StoreUrl::File(_));
        let until = is_shared.then(|| asked + Duration::from_secs(seconds.into()));
        match store.lease(partition, self.lease.as_ref(), &address, seconds, now).await? {
            Leased::Granted(lease) => {
                self.lease = Some(lease);
                self.leased = Instant::now();
                self.slot.hold(asked, until);
                if !had {
                    self.app.metrics().owned.inc();
                }
                Ok(())
            }
            Leased::Held { .. } if had => {
                self.lease = None;
                self.app.metrics().owned.dec();
                self.slot.let_go();
                Err(StoreError::LeaseLost { partition })
            }
            Leased::Held { .. } => {
                self.leased = Instant::now();
                Ok(())
            }
        }
    }

    /// Folds every entry that is newer than the memory.
    pub(super) async fn fold_news(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let partition = self.slot.partition();
        let heads = self.app.store().heads(&[partition]).await?.pop().unwrap_or_default();
        let mut waiting = 0;
        for Head { day, last } in heads {
            let kept = self.slot.retention().keeps(day, self.calendar.today());
            if kept && last > self.days.get(&day).map_or(EntryId::ZERO, |d| d.cursor) {
                waiting += self.fold_day(day, now).await?;
            }
        }
        if waiting == 0 {
            self.slot.set_as_of(now);
        }
        self.app.metrics().waiting.set(waiting);
        Ok(())
    }

    /// Folds a day's new entries; answers how many hits wait for their page.
    async fn fold_day(&mut self, day: Day, now: Timestamp) -> Result<i64, StoreError> {
        self.bring(day).await?;
        let partition = self.slot.partition();
        loop {
            let after = self.days.get(&day).map_or(EntryId::ZERO, |d| d.cursor);
            let store = self.app.store();
            let entries = store.read_new(partition, day, after, FOLD_HITS).await?;
            if entries.is_empty() {
                return Ok(0);
            }
            for entry in entries {
                let missing = self.pages.fetch(self.app.store(), &entry.hits).await?;
                if missing > 0 {
                    return Ok(missing);
                }
                self.fold_entry(day, &entry, now);
            }
        }
    }

    pub(super) fn fold_entry(&mut self, day: Day, entry: &mayfly_store::Entry, now: Timestamp) {
        let with_pages = self.pages.of(&entry.hits);
        let folded = self.slot.write(|index| index.fold(day, &with_pages));
        // The day was brought before: without it nothing would be folded, and the cursor stays.
        let Some(Ok(folded)) = folded else { return };
        self.slot.fold_consents(&entry.hits);
        // A new day has no cells in the store: folding makes them, whatever the definitions.
        let stored = DayHeader { complete: self.active.version(), ..DayHeader::default() };
        let state = self.days.entry(day).or_insert(DayState { stored, ..DayState::default() });
        state.cursor = entry.id;
        state.unsealed.get_or_insert(now);
        self.slot.set_cursor(day, entry.id);
        let metrics = self.app.metrics();
        let taken = Timestamp::from_millis(i64::try_from(entry.id.ms).unwrap_or(i64::MAX));
        let lag_ms = clock::now().millis().saturating_sub(taken.millis());
        #[expect(clippy::cast_precision_loss, reason = "a latency")]
        let lag_s = lag_ms.max(0) as f64 / 1000.0;
        metrics.fold_lag.set(lag_s);
        // What is folded while the memory is loaded was not on its way all that time.
        let is_live = self.slot.is_loaded();
        if entry.hits.is_empty() {
            self.slot.set_beat(taken);
            if is_live {
                metrics.canary.observe(lag_s);
            }
            return;
        }
        if is_live {
            metrics.hit_to_segment.observe(lag_s);
        }
        metrics.folded.inc_by(entry.hits.len() as u64);
        metrics.flips.inc_by(folded.flips.len() as u64);
    }

    /// Moves the windows when a new UTC day has begun.
    async fn slide(&mut self, now: Timestamp) -> Result<(), StoreError> {
        // Turned on a copy: a failure of the store below leaves the day as it was.
        let mut calendar = self.calendar;
        let turned = calendar.turn(now, clock::stopwatch());
        self.slot.set_doubt(calendar.doubts());
        let Some(today) = turned else {
            self.calendar = calendar;
            return Ok(());
        };
        let oldest = self.slot.retention().oldest(today);
        let turn = SLIDING.acquire().await;
        self.keep_lease(clock::now()).await?;
        let needs = self.slot.read(|index| index.midnight_needs(today)).unwrap_or_default();
        if needs.keys().any(|day| *day < oldest && self.days.contains_key(day)) {
            // Gone from the store already, and not brought in time: begin anew without it.
            drop(turn);
            return self.load(now).await;
        }
        let needs = needs.into_iter().map(|(day, own)| (day, own.into_iter().collect())).collect();
        let cells = evaluate::cells_of_days(self.app.store(), &self.slot, needs).await?;
        let begun = Instant::now();
        let slid = self.slot.write(|index| index.midnight(today, &cells));
        self.app.metrics().midnight.observe(begun.elapsed().as_secs_f64());
        drop(turn);
        if slid.is_none_or(|slid| slid.is_err()) {
            return self.load(now).await;
        }
        self.calendar = calendar;
        self.days.retain(|day, _| *day >= oldest);
        self.slot.forget_before(oldest);
        // A change under way counted its days from yesterday.
        if let Some(wanted) = self.wanted() {
            self.want(wanted);
        }
        Ok(())
    }

    /// Moves the windows of hours when a new hour has begun.
    fn turn_hour(&self, now: Timestamp) {
        let Some(hour) = now.hour() else { return };
        let flips = self.slot.write(|index| index.turn(hour)).unwrap_or_default();
        self.app.metrics().flips.inc_by(flips.len() as u64);
    }

    /// Takes new definitions on, some days a round, so that new hits are folded in between.
    async fn follow_definitions(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.definitions.has_changed().unwrap_or(false) {
            let wanted = Arc::clone(&self.definitions.borrow_and_update());
            self.want(wanted);
        }
        let begun = Instant::now();
        while self.go_on(now).await? && begun.elapsed() < self.app.settings().poll {}
        Ok(())
    }

    /// Shortly before midnight the day that is about to leave is brought into memory: at midnight
    /// the store no longer has it, and its sums must be taken off.
    async fn keep_leaving(&self, now: Timestamp) -> Result<(), StoreError> {
        let leaving = self.slot.retention().oldest(self.calendar.today());
        if now.second_of_day() >= LEAVING_FROM_SECOND && self.days.contains_key(&leaving) {
            self.bring(leaving).await?;
        }
        Ok(())
    }

    /// Takes days out of memory that are stored and not needed soon.
    pub(super) fn evict(&self) {
        let today = self.calendar.today();
        let leaving = self.slot.retention().oldest(today);
        let evicted = self.slot.write(|index| {
            let old: Vec<Day> = index
                .days()
                .filter(|day| *day < today.minus(1) && *day != leaving)
                .filter(|day| index.changed(*day).is_empty())
                .collect();
            old.iter().for_each(|day| drop(index.evict(*day)));
            old
        });
        // A question that began before the day was here may have read it as it was then.
        evicted.into_iter().flatten().for_each(|day| self.slot.kept().forget(day));
    }

    /// Writes what is in memory and gives the lease back.
    async fn finish(&mut self) -> Result<(), StoreError> {
        if self.lease.is_none() {
            return Ok(());
        }
        checkpoint::write(self, clock::now()).await?;
        if let Some(lease) = self.lease.take() {
            self.app.metrics().owned.dec();
            self.app.store().release(&lease).await?;
        }
        Ok(())
    }
}
