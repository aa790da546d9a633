//! A partition's memory, shared: one task writes it, everyone here may read it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use mayfly_core::{Day, Hit, Ordinal, Partition, Retention, Timestamp};
use mayfly_segments::Index;
use mayfly_store::{EntryId, Head};
use roaring::RoaringBitmap;
use tokio::sync::watch;

use super::consents::Consents;
use super::kept::Kept;

/// How this process stands to a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// It holds the lease and writes checkpoints.
    Owner,
    /// Another process does; this one follows in memory and writes nothing.
    Follower,
}

/// A partition's memory and its standing.
#[derive(Debug)]
pub struct Slot {
    partition: Partition,
    retention: Retention,
    state: RwLock<State>,
    /// Of whatever memory is shown.
    lease: Arc<RwLock<Held>>,
    /// Cells of days that are not in memory.
    kept: Kept,
    /// The newest choices, once a delivery asked for them; of whatever memory is shown.
    consents: Arc<RwLock<Choices>>,
    /// Counts changes of the cursors; those who wait for a hit watch it.
    moved: watch::Sender<u64>,
    loaded: watch::Sender<bool>,
    /// Someone asked that erased visitors' bytes go now.
    purges: watch::Sender<bool>,
    /// The clock says a day that is not believed.
    doubt: AtomicBool,
    /// Days that a change of definitions under way has to prepare.
    left: AtomicUsize,
    /// When the entry without hits that was folded last had come, milliseconds.
    beat: AtomicI64,
}

/// What the lock guards.
#[derive(Debug, Default)]
struct State {
    index: Option<Index>,
    cursors: BTreeMap<Day, EntryId>,
    erased: RoaringBitmap,
    version: u32,
    /// The instant up to which all hits are folded.
    as_of: Timestamp,
}

/// The newest choices, where anybody asks for them.
#[derive(Debug, Default)]
struct Choices {
    own: Option<Consents>,
    /// How often they were forgotten.
    forgotten: u64,
}

/// The lease as this process knows it.
#[derive(Debug, Default)]
struct Held {
    is_held: bool,
    /// When it runs out unless it is renewed; `None` = nobody else can take it.
    until: Option<Instant>,
    /// Counts the times that it was gained: between two of them another process may have had it.
    term: u64,
}

impl Slot {
    /// An empty slot.
    #[must_use]
    pub fn new(partition: Partition, retention: Retention) -> Self {
        Self {
            partition,
            retention,
            state: RwLock::default(),
            lease: Arc::default(),
            kept: Kept::default(),
            consents: Arc::default(),
            moved: watch::Sender::new(0),
            loaded: watch::Sender::new(false),
            purges: watch::Sender::new(false),
            doubt: AtomicBool::new(false),
            left: AtomicUsize::new(0),
            beat: AtomicI64::new(0),
        }
    }

    /// A slot for another memory of the same partition.
    #[must_use]
    pub(super) fn aside(&self) -> Self {
        let (consents, lease) = (Arc::clone(&self.consents), Arc::clone(&self.lease));
        Self { consents, lease, ..Self::new(self.partition, self.retention) }
    }

    /// Reads the newest choices; `None` while nobody asked for them.
    pub fn consents<R>(&self, read: impl FnOnce(&Consents) -> R) -> Option<R> {
        self.consents.read().ok()?.own.as_ref().map(read)
    }

    /// Forgets the choices: another memory takes the place of this one, and what came between the
    /// two was not folded here.
    pub(super) fn forget_consents(&self) {
        if let Ok(mut choices) = self.consents.write() {
            (choices.own, choices.forgotten) = (None, choices.forgotten + 1);
        }
    }

    /// How often choices were forgotten: for [`Self::fill_consents`].
    pub fn forgotten_consents(&self) -> u64 {
        self.consents.read().map_or(0, |choices| choices.forgotten)
    }

    /// Adds what was stored; the choices are whole, unless they were forgotten since the reading
    /// began.
    pub fn fill_consents(&self, stored: Consents, forgotten: u64) {
        if let Ok(mut choices) = self.consents.write()
            && choices.forgotten == forgotten
        {
            let own = choices.own.get_or_insert_default();
            own.merge(stored);
            own.set_whole();
        }
    }

    /// Changes the newest choices, which are noted from now on.
    pub fn note_consents(&self, write: impl FnOnce(&mut Consents)) {
        if let Ok(mut choices) = self.consents.write() {
            write(choices.own.get_or_insert_default());
        }
    }

