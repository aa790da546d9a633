//! What a worker does: its lease, checkpoints, memberships, sealing.

use mayfly_core::{Day, Partition, SegmentId, Timestamp, Visitor, limits};
use redis::Value;

use super::conn::{Command, Load};
use super::{RedisStore, damaged, keys, read, scripts, values};
use crate::codec::{blocks, cells, records};
use crate::{
    DayCheckpoint, DayHeader, EntryId, Lease, Leased, Membership, Result, Sealed, StoreError,
};

/// Blocks read or written at a time while sealing: about 1 MB.
const SEAL_BLOCKS: usize = 100;

impl RedisStore {
    /// See [`crate::Store::lease`]. It runs out by the server's clock, not by `now`.
    pub async fn lease(
        &self,
        partition: Partition,
        held: Option<&Lease>,
        address: &str,
        seconds: u32,
        _now: Timestamp,
    ) -> Result<Leased> {
        let token = match held {
            Some(lease) => lease.token,
            None => super::random()?,
        };
        let lease = scripts::LEASE
            .on(&[self.keys().next(partition), self.keys().lease(partition)])
            .text(&self.store_id())
            .text(&token_text(token))
            .text(address)
            .number(u64::from(seconds) * 1000);
        let answer: Vec<Value> = self.conn().one(lease).await?;
        let mut answer = answer.into_iter();
        match answer.next() {
            Some(Value::Int(0)) => Ok(Leased::Granted(Lease { partition, token })),
            Some(Value::Int(1)) => {
                let address: String = self.conn().read(answer.next().unwrap_or(Value::Nil))?;
                Ok(Leased::Held { address: address.into() })
            }
            Some(_) | None => Err(self.gone()),
        }
    }

    /// See [`crate::Store::release`].
    pub async fn release(&self, lease: &Lease) -> Result<()> {
        let key = self.keys().lease(lease.partition);
        self.conn().one(scripts::RELEASE.on(&[key]).text(&token_text(lease.token))).await
    }

