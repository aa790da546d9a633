//! One destination's task: looks what changed, sends it, notes what was taken.

use std::sync::Arc;
use std::time::Duration;

use mayfly_core::{Day, Partition, Timestamp, Visitor, time::DAY_SECONDS};
use mayfly_segments::DestinationId;
use mayfly_segments::destination::{Destination, Schedule, Way};
use mayfly_store::StoreError;
use tokio::sync::watch;

use super::audience::{Desk, HEARD_S, NotNow};
use super::changes::Extent;
use super::connect::Connector;
use super::files::{aside_of, remove_files, remove_old};
use super::held::Held;
use super::ledger::{read, write};
use super::record::{
    ASKED, Ask, Asked, Delivery, FIRST, Mode, STANDING, Standing, Status, Waterfall,
};
use crate::app::App;
use crate::clock;

/// Between looks.
const LOOK: Duration = Duration::from_millis(500);
/// Errors of the store after which it is looked no more seldom.
const ERRORS: u32 = 19;
/// After so many days without anything taken, all is sent again.
const SILENCE_DAYS: i64 = 30;
/// The longest pause after failures, seconds.
const PAUSE_MOST_S: u64 = 300;
/// The longest that a receiver may ask to be left alone, seconds.
const RETRY_AFTER_MOST_S: u64 = DAY_SECONDS.unsigned_abs();

/// The task of one destination.
pub(crate) struct Runner {
    pub(super) app: Arc<App>,
    pub(super) id: DestinationId,
    pub(super) connector: Connector,
    pub(super) standing: Standing,
    pub(super) desk: Option<Desk>,
    /// What it knows is of this term ([`App::leads`]).
    pub(super) term: Option<u64>,
    /// Errors of the store since anything went well.
    pub(super) errors: u32,
    /// What it was when it was last looked at.
    defined: Option<Destination>,
    /// The day on which files were last looked through.
    cleaned_on: Option<Day>,
    /// The last instant that files were named by.
    pub(super) named_ms: i64,
}

/// How a delivery goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// All of it went.
    Done,
    /// The rest goes later: why, and when at the earliest.
    Later(Box<str>, Option<u64>),
    /// A person has to look.
    Held(Held),
}

impl Runner {
    pub(super) fn new(app: &Arc<App>, id: DestinationId, connector: Connector) -> Self {
        let (app, standing) = (Arc::clone(app), Standing::default());
        let (desk, term, defined, cleaned_on) = (None, None, None, None);
        let (errors, named_ms) = (0, 0);
        Self { app, id, connector, standing, desk, term, errors, defined, cleaned_on, named_ms }
    }