    /// Notes the choices of folded hits, where anybody asks for them.
    pub(super) fn fold_consents(&self, hits: &[Hit]) {
        if self.consents.read().is_ok_and(|choices| choices.own.is_some()) {
            self.note_consents(|own| hits.iter().for_each(|hit| own.note(hit)));
        }
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The store's retention.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// Whether its memory is there.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        *self.loaded.borrow()
    }

    /// Waits until its memory is there.
    pub async fn loaded(&self) {
        self.loaded.subscribe().wait_for(|loaded| *loaded).await.ok();
    }

    /// How this process stands to it.
    #[must_use]
    pub fn mode(&self) -> Mode {
        let owner = self.lease.read().is_ok_and(|own| own.is_held);
        if owner { Mode::Owner } else { Mode::Follower }
    }

    /// This process asked for the lease at an instant, and has it until another one.
    pub(super) fn hold(&self, asked: Instant, until: Option<Instant>) {
        if let Ok(mut own) = self.lease.write() {
            let had = own.is_held && own.until.is_none_or(|until| asked < until);
            *own = Held { is_held: true, until, term: own.term + u64::from(!had) };
        }
    }

    /// Another process holds the lease.
    pub(super) fn let_go(&self) {
        if let Ok(mut own) = self.lease.write() {
            own.is_held = false;
        }
    }

    /// Which time this is that the process holds the lease without a gap; `None` when another one
    /// may have it by now. A process that stood still finds that out here, before it asks.
    pub(crate) fn term(&self, now: Instant) -> Option<u64> {
        let own = self.lease.read().ok()?;
        (own.is_held && own.until.is_none_or(|until| now < until)).then_some(own.term)
    }