    /// See [`crate::Store::checkpoint`]. All days go in one step while they fit
    /// [`limits::READ_BYTES`]; else each day is a step, and the memberships follow in pieces.
    pub async fn checkpoint(
        &self,
        lease: &Lease,
        days: &[DayCheckpoint<'_>],
        memberships: &[Membership],
        _now: Timestamp,
    ) -> Result<()> {
        let mut step = Step::new(self, lease);
        for day in days {
            let fields = cells::encode(day.cells, day.changed);
            let bytes = fields.iter().filter_map(|(_, v)| v.as_ref()).map(Vec::len).sum();
            step = step.with_room(self, bytes).await?;
            step.days.push((*day, fields));
            step.bytes += bytes;
        }
        for membership in memberships {
            let value = records::encode_membership(membership);
            step = step.with_room(self, value.len()).await?;
            step.bytes += value.len();
            step.as_of = step.as_of.max(membership.as_of);
            step.memberships.push((membership.segment, value));
        }
        step.run(self).await?;
        self.drop_old_memberships(lease.partition, memberships).await
    }

    /// Drops the memberships that nobody writes any more: the hash lives as long as any of them.
    async fn drop_old_memberships(&self, p: Partition, written: &[Membership]) -> Result<()> {
        let Some(newest) = written.iter().map(|membership| membership.as_of).max() else {
            return Ok(());
        };
        let key = self.keys().segments(p);
        let fields: Vec<u32> = self.conn().one(Command::new("HKEYS", &key)).await?;
        let unwritten = |&field: &u32| written.iter().all(|m| m.segment != SegmentId(field));
        for field in fields.into_iter().filter(unwritten) {
            let get = Command::new("HGET", &key).number(field);
            let value: Option<Vec<u8>> = self.conn().one(get).await?;
            let segment = SegmentId(field);
            let old = value.map(|v| records::decode_membership(segment, &v)).transpose()?;
            if old.is_some_and(|old| keys::segments_until(old.as_of) <= newest) {
                self.conn().one::<i64>(Command::new("HDEL", &key).number(field)).await?;
            }
        }
        Ok(())
    }

    /// See [`crate::Store::memberships`].
    pub async fn memberships(&self, partition: Partition) -> Result<Vec<Membership>> {
        let key = self.keys().segments(partition);
        let fields: Vec<String> = self.conn().one(Command::new("HKEYS", &key)).await?;
        let mut all = Vec::with_capacity(fields.len());
        let mut marker = self.conn().one(self.marker(partition)).await?;
        for piece in self.pieces(&key, &fields).await? {
            let get = piece.iter().fold(Command::new("HMGET", &key), |get, f| get.text(f));
            let values = self.conn().run(vec![get, self.marker(partition)], Load::Big).await?;
            let [values, after] = <[Value; 2]>::try_from(values).map_err(|_| damaged())?;
            let values: Vec<Option<Vec<u8>>> = self.conn().read(values)?;
            for (field, value) in piece.iter().zip(values) {
                let segment = SegmentId(field.parse().map_err(|_| damaged())?);
                all.extend(value.map(|v| records::decode_membership(segment, &v)).transpose()?);
            }
            marker = after;
        }
        let erased = self.living(partition, marker).await?;
        all.iter_mut().for_each(|membership| membership.members -= &*erased);
        all.sort_by_key(|membership| membership.segment);
        Ok(all)
    }

    /// See [`crate::Store::seal`]. Holds one partition's day in memory.
    pub async fn seal(&self, lease: &Lease, day: Day, upto: EntryId) -> Result<Sealed> {
        let p = lease.partition;
        let marker = self.conn().one(self.marker(p)).await?;
        let erased = self.living(p, marker).await?;
        self.own(lease).await?;
        let header = Command::new("HGET", &self.keys().cells(p, day)).text("c");
        let header: Option<Vec<u8>> = self.conn().one(header).await?;
        let header = header.map(|h| cells::decode_header(&h)).transpose()?.unwrap_or_default();
        if upto > header.cursor {
            return Err(StoreError::CursorMoved { partition: p });
        }
        let head = self.past_head(p, day).await?;
        let mut hits = Vec::new();
        for firsts in head.firsts.chunks(SEAL_BLOCKS) {
            hits.extend(self.blocks(p, day, head.generation, firsts).await?.0);
        }
        hits.extend(self.raw_log(p, day, upto).await?);
        if hits.is_empty() && head.generation == 0 {
            let log = Command::new("XLEN", &self.keys().hits(p, day));
            let entries: u64 = self.conn().one(log).await?;
            if entries == 0 {
                return Ok(Sealed::default());
            }
        }
        let built = blocks::seal(hits, &erased);
        // Before the hits go: if this ends here, the next sealing finds them, and these, again.
        let visitor = |ordinal| Visitor { partition: p, ordinal };
        let read: Vec<_> = built.dropped.iter().map(|&(page, o)| (page, visitor(o))).collect();
        self.forget_pages(&read).await?;
        self.build_aside(lease, day, head.generation, &built).await?;
        self.switch(lease, day, head.generation, upto).await?;
        Ok(built.sealed)
    }

    /// Refuses early what the scripts would refuse late.
    async fn own(&self, lease: &Lease) -> Result<()> {
        let get = Command::new("GET", &self.keys().lease(lease.partition));
        let held: Option<String> = self.conn().one(get).await?;
        let ours = held.is_some_and(|held| held.starts_with(&token_text(lease.token)));
        if ours { Ok(()) } else { Err(lost(lease)) }
    }

    /// Writes blocks beside the day's, in pieces; they run out if nobody switches to them.
    async fn build_aside(
        &self,
        lease: &Lease,
        day: Day,
        generation: u32,
        built: &blocks::Blocks,
    ) -> Result<()> {
        let key = self.keys().past_aside(lease, day);
        let firsts: Vec<_> = built.blocks.iter().map(|(first, _)| *first).collect();
        let head = Command::new("HSET", &key)
            .text("g")
            .number(generation.saturating_add(1))
            .text("i")
            .bytes(&read::index_bytes(&firsts));
        let expire = Command::new("EXPIRE", &key).number(keys::ASIDE_SECONDS);
        let begin = vec![Command::new("UNLINK", &key), head, expire];
        self.conn().run(begin, Load::Small).await?;
        for piece in built.blocks.chunks(SEAL_BLOCKS) {
            let set = piece.iter().fold(Command::new("HSET", &key), |set, (first, bytes)| {
                set.number(*first).bytes(bytes)
            });
            self.conn().run(vec![set], Load::Small).await?;
        }
        Ok(())
    }

    async fn switch(&self, lease: &Lease, day: Day, generation: u32, upto: EntryId) -> Result<()> {
        let (keys, p) = (self.keys(), lease.partition);
        let keep = match upto.seq.checked_add(1) {
            Some(seq) => format!("{}-{seq}", upto.ms),
            None => format!("{}-0", upto.ms.saturating_add(1)),
        };
        let names = [
            keys.next(p),
            keys.lease(p),
            keys.past(p, day),
            keys.past_aside(lease, day),
            keys.hits(p, day),
        ];
        let seal = scripts::SEAL
            .on(&names)
            .text(&self.store_id())
            .text(&token_text(lease.token))
            .number(generation)
            .number(self.inner.retention.expires_at(day).secs())
            .text(&keep);
        match self.conn().one::<i64>(seal).await? {
            0 => Ok(()),
            1 | 2 => Err(lost(lease)),
            _ => Err(self.gone()),
        }
    }
}

/// A field of a day's cells to write, or (`None`) to drop.
type Change = (cells::Field, Option<Vec<u8>>);

/// A checkpoint's step: what one script writes.
struct Step<'a> {
    lease: &'a Lease,
    store: String,
    /// The newest of the memberships.
    as_of: Timestamp,
    days: Vec<(DayCheckpoint<'a>, Vec<Change>)>,
    memberships: Vec<(SegmentId, Vec<u8>)>,
    bytes: usize,
}

impl<'a> Step<'a> {
    fn new(store: &RedisStore, lease: &'a Lease) -> Self {
        let (store, as_of) = (store.store_id(), Timestamp::default());
        Self { lease, store, as_of, days: Vec::new(), memberships: Vec::new(), bytes: 0 }
    }