    /// Runs until the destination is gone or everything stops.
    pub(super) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut told = None;
        loop {
            // What was known is read anew after an error: not again and again at once.
            let pause = LOOK * (1 + self.errors);
            let stop = stopping.wait_for(|stop| *stop);
            if tokio::time::timeout(pause, stop).await.is_ok() {
                return;
            }
            // Cut off at a stop: what was taken is noted, the rest is found again.
            let stepped = tokio::select! {
                stepped = self.step(clock::now()) => stepped,
                _ = stopping.wait_for(|stop| *stop) => return,
            };
            match stepped {
                Ok(true) => told = None,
                Ok(false) => return,
                Err(error) => {
                    // What is in memory may be ahead of the store.
                    self.desk = None;
                    self.errors = (self.errors + 1).min(ERRORS);
                    self.app.metrics().failed(&error);
                    if told.replace(error.label()) != Some(error.label()) {
                        tracing::warn!(destination = self.id.0, %error, "a delivery waits");
                    }
                }
            }
        }
    }

    /// Does what is due; whether there is still such a destination.
    async fn step(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let active = self.app.active();
        let defined = active.definitions().destinations().find(|own| own.id == self.id);
        let Some(destination) = defined.cloned() else {
            self.close(now);
            return Ok(false);
        };
        self.defined = Some(destination.clone());
        if !self.is_ours() && (self.term.is_some() || self.app.leads().is_some()) {
            // What was known is read anew: another process may have gone on.
            (self.desk, self.term, self.cleaned_on) = (None, self.app.leads(), None);
        }
        if self.term.is_none() {
            self.clean(&destination, now);
            return Ok(true);
        }
        self.sit_down(&destination).await?;
        self.clean(&destination, now);
        self.follow_ask(now).await?;
        self.show(&destination, now);
        let may_send = !destination.paused && self.standing.held.is_none();
        if !may_send || !self.standing.is_due(&destination, now) {
            return Ok(true);
        }
        match self.deliver((&destination, active.version()), now).await {
            Ok(()) => self.errors = 0,
            Err(NotNow::Loading) => {}
            Err(NotNow::Store(error)) => return Err(error),
        }
        self.show(&destination, clock::now());
        Ok(true)
    }

    /// Whoever owns the first partition serves all destinations. A process that stood still finds
    /// here that another one may serve them by now, before it writes anything.
    pub(super) fn is_ours(&self) -> bool {
        self.term.is_some() && self.term == self.app.leads()
    }

    /// Follows what a person asked since the last look: it is due from now on.
    async fn follow_ask(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let asked: Option<Asked> = read(self.app.store(), self.id, ASKED).await?;
        let Some(asked) = asked.filter(|asked| asked.number > self.standing.asked) else {
            return Ok(());
        };
        for ask in asked.all() {
            match ask {
                Ask::Now => {}
                Ask::Full => self.standing.begin_full(),
                Ask::Resume => self.standing.held = None,
                Ask::Drop => {
                    if let Some(held) = self.standing.held.clone() {
                        self.drop_held(&held).await?;
                        tracing::info!(batch = held.batch, by = asked.by, "a batch was dropped");
                    }
                    self.standing.held = None;
                }
            }
        }
        self.standing.asked = asked.number;
        (self.standing.retry_ms, self.standing.failures) = (Some(now.millis()), 0);
        self.keep().await
    }

    /// The destination is no more: nobody is to read its files, or to see where it stands.
    fn close(&mut self, now: Timestamp) {
        let Some(destination) = self.defined.take() else { return };
        self.app.metrics().deliveries.forget(&destination.name);
        let active = self.app.active();
        remove_files(&self.app.settings().delivery.exports, &destination, &active, now);
    }

    /// Removes files that nobody is to read any more: once a day, and at first all that another
    /// destination left in this folder. Also where another process delivers by now.
    fn clean(&mut self, destination: &Destination, now: Timestamp) {
        let Way::Files(files) = &destination.way else { return };
        if self.cleaned_on == now.day() {
            return;
        }
        self.cleaned_on = now.day();
        let is_old = self.desk.is_none() || self.standing.number > 0;
        let exports = &self.app.settings().delivery.exports;
        remove_old(exports, &files.folder, is_old.then_some(files.keep_days), now);
        // Where processes share the folder, the one that delivers may be writing there.
        let keep_days = self.term.is_none().then_some(1);
        remove_old(exports, &aside_of(&files.folder), keep_days, now);
    }

    /// Notes who comes with a held batch as if it had been taken: they are not sent again. Who goes
    /// stays owed: that somebody is erased is not for us to give up.
    async fn drop_held(&mut self, held: &Held) -> Result<(), StoreError> {
        let Some(desk) = &mut self.desk else { return Ok(()) };
        let mut rows = Vec::new();
        for told in &held.told {
            let (place, who) = told.who();
            // A full delivery goes on after them.
            let last = who.max().map(|ordinal| (place.0.0, ordinal));
            self.standing.full_upto =
                self.standing.full_upto.max(last).filter(|_| self.standing.wants_full);
            let Some(until) = told.until else { continue };
            let own = desk.sent.entry(place.clone()).or_default();
            own.code = place.1;
            own.add(Day(until), &who);
            rows.push((place.0, own.clone()));
        }
        let store = self.app.store();
        store.put_sent(self.id.0, &rows, clock::now()).await?;
        let last: Option<Delivery> = read(store, self.id, self.standing.number).await?;
        let Some(mut last) = last.filter(|own| own.status == Status::Held) else { return Ok(()) };
        last.status = Status::Dropped;
        self.write(&mut last).await
    }

    /// Whether everybody is told of: at first, when asked to, after a long silence.
    fn extent(&mut self, destination: &Destination, now: Timestamp) -> Extent {
        let silent_ms = now.millis() - self.standing.accepted_ms;
        let was_silent = silent_ms > SILENCE_DAYS * DAY_SECONDS * 1000;
        if (self.standing.number == 0 || was_silent) && !self.standing.wants_full {
            self.standing.begin_full();
        }
        // A set of files is whole; batches go on from where they ended.
        let upto = self.standing.full_upto.filter(|_| destination.way.files().is_none());
        let upto = upto.map(|(p, ordinal)| Visitor { partition: Partition(p), ordinal });
        if self.standing.wants_full { Extent::Full(upto) } else { Extent::Changed }
    }

    /// Looks what changed, and sends it.
    async fn deliver(
        &mut self,
        (destination, version): (&Destination, u32),
        now: Timestamp,
    ) -> Result<(), NotNow> {
        let extent = self.extent(destination, now);
        let is_full = extent != Extent::Changed;
        let gone = self.read_news(now).await?;
        let Some(desk) = &mut self.desk else { return Ok(()) };
        let audience = desk.audience(&mut self.standing, now).await?;
        show_match(&self.app, destination, &audience.pairs);
        let slots = self.app.slots();
        let (mut changes, mut pairs) = desk.changes(&audience, &slots, extent, now).await?;
        pairs.gone = gone.len() as u64 * changes.segments.len() as u64;
        let is_daily = matches!(destination.schedule, Schedule::Daily { .. });
        let is_idle = pairs.changed() == 0;
        self.standing.served_ms = now.millis();
        let as_of = slots.iter().map(|slot| slot.as_of()).min().unwrap_or_default();
        let wants_all = matches!(&destination.way, Way::Files(files) if files.full);
        if is_idle && !(wants_all && is_daily) {
            self.standing.end_full();
            self.standing.told_ms = told_ms(now.millis(), as_of.millis());
            self.standing.pending_ms = None;
            (self.standing.retry_ms, self.standing.failures) = (None, 0);
            let told = gone.is_empty();
            return self.tell_all(told, now).await.map_err(NotNow::Store);
        }
        let sends_all = is_full || wants_all;
        if wants_all && !is_full {
            let told_gone = pairs.gone;
            (changes, pairs) = desk.changes(&audience, &slots, Extent::of(true), now).await?;
            pairs.gone = told_gone;
        }
        // What came to nothing and is tried again is one delivery.
        let next = self.standing.number + u64::from(!self.standing.was_idle);
        (self.standing.number, self.standing.was_idle) = (next.max(FIRST), false);
        self.standing.pending_ms.get_or_insert(now.millis());
        let mut delivery = Delivery {
            number: self.standing.number,
            destination: destination.name.to_string(),
            mode: if sends_all { Mode::Full } else { Mode::Delta },
            began_ms: now.millis(),
            as_of_ms: as_of.millis(),
            version,
            pairs,
            segments: audience.rows,
            ..Delivery::default()
        };
        self.write(&mut delivery).await?;
        self.keep().await?;
        let end = match &destination.way {
            Way::Files(files) => {
                self.put_files(files, &mut delivery, &mut changes, &gone, now).await
            }
            Way::Xandr(_)
            | Way::TradeDesk(_)
            | Way::Google(_)
            | Way::Adobe(_)
            | Way::Request(_) => self.push(destination, &mut delivery, &mut changes, &gone).await,
        };
        let end = match end {
            Ok(end) => end,
            Err(NotNow::Loading) => End::Later("loading".into(), None),
            // What is noted says where it goes on.
            Err(error @ NotNow::Store(_)) => return Err(error),
        };
        // Another process delivers from here on, or did meanwhile, and writes what became of it.
        if !self.is_ours() || self.desk.is_none() {
            return Ok(());
        }
        self.finish(delivery, end, sends_all).await.map_err(NotNow::Store)
    }

    /// Writes down how it ended.
    async fn finish(
        &mut self,
        mut delivery: Delivery,
        end: End,
        sends_all: bool,
    ) -> Result<(), StoreError> {
        let now = clock::now();
        delivery.ended_ms = Some(now.millis());
        match end {
            End::Done => {
                delivery.status = Status::Done;
                let own = &mut self.standing;
                (own.pending_ms, own.retry_ms, own.failures) = (None, None, 0);
                // What was refused for now goes again.
                if delivery.pairs.rejected.is_empty() {
                    own.told_ms = told_ms(delivery.began_ms, delivery.as_of_ms);
                }
                if sends_all {
                    own.full_ms = now.millis();
                    own.end_full();
                }
            }
            End::Later(code, after_s) => {
                delivery.status = Status::Waiting;
                delivery.code = Some(code.to_string());
                self.standing.failures = self.standing.failures.saturating_add(1);
                let pause_s = pause(self.standing.failures, after_s);
                self.standing.retry_ms = Some(now.plus_secs(pause_s).millis());
            }
            End::Held(held) => {
                delivery.status = Status::Held;
                delivery.code = Some(held.code.clone());
                tracing::warn!(
                    destination = delivery.destination,
                    code = held.code,
                    "a delivery is held until a person looks: mayfly delivery list"
                );
                self.standing.held = Some(held);
            }
        }
        self.count(&delivery);
        self.bill_most(now);
        let is_done = delivery.status == Status::Done;
        self.standing.was_idle = delivery.status == Status::Waiting && delivery.pairs.sent == 0;
        // The row last: one that says that it is under way is closed, whatever comes between.
        self.tell_all(is_done, now).await?;
        self.write(&mut delivery).await
    }

    /// Counts what became of pairs.
    fn count(&self, delivery: &Delivery) {
        let Waterfall { accepted, rejected, left_out, .. } = &delivery.pairs;
        let pairs = &self.app.metrics().deliveries.pairs;
        for (result, n) in [
            ("accepted", *accepted),
            ("rejected", rejected.values().sum()),
            ("left_out", *left_out),
        ] {
            pairs.with_label_values(&[delivery.destination.as_str(), result]).inc_by(n);
        }
    }

    /// Writes the standing.
    pub(super) async fn keep(&self) -> Result<(), StoreError> {
        write(self.app.store(), self.id, STANDING, &self.standing).await
    }

    /// Writes a delivery.
    pub(super) async fn write(&self, delivery: &mut Delivery) -> Result<(), StoreError> {
        delivery.pairs.settle();
        write(self.app.store(), self.id, delivery.number, delivery).await
    }

    /// Shows where it stands.
    fn show(&self, destination: &Destination, now: Timestamp) {
        let name = [&*destination.name];
        let metrics = &self.app.metrics().deliveries;
        let age = self.standing.pending_ms.map_or(0, |since| (now.millis() - since).max(0));
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics.waiting.with_label_values(&name).set(age as f64 / 1000.0);
        metrics.held.with_label_values(&name).set(i64::from(self.standing.held.is_some()));
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        let accepted = self.standing.accepted_ms as f64 / 1000.0;
        metrics.accepted_at.with_label_values(&name).set(accepted);
    }
}