    /// The definitions version that its memberships are of.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.state.read().map_or(0, |s| s.version)
    }

    /// The instant up to which all hits are folded.
    #[must_use]
    pub fn as_of(&self) -> Timestamp {
        self.state.read().map(|s| s.as_of).unwrap_or_default()
    }

    /// Reads the index; `None` while it is being loaded.
    pub fn read<R>(&self, read: impl FnOnce(&Index) -> R) -> Option<R> {
        let state = self.state.read().ok()?;
        state.index.as_ref().map(read)
    }

    /// Changes the index; for the partition's own task.
    pub(super) fn write<R>(&self, write: impl FnOnce(&mut Index) -> R) -> Option<R> {
        let mut state = self.state.write().ok()?;
        state.index.as_mut().map(write)
    }

    /// What questions read lately.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Puts a newly loaded index in place.
    pub(super) fn put(&self, index: Index, erased: RoaringBitmap, version: u32) {
        if let Ok(mut state) = self.state.write() {
            let cursors = BTreeMap::new();
            let (index, as_of) = (Some(index), state.as_of);
            *state = State { index, cursors, erased, version, as_of };
        }
    }

    /// Shows what another slot was loaded with, all of it at once: a reader never sees a memory
    /// that is older than the one before. What was erased here meanwhile stays erased.
    pub(super) fn adopt(&self, loaded: &Self) {
        let fresh = loaded.state.write().map(|mut state| std::mem::take(&mut *state));
        let (Ok(mut state), Ok(fresh)) = (self.state.write(), fresh) else { return };
        let (erased, as_of) = (std::mem::take(&mut state.erased), state.as_of);
        *state = fresh;
        state.as_of = state.as_of.max(as_of);
        drop(state);
        self.set_erased(&erased);
        self.kept.forget_all();
        self.moved.send_modify(|n| *n += 1);
    }

    /// The erased ordinals.
    #[must_use]
    pub fn erased(&self) -> RoaringBitmap {
        self.state.read().map(|s| s.erased.clone()).unwrap_or_default()
    }

    /// Whether this visitor was erased.
    #[must_use]
    pub fn has_erased(&self, ordinal: Ordinal) -> bool {
        self.state.read().is_ok_and(|s| s.erased.contains(ordinal))
    }

    /// The oldest day that has hits here.
    #[must_use]
    pub fn oldest_day(&self) -> Option<Day> {
        self.state.read().ok()?.cursors.keys().next().copied()
    }

    /// Whether the day has any hits here.
    #[must_use]
    pub fn has_hits(&self, day: Day) -> bool {
        self.state.read().is_ok_and(|s| s.cursors.contains_key(&day))
    }

    /// The index is of these definitions from now on.
    pub(super) fn set_version(&self, version: u32) {
        if let Ok(mut state) = self.state.write() {
            state.version = version;
        }
        self.moved.send_modify(|n| *n += 1);
    }

    /// This day is folded up to this entry.
    pub(super) fn set_cursor(&self, day: Day, cursor: EntryId) {
        if let Ok(mut state) = self.state.write() {
            state.cursors.insert(day, cursor);
        }
        self.moved.send_modify(|n| *n += 1);
    }

    /// Days before this one are kept no more.
    pub(super) fn forget_before(&self, oldest: Day) {
        if let Ok(mut state) = self.state.write() {
            state.cursors.retain(|day, _| *day >= oldest);
        }
        let erased = self.erased();
        if let Ok(mut own) = self.consents.write()
            && let Some(own) = own.own.as_mut()
        {
            own.forget(oldest, &erased);
        }
    }

    /// Everything that was stored before `as_of` is folded.
    pub(super) fn set_as_of(&self, as_of: Timestamp) {
        if let Ok(mut state) = self.state.write() {
            state.as_of = as_of;
        }
    }

    /// The memory is whole.
    pub(super) fn set_loaded(&self) {
        self.loaded.send_replace(true);
    }

    /// Waits (at most `patience`) until all these entries are folded and `version` is in force;
    /// whether they are.
    pub async fn folded(&self, heads: &[Head], version: u32, patience: Duration) -> bool {
        let mut moved = self.moved.subscribe();
        let all = || {
            self.state.read().is_ok_and(|state| {
                state.version >= version
                    && heads.iter().all(|head| {
                        state.cursors.get(&head.day).is_some_and(|cursor| *cursor >= head.last)
                    })
            })
        };
        let waiting = async {
            while !all() {
                if moved.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, waiting).await.is_ok()
    }

    /// A visitor was erased: out of memory at once.
    pub fn erase(&self, ordinal: Ordinal) {
        self.set_erased(&RoaringBitmap::from_iter([ordinal]));
    }

    /// Visitors that were erased, here or elsewhere, go out of memory.
    pub fn set_erased(&self, erased: &RoaringBitmap) {
        let known = self.state.read().is_ok_and(|s| erased.is_subset(&s.erased));
        if known {
            return;
        }
        if let Ok(mut state) = self.state.write() {
            let news = erased - &state.erased;
            state.erased |= &news;
            if let Some(index) = &mut state.index {
                news.iter().for_each(|ordinal| drop(index.erase(ordinal)));
            }
        }
    }

    /// Asks that erased visitors' bytes go now instead of in the night, and waits for it (at most
    /// `patience`); whether they are gone.
    pub async fn purge(&self, patience: Duration) -> bool {
        if self.mode() == Mode::Follower {
            return false;
        }
        self.purges.send_replace(true);
        let mut asked = self.purges.subscribe();
        let done = asked.wait_for(|asked| !*asked);
        tokio::time::timeout(patience, done).await.is_ok()
    }

    /// The purge is done.
    pub(super) fn purged(&self) {
        self.purges.send_replace(false);
    }

    /// Tells whether the clock is doubted.
    pub(super) fn set_doubt(&self, doubt: bool) {
        self.doubt.store(doubt, Ordering::Release);
    }

    /// Whether the clock says a day that is not believed.
    #[must_use]
    pub fn doubts(&self) -> bool {
        self.doubt.load(Ordering::Acquire)
    }

    /// So many days are still to be prepared by a change of definitions under way.
    pub(super) fn set_left(&self, days: usize) {
        self.left.store(days, Ordering::Release);
    }

    /// How many days a change of definitions under way has still to prepare.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Acquire)
    }

    /// An entry without hits that came then was folded, or the memory is fresh.
    pub(super) fn set_beat(&self, came: Timestamp) {
        self.beat.store(came.millis(), Ordering::Release);
    }

    /// When the last folded entry without hits had come; since when the memory is there, if none
    /// was folded.
    #[must_use]
    pub fn beat(&self) -> Timestamp {
        Timestamp::from_millis(self.beat.load(Ordering::Acquire))
    }

    /// Whether a purge was asked for and is not done.
    #[must_use]
    pub fn purges(&self) -> bool {
        *self.purges.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_ran_out_begins_another_term() {
        let slot = Slot::new(Partition(0), Retention::default());
        let begin = Instant::now();
        let at = |s| begin + Duration::from_secs(s);
        assert_eq!(slot.term(begin), None);
        slot.hold(at(0), Some(at(30)));
        slot.hold(at(10), Some(at(40)));
        assert_eq!((slot.term(at(39)), slot.term(at(40))), (Some(1), None));
        // It stood still; the store gives the lease again, and who had it meanwhile is not known.
        slot.hold(at(50), Some(at(80)));
        assert_eq!(slot.term(at(60)), Some(2));
        slot.let_go();
        assert_eq!(slot.term(at(60)), None);
        slot.hold(at(70), None);
        assert_eq!(slot.term(at(1_000_000)), Some(3));
    }
}
