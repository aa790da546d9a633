//! Consent that is taken back: a no of a known visitor that is newer than his yes erases what came
//! under that consent scope.
//!
//! Hidden at once, erased some minutes later (`privacy.withdrawal_grace_s`): by then it shows
//! whether a consent platform broke and says no for everyone. With more than ten times the usual
//! number in an hour all that wait are held for a day, and the operator is told. What waits is
//! kept in `withdrawals.json` in the data folder, so that a restart forgets nobody's wish.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mayfly_collector::{No, WhoseNo};
use mayfly_core::{
    Admitted, Hit, Partition, PartnerId, SiteId, Timestamp, Visitor, consent, limits,
};
use mayfly_store::delivered::NOBODY;
use mayfly_store::{MatchNote, Sent, StoreError};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::App;
use crate::http::ApiError;
use crate::worker::consents::Refused;

/// From the no to the erasure when there are too many.
const HELD_MS: i64 = 24 * HOUR_MS;
/// An hour.
const HOUR_MS: i64 = 3_600_000;
/// So many times the usual number in an hour are too many.
const TOO_MANY: u64 = 10;
/// Hours that what is usual is learned from.
const HOURS: usize = 7 * 24;
/// Noes that are looked at in one tick: each reads a visitor's hits.
const PER_TICK: usize = 32;

/// A visitor who waits to be erased in a scope.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Waiting {
    partition: u16,
    ordinal: u32,
    scope: Box<str>,
    since_ms: i64,
    due_ms: i64,
}

impl Waiting {
    fn visitor(&self) -> Visitor {
        Visitor { partition: Partition(self.partition), ordinal: self.ordinal }
    }
}

#[derive(Debug, Default)]
struct State {
    noes: VecDeque<No>,
    waiting: Vec<Waiting>,
    /// Withdrawals by hour, the newest last.
    hours: VecDeque<(i64, u64)>,
    is_tripped: bool,
}

impl State {
    fn count(&mut self, now: Timestamp) {
        let hour = now.millis().div_euclid(HOUR_MS);
        match self.hours.back_mut() {
            Some((own, count)) if *own == hour => *count += 1,
            Some(_) | None => self.hours.push_back((hour, 1)),
        }
        while self.hours.len() > HOURS {
            self.hours.pop_front();
        }
    }

    /// Takes noes to look at. When too many wait the oldest go: who is still here says so again.
    fn receive(&mut self, noes: VecDeque<No>) {
        self.noes.extend(noes);
        let surplus = self.noes.len().saturating_sub(limits::NOES);
        self.noes.drain(..surplus);
    }

    /// Whether more came in this hour and the one before than ten times what is usual.
    fn is_flood(&self, now: Timestamp) -> bool {
        let hour = now.millis().div_euclid(HOUR_MS);
        let of = |is_recent: bool| {
            let own = self.hours.iter().filter(|(at, _)| (hour - at <= 1) == is_recent);
            own.map(|(_, count)| count).sum::<u64>()
        };
        let known = self.hours.front().map_or(0, |(first, _)| (hour - first - 1).max(0));
        let usual = of(false).checked_div(known.unsigned_abs()).unwrap_or(0).max(1);
        of(true) > TOO_MANY * usual
    }
}

/// Who waits to be erased.
#[derive(Debug, Default)]
pub(super) struct Withdrawals {
    state: Mutex<State>,
    file: PathBuf,
    /// This process, among those on one store.
    process: u32,
}