    /// This step if so many bytes more fit in; else it is carried out and another begun.
    async fn with_room(self, store: &RedisStore, bytes: usize) -> Result<Self> {
        if self.bytes == 0 || self.bytes.saturating_add(bytes) <= limits::READ_BYTES {
            return Ok(self);
        }
        let next = Self::new(store, self.lease);
        self.run(store).await?;
        Ok(next)
    }

    async fn run(self, store: &RedisStore) -> Result<()> {
        let p = self.lease.partition;
        let keys = store.keys();
        let mut names = vec![keys.next(p), keys.lease(p), keys.segments(p)];
        names.extend(self.days.iter().map(|(day, _)| keys.cells(p, day.day)));
        let head = scripts::CHECKPOINT
            .on(&names)
            .text(&self.store)
            .text(&token_text(self.lease.token))
            .bytes(&values::no_header())
            .number(keys::segments_until(self.as_of).secs())
            .number(self.memberships.len() as u64);
        let head = self
            .memberships
            .iter()
            .fold(head, |call, (segment, value)| call.number(segment.0).bytes(value));
        let call = self.days.iter().fold(head, |call, (day, fields)| {
            let until = store.inner.retention.expires_at(day.day);
            with_day(call.number(until.secs()), day, fields)
        });
        match store.conn().one::<i64>(call).await? {
            0 => Ok(()),
            1 => Err(lost(self.lease)),
            2 => Err(StoreError::CursorMoved { partition: p }),
            _ => Err(store.gone()),
        }
    }
}

/// Adds what a day must still have, and what of it is written and dropped.
fn with_day(call: Command, day: &DayCheckpoint<'_>, fields: &[Change]) -> Command {
    let header = (cells::Field::Header.name(), cells::encode_header(&day.header));
    let named = |(field, value): &Change| value.clone().map(|value| (field.name(), value));
    let writes: Vec<_> = fields.iter().filter_map(named).chain([header]).collect();
    let drops: Vec<_> = fields.iter().filter(|(_, v)| v.is_none()).map(|(f, _)| f.name()).collect();
    let call = call.bytes(&cursor_prefix(day.from)).number(writes.len() as u64);
    let call = writes.iter().fold(call, |call, (field, value)| call.text(field).bytes(value));
    let call = call.number(drops.len() as u64);
    drops.iter().fold(call, |call, field| call.text(field))
}

/// The bytes with which every header of this cursor begins: all but those of `complete`, which
/// stand last and are one byte for 0.
fn cursor_prefix(cursor: EntryId) -> Vec<u8> {
    let mut bytes = cells::encode_header(&DayHeader { cursor, complete: 0 });
    bytes.pop();
    bytes
}

fn token_text(token: u64) -> String {
    format!("{token:016x}")
}

const fn lost(lease: &Lease) -> StoreError {
    StoreError::LeaseLost { partition: lease.partition }
}
