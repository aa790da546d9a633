//! Reading hits: the log, whole days, one visitor.

use std::ops::Range;

use mayfly_core::{Day, Hit, Ordinal, Partition, Visitor, limits};
use redis::Value;

use super::conn::{Command, Load};
use super::{RedisStore, damaged};
use crate::codec::{self, hits, varint};
use crate::error::Corruption;
use crate::{DayCursor, DayPage, Entry, EntryId, Head, Result, StoreError};

/// Entries asked for at first, when nothing is known of their size: together at most
/// [`limits::READ_BYTES`].
const FIRST_ENTRIES: usize = limits::READ_BYTES / limits::ENTRY_BYTES;
/// The most entries asked for at a time.
const ENTRIES_MAX: usize = 4096;
/// The most blocks asked for at a time.
const BLOCKS_MAX: usize = 64;
/// How often a read begins again because the day was written meanwhile.
pub(super) const TRIES: usize = 4;

/// A piece of a log.
struct Piece {
    entries: Vec<Entry>,
    /// Nothing came after it.
    ended: bool,
    bytes: usize,
}

/// The head of a sealed day.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct PastHead {
    /// 0 = never sealed.
    pub(super) generation: u32,
    /// The first ordinal of each block, ascending.
    pub(super) firsts: Vec<Ordinal>,
}

impl RedisStore {
    /// See [`crate::Store::heads`].
    pub async fn heads(&self, partitions: &[Partition]) -> Result<Vec<Vec<Head>>> {
        let all = |&p: &Partition| Command::new("HGETALL", &self.keys().dirty(p));
        let values = self.conn().run(partitions.iter().map(all).collect(), Load::Small).await?;
        let mut heads = Vec::with_capacity(values.len());
        for value in values {
            let fields: Vec<(u16, String)> = self.conn().read(value)?;
            let mut of_partition = Vec::with_capacity(fields.len());
            for (day, last) in fields {
                of_partition.push(Head { day: Day(day), last: read_id(&last)? });
            }
            of_partition.sort_by_key(|head| head.day);
            heads.push(of_partition);
        }
        Ok(heads)
    }

    /// See [`crate::Store::read_new`].
    pub async fn read_new(
        &self,
        partition: Partition,
        day: Day,
        after: EntryId,
        max_hits: usize,
    ) -> Result<Vec<Entry>> {
        Ok(self.log_after(partition, day, after, max_hits, None).await?.entries)
    }

    /// About `max_hits` living hits of the log. A reader of the whole day gives the generation of
    /// the blocks that the log must continue, still after each piece was read.
    async fn log_after(
        &self,
        p: Partition,
        day: Day,
        after: EntryId,
        max_hits: usize,
        continues: Option<u32>,
    ) -> Result<Piece> {
        let mut all = Piece { entries: Vec::new(), ended: false, bytes: 0 };
        let mut hits = 0;
        loop {
            let from = all.entries.last().map_or(after, |entry| entry.id);
            let count = next_count(&all, hits, max_hits);
            let range = self.log_command(p, day, from, None, count);
            let generation = Command::new("HGET", &self.keys().past(p, day)).text("g");
            let commands = vec![range, generation, self.marker(p)];
            let values = self.conn().run(commands, Load::Big).await?;
            let [range, generation, marker] =
                <[Value; 3]>::try_from(values).map_err(|_| damaged())?;
            let generation = read_generation(self.conn().read(generation)?)?;
            if continues.is_some_and(|continued| continued != generation) {
                return Err(StoreError::DayMoved);
            }
            let piece = self.read_piece(p, day, range, count)?;
            let erased = self.living(p, marker).await?;
            all.ended = piece.ended;
            all.bytes += piece.bytes;
            for mut entry in piece.entries {
                // One without hits counts as one: a log may be full of them.
                hits += entry.hits.len().max(1);
                entry.hits.retain(|hit| !erased.contains(hit.visitor.ordinal));
                all.entries.push(entry);
            }
            if all.ended || hits >= max_hits || all.bytes >= limits::READ_BYTES {
                return Ok(all);
            }
        }
    }

    fn log_command(
        &self,
        p: Partition,
        day: Day,
        after: EntryId,
        upto: Option<EntryId>,
        count: usize,
    ) -> Command {
        let end = upto.map_or_else(|| "+".to_owned(), |id| format!("{}-{}", id.ms, id.seq));
        Command::new("XRANGE", &self.keys().hits(p, day))
            .text(&format!("({}-{}", after.ms, after.seq))
            .text(&end)
            .text("COUNT")
            .number(count as u64)
    }

