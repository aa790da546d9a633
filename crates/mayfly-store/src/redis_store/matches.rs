//! Matches, by partner, period and visitor.

use std::collections::{BTreeMap, BTreeSet};

use mayfly_core::{Day, Ordinal, Partition, PartnerId, Timestamp, Visitor};
use redis::Value;
use roaring::RoaringBitmap;

use super::conn::{Command, Load};
use super::{RedisStore, damaged, keys, scripts};
use crate::codec::{self, records};
use crate::matches::{Match, MatchNote, Noted};
use crate::{Result, StoreError};

/// From so many ordinals of a key on it is read whole.
const READ_WHOLE: usize = 8;
/// Keys read in one trip.
const KEYS_MAX: usize = 640;
/// How often a note is made anew because visitors were erased meanwhile.
const TRIES: usize = 8;

impl RedisStore {
    /// The first days of the periods that are kept, the newest first: that of tomorrow, too, where
    /// another process may be already.
    fn periods(&self, now: Timestamp) -> Vec<Day> {
        let (retention, today) = (self.inner.retention, now.day().unwrap_or_default());
        let days = (0..=retention.days()).map(|back| today.plus(1).minus(back));
        let starts: BTreeSet<Day> = days.map(|day| keys::period_start(day, retention)).collect();
        starts.into_iter().rev().filter(|start| retention.oldest(today) <= *start).collect()
    }

    /// See [`crate::Store::match_ends`].
    #[must_use]
    pub fn match_ends(&self, seen: Day) -> Day {
        let retention = self.inner.retention;
        keys::period_start(seen, retention).plus(retention.days())
    }

    /// See [`crate::Store::note_matches`].
    pub async fn note_matches(&self, notes: &[MatchNote], now: Timestamp) -> Result<Vec<Noted>> {
        let mut noted: Vec<Option<Noted>> = vec![None; notes.len()];
        for _ in 0..TRIES {
            let open: Vec<usize> = (0..notes.len()).filter(|&at| noted[at].is_none()).collect();
            if open.is_empty() {
                break;
            }
            for (at, answer) in self.try_notes(notes, &open, now).await? {
                noted[at] = answer;
            }
        }
        noted.into_iter().map(|noted| noted.ok_or(StoreError::Deadline)).collect()
    }

    /// One try; none for a note whose partition had visitors erased meanwhile.
    async fn try_notes(
        &self,
        notes: &[MatchNote],
        open: &[usize],
        now: Timestamp,
    ) -> Result<Vec<(usize, Option<Noted>)>> {
        let partitions: BTreeSet<Partition> =
            open.iter().map(|&at| notes[at].visitor.partition).collect();
        let markers = partitions.iter().map(|&p| self.marker(p)).collect();
        let markers = self.conn().run(markers, Load::Small).await?;
        let mut erased = BTreeMap::new();
        for (p, marker) in partitions.into_iter().zip(markers) {
            let (_, version): (Option<String>, Option<u64>) = self.conn().read(marker.clone())?;
            erased.insert(p, (version.unwrap_or_default(), self.living(p, marker).await?));
        }
        let (mut all, mut asked, mut calls) = (Vec::new(), Vec::new(), Vec::new());
        for &at in open {
            let note = &notes[at];
            let Some((version, dead)) = erased.get(&note.visitor.partition) else { continue };
            if dead.contains(note.visitor.ordinal) {
                all.push((at, Some(Noted::Erased)));
            } else {
                asked.push(at);
                calls.push(self.note(note, *version, now));
            }
        }
        let answers = self.conn().run(calls, Load::Small).await?;
        for (at, answer) in asked.into_iter().zip(answers) {
            all.push((at, self.noted(answer)?));
        }
        Ok(all)
    }

    fn note(&self, note: &MatchNote, erased: u64, now: Timestamp) -> Command {
        let (p, ordinal) = (note.visitor.partition, note.visitor.ordinal);
        let periods = self.periods(now);
        let today = now.day().unwrap_or_default();
        let current = keys::period_start(today, self.inner.retention);
        let of = |start: &Day| self.keys().matches(p, note.partner, *start, ordinal);
        let mut names = vec![self.keys().next(p), self.keys().partners(p), of(&current)];
        names.extend(periods.iter().map(of));
        names.push(self.keys().news(p, note.partner));
        scripts::MATCH
            .on(&names)
            .text(&self.store_id())
            .number(erased)
            .number(ordinal)
            .number(today.0)
            .number(self.inner.retention.expires_at(current).secs())
            .bytes(&[codec::VERSION])
            .number(note.partner.0)
            .text(note.uid.as_deref().unwrap_or_default())
            .number(u8::from(self.is_told(note.partner)))
            .number(keys::news_until(now).secs())
    }

    fn noted(&self, answer: Value) -> Result<Option<Noted>> {
        Ok(Some(match self.conn().read::<i64>(answer)? {
            0 => Noted::New,
            1 => Noted::Changed,
            2 => Noted::Renewed,
            3 => Noted::Known,
            4 => Noted::Forgotten,
            5 => Noted::Absent,
            6 => return Ok(None),
            _ => return Err(self.gone()),
        }))
    }

    /// See [`crate::Store::matches_of`].
    pub async fn matches_of(
        &self,
        visitor: Visitor,
        partners: &[PartnerId],
        now: Timestamp,
    ) -> Result<Vec<Option<Match>>> {
        let (found, marker) = self.raw_matches(visitor, partners, now).await?;
        let dead = self.living(visitor.partition, marker).await?;
        if dead.contains(visitor.ordinal) {
            return Ok(vec![None; partners.len()]);
        }
        let mut found: BTreeMap<PartnerId, Match> = found.into_iter().collect();
        Ok(partners.iter().map(|partner| found.remove(partner)).collect())
    }

