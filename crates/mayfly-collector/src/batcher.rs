//! The batcher: takes everything that waits, makes one batch a partition of it, and commits the
//! group. While a group is in flight the next one gathers; there is no timer.
//!
//! A group whose fate is unknown goes with lane, numbers and bytes to the spill and is answered
//! from there. While the store is away groups go to the spill at once; each tick that finds the
//! store answering tries the oldest records, and when those are taken the store is back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mayfly_core::{ConsentKey, Outcome, PageKey, Partition, Timestamp, limits};
use mayfly_store::{Appended, Batch, NewHit, Store, StoreError};
use tokio::sync::mpsc;

use crate::intake::{Due, Received};
use crate::intern::Interner;
use crate::lanes::{Acknowledged, Lane};
use crate::metrics::CollectorMetrics;
use crate::spill::{Kind, Record};
use crate::spill_gate::SpillGate;
use crate::spilled_values::SpilledValues;
use crate::visitors::Visitors;

/// What the collector tells the batcher besides hits.
#[derive(Debug)]
pub(crate) enum Command {
    /// A second went by.
    Tick {
        now: Timestamp,
        /// [`mayfly_store::Health::generation`]; `None` when the store did not answer.
        generation: Option<u64>,
    },
    /// Commit what waits, and end.
    Shutdown,
}

/// A batch with the hits that wait for it, by their index in it.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) batch: Batch,
    pub(crate) dues: Vec<Option<Due>>,
    /// About how many bytes the batch has.
    pub(crate) bytes: usize,
}

/// The one task that writes hits.
pub(crate) struct Batcher {
    pub(crate) store: Store,
    pub(crate) visitors: Arc<Visitors>,
    pub(crate) deadline: Duration,
    pub(crate) stopwatch: fn() -> Duration,
    pub(crate) metrics: CollectorMetrics,
    pub(crate) interner: Interner,
    pub(crate) lane: Lane,
    pub(crate) acknowledged: Acknowledged,
    pub(crate) spill: Arc<SpillGate>,
    pub(crate) generation: Option<u64>,
    /// A resend did not come to its end.
    pub(crate) resend_due: bool,
    /// The store did not answer lately.
    pub(crate) away: bool,
    /// The data of the store is gone: nothing can be kept any more.
    pub(crate) gone: bool,
    /// The spill refused the last group.
    pub(crate) refusing: bool,
    /// `away`, for who claims ids.
    pub(crate) away_flag: Arc<AtomicBool>,
    pub(crate) intake: mpsc::Receiver<Received>,
    pub(crate) commands: mpsc::Receiver<Command>,
    /// The newest time seen.
    pub(crate) now: Timestamp,
    /// When the store answered last: what it may have lost since then is sent again.
    pub(crate) answered: Timestamp,
    /// When each partition was sent an entry without hits last, by the stopwatch: a clock that
    /// jumped and was set back keeps none waiting.
    pub(crate) beaten: Duration,
}

impl Batcher {
    /// Runs until told to shut down and the queue is empty.
    pub(crate) async fn run(mut self) {
        let mut group = Vec::with_capacity(limits::GROUP_HITS);
        loop {
            let draining = !self.away && !self.spill.is_empty();
            tokio::select! {
                biased;
                Some(command) = self.commands.recv() => self.command(command).await,
                taken = self.intake.recv_many(&mut group, limits::GROUP_HITS) => {
                    if taken == 0 {
                        return;
                    }
                    self.commit(&mut group).await;
                    if draining {
                        self.drain().await;
                    }
                }
                () = std::future::ready(()), if draining => self.drain().await,
            }
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Tick { now, generation } => {
                self.now = now.max(self.now);
                if let Some(generation) = generation {
                    self.store_answers(generation).await;
                    self.beat(now).await;
                }
                self.metrics.spill(self.spill.bytes(), self.spill.oldest(), now);
            }
            Command::Shutdown => self.intake.close(),
        }
    }

    /// The store answered just now: resends and drains what is due.
    async fn store_answers(&mut self, generation: u64) {
        let known = self.generation.replace(generation);
        if self.resend_due || known.is_some_and(|known| known < generation) {
            self.resend().await;
        }
        if self.away || !self.spill.is_empty() {
            self.drain().await;
        }
        if !self.away {
            self.answered = self.now;
        }
    }

