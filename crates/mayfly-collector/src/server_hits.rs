//! Hits from servers, files and the command line: `POST /api/v1/hits`, `replay`, `hit`.
//!
//! The answer always waits for the store, whatever `ack` says: who sends by the thousand wants the
//! count. A body that is refused whole counts as one hit.

use std::collections::HashMap;

use mayfly_core::{Admitted, Outcome, Refusal, Timestamp, Visitor, limits};
use mayfly_store::ForeignId;
use tokio::sync::oneshot;

use crate::body::BodyItems;
use crate::client::Hints;
use crate::collector::{Collector, Ready};
use crate::intake::{Due, Received};
use crate::no::WhoseNo;
use crate::refusal::{Reason, Verdict};
use crate::submission::{Submission, VisitorRef};
use crate::visitors::{MOVED_SPACE, Standing};

/// An item that was not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Its place in the body, from 0.
    pub index: usize,
    /// What became of it.
    pub verdict: Verdict,
}

/// The answer to a body of hits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HitsAnswer {
    /// Hits by [`Outcome::index`].
    pub counts: [u64; Outcome::ALL.len()],
    /// The items that were not kept, by index.
    pub refused: Vec<Refused>,
    /// Why the body was refused whole.
    pub whole: Option<Reason>,
}

/// A hit that waits for its visitor.
struct Waiting {
    hit: Admitted,
    visitor: Named,
    id: Option<i64>,
    due: Due,
    told: oneshot::Receiver<Verdict>,
}

/// A visitor, or the hash of the foreign id that stands for one.
enum Named {
    Known(Visitor),
    Foreign(Box<str>, u128),
}

impl Collector {
    /// Takes the body of `POST /api/v1/hits`.
    ///
    /// Cancel safety: when the future is dropped, every hit still gets its one outcome.
    pub async fn hits(&self, body: BodyItems, now: Timestamp) -> HitsAnswer {
        let items = match body.0 {
            Ok(items) => items,
            Err(reason) => return self.refuse_body(reason),
        };
        let mut answer = HitsAnswer::default();
        for (index, verdict) in self.take_items(items, now).await.into_iter().enumerate() {
            answer.counts[verdict.outcome.index()] += 1;
            if !verdict.outcome.is_kept() {
                answer.refused.push(Refused { index, verdict });
            }
        }
        answer
    }

    /// Refuses a body whole, also one that is too long to be read: it counts as one hit.
    pub fn refuse_body(&self, reason: Reason) -> HitsAnswer {
        let mut answer = HitsAnswer { whole: Some(reason), ..HitsAnswer::default() };
        answer.counts[reason.outcome().index()] += 1;
        self.metrics().count(reason.into());
        answer
    }

    /// Takes hits that were read already; the verdicts stand in the order of the hits.
    ///
    /// Cancel safety: when the future is dropped, every hit still gets its one outcome.
    pub async fn submit(&self, submissions: Vec<Submission>, now: Timestamp) -> Vec<Verdict> {
        self.take_items(submissions.into_iter().map(Ok).collect(), now).await
    }

    /// Who goes on for a visitor that is to be erased: a new one, the same each time. From here on
    /// what the old one's cookie sends here is the new one's.
    ///
    /// # Errors
    /// Why there is none: try again.
    pub async fn succeed(&self, from: Visitor, now: Timestamp) -> Result<Visitor, Reason> {
        let ready = self.ready().ok_or(Reason::NotOpen)?;
        let to = ready.visitors.note_leaving(MOVED_SPACE, from, now).await?;
        self.erase(from);
        Ok(to)
    }

