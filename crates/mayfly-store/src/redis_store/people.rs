//! Visitors: foreign ids that stand for them, and erasure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use mayfly_core::{Day, Ordinal, Partition, Timestamp, Visitor, limits};
use redis::Value;
use roaring::RoaringBitmap;

use super::conn::{Command, Load};
use super::{RedisStore, damaged, keys, scripts};
use crate::codec::{self, records};
use crate::{Claim, ForeignId, Result};

/// A foreign id as it is remembered: length of the space, space, hash.
type Record = Vec<u8>;
/// A hash's bytes in it.
const HASH_BYTES: usize = 16;

impl RedisStore {
    /// See [`crate::Store::lookup_ids`].
    pub async fn lookup_ids(&self, ids: &[ForeignId]) -> Result<Vec<Option<Visitor>>> {
        let known = self.known(ids.iter()).await?;
        let erased = self.erased_of(known.iter().flatten()).await?;
        Ok(known.into_iter().map(|v| v.filter(|v| !is_erased(&erased, *v))).collect())
    }

    /// Whom the ids stand for, erased or not.
    async fn known(&self, ids: impl Iterator<Item = &ForeignId>) -> Result<Vec<Option<Visitor>>> {
        let gets = ids.map(|id| Command::new("GET", &keys::ids(id))).collect();
        let values = self.conn().run(gets, Load::Small).await?;
        values.into_iter().map(|value| self.visitor(value)).collect()
    }

    fn visitor(&self, value: Value) -> Result<Option<Visitor>> {
        let bytes: Option<Vec<u8>> = self.conn().read(value)?;
        bytes.map(|bytes| records::decode_visitor(&bytes)).transpose()
    }

    /// The erased ordinals of the partitions of these visitors.
    async fn erased_of(
        &self,
        visitors: impl Iterator<Item = &Visitor>,
    ) -> Result<HashMap<Partition, Arc<RoaringBitmap>>> {
        let partitions: BTreeSet<Partition> = visitors.map(|v| v.partition).collect();
        let markers = partitions.iter().map(|&p| self.marker(p)).collect();
        let markers = self.conn().run(markers, Load::Small).await?;
        let mut all = HashMap::new();
        for (p, marker) in partitions.into_iter().zip(markers) {
            all.insert(p, self.living(p, marker).await?);
        }
        Ok(all)
    }