    /// A visitor's matches with these partners, erased or not, and the marker as it was then.
    pub(super) async fn raw_matches(
        &self,
        visitor: Visitor,
        partners: &[PartnerId],
        now: Timestamp,
    ) -> Result<(Vec<(PartnerId, Match)>, Value)> {
        let (p, ordinal) = (visitor.partition, visitor.ordinal);
        let periods = self.periods(now);
        let of = |&partner: &PartnerId| {
            let name = move |start: &Day| self.keys().matches(p, partner, *start, ordinal);
            periods.iter().map(name)
        };
        let gets = partners.iter().flat_map(of);
        let gets = gets.map(|name| Command::new("HGET", &name).number(ordinal));
        let gets = gets.chain([self.marker(p)]).collect();
        let mut values = self.conn().run(gets, Load::Small).await?;
        let marker = values.pop().unwrap_or(Value::Nil);
        let mut values = values.into_iter();
        let mut found = Vec::new();
        for partner in partners {
            let mut newest = None;
            for value in values.by_ref().take(periods.len()) {
                let bytes: Option<Vec<u8>> = self.conn().read(value)?;
                let own = bytes.map(|bytes| records::decode_match(&bytes)).transpose()?;
                newest = newest.or(own);
            }
            let newest = newest.filter(|own| self.is_kept(own, now));
            found.extend(newest.map(|own| (*partner, own)));
        }
        Ok((found, marker))
    }

    fn is_kept(&self, own: &Match, now: Timestamp) -> bool {
        self.inner.retention.keeps(own.seen, now.day().unwrap_or_default())
    }

    /// See [`crate::Store::matches`].
    pub async fn matches(
        &self,
        partition: Partition,
        partner: PartnerId,
        ordinals: &RoaringBitmap,
        now: Timestamp,
    ) -> Result<Vec<(Ordinal, Match)>> {
        let mut buckets: BTreeMap<u32, Vec<Ordinal>> = BTreeMap::new();
        for ordinal in ordinals {
            buckets.entry(ordinal / keys::NAMES_ORDINALS).or_default().push(ordinal);
        }
        let mut asked: Vec<(Command, Option<&[Ordinal]>)> = Vec::new();
        for wanted in buckets.values() {
            for start in self.periods(now) {
                let name = self.keys().matches(partition, partner, start, wanted[0]);
                if wanted.len() < READ_WHOLE {
                    let get = Command::new("HMGET", &name);
                    let get = wanted.iter().fold(get, |get, ordinal| get.number(*ordinal));
                    asked.push((get, Some(wanted)));
                } else {
                    asked.push((Command::new("HGETALL", &name), None));
                }
            }
        }
        let mut found = BTreeMap::new();
        let mut asked = asked.into_iter();
        loop {
            let (gets, wanted): (Vec<Command>, Vec<_>) = asked.by_ref().take(KEYS_MAX).unzip();
            if gets.is_empty() {
                break;
            }
            for (value, wanted) in self.conn().run(gets, Load::Big).await?.into_iter().zip(wanted) {
                for (ordinal, bytes) in self.pairs(value, wanted)? {
                    if let std::collections::btree_map::Entry::Vacant(free) = found.entry(ordinal) {
                        free.insert(records::decode_match(&bytes)?);
                    }
                }
            }
        }
        let marker = self.conn().run(vec![self.marker(partition)], Load::Small).await?;
        let marker = marker.into_iter().next().ok_or_else(damaged)?;
        let dead = self.living(partition, marker).await?;
        let is_there = |(ordinal, own): &(Ordinal, Match)| {
            ordinals.contains(*ordinal) && !dead.contains(*ordinal) && self.is_kept(own, now)
        };
        Ok(found.into_iter().filter(is_there).collect())
    }

    /// Ordinals with their bytes, of a key read whole or for some of them.
    fn pairs(&self, value: Value, of: Option<&[Ordinal]>) -> Result<Vec<(Ordinal, Vec<u8>)>> {
        let Some(wanted) = of else { return self.conn().read(value) };
        let values: Vec<Option<Vec<u8>>> = self.conn().read(value)?;
        let pairs = wanted.iter().zip(values);
        Ok(pairs.filter_map(|(ordinal, bytes)| Some((*ordinal, bytes?))).collect())
    }

    /// Commands that forget all matches of a visitor, given the partners that have any.
    pub(super) fn forget_matches(
        &self,
        visitor: Visitor,
        partners: &[PartnerId],
        now: Timestamp,
    ) -> Vec<Command> {
        let (p, ordinal) = (visitor.partition, visitor.ordinal);
        let mut drops = Vec::new();
        for partner in partners {
            for start in self.periods(now) {
                let name = self.keys().matches(p, *partner, start, ordinal);
                drops.push(Command::new("HDEL", &name).number(ordinal));
            }
        }
        drops
    }

    /// The partners that have, or had, matches in a partition.
    pub(super) async fn partners_of(&self, p: Partition) -> Result<Vec<PartnerId>> {
        let all: Vec<u32> =
            self.conn().one(Command::new("SMEMBERS", &self.keys().partners(p))).await?;
        Ok(all.into_iter().map(PartnerId).collect())
    }
}
