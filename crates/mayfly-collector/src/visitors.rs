//! Whose hit it is: our cookie, the probe, foreign ids; and ordinals for who is new.
//!
//! A cookie with a good signature whose ordinal is above every block known here was issued by
//! another collector, or never: one lease tells (the store's counter stands above all that was
//! issued). When the store does not answer the signature decides.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use mayfly_core::{
    Day, Partition, RealmId, Retention, SiteId, StoreId, Timestamp, Visitor, limits,
};
use mayfly_store::{Claim, ForeignId, Identity, Store, StoreError};
use roaring::RoaringBitmap;

use crate::batcher::within;
use crate::cookie::{Nonce, VisitorCookie};
use crate::keys::KeyRing;
use crate::metrics::CollectorMetrics;
use crate::ordinals::Ordinals;
use crate::recent::Recent;
use crate::refusal::Reason;

/// The id space of probe nonces: ours alone.
pub(crate) const PROBE_SPACE: &str = "probe";
/// The id space of visitors whose hits went on under another visitor: ours alone.
pub(crate) const MOVED_SPACE: &str = "moved";

/// Id spaces that nobody may name from outside.
pub(crate) const OWN_SPACES: [&str; 5] =
    [PROBE_SPACE, MOVED_SPACE, OPTED_OUT_SPACE, PSEUDONYM_SPACE, UID_SPACE];

/// Whether ids of this space may be named from outside: a name that is none of our own.
#[must_use]
pub fn is_foreign_space(space: &str) -> bool {
    mayfly_core::event::is_name(space, mayfly_core::limits::SPACE_NAME_BYTES)
        && !OWN_SPACES.contains(&space)
}
/// The id space of our names for visitors towards partners.
pub(crate) const PSEUDONYM_SPACE: &str = "pseudonym";
/// The id space of partners' names for visitors.
pub(crate) const UID_SPACE: &str = "partner_uid";
/// The id space of visitors who opted out by a link, where their browser keeps no cookie of it.
pub(crate) const OPTED_OUT_SPACE: &str = "opted_out";

/// What became of the visitor whom a cookie or an id names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Standing {
    /// Himself; or who goes on for him, as for one who withdrew his consent for some sites and kept
    /// it for others.
    Living(VisitorCookie),
    /// He opted out by a link, and his browser does not know it yet.
    OptedOut,
    /// He is erased, and the store does not say whether more is known of him.
    Unsure,
}

impl Standing {
    pub(crate) fn living(self) -> Option<VisitorCookie> {
        match self {
            Self::Living(cookie) => Some(cookie),
            Self::OptedOut | Self::Unsure => None,
        }
    }
}

/// The erased ordinals, by partition.
#[derive(Debug, Default)]
pub(crate) struct Erased(RwLock<HashMap<Partition, RoaringBitmap>>);

impl Erased {
    pub(crate) fn set(&self, partition: Partition, erased: RoaringBitmap) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // One that was erased since this was read stays so.
        *all.entry(partition).or_default() |= erased;
    }

    pub(crate) fn add(&self, visitor: Visitor) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.entry(visitor.partition).or_default().insert(visitor.ordinal);
    }

    pub(crate) fn contains(&self, visitor: Visitor) -> bool {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&visitor.partition).is_some_and(|erased| erased.contains(visitor.ordinal))
    }
}

/// Everything that tells visitors apart, once the store is open.
#[derive(Debug)]
pub(crate) struct Visitors {
    pub(crate) store: Store,
    pub(crate) identity: Identity,
    pub(crate) keys: RwLock<Arc<KeyRing>>,
    pub(crate) ordinals: Ordinals,
    pub(crate) erased: Arc<Erased>,
    pub(crate) retention: Retention,
    pub(crate) deadline: Duration,
    pub(crate) metrics: CollectorMetrics,
    /// The store does not answer: do not wait for it.
    pub(crate) away: Arc<AtomicBool>,
    /// Foreign ids by hash: whom they stand for, and until which day they are kept.
    pub(crate) foreign: Mutex<Recent<u128, (Visitor, Day)>>,
    /// Foreign ids claimed in the last seconds, with whom they stand for: a server that fails over
    /// may lose them.
    pub(crate) claimed: Mutex<VecDeque<(Timestamp, Claim)>>,
}