impl Withdrawals {
    /// Those that waited when the program ended.
    pub(super) fn open(file: PathBuf) -> Self {
        let bytes = std::fs::read(&file).unwrap_or_else(|_| b"[]".to_vec());
        let waiting = serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            let aside = file.with_extension("broken");
            let kept = std::fs::rename(&file, &aside).is_ok();
            tracing::error!(%error, ?aside, kept, "withdrawals.json cannot be read: put aside");
            Vec::new()
        });
        let state = State { waiting, ..State::default() };
        let process = getrandom::u32().unwrap_or_else(|_| std::process::id());
        Self { state: Mutex::new(state), file, process }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(&self.state().waiting).unwrap_or_default();
        let aside = self.file.with_extension("part");
        std::fs::write(&aside, bytes)?;
        std::fs::File::open(&aside)?.sync_all()?;
        std::fs::rename(aside, &self.file)
    }

    /// Every scope that a visitor waits in.
    fn of(&self, visitor: Visitor) -> Vec<Waiting> {
        self.state().waiting.iter().filter(|own| own.visitor() == visitor).cloned().collect()
    }

    /// Whom nobody may see any more.
    fn hidden(&self, partition: Partition) -> RoaringBitmap {
        let state = self.state();
        let own = state.waiting.iter().filter(|w| w.partition == partition.0);
        own.map(|waiting| waiting.ordinal).collect()
    }
}

impl App {
    /// Ordinals of a partition that are hidden: their visitors took their consent back.
    pub(crate) fn hidden(&self, partition: Partition) -> RoaringBitmap {
        self.withdrawals.hidden(partition)
    }