    /// Has hits of `from` go on under his successor. Doing it again after a failure doubles
    /// nothing: each hit has an id that tells what it is.
    ///
    /// # Errors
    /// Why not all of them are kept: try again.
    pub async fn move_hits(
        &self,
        from: Visitor,
        to: Visitor,
        hits: Vec<Admitted>,
        now: Timestamp,
    ) -> Result<(), Reason> {
        let ready = self.ready().ok_or(Reason::NotOpen)?;
        let realm = ready.visitors.identity.realm;
        let mut same: HashMap<String, u32> = HashMap::new();
        let mut waiting = Vec::with_capacity(hits.len());
        for hit in hits {
            let (site, at_s, event) = (hit.site().0, hit.time().secs(), hit.event().name());
            let (url, attributes) = (hit.page().map(|page| &page.url), hit.attributes());
            let what = format!("{from} {site} {at_s} {event} {url:?} {attributes:?}");
            let nth = same.entry(what.clone()).or_default();
            let name = format!("{what} {nth}");
            *nth += 1;
            let id = ready.visitors.keys().hit_hash(realm, u32::MAX, name.as_bytes());
            let mut due = Due::counted();
            waiting.push(due.reply());
            ready.enqueue(hit, to, Some(id), now, due).map_err(|_| Reason::Busy)?;
        }
        all_kept(waiting).await
    }

    /// Stores what a partner declared of visitors; waits where the queue is full. They count as no
    /// hits that were received: nobody was seen.
    ///
    /// # Errors
    /// Why not all of them are kept: some may be.
    pub async fn declare(
        &self,
        hits: Vec<(Visitor, Admitted)>,
        now: Timestamp,
    ) -> Result<(), Reason> {
        let ready = self.ready().ok_or(Reason::NotOpen)?;
        let mut waiting = Vec::with_capacity(hits.len());
        for (visitor, hit) in hits {
            let mut due = Due::counted();
            waiting.push(due.reply());
            let received = Received { hit, visitor, id: None, now, due };
            ready.queue(received).await?;
        }
        all_kept(waiting).await
    }

    async fn take_items(
        &self,
        items: Vec<Result<Submission, Reason>>,
        now: Timestamp,
    ) -> Vec<Verdict> {
        let dues: Vec<Due> = items.iter().map(|_| Due::new(self.metrics())).collect();
        let Some(ready) = self.ready() else {
            return dues.into_iter().map(|due| due.decide(Reason::NotOpen)).collect();
        };
        let mut verdicts = Vec::with_capacity(items.len());
        let mut waiting = Vec::new();
        for (at, (item, due)) in items.into_iter().zip(dues).enumerate() {
            match self.stage(ready, item, now).await {
                Err(verdict) => verdicts.push(due.decide(verdict)),
                Ok((hit, visitor, id)) => {
                    let mut due = due;
                    let told = due.reply();
                    // Replaced when the verdict is told.
                    verdicts.push(Outcome::StoreFailed.into());
                    waiting.push((at, Waiting { hit, visitor, id, due, told }));
                }
            }
        }
        for (at, told) in send(ready, waiting, now).await {
            if let (Ok(verdict), Some(place)) = (told.await, verdicts.get_mut(at)) {
                *place = verdict;
            }
        }
        verdicts
    }

    /// Everything that can be said of one hit before its foreign id is looked up.
    async fn stage(
        &self,
        ready: &Ready,
        item: Result<Submission, Reason>,
        now: Timestamp,
    ) -> Result<(Admitted, Named, Option<i64>), Verdict> {
        let Submission { site, visitor, mut candidate, fleeting, client, hit_id } = item?;
        let site = self.sites().get(&site).cloned().ok_or(Reason::UnknownSite)?;
        let hints = Hints { user_agent: client.user_agent.as_deref(), ..Hints::default() };
        let asker = self.agents().asker(&hints);
        if hints.user_agent.is_some() {
            asker.may_ask(&site)?;
        }
        candidate.context = self.context(asker.client, client.language.as_deref(), client.address);
        let hit = match self.admit(candidate, &fleeting, &site, client.address, now) {
            Ok(hit) => hit,
            Err(denial) => {
                if let Some(who) = whose(ready, &visitor, now).await {
                    self.note_no(who, &site, &denial, now);
                }
                return Err(denial.into());
            }
        };
        let visitor = named(ready, visitor, now).await?;
        let id = hit_id.filter(|id| !id.is_empty() && id.len() <= limits::HIT_ID_BYTES);
        let realm = ready.visitors.identity.realm;
        let hash = |id: Box<str>| ready.visitors.keys().hit_hash(realm, site.id.0, id.as_bytes());
        Ok((hit, visitor, id.map(hash)))
    }
}