impl Visitors {
    pub(crate) fn keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads a cookie of this store and realm.
    pub(crate) async fn cookie(&self, value: &str, now: Timestamp) -> Option<Standing> {
        let cookie = VisitorCookie::decode(value, &self.keys(), self.here(), now.day()?).ok()?;
        self.standing(cookie).await
    }

    fn here(&self) -> (StoreId, RealmId) {
        (self.identity.store, self.identity.realm)
    }

    /// What became of a visitor; `None` when he is erased and no more is known.
    async fn standing(&self, cookie: VisitorCookie) -> Option<Standing> {
        if !self.erased.contains(cookie.visitor) {
            return Some(Standing::Living(cookie));
        }
        if self.away.load(Ordering::Relaxed) {
            return Some(Standing::Unsure);
        }
        let ids = [MOVED_SPACE, OPTED_OUT_SPACE].map(|space| {
            let hash = self.foreign_hash(space, &cookie.visitor.to_string());
            ForeignId { space: space.into(), hash }
        });
        let found = match within(self.deadline, self.store.lookup_ids(&ids)).await {
            Ok(found) => found,
            Err(error) => {
                self.metrics.count_error(&error);
                return Some(Standing::Unsure);
            }
        };
        match found[..] {
            [_, Some(_)] => Some(Standing::OptedOut),
            // Of no day: it is renewed with the new number at once.
            [Some(visitor), None] => {
                Some(Standing::Living(VisitorCookie { visitor, issued: Day::default(), ..cookie }))
            }
            _ => None,
        }
    }

    /// Notes something about a visitor that is to be erased, for as long as his cookie may live:
    /// answers the number under which it is noted, the same each time.
    pub(crate) async fn note_leaving(
        &self,
        space: &str,
        from: Visitor,
        now: Timestamp,
    ) -> Result<Visitor, Reason> {
        let hash = self.foreign_hash(space, &from.to_string());
        // As long as the tag may keep his id, also where hits are kept for less.
        let longer = limits::FIRST_PARTY_DAYS.saturating_sub(self.retention.days());
        let day = now.day().unwrap_or_default().plus(longer);
        let claimed = self.of_foreign(vec![(space.into(), hash, day)], now).await;
        claimed.get(&hash).copied().unwrap_or(Err(Reason::NoOrdinal))
    }

    /// Reads an id that the script tag kept for this site.
    pub(crate) async fn first_party(
        &self,
        value: &str,
        site: SiteId,
        now: Timestamp,
    ) -> Option<Standing> {
        let (keys, today) = (self.keys(), now.day()?);
        let own = VisitorCookie::decode_for(value, site, &keys, self.here(), today).ok()?;
        self.standing(own).await
    }

    /// Reads a link that this site's page made for its visitor.
    pub(crate) async fn pass(&self, value: &str, site: SiteId, now: Timestamp) -> Option<Standing> {
        let own = VisitorCookie::decode_pass(value, site, &self.keys(), self.here(), now).ok()?;
        self.standing(own).await
    }

    /// Whether the ordinal was ever issued. Asks the store only for ordinals above every block
    /// known here.
    pub(crate) async fn is_issued(&self, visitor: Visitor) -> bool {
        let Some(above) = self.ordinals.above(visitor.partition) else { return false };
        if visitor.ordinal < above || self.away.load(Ordering::Relaxed) {
            return true;
        }
        match self.lease(visitor.partition, above).await {
            Ok(begin) => visitor.ordinal < begin,
            Err(_) => true,
        }
    }