    fn read_piece(&self, p: Partition, day: Day, range: Value, count: usize) -> Result<Piece> {
        let rows: Vec<(String, Vec<Vec<u8>>)> = self.conn().read(range)?;
        let ended = rows.len() < count;
        let mut piece = Piece { entries: Vec::with_capacity(rows.len()), ended, bytes: 0 };
        for (id, fields) in rows {
            let [_, bytes] = &fields[..] else { return Err(codec::corrupt(Corruption::Entry)) };
            piece.bytes += bytes.len();
            let hits = hits::decode(bytes, p, day, Corruption::Entry)?;
            piece.entries.push(Entry { id: read_id(&id)?, hits });
        }
        Ok(piece)
    }

    /// All hits of the log after `after` up to `upto`, those of erased visitors included.
    pub(super) async fn raw_log(&self, p: Partition, day: Day, upto: EntryId) -> Result<Vec<Hit>> {
        let mut all = Vec::new();
        let mut after = EntryId::ZERO;
        let mut count = FIRST_ENTRIES;
        loop {
            let range = vec![self.log_command(p, day, after, Some(upto), count)];
            let value = self.conn().run(range, Load::Big).await?.pop().unwrap_or(Value::Nil);
            let piece = self.read_piece(p, day, value, count)?;
            after = piece.entries.last().map_or(after, |entry| entry.id);
            count = next_count(&piece, 0, usize::MAX);
            all.extend(piece.entries.into_iter().flat_map(|entry| entry.hits));
            if piece.ended {
                return Ok(all);
            }
        }
    }

    /// See [`crate::Store::read_day`].
    pub async fn read_day(
        &self,
        partition: Partition,
        day: Day,
        from: DayCursor,
        max_hits: usize,
    ) -> Result<DayPage> {
        match from {
            DayCursor::Start => {
                let head = self.past_head(partition, day).await?;
                self.read_sealed(partition, day, &head, 0, max_hits).await
            }
            DayCursor::Sealed { generation, ordinal } => {
                let head = self.past_head(partition, day).await?;
                if head.generation != generation {
                    return Err(StoreError::DayMoved);
                }
                self.read_sealed(partition, day, &head, ordinal, max_hits).await
            }
            DayCursor::Log { generation, after } => {
                let continues = Some(generation);
                let piece = self.log_after(partition, day, after, max_hits, continues).await?;
                let last = piece.entries.last().map_or(after, |entry| entry.id);
                let next = (!piece.ended).then_some(DayCursor::Log { generation, after: last });
                let hits = piece.entries.into_iter().flat_map(|entry| entry.hits).collect();
                Ok(DayPage { hits, last, next })
            }
        }
    }

    /// Blocks that begin at or after `ordinal`; after the last one the log comes next.
    async fn read_sealed(
        &self,
        p: Partition,
        day: Day,
        head: &PastHead,
        ordinal: Ordinal,
        max_hits: usize,
    ) -> Result<DayPage> {
        let generation = head.generation;
        let begin = head.firsts.partition_point(|&first| first < ordinal);
        let wanted = (max_hits / limits::BLOCK_HITS).clamp(1, BLOCKS_MAX);
        let end = begin.saturating_add(wanted).min(head.firsts.len());
        let next = match head.firsts.get(end) {
            Some(&ordinal) => DayCursor::Sealed { generation, ordinal },
            None => DayCursor::Log { generation, after: EntryId::ZERO },
        };
        if begin == end {
            return Ok(DayPage { hits: Vec::new(), last: EntryId::ZERO, next: Some(next) });
        }
        let (mut hits, marker) = self.blocks(p, day, generation, &head.firsts[begin..end]).await?;
        let erased = self.living(p, marker).await?;
        hits.retain(|hit| !erased.contains(hit.visitor.ordinal));
        Ok(DayPage { hits, last: EntryId::ZERO, next: Some(next) })
    }

    /// The hits of these blocks, and the partition's marker after they were read.
    pub(super) async fn blocks(
        &self,
        p: Partition,
        day: Day,
        generation: u32,
        firsts: &[Ordinal],
    ) -> Result<(Vec<Hit>, Value)> {
        let get = Command::new("HMGET", &self.keys().past(p, day)).text("g");
        let get = firsts.iter().fold(get, |get, &first| get.number(first));
        let values = self.conn().run(vec![get, self.marker(p)], Load::Big).await?;
        let [blocks, marker] = <[Value; 2]>::try_from(values).map_err(|_| damaged())?;
        let mut blocks: Vec<Option<Vec<u8>>> = self.conn().read(blocks)?;
        if blocks.is_empty() || read_generation(blocks.remove(0))? != generation {
            return Err(StoreError::DayMoved);
        }
        let mut hits = Vec::new();
        for block in blocks {
            let block = block.ok_or_else(|| codec::corrupt(Corruption::Block))?;
            hits.extend(hits::decode(&block, p, day, Corruption::Block)?);
        }
        Ok((hits, marker))
    }

    pub(super) async fn past_head(&self, p: Partition, day: Day) -> Result<PastHead> {
        let value = self.conn().one(self.past_head_command(p, day)).await?;
        self.read_past_head(value)
    }