/// Up to when a delivery that looked at an instant, at members of another, knew of everything: also
/// of what other processes heard.
fn told_ms(looked_ms: i64, as_of_ms: i64) -> i64 {
    looked_ms.min(as_of_ms) - HEARD_S * 1000
}

/// Shows the share of allowed members of whom the partner has an id.
fn show_match(app: &App, destination: &Destination, pairs: &Waterfall) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    let ratio = pairs.matched as f64 / pairs.allowed.max(1) as f64;
    app.metrics().deliveries.match_ratio.with_label_values(&[&*destination.name]).set(ratio);
}

/// How long to wait after failures: twice as long each time, give or take a half; at least what
/// the receiver asks for.
pub(super) fn pause(failures: u32, asked_s: Option<u64>) -> i64 {
    let usual = 2_u64.saturating_pow(failures.min(16)).min(PAUSE_MOST_S);
    let share = getrandom::u32().unwrap_or(u32::MAX / 2) % 1000;
    let jittered = usual / 2 + usual * u64::from(share) / 1000;
    let asked_s = asked_s.unwrap_or(0).min(RETRY_AFTER_MOST_S);
    i64::try_from(jittered.max(asked_s).max(1)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_what_is_asked_for_is_kept() {
        for _ in 0..100 {
            assert!((1..=3).contains(&pause(1, None)));
            assert!((4..=12).contains(&pause(3, None)));
            assert!((150..=450).contains(&pause(40, None)));
            assert_eq!(pause(1, Some(600)), 600);
            assert_eq!(pause(1, Some(u64::MAX)), 86_400);
        }
    }
}