    /// Leases a block into the reserve; answers where it begins.
    pub(crate) async fn lease(&self, partition: Partition, above: u32) -> Result<u32, StoreError> {
        let asked = self.store.lease_ordinals(partition, above);
        match within(self.deadline, asked).await {
            Ok(block) => {
                let begin = block.start;
                self.ordinals.add(partition, block);
                Ok(begin)
            }
            Err(error) => {
                self.metrics.count_error(&error);
                Err(error)
            }
        }
    }

    /// Fills the reserve of every partition that wants a block; stops at the first failure.
    pub(crate) async fn refill(&self) -> Result<(), StoreError> {
        loop {
            let wanting = self.ordinals.wanting();
            if wanting.is_empty() {
                return Ok(());
            }
            for (partition, above) in wanting {
                self.lease(partition, above).await?;
            }
        }
    }

    /// The visitor of a probe that came back. Parallel requests with one nonce get the same one;
    /// while the store is away each gets its own, and the browser keeps the last.
    pub(crate) async fn of_probe(&self, nonce: Nonce, now: Timestamp) -> Result<Visitor, Reason> {
        let fresh = self.ordinals.take().ok_or(Reason::NoOrdinal)?;
        if self.away.load(Ordering::Relaxed) {
            return Ok(fresh);
        }
        let hash = self.keys().foreign_hash(self.identity.realm, PROBE_SPACE, &nonce);
        let claim = Claim {
            id: ForeignId { space: PROBE_SPACE.into(), hash },
            visitor: fresh,
            takes_over: false,
            // Two lives of a probe: clocks of collectors differ.
            until: now.plus_secs(2 * limits::PROBE_SECONDS),
        };
        match self.claim(&[claim], now).await {
            Ok(visitors) => Ok(visitors.first().copied().unwrap_or(fresh)),
            Err(_) => Ok(fresh),
        }
    }

    /// The hash of a foreign id.
    pub(crate) fn foreign_hash(&self, space: &str, id: &str) -> u128 {
        self.keys().foreign_hash(self.identity.realm, space, id.as_bytes())
    }

    /// Whom foreign ids (space, hash, youngest day of use) stand for, new ones for new visitors.
    /// `None` where no ordinal was at hand or the store did not answer.
    pub(crate) async fn of_foreign(
        &self,
        ids: Vec<(Box<str>, u128, Day)>,
        now: Timestamp,
    ) -> HashMap<u128, Result<Visitor, Reason>> {
        let mut found = HashMap::with_capacity(ids.len());
        let mut wanted: HashMap<u128, (Box<str>, Day)> = HashMap::new();
        for (space, hash, day) in ids {
            if let Some(visitor) = self.remembered(hash, day) {
                found.insert(hash, Ok(visitor));
            } else {
                let until = &mut wanted.entry(hash).or_insert((space, day)).1;
                *until = day.max(*until);
            }
        }
        let mut wanted = wanted.into_iter();
        // While the store is away one is tried: all would use up ordinals for nothing.
        if self.away.load(Ordering::Relaxed)
            && let Some(first) = wanted.next()
        {
            let hash = first.0;
            self.claim_new(std::iter::once(first), now, &mut found).await;
            if matches!(found.get(&hash), Some(Err(_))) {
                found.extend(wanted.map(|(hash, _)| (hash, Err(Reason::StoreAway))));
                return found;
            }
        }
        self.claim_new(wanted, now, &mut found).await;
        found
    }

    /// Claims foreign ids for fresh visitors.
    async fn claim_new(
        &self,
        wanted: impl Iterator<Item = (u128, (Box<str>, Day))>,
        now: Timestamp,
        found: &mut HashMap<u128, Result<Visitor, Reason>>,
    ) {
        let (mut claims, mut days) = (Vec::new(), Vec::new());
        let mut are_left = true;
        for (hash, (space, day)) in wanted {
            let visitor = if are_left { self.ordinals_or_lease().await } else { None };
            let Some(visitor) = visitor else {
                are_left = false;
                found.insert(hash, Err(Reason::NoOrdinal));
                continue;
            };
            let until = self.retention.expires_at(day);
            let id = ForeignId { space, hash };
            claims.push(Claim { id, visitor, takes_over: false, until });
            days.push(day);
        }
        if !claims.is_empty() {
            self.claim_foreign(&claims, &days, now, found).await;
        }
    }