    fn past_head_command(&self, p: Partition, day: Day) -> Command {
        Command::new("HMGET", &self.keys().past(p, day)).text("g").text("i")
    }

    fn read_past_head(&self, value: Value) -> Result<PastHead> {
        let (generation, index): (Option<Vec<u8>>, Option<Vec<u8>>) = self.conn().read(value)?;
        let firsts = index.map(|index| read_index(&index)).transpose()?.unwrap_or_default();
        Ok(PastHead { generation: read_generation(generation)?, firsts })
    }

    /// See [`crate::Store::read_visitor`].
    pub async fn read_visitor(&self, visitor: Visitor, days: Range<Day>) -> Result<Vec<Hit>> {
        let p = visitor.partition;
        let days: Vec<Day> = (days.start.0..days.end.0).map(Day).collect();
        let exists = |&day: &Day| {
            let past = self.keys().past(p, day);
            Command::new("EXISTS", &past).text(&self.keys().hits(p, day))
        };
        let there = self.conn().run(days.iter().map(exists).collect(), Load::Small).await?;
        let mut all = Vec::new();
        for (day, there) in days.into_iter().zip(there) {
            if self.conn().read::<u32>(there)? > 0 {
                all.extend(self.visitor_day(visitor, day).await?);
            }
        }
        all.sort_by_key(|hit: &Hit| hit.time);
        Ok(all)
    }

    /// The visitor's hits of one day; begins again when the day is sealed meanwhile.
    async fn visitor_day(&self, visitor: Visitor, day: Day) -> Result<Vec<Hit>> {
        for _ in 1..TRIES {
            match self.visitor_day_at_once(visitor, day).await {
                Err(StoreError::DayMoved) => {}
                read => return read,
            }
        }
        self.visitor_day_at_once(visitor, day).await
    }

    /// The one block that may hold the visitor, and the whole log.
    async fn visitor_day_at_once(&self, visitor: Visitor, day: Day) -> Result<Vec<Hit>> {
        let (p, ordinal) = (visitor.partition, visitor.ordinal);
        let head = self.past_head(p, day).await?;
        let generation = head.generation;
        let mut all = Vec::new();
        let block = head.firsts.partition_point(|&first| first <= ordinal).checked_sub(1);
        if let Some(&first) = block.and_then(|at| head.firsts.get(at)) {
            let (hits, marker) = self.blocks(p, day, generation, &[first]).await?;
            if !self.living(p, marker).await?.contains(ordinal) {
                all.extend(hits);
            }
        }
        let mut after = EntryId::ZERO;
        loop {
            let piece = self.log_after(p, day, after, usize::MAX, Some(generation)).await?;
            after = piece.entries.last().map_or(after, |entry| entry.id);
            all.extend(piece.entries.into_iter().flat_map(|entry| entry.hits));
            all.retain(|hit| hit.visitor.ordinal == ordinal);
            if piece.ended {
                return Ok(all);
            }
        }
    }
}

/// How many entries to ask for: as many as the hits still wanted and [`limits::READ_BYTES`]
/// allow, judged by those read so far.
fn next_count(read: &Piece, hits: usize, max_hits: usize) -> usize {
    let entries = read.entries.len();
    if entries == 0 {
        return FIRST_ENTRIES;
    }
    let by_hits = max_hits.saturating_sub(hits).div_ceil((hits / entries).max(1));
    let by_bytes = limits::READ_BYTES / (read.bytes / entries).max(1);
    by_hits.min(by_bytes).clamp(1, ENTRIES_MAX)
}

/// `<ms>-<seq>`.
pub(super) fn read_id(text: &str) -> Result<EntryId> {
    let (ms, seq) = text.split_once('-').ok_or_else(damaged)?;
    let number = |text: &str| text.parse().map_err(|_| damaged());
    Ok(EntryId { ms: number(ms)?, seq: number(seq)? })
}

/// A sealing's number, in decimal; none = 0.
fn read_generation(bytes: Option<Vec<u8>>) -> Result<u32> {
    let Some(bytes) = bytes else { return Ok(0) };
    std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()).ok_or_else(damaged)
}

/// The first ordinals of a sealed day's blocks: version byte, count, differences.
pub(super) fn index_bytes(firsts: &[Ordinal]) -> Vec<u8> {
    let mut bytes = vec![codec::VERSION];
    varint::put(&mut bytes, firsts.len() as u64);
    bytes.extend(varint::deltas(firsts.iter().copied()));
    bytes
}

fn read_index(bytes: &[u8]) -> Result<Vec<Ordinal>> {
    let mut rest = codec::body(bytes, Corruption::Block)?;
    let firsts = varint::take(&mut rest)
        .and_then(|count| varint::undeltas(rest, usize::try_from(count).ok()?));
    firsts.ok_or_else(|| codec::corrupt(Corruption::Block))
}