/// Whose no it is; a foreign id's visitor is not asked for yet.
async fn whose(ready: &Ready, visitor: &VisitorRef, now: Timestamp) -> Option<WhoseNo> {
    Some(match visitor {
        VisitorRef::Foreign { space, id } => {
            let hash = ready.visitors.foreign_hash(space, id);
            WhoseNo::Foreign(ForeignId { space: space.clone(), hash })
        }
        VisitorRef::Cookie(value) => {
            let cookie = ready.visitors.cookie(value, now).await.and_then(Standing::living)?;
            WhoseNo::Visitor(cookie.visitor)
        }
        VisitorRef::Known(visitor) => WhoseNo::Visitor(*visitor),
    })
}

/// Reads a visitor's reference.
async fn named(ready: &Ready, visitor: VisitorRef, now: Timestamp) -> Result<Named, Reason> {
    match visitor {
        VisitorRef::Foreign { space, id } => {
            let hash = ready.visitors.foreign_hash(&space, &id);
            Ok(Named::Foreign(space, hash))
        }
        VisitorRef::Cookie(value) => {
            let cookie = match ready.visitors.cookie(&value, now).await {
                Some(Standing::Living(cookie)) => cookie,
                Some(Standing::OptedOut) => return Err(Reason::Consent(Refusal::OptedOut)),
                Some(Standing::Unsure) => return Err(Reason::StoreAway),
                None => return Err(Reason::BadVisitor),
            };
            known(ready, cookie.visitor).await
        }
        VisitorRef::Known(visitor) => known(ready, visitor).await,
    }
}

async fn known(ready: &Ready, visitor: Visitor) -> Result<Named, Reason> {
    let usable = visitor.ordinal != 0
        && !ready.visitors.erased.contains(visitor)
        && ready.visitors.is_issued(visitor).await;
    if usable { Ok(Named::Known(visitor)) } else { Err(Reason::BadVisitor) }
}

/// Finds the visitors of foreign ids and queues the hits; answers who tells each verdict.
async fn send(
    ready: &Ready,
    waiting: Vec<(usize, Waiting)>,
    now: Timestamp,
) -> Vec<(usize, oneshot::Receiver<Verdict>)> {
    let foreign = waiting.iter().filter_map(|(_, w)| match &w.visitor {
        Named::Foreign(space, hash) => Some((space.clone(), *hash, w.hit.day())),
        Named::Known(_) => None,
    });
    let foreign = ready.visitors.of_foreign(foreign.collect(), now).await;
    let mut sent = Vec::with_capacity(waiting.len());
    for (at, Waiting { hit, visitor, id, due, told }) in waiting {
        let visitor = match visitor {
            Named::Known(visitor) => Ok(visitor),
            Named::Foreign(_, hash) => {
                foreign.get(&hash).copied().unwrap_or(Err(Reason::NoOrdinal))
            }
        };
        match visitor {
            Ok(visitor) => drop(ready.enqueue(hit, visitor, id, now, due)),
            Err(reason) => drop(due.decide(reason)),
        }
        sent.push((at, told));
    }
    sent
}
/// Waits for the verdicts on hits that were counted before.
async fn all_kept(waiting: Vec<oneshot::Receiver<Verdict>>) -> Result<(), Reason> {
    for told in waiting {
        let verdict = told.await.unwrap_or(Outcome::StoreFailed.into());
        if !verdict.outcome.is_kept() && verdict.outcome != Outcome::Duplicate {
            return Err(Reason::StoreAway);
        }
    }
    Ok(())
}