    async fn claim_foreign(
        &self,
        claims: &[Claim],
        days: &[Day],
        now: Timestamp,
        found: &mut HashMap<u128, Result<Visitor, Reason>>,
    ) {
        match self.claim(claims, now).await {
            Ok(visitors) => {
                let mut foreign = self.foreign.lock().unwrap_or_else(PoisonError::into_inner);
                for ((claim, &day), &visitor) in claims.iter().zip(days).zip(&visitors) {
                    foreign.insert(claim.id.hash, (visitor, day));
                    found.insert(claim.id.hash, Ok(visitor));
                }
                drop(foreign);
                self.note_claimed(claims, &visitors, now);
            }
            Err(_) => found.extend(claims.iter().map(|c| (c.id.hash, Err(Reason::StoreAway)))),
        }
    }

    /// A foreign id's visitor, if it is kept long enough and not erased.
    fn remembered(&self, hash: u128, day: Day) -> Option<Visitor> {
        let mut foreign = self.foreign.lock().unwrap_or_else(PoisonError::into_inner);
        let &mut (visitor, until) = foreign.get(&hash)?;
        drop(foreign);
        (until >= day && !self.erased.contains(visitor)).then_some(visitor)
    }

    /// Remembers claims for [`limits::RESEND_SECONDS`], where the store can lose them.
    fn note_claimed(&self, claims: &[Claim], visitors: &[Visitor], now: Timestamp) {
        if matches!(self.store, Store::Embedded(_)) {
            return;
        }
        let oldest = now.plus_secs(-limits::RESEND_SECONDS);
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        for (claim, &visitor) in claims.iter().zip(visitors) {
            claimed.push_back((now, Claim { visitor, ..claim.clone() }));
        }
        while claimed.len() > limits::FOREIGN_IDS || claimed.front().is_some_and(|c| c.0 < oldest) {
            claimed.pop_front();
        }
    }

    /// After a restart or failover of the server: claims again what was claimed in the last
    /// seconds, for the same visitors, and asks for everyone else anew when he is met.
    ///
    /// # Errors
    /// The store's; nothing is forgotten then.
    pub(crate) async fn claim_again(
        &self,
        answered: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let oldest = answered.plus_secs(-limits::RESEND_SECONDS);
        let lately: Vec<Claim> = {
            let claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
            let lately = claimed.iter().filter(|(at, _)| *at >= oldest);
            lately.map(|(_, claim)| claim.clone()).collect()
        };
        for claims in lately.chunks(limits::GROUP_HITS) {
            let living: Vec<Claim> =
                claims.iter().filter(|c| !self.erased.contains(c.visitor)).cloned().collect();
            within(self.deadline, self.store.claim_ids(&living, now)).await?;
        }
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// A fresh ordinal for a call that can wait for a lease.
    async fn ordinals_or_lease(&self) -> Option<Visitor> {
        if let Some(visitor) = self.ordinals.take() {
            return Some(visitor);
        }
        self.refill().await.ok()?;
        self.ordinals.take()
    }

    /// Claims; ordinals that turn out unneeded go back.
    async fn claim(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Visitor>, StoreError> {
        let claimed = within(self.deadline, self.store.claim_ids(claims, now)).await;
        if let Err(error) = &claimed {
            self.metrics.count_error(error);
        }
        let visitors = claimed?;
        for (claim, &visitor) in claims.iter().zip(&visitors) {
            if claim.visitor != visitor {
                self.ordinals.give_back(claim.visitor);
            }
        }
        Ok(visitors)
    }
}