    /// Looks at the noes that came, and erases whose time has come.
    ///
    /// # Errors
    /// The store's; what was not done is tried again.
    pub(super) async fn follow_withdrawals(&self, now: Timestamp) -> Result<(), ApiError> {
        self.withdrawals.state().receive(self.collector.take_noes());
        for _ in 0..PER_TICK {
            let Some(no) = self.withdrawals.state().noes.pop_front() else { break };
            if let Err(error) = self.look_at(&no).await {
                self.withdrawals.state().noes.push_front(no);
                return Err(error);
            }
        }
        self.trip(now);
        let due: Vec<Waiting> = {
            let state = self.withdrawals.state();
            state.waiting.iter().filter(|w| w.due_ms <= now.millis()).cloned().collect()
        };
        let mut erased: Vec<Visitor> = Vec::new();
        for visitor in due.iter().map(Waiting::visitor) {
            if erased.contains(&visitor) {
                continue;
            }
            self.erase_scopes(visitor, now).await?;
            self.withdrawals.state().waiting.retain(|own| own.visitor() != visitor);
            self.keep_withdrawals();
            erased.push(visitor);
        }
        let state = self.withdrawals.state();
        let grace_ms = self.grace_ms();
        let held = state.waiting.iter().filter(|w| w.due_ms - w.since_ms > grace_ms).count();
        self.metrics.withdrawals_held.set(i64::try_from(held).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Holds everyone who waits when there are too many.
    fn trip(&self, now: Timestamp) {
        let mut state = self.withdrawals.state();
        let is_flood = state.is_flood(now);
        if is_flood {
            for waiting in &mut state.waiting {
                waiting.due_ms = waiting.since_ms + HELD_MS;
            }
        }
        let is_news = is_flood && !state.is_tripped;
        state.is_tripped = is_flood;
        let held = state.waiting.len();
        drop(state);
        if is_news {
            tracing::error!(
                held,
                "ten times the usual number of visitors took their consent back: a consent \
                 platform may be broken; they are hidden now and erased in 24 hours"
            );
            self.keep_withdrawals();
        }
    }

    fn keep_withdrawals(&self) {
        if let Err(error) = self.withdrawals.save() {
            tracing::warn!(%error, "withdrawals.json cannot be written");
        }
    }

    /// Whether a no takes back an earlier yes; then its visitor waits to be erased.
    async fn look_at(&self, no: &No) -> Result<(), ApiError> {
        let visitor = match &no.who {
            WhoseNo::Visitor(visitor) => Some(*visitor),
            WhoseNo::Foreign(id) => {
                self.store.lookup_ids(std::slice::from_ref(id)).await?.pop().flatten()
            }
        };
        let active = self.active();
        let site = active.definitions().sites().find(|site| site.id == no.site);
        let (Some(visitor), Some(site)) = (visitor, site) else { return Ok(()) };
        let scope = &site.consent.scope;
        let is_known = self
            .withdrawals
            .state()
            .waiting
            .iter()
            .any(|waiting| waiting.visitor() == visitor && waiting.scope == *scope);
        if no.refusal.is_choice() {
            self.refuse_sharing(visitor, Some(no.site), no.at).await?;
        }
        if is_known {
            return Ok(());
        }
        let sites = self.sites_of(scope);
        let hits = self.hits_of(visitor, no.at).await?;
        let mut keys: Vec<_> =
            hits.iter().filter(|hit| sites.contains(&hit.site)).map(|hit| hit.consent).collect();
        keys.sort_unstable();
        keys.dedup();
        let states: Vec<_> = self.store.consents(&keys).await?.into_iter().flatten().collect();
        if !consent::withdraws(&site.consent, &no.choice, &states) {
            return Ok(());
        }
        let waiting = Waiting {
            partition: visitor.partition.0,
            ordinal: visitor.ordinal,
            scope: scope.clone(),
            since_ms: no.at.millis(),
            due_ms: no.at.millis() + self.grace_ms(),
        };
        let mut state = self.withdrawals.state();
        state.waiting.push(waiting);
        state.count(no.at);
        drop(state);
        self.metrics.withdrawals.inc();
        self.keep_withdrawals();
        Ok(())
    }

    /// From this no on (on a site, or on all of them) nothing of the visitor is passed on, until a
    /// newer hit is kept: partners are told to forget him. See [`mayfly_store::delivered`].
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn refuse_sharing(
        &self,
        visitor: Visitor,
        site: Option<SiteId>,
        at: Timestamp,
    ) -> Result<(), ApiError> {
        let active = self.active();
        let mut told: Vec<PartnerId> =
            active.definitions().destinations().map(|own| own.partner).collect();
        told.sort_unstable();
        told.dedup();
        let forget = |partner| MatchNote { visitor, partner, uid: None };
        let notes: Vec<MatchNote> = told.into_iter().map(forget).collect();
        self.store.note_matches(&notes, at).await?;
        let refused = Refused { site: site.unwrap_or(Refused::EVERYWHERE), second: at.secs() };
        let newest = self.hits_of(visitor, at).await?.iter().map(|hit| hit.time.secs()).max();
        let rows = self.store.sent(NOBODY, visitor.partition).await?;
        // He said so before, and nothing came since that it would not cover.
        let is_known = rows.iter().any(|row| {
            let known = Refused::read(&row.code).filter(|known| known.site == refused.site);
            known.is_some_and(|known| newest.is_none_or(|newest| known.second >= newest))
                && row.all().contains(visitor.ordinal)
        });
        if is_known {
            return Ok(());
        }
        self.keep_no(visitor, refused, &rows, at).await
    }

    /// Keeps a no, in the row of its place and second, if there is one.
    async fn keep_no(
        &self,
        visitor: Visitor,
        refused: Refused,
        rows: &[Sent],
        at: Timestamp,
    ) -> Result<(), ApiError> {
        let code = refused.code(self.withdrawals.process);
        let mut row = rows.iter().find(|row| row.code == code).cloned().unwrap_or_default();
        let until = self.settings.store.retention.expires_at(at.day().unwrap_or_default()).day();
        row.code = code;
        row.add(until.unwrap_or_default(), &RoaringBitmap::from_iter([visitor.ordinal]));
        self.store.put_sent(NOBODY, &[(visitor.partition, row)], at).await?;
        if let Some(slot) = self.slots().iter().find(|own| own.partition() == visitor.partition)
            && slot.consents(|_| ()).is_some()
        {
            slot.note_consents(|own| own.refuse(visitor.ordinal, refused));
        }
        Ok(())
    }

    fn grace_ms(&self) -> i64 {
        i64::try_from(self.settings.withdrawal_grace.as_millis()).unwrap_or(i64::MAX)
    }

    fn sites_of(&self, scope: &str) -> Vec<SiteId> {
        let active = self.active();
        let own = active.definitions().sites().filter(|site| *site.consent.scope == *scope);
        own.map(|site| site.id).collect()
    }

    async fn hits_of(&self, visitor: Visitor, now: Timestamp) -> Result<Vec<Hit>, StoreError> {
        let today = now.day().unwrap_or_default();
        let days = self.settings.store.retention.oldest(today)..today.plus(1);
        self.store.read_visitor(visitor, days).await
    }

    /// Erases what a visitor did before his no, in each scope that he waits in: his number goes,
    /// and with it what names him. The rest goes on under another one.
    async fn erase_scopes(&self, visitor: Visitor, now: Timestamp) -> Result<(), ApiError> {
        if !self.rest_of(visitor, now).await?.is_empty() {
            let to = self.collector.succeed(visitor, now).await.map_err(|_| ApiError::Busy)?;
            self.pass_on_noes(visitor, to, now).await?;
            // Read again: until now more may have come.
            let rest = self.rest_of(visitor, now).await?;
            let hits = self.admitted_again(&rest).await?;
            let moved = self.collector.move_hits(visitor, to, hits, now).await;
            moved.map_err(|_| ApiError::Busy)?;
        }
        self.erase(visitor).await.map(|_| ())
    }

    /// Who goes on under another number goes on saying no.
    async fn pass_on_noes(
        &self,
        visitor: Visitor,
        to: Visitor,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let rows = self.store.sent(NOBODY, visitor.partition).await?;
        let known = self.store.sent(NOBODY, to.partition).await?;
        for row in rows.into_iter().filter(|row| row.all().contains(visitor.ordinal)) {
            let Some(refused) = Refused::read(&row.code) else { continue };
            self.keep_no(to, refused, &known, now).await?;
        }
        Ok(())
    }

    /// What a visitor did that no scope in which he waits takes back.
    async fn rest_of(&self, visitor: Visitor, now: Timestamp) -> Result<Vec<Hit>, StoreError> {
        let mut rest = self.hits_of(visitor, now).await?;
        for own in self.withdrawals.of(visitor) {
            let (sites, no_s) = (self.sites_of(&own.scope), own.since_ms.div_euclid(1000));
            rest.retain(|hit| !sites.contains(&hit.site) || hit.time.secs() > no_s);
        }
        // What partners declared of him is no reason to go on.
        if rest.iter().all(Hit::is_declared) {
            rest.clear();
        }
        Ok(rest)
    }

    async fn admitted_again(&self, hits: &[Hit]) -> Result<Vec<Admitted>, StoreError> {
        let mut admitted = Vec::with_capacity(hits.len());
        for hit in hits {
            let page = match hit.page {
                Some(key) => self.store.pages(&[key]).await?.pop().flatten(),
                None => None,
            };
            // Without its proof a hit does not go on.
            if let Some(state) = self.store.consents(&[hit.consent]).await?.pop().flatten() {
                admitted.push(Admitted::again(hit, page, state));
            }
        }
        Ok(admitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_millis(hour * HOUR_MS)
    }

    #[test]
    fn a_flood_is_ten_times_what_is_usual() {
        let mut state = State::default();
        (0..10).for_each(|_| state.count(at(1)));
        assert!(!state.is_flood(at(1)), "nothing is known yet: ten an hour pass");
        state.count(at(1));
        assert!(state.is_flood(at(1)) && state.is_flood(at(2)));
        assert!(!state.is_flood(at(3)));
        let mut state = State::default();
        for hour in 0..100 {
            (0..5).for_each(|_| state.count(at(hour)));
        }
        (0..40).for_each(|_| state.count(at(100)));
        assert!(!state.is_flood(at(100)), "45 in two hours, 5 an hour are usual");
        (0..10).for_each(|_| state.count(at(100)));
        assert!(state.is_flood(at(100)));
        (0..1000).for_each(|hour| state.count(at(200 + hour)));
        assert!(state.hours.len() <= HOURS);
    }
}