    /// Now and then an entry without hits for each partition: the time until a worker folds it is
    /// what hits take, also where none come.
    async fn beat(&mut self, now: Timestamp) {
        let partitions = self.store.identity().partitions;
        let every = limits::HEARTBEAT_SECONDS.max(u64::from(partitions) / 4);
        let passed = (self.stopwatch)().saturating_sub(self.beaten);
        if self.away || passed < Duration::from_secs(every) {
            return;
        }
        self.beaten += passed;
        let day = now.day().unwrap_or_default();
        let beat = |partition| {
            let number = self.lane.number(partition);
            let batch = Batch::heartbeat(self.lane.id, number, partition, day);
            Open { batch, dues: Vec::new(), bytes: 0 }
        };
        let wave = (0..partitions).map(Partition).map(beat).collect();
        self.append(wave).await;
    }

    /// Commits a group: interns what is new, makes the batches, appends them.
    async fn commit(&mut self, group: &mut Vec<Received>) {
        let began = (self.stopwatch)();
        self.metrics.in_flight(group.iter().map(|r| r.now).min());
        self.now = group.iter().map(|r| r.now).fold(self.now, Timestamp::max);
        let (keys, values) = self.intern(group).await;
        let Some(keys) = keys else {
            // The store answered fewer keys than it was asked for: nothing can be stored, and
            // each hit counts as failed when it is dropped.
            tracing::error!("the store answered fewer keys than were asked for");
            group.clear();
            self.metrics.in_flight(None);
            return;
        };
        let waves = self.batches(group.drain(..).zip(keys));
        for wave in waves {
            if self.away {
                self.spill_group(wave, values.clone()).await;
            } else {
                self.append(wave).await;
            }
        }
        self.metrics.in_flight(None);
        self.metrics.commit_took(((self.stopwatch)() - began).as_secs_f64());
    }

    /// The keys of a group, and what must go to the spill with it because it is not interned.
    async fn intern(
        &mut self,
        group: &[Received],
    ) -> (Option<Vec<(Option<PageKey>, ConsentKey)>>, Option<SpilledValues>) {
        let plan = self.interner.plan(group);
        if plan.is_complete() {
            return (plan.keys(&mayfly_store::Interned::default()), None);
        }
        if !self.away {
            let asked = within(self.deadline, self.store.intern(&plan.missing)).await;
            match asked {
                Ok(keys) => {
                    self.interner.learn(&plan, &keys, self.now);
                    return (plan.keys(&keys), None);
                }
                Err(error) => {
                    let values = SpilledValues::of(&plan.missing);
                    let keys = plan.keys(&self.interner.assume(&plan));
                    self.store_failed(&error);
                    return (keys, Some(values));
                }
            }
        }
        (plan.keys(&self.interner.assume(&plan)), Some(SpilledValues::of(&plan.missing)))
    }

    /// One batch a partition; a second wave where one would grow past its limit.
    fn batches(
        &mut self,
        hits: impl Iterator<Item = (Received, (Option<PageKey>, ConsentKey))>,
    ) -> Vec<Vec<Open>> {
        let mut waves: Vec<BTreeMap<Partition, Gathering>> = vec![BTreeMap::new()];
        for (received, (page, consent)) in hits {
            let Received { hit, visitor, id, due, now: _ } = received;
            let new = NewHit { hit: hit.into_hit(visitor, page, consent), id };
            let bytes = weight(&new);
            let fits = |w: &BTreeMap<_, Gathering>| {
                w.get(&visitor.partition).is_none_or(|g| g.bytes + bytes <= limits::ENTRY_BYTES)
            };
            if !waves.last().is_some_and(fits) {
                waves.push(BTreeMap::new());
            }
            if let Some(wave) = waves.last_mut() {
                wave.entry(visitor.partition).or_default().push(new, due, bytes);
            }
        }
        waves.into_iter().map(|wave| self.encode(wave)).collect()
    }

    fn encode(&mut self, wave: BTreeMap<Partition, Gathering>) -> Vec<Open> {
        let received = self.now.day().unwrap_or_default();
        let open = |(partition, gathered): (Partition, Gathering)| {
            let number = self.lane.number(partition);
            let batch = Batch::encode(self.lane.id, number, partition, received, &gathered.hits);
            Open { batch, dues: gathered.dues, bytes: gathered.bytes }
        };
        wave.into_iter().map(open).collect()
    }

