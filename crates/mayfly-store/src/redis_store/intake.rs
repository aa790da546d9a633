//! How hits come in: ordinals, interning, appending.

use std::ops::Range;

use mayfly_core::{ConsentKey, Day, Ordinal, PageKey, Partition, Timestamp, limits};

use super::conn::{Command, Load};
use super::{RedisStore, damaged, keys, scripts};
use crate::codec::records;
use crate::{Appended, Batch, Interned, Result, StoreError, ToIntern};

impl RedisStore {
    /// See [`crate::Store::lease_ordinals`].
    pub async fn lease_ordinals(
        &self,
        partition: Partition,
        above: Ordinal,
    ) -> Result<Range<Ordinal>> {
        let lease = scripts::ORDINALS
            .on(&[self.keys().next(partition)])
            .text(&self.store_id())
            .number(above)
            .number(limits::ORDINAL_BLOCK)
            .number(limits::ORDINAL_JUMP);
        let answer: Vec<i64> = self.conn().one(lease).await?;
        match answer[..] {
            [0, first] => {
                let first = Ordinal::try_from(first).map_err(|_| damaged())?;
                Ok(first..first.saturating_add(limits::ORDINAL_BLOCK))
            }
            [1] => Err(StoreError::OrdinalsUsedUp { partition }),
            _ => Err(self.gone()),
        }
    }

    /// See [`crate::Store::intern`].
    pub async fn intern(&self, values: &ToIntern<'_>) -> Result<Interned> {
        let seed = self.identity().seed;
        let pages = values.pages.iter().map(|&(page, day, reader)| Value {
            base: page.key(seed).0,
            bytes: records::encode_page(page),
            reader: records::encode_reader(reader),
            day,
            key: |k| keys::page(PageKey(k)),
        });
        let consents = values.consents.iter().map(|&(state, day)| Value {
            base: state.key(seed).0,
            bytes: records::encode_consent(state),
            reader: Vec::new(),
            day,
            key: |k| keys::consent(ConsentKey(k)),
        });
        let mut keys = self.intern_all(pages.chain(consents).collect()).await?;
        let consents = keys.split_off(values.pages.len());
        Ok(Interned {
            pages: keys.into_iter().map(PageKey).collect(),
            consents: consents.into_iter().map(ConsentKey).collect(),
        })
    }

    /// Tries each value under its key, then those that met another value under the next key.
    async fn intern_all(&self, values: Vec<Value>) -> Result<Vec<u64>> {
        let mut taken: Vec<u64> = values.iter().map(|v| v.base).collect();
        let mut open: Vec<usize> = (0..values.len()).collect();
        for step in 0..limits::INTERN_STEPS {
            if open.is_empty() {
                break;
            }
            let call = |&i: &usize| self.intern_call(&values[i], step);
            let answers = self.conn().run(open.iter().map(call).collect(), Load::Small).await?;
            let mut again = Vec::new();
            for (i, answer) in open.into_iter().zip(answers) {
                taken[i] = values[i].base.wrapping_add(step);
                if self.conn().read::<i64>(answer)? == 0 {
                    again.push(i);
                }
            }
            open = again;
        }
        if open.is_empty() { Ok(taken) } else { Err(StoreError::InternFull) }
    }

    fn intern_call(&self, value: &Value, step: u64) -> Command {
        let until = self.inner.retention.expires_at(value.day);
        scripts::INTERN
            .on(&[(value.key)(value.base.wrapping_add(step))])
            .bytes(&value.bytes)
            .bytes(&value.reader)
            .number(until.secs())
    }

    /// See [`crate::Store::append`]. What a day is too old for is judged by the server's clock,
    /// which expires keys; a process whose clock jumps ahead loses nothing.
    pub async fn append(&self, batches: &[&Batch], _now: Timestamp) -> Result<Vec<Appended>> {
        let calls = batches.iter().map(|batch| self.append_call(batch)).collect();
        let mut answers = self.appended(calls).await?;
        for i in 0..answers.len() {
            // Met when a server did not know the script for the first batches of a lane and knew
            // it for the next: those first ones were then sent again, after the next.
            if matches!(answers[i], Appended::Gap { .. }) && follows(batches, &answers, i) {
                let again = self.appended(vec![self.append_call(batches[i])]).await?;
                answers.splice(i..=i, again);
            }
        }
        Ok(answers)
    }

    async fn appended(&self, calls: Vec<Command>) -> Result<Vec<Appended>> {
        let answers = self.conn().run(calls, Load::Small).await?;
        answers
            .into_iter()
            .map(|answer| {
                let answer: Vec<i64> = self.conn().read(answer)?;
                match answer[..] {
                    [0] => Ok(Appended::Stored),
                    [1] => Ok(Appended::Done),
                    [2, last] => {
                        Ok(Appended::Gap { last: u64::try_from(last).map_err(|_| damaged())? })
                    }
                    [3, ref indexes @ ..] => {
                        let index = |&i: &i64| u32::try_from(i).map_err(|_| damaged());
                        indexes.iter().map(index).collect::<Result<_>>().map(Appended::Duplicates)
                    }
                    _ => Err(self.gone()),
                }
            })
            .collect()
    }

    fn append_call(&self, batch: &Batch) -> Command {
        let (keys, p) = (self.keys(), batch.partition);
        let mut names = vec![keys.next(p), keys.lane(p, batch.lane), keys.dirty(p)];
        names.extend(batch.entries.iter().map(|entry| keys.hits(p, entry.day)));
        for id in &batch.ids {
            names.push(keys.hit_ids(p, batch.received, id.hash));
            names.push(keys.hit_ids(p, batch.received.minus(1), id.hash));
        }
        let head = scripts::APPEND
            .on(&names)
            .text(&self.store_id())
            .number(batch.number)
            .number(keys::LANE_SECONDS)
            .number(batch.entries.len() as u64)
            .number(keys::hit_ids_until(batch.received).secs());
        let with_days = batch.entries.iter().fold(head, |call, entry| {
            let until = self.inner.retention.expires_at(entry.day);
            call.number(entry.day.0).number(until.secs()).bytes(&entry.bytes)
        });
        batch.ids.iter().fold(with_days, |call, id| call.number(id.index).number(id.hash))
    }
}

/// What is to be interned.
struct Value {
    /// The first key to try.
    base: u64,
    bytes: Vec<u8>,
    /// Stands behind the bytes where only one reads it.
    reader: Vec<u8>,
    /// The youngest day that uses it.
    day: Day,
    key: fn(u64) -> String,
}

/// Whether the batch before this one in its lane is in the same call, and was taken.
fn follows(batches: &[&Batch], answers: &[Appended], i: usize) -> bool {
    let batch = batches[i];
    batches[..i].iter().zip(answers).any(|(other, answer)| {
        other.lane == batch.lane
            && other.partition == batch.partition
            && other.number.checked_add(1) == Some(batch.number)
            && matches!(answer, Appended::Stored | Appended::Done)
    })
}
