//! Ids that several browsers have: a partner may call two browsers of one person the same. By such
//! an id nobody is told to leave as long as one of them is to be there.
//!
//! The store knows the browser that came with an id last; the others are found once a day, when all
//! matches are read.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use mayfly_core::{Partition, Timestamp, Visitor};

use super::audience::{Desk, NotNow};
use super::changes::{Changes, Chunk, Pair};
use crate::http::ApiError;

/// Ids looked up at a time: the store has to answer in time.
const UIDS_AT_ONCE: usize = 4096;

/// The browsers of ids that several have, by the hash of the id.
#[derive(Debug, Default)]
pub(super) struct Shared {
    hash: RandomState,
    visitors: HashMap<u64, Vec<Visitor>>,
}

/// All matches of a partner, as they are read.
#[derive(Debug, Default)]
pub(super) struct Matches {
    hash: RandomState,
    all: Vec<(u64, Visitor)>,
}

impl Matches {
    /// Notes one.
    pub(super) fn note(&mut self, uid: &str, visitor: Visitor) {
        self.all.push((self.hash.hash_one(uid), visitor));
    }

    /// Those that are shared.
    pub(super) fn shared(mut self) -> Shared {
        self.all.sort_unstable();
        let groups = self.all.chunk_by(|(one, _), (other, _)| one == other);
        let several = groups.filter(|own| own.len() > 1);
        let row = |own: &[(u64, Visitor)]| {
            Some((own.first()?.0, own.iter().map(|(_, visitor)| *visitor).collect()))
        };
        Shared { visitors: several.filter_map(row).collect(), hash: self.hash }
    }
}

impl Shared {
    /// Who had this id when it was looked.
    fn of(&self, uid: &str) -> &[Visitor] {
        self.visitors.get(&self.hash.hash_one(uid)).map_or(&[], Vec::as_slice)
    }
}

impl Desk {
    /// The visitors whom the partner calls so.
    pub(super) async fn called(
        &self,
        uids: &[&str],
        now: Timestamp,
    ) -> Result<Vec<BTreeSet<Visitor>>, NotNow> {
        let mut called: Vec<BTreeSet<Visitor>> = Vec::with_capacity(uids.len());
        for uids in uids.chunks(UIDS_AT_ONCE) {
            let found = self.app.of_partner_all(self.partner.id, uids, now).await;
            let last = found.map_err(|error| {
                if let ApiError::Store(error) = error {
                    NotNow::Store(error)
                } else {
                    NotNow::Loading
                }
            })?;
            called.extend(last.into_iter().map(|own| own.into_iter().collect()));
        }
        for (uid, called) in uids.iter().zip(&mut called) {
            for other in self.shared.of(uid) {
                // He may have another id by now.
                let own = [other.ordinal].into_iter().collect();
                let ids = self.ids(other.partition, &own, now).await?;
                if ids.get(&other.ordinal).is_some_and(|own| *own.uid == **uid) {
                    called.insert(*other);
                }
            }
        }
        Ok(called)
    }

    /// Nobody is told to leave by an id by which somebody else is to be there.
    pub(super) async fn spare_others(
        &mut self,
        chunk: &mut Chunk,
        changes: &Changes,
        partition: Partition,
        now: Timestamp,
    ) -> Result<(), NotNow> {
        let is_leaving = |pair: &Pair| pair.partition == partition && pair.until.is_none();
        let leaving: Vec<usize> = (0..chunk.pairs.len())
            .filter(|at| chunk.pairs.get(*at).is_some_and(|own| own.iter().any(is_leaving)))
            .collect();
        if leaving.is_empty() || !self.has_their_ids() {
            return Ok(());
        }
        let uids: Vec<Box<str>> =
            leaving.iter().filter_map(|at| Some(chunk.users.get(*at)?.uid.clone())).collect();
        let uids: Vec<&str> = uids.iter().map(|uid| &**uid).collect();
        let called = self.called(&uids, now).await?;
        for (at, others) in leaving.into_iter().zip(called) {
            self.spare(chunk, changes, at, others).await?;
        }
        let is_said = |pairs: &Vec<Pair>| !pairs.is_empty();
        let mut said = chunk.pairs.iter().map(is_said).collect::<Vec<_>>().into_iter();
        chunk.users.retain(|_| said.next().unwrap_or(true));
        chunk.pairs.retain(is_said);
        Ok(())
    }

    /// Takes out of one visitor's removals those codes in which somebody else is to be there by his
    /// id.
    async fn spare(
        &mut self,
        chunk: &mut Chunk,
        changes: &Changes,
        at: usize,
        others: BTreeSet<Visitor>,
    ) -> Result<(), NotNow> {
        let (Some(user), Some(pairs)) = (chunk.users.get_mut(at), chunk.pairs.get_mut(at)) else {
            return Ok(());
        };
        let himself = pairs.first().map(Pair::visitor);
        for other in others.into_iter().filter(|other| Some(*other) != himself) {
            let slots = self.app.slots();
            let Some(slot) = slots.iter().find(|own| own.partition() == other.partition) else {
                continue;
            };
            let still = self.still(changes, slot, &[other.ordinal].into_iter().collect()).await?;
            // A member of a segment that is too small leaves as well.
            let stays = |code: &usize| {
                let is_in = still.get(code).is_some_and(|own| own.contains(other.ordinal));
                is_in && !changes.removes(other, *code)
            };
            user.removes.retain(|code| !stays(code));
            let (untold, told): (Vec<Pair>, Vec<Pair>) =
                pairs.drain(..).partition(|pair| pair.until.is_none() && stays(&pair.code));
            *pairs = told;
            chunk.left_out += untold.len() as u64;
            chunk.untold.extend(untold);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_several_are_found_among_all() {
        let visitor = |ordinal| Visitor { partition: Partition(0), ordinal };
        let mut all = Matches::default();
        for (uid, ordinal) in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5), ("a", 6)] {
            all.note(uid, visitor(ordinal));
        }
        let shared = all.shared();
        assert_eq!(shared.visitors.len(), 2, "of others nothing is kept");
        assert_eq!(shared.of("a"), [1, 3, 6].map(visitor));
        assert_eq!(shared.of("b"), [2, 5].map(visitor));
        assert_eq!(shared.of("c"), []);
    }
}