    /// Appends one group, and settles each batch by its answer.
    async fn append(&mut self, wave: Vec<Open>) {
        let batches: Vec<&Batch> = wave.iter().map(|open| &open.batch).collect();
        let answers = within(self.deadline, self.store.append(&batches, self.now)).await;
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                self.store_failed(&error);
                self.spill_group(wave, None).await;
                return;
            }
        };
        self.answered = self.now;
        let mut odd = Vec::new();
        for (open, answer) in wave.into_iter().zip(answers) {
            match answer {
                Appended::Stored | Appended::Done => self.stored(open),
                Appended::Gap { .. } | Appended::Duplicates(_) => odd.push((open, answer)),
            }
        }
        if odd.iter().any(|(_, answer)| matches!(answer, Appended::Gap { .. })) {
            // The store forgot acknowledged batches: they go first, so that the gap closes.
            self.resend().await;
        }
        for (open, _) in odd {
            self.append_alone(open).await;
        }
    }

    /// Sends a batch by itself until it is taken, with what its answers ask for in between.
    async fn append_alone(&mut self, mut open: Open) {
        match self.deliver(&mut open).await {
            Ok(()) => self.stored(open),
            Err(error) => {
                self.store_failed(&error);
                self.spill_group(vec![open], None).await;
            }
        }
    }

    /// The batch is in the store.
    pub(crate) fn stored(&mut self, mut open: Open) {
        for due in open.dues.drain(..).flatten() {
            due.decide(Outcome::Stored);
        }
        // Only a server can lose what it acknowledged; the embedded store's files are fsynced.
        if matches!(self.store, Store::Redis(_)) {
            self.acknowledged.keep(open.batch, open.bytes, self.now);
        }
    }

    /// Writes batches to the spill and answers from there. Where that cannot be, each hit counts
    /// as failed when it is dropped; so also when the store's data is gone: what belongs to it has
    /// no home.
    async fn spill_group(&mut self, wave: Vec<Open>, values: Option<SpilledValues>) {
        if self.gone {
            return;
        }
        let values = values.map(|v| v.to_bytes()).transpose();
        let Ok(values) = values else {
            tracing::error!("pages cannot be written to the spill");
            return;
        };
        let values = values.map(|bytes| Record { kind: Kind::Values, bytes });
        let batch = |open: &Open| Record { kind: Kind::Batch, bytes: open.batch.to_bytes() };
        let records = values.into_iter().chain(wave.iter().map(batch)).collect();
        let written = self.spill.append(records, self.now).await;
        if let Err(error) = &written
            && !self.refusing
        {
            tracing::error!(%error, "hits are refused: neither store nor spill takes them");
        }
        self.refusing = written.is_err();
        if written.is_ok() {
            for due in wave.into_iter().flat_map(|open| open.dues).flatten() {
                due.decide(Outcome::Spilled);
            }
        }
    }

    /// Counts a failure. What comes next goes through a new lane, and to the spill.
    pub(crate) fn store_failed(&mut self, error: &StoreError) {
        self.metrics.count_error(error);
        self.gone |= matches!(error, StoreError::Gone { .. });
        if !self.away {
            tracing::warn!(%error, "the store does not take hits; they go to the spill");
        }
        self.set_away(true);
    }

    pub(crate) fn set_away(&mut self, away: bool) {
        if self.away != away {
            self.away = away;
            self.away_flag.store(away, Ordering::Relaxed);
            match Lane::random() {
                Ok(lane) => self.lane = lane,
                // The old lane's numbers go on; at worst the next batch meets a gap and is moved.
                Err(error) => tracing::error!(%error, "no random bytes for a new lane"),
            }
        }
    }
}

/// The hits of one partition, gathering.
#[derive(Default)]
struct Gathering {
    hits: Vec<NewHit>,
    dues: Vec<Option<Due>>,
    bytes: usize,
}

impl Gathering {
    fn push(&mut self, hit: NewHit, due: Due, bytes: usize) {
        self.hits.push(hit);
        self.dues.push(Some(due));
        self.bytes += bytes;
    }
}

/// No fewer bytes than a hit takes in its batch: fixed fields, and its texts.
fn weight(new: &NewHit) -> usize {
    let text = |value: &mayfly_core::Value| match value {
        mayfly_core::Value::Text(text) => text.len(),
        mayfly_core::Value::Number(_) => 9,
    };
    let attributes: usize =
        new.hit.attributes.iter().map(|a| a.name.len() + text(&a.value) + 8).sum();
    96 + new.hit.referrer.host.len() + new.hit.event.name().len() + attributes
}

/// The operation, or [`StoreError::Deadline`]. A deadline of nothing has passed at once: the
/// operation is begun and not waited for (a timer would wait for its next tick).
///
/// The operation is boxed: what is done with a store takes kilobytes, which every request would
/// carry around that seldom or never asks it.
pub(crate) fn within<T>(
    deadline: Duration,
    operation: impl Future<Output = mayfly_store::Result<T>>,
) -> impl Future<Output = mayfly_store::Result<T>> {
    let operation = Box::pin(operation);
    async move {
        let late = async {
            if !deadline.is_zero() {
                tokio::time::sleep(deadline).await;
            }
        };
        tokio::select! {
            biased;
            answer = operation => answer,
            () = late => Err(StoreError::Deadline),
        }
    }
}