    /// See [`crate::Store::claim_ids`]. An id is remembered with its visitor before it is
    /// claimed: one whose claim is lost is found not to be the visitor's when it is erased.
    pub async fn claim_ids(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Visitor>> {
        let known = self.known(claims.iter().map(|c| &c.id)).await?;
        let erased = self.erased_of(known.iter().flatten()).await?;
        let free = |claim: &Claim, known: &Option<Visitor>| {
            known.is_some_and(|v| claim.takes_over && v != claim.visitor || is_erased(&erased, v))
        };
        // For whom each id will stand when nobody comes between.
        let asked: Vec<Visitor> = claims
            .iter()
            .zip(&known)
            .map(|(claim, known)| known.filter(|_| !free(claim, known)).unwrap_or(claim.visitor))
            .collect();
        self.remember(claims.iter().map(|c| &c.id).zip(asked.iter().copied()), now).await?;
        let calls = claims.iter().zip(&known).map(|(claim, known)| {
            let replaced = known.filter(|_| free(claim, known)).map(records::encode_visitor);
            scripts::CLAIM
                .on(&[keys::ids(&claim.id)])
                .bytes(&records::encode_visitor(claim.visitor))
                .number(claim.until.secs())
                .bytes(&replaced.unwrap_or_default())
        });
        let answers = self.conn().run(calls.collect(), Load::Small).await?;
        let visitors = answers.into_iter().map(|v| self.visitor(v)?.ok_or_else(damaged));
        visitors.collect()
    }

    /// Writes the ids beside their visitors, in the period of `now`.
    async fn remember(
        &self,
        ids: impl Iterator<Item = (&ForeignId, Visitor)>,
        now: Timestamp,
    ) -> Result<()> {
        let start = keys::names_start(now.day().unwrap_or_default());
        let until = keys::names_until(start, self.inner.retention);
        let mut groups: BTreeMap<(Partition, u32), Vec<(Ordinal, Record)>> = BTreeMap::new();
        for (id, visitor) in ids {
            let group = (visitor.partition, visitor.ordinal / keys::NAMES_ORDINALS);
            groups.entry(group).or_default().push((visitor.ordinal, name_record(id)));
        }
        let calls = groups.into_iter().map(|((p, _), names)| {
            let first = names.first().map_or(0, |(ordinal, _)| *ordinal);
            let call = scripts::NAMES
                .on(&[self.keys().next(p), self.keys().names(p, start, first)])
                .text(&self.store_id())
                .number(until.secs())
                .bytes(&[codec::VERSION])
                .number(limits::NAMES_BYTES as u64);
            names.iter().fold(call, |call, (ordinal, name)| call.number(*ordinal).bytes(name))
        });
        for answer in self.conn().run(calls.collect(), Load::Small).await? {
            if self.conn().read::<i64>(answer)? != 0 {
                return Err(self.gone());
            }
        }
        Ok(())
    }

    /// See [`crate::Store::erased`].
    pub async fn erased(&self, partition: Partition) -> Result<RoaringBitmap> {
        let marker = self.conn().run(vec![self.marker(partition)], Load::Small).await?;
        let marker = marker.into_iter().next().unwrap_or(Value::Nil);
        self.living(partition, marker).await.map(|bitmap| (*bitmap).clone())
    }

    /// See [`crate::Store::erase`]. The bitmaps come first: from there on nothing of the visitor
    /// is seen, even if the rest has to be asked for again.
    pub async fn erase(&self, visitors: &[Visitor], now: Timestamp) -> Result<()> {
        let mut groups: BTreeMap<Partition, BTreeSet<Ordinal>> = BTreeMap::new();
        for visitor in visitors {
            groups.entry(visitor.partition).or_default().insert(visitor.ordinal);
        }
        for (&p, ordinals) in &groups {
            while !self.erase_in(p, ordinals).await? {}
        }
        for (p, ordinals) in groups {
            let partners = self.partners_of(p).await?;
            for ordinal in ordinals {
                let visitor = Visitor { partition: p, ordinal };
                self.forget(visitor, now).await?;
                let (found, _) = self.raw_matches(visitor, &partners, now).await?;
                let told = self.tell_gone(visitor, &found, now);
                self.conn().run(told, Load::Small).await?;
                let drops = self.forget_matches(visitor, &partners, now);
                self.conn().run(drops, Load::Small).await?;
            }
        }
        Ok(())
    }

    /// Adds to the bitmap of a partition; `false` when another writer came between.
    async fn erase_in(&self, p: Partition, ordinals: &BTreeSet<Ordinal>) -> Result<bool> {
        let (marker, next) = (self.marker(p), self.keys().next(p));
        let marker: Value = self.conn().one(marker).await?;
        let (_, version): (Option<String>, Option<u64>) = self.conn().read(marker.clone())?;
        let mut bitmap = (*self.living(p, marker).await?).clone();
        if ordinals.iter().filter(|&&ordinal| bitmap.insert(ordinal)).count() == 0 {
            return Ok(true);
        }
        let erase = scripts::ERASE
            .on(&[next, self.keys().erased(p)])
            .text(&self.store_id())
            .number(version.unwrap_or_default())
            .bytes(&records::encode_bitmap(&bitmap))
            .number(super::random()?);
        match self.conn().one::<i64>(erase).await? {
            0 => Ok(true),
            1 => Ok(false),
            _ => Err(self.gone()),
        }
    }

    /// Forgets the foreign ids of a visitor that were claimed within the retention.
    async fn forget(&self, visitor: Visitor, now: Timestamp) -> Result<()> {
        let today = now.day().unwrap_or_default();
        let names: Vec<String> = (0..=limits::RETENTION_DAYS_MAX)
            .step_by(usize::from(keys::NAMES_PERIOD_DAYS))
            .map(|back| keys::names_start(today.minus(back)))
            .collect::<BTreeSet<Day>>()
            .into_iter()
            .map(|start| self.keys().names(visitor.partition, start, visitor.ordinal))
            .collect();
        let get = |name: &String| Command::new("HGET", name).number(visitor.ordinal);
        let kept = self.conn().run(names.iter().map(get).collect(), Load::Small).await?;
        let mut ids = Vec::new();
        for value in kept {
            let bytes: Option<Vec<u8>> = self.conn().read(value)?;
            ids.extend(bytes.map(|bytes| read_names(&bytes)).transpose()?.unwrap_or_default());
        }
        let value = records::encode_visitor(visitor);
        let forget = |id: &ForeignId| scripts::FORGET.on(&[keys::ids(id)]).bytes(&value);
        self.conn().run(ids.iter().map(forget).collect(), Load::Small).await?;
        let drop = |name: &String| Command::new("HDEL", name).number(visitor.ordinal);
        self.conn().run(names.iter().map(drop).collect(), Load::Small).await?;
        Ok(())
    }
}

fn is_erased(erased: &HashMap<Partition, Arc<RoaringBitmap>>, visitor: Visitor) -> bool {
    erased.get(&visitor.partition).is_some_and(|e| e.contains(visitor.ordinal))
}

fn name_record(id: &ForeignId) -> Record {
    let space = &id.space.as_bytes()[..id.space.len().min(limits::SPACE_NAME_BYTES)];
    let mut record = vec![u8::try_from(space.len()).unwrap_or(u8::MAX)];
    record.extend_from_slice(space);
    record.extend_from_slice(&id.hash.to_be_bytes());
    record
}

/// The remembered ids of a visitor.
fn read_names(bytes: &[u8]) -> Result<Vec<ForeignId>> {
    let mut rest = codec::body(bytes, crate::Corruption::Record)?;
    let mut ids = Vec::new();
    while let Some((&len, tail)) = rest.split_first() {
        let (space, tail) = tail.split_at_checked(usize::from(len)).ok_or_else(damaged)?;
        let (hash, tail) = tail.split_first_chunk::<HASH_BYTES>().ok_or_else(damaged)?;
        let space = std::str::from_utf8(space).map_err(|_| damaged())?.into();
        ids.push(ForeignId { space, hash: u128::from_be_bytes(*hash) });
        rest = tail;
    }
    Ok(ids)
}
