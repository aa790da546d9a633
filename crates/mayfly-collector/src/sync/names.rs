//! Names of visitors towards partners: ours, made for each partner alone, and theirs.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use mayfly_core::{Day, PartnerId, Timestamp, Visitor, limits};
use mayfly_store::{Claim, ForeignId, Store};

use crate::batcher::within;
use crate::recent::Recent;
use crate::visitors::{PSEUDONYM_SPACE, UID_SPACE, Visitors};

/// How often each visitor's id at a partner changed today, in bounded memory of this process: each
/// id leaves a trace that is kept for the retention, and anyone may tell one.
#[derive(Debug)]
pub(crate) struct UidChanges(Mutex<Recent<(Visitor, PartnerId), (Day, u8)>>);

impl Default for UidChanges {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(limits::FOREIGN_IDS)))
    }
}

impl UidChanges {
    /// Whether one more is too many.
    pub(super) fn are_many(&self, visitor: Visitor, partner: PartnerId, today: Day) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&(visitor, partner)).copied();
        known.is_some_and(|(day, n)| day == today && n >= limits::UID_CHANGES_PER_DAY)
    }

    /// Notes one more.
    pub(super) fn note(&self, visitor: Visitor, partner: PartnerId, today: Day) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&(visitor, partner)).copied().filter(|(day, _)| *day == today);
        let n = known.map_or(0, |(_, n)| n).saturating_add(1);
        all.insert((visitor, partner), (today, n));
    }
}

impl Visitors {
    /// What the store answers within its deadline.
    pub(super) async fn in_time<T, F>(&self, ask: impl FnOnce(Store) -> F) -> Option<T>
    where
        F: Future<Output = mayfly_store::Result<T>>,
    {
        if self.away.load(Ordering::Relaxed) {
            return None;
        }
        let answer = within(self.deadline, ask(self.store.clone())).await;
        answer.map_err(|error| self.metrics.count_error(&error)).ok()
    }

    /// What we call a visitor towards a partner.
    pub(super) fn pseudonym(&self, visitor: Visitor, partner: PartnerId) -> String {
        self.keys().pseudonym(self.identity.realm, partner, visitor)
    }

    /// The id under which a visitor is found whom the partner calls by our name for him.
    pub(super) fn of_pseudonym(&self, partner: PartnerId, name: &str) -> ForeignId {
        self.of_partner(PSEUDONYM_SPACE, partner, name)
    }

    /// The id under which a visitor is found whom the partner calls by its own.
    pub(super) fn of_uid(&self, partner: PartnerId, uid: &str) -> ForeignId {
        self.of_partner(UID_SPACE, partner, uid)
    }

    fn of_partner(&self, space: &str, partner: PartnerId, name: &str) -> ForeignId {
        let hash = self.foreign_hash(space, &format!("{}:{name}", partner.0));
        ForeignId { space: space.into(), hash }
    }

    /// Has an id stand for a visitor as long as his hits of today are kept; whoever it stood for.
    pub(super) async fn stands_for(
        &self,
        id: ForeignId,
        visitor: Visitor,
        now: Timestamp,
    ) -> Option<()> {
        let until = self.retention.expires_at(now.day()?);
        let claims = [Claim { id, visitor, takes_over: true, until }];
        self.in_time(async |store| store.claim_ids(&claims, now).await).await.map(|_| ())
    }
}
