//! Names of visitors towards partners: ours, made for each partner alone, and theirs.

use mayfly_core::{PartnerId, Timestamp, Visitor};
use mayfly_store::{Claim, ForeignId, Store};

use crate::batcher::within;
use crate::visitors::{PSEUDONYM_SPACE, UID_SPACE, Visitors};

impl Visitors {
    /// What the store answers within its deadline.
    pub(super) async fn in_time<T, F>(&self, ask: impl FnOnce(Store) -> F) -> Option<T>
    where
        F: Future<Output = mayfly_store::Result<T>>,
    {
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
