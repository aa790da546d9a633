//! What changed, and the batches that it makes: visitors in their order, their ids looked up and
//! their choices looked at again at the moment of sending.

use std::collections::BTreeMap;
use std::sync::Arc;

use mayfly_core::{Day, Hour, Ordinal, Partition, Timestamp, Visitor, time::DAY_SECONDS};
use mayfly_export::{Add, Batch, CodeChanges, Lapses, SegmentKey, UserChange};
use mayfly_segments::Expression;
use mayfly_segments::destination::Mapped;
use mayfly_store::{Match, Sent};
use roaring::RoaringBitmap;

use super::audience::{Audience, Desk, NotNow};
use super::record::Waterfall;
use crate::worker::{Slot, evaluate};

/// A segment that looks at hits themselves lapses within so many days as far as is said: it is
/// refreshed daily.
const TRACED_DAYS: u16 = 2;
/// For so long nobody is looked at again who lapses tomorrow in any case, seconds: to find that out
/// reads the days of whole windows.
const IDLE_S: i64 = 60;
/// The least that an add lives, seconds.
const TTL_LEAST_S: i64 = 60;

/// What changed in one partition.
#[derive(Debug)]
pub(crate) struct PartitionChanges {
    partition: Partition,
    /// Visitors that are in no batch yet.
    left: RoaringBitmap,
    /// By place among the codes.
    codes: BTreeMap<usize, (CodeChanges, Lapses)>,
}

/// Who is told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    /// Of whom something changed.
    Changed,
    /// Everybody, but for those up to a visitor, who were told already: of them what changed.
    Full(Option<Visitor>),
}

impl Extent {
    /// Everybody, or what changed.
    pub(crate) fn of(is_full: bool) -> Self {
        if is_full { Self::Full(None) } else { Self::Changed }
    }

    /// From whom on everybody of a partition is told of.
    fn from(self, partition: Partition) -> Option<Ordinal> {
        match self {
            Self::Changed => None,
            Self::Full(Some(upto)) if partition < upto.partition => None,
            Self::Full(Some(upto)) if partition == upto.partition => upto.ordinal.checked_add(1),
            Self::Full(_) => Some(0),
        }
    }
}

/// What changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The receiver's codes with our names.
    pub(crate) segments: Vec<SegmentKey>,
    /// Of each code the segments, as they are delivered.
    mapped: Vec<Vec<Mapped>>,
    /// When each code is delivered no more.
    ends: Vec<Timestamp>,
    partitions: Vec<PartitionChanges>,
    last: Day,
}

/// What a batch says of one visitor under one code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pair {
    pub(crate) partition: Partition,
    pub(crate) ordinal: Ordinal,
    /// The place of the code.
    pub(crate) code: usize,
    /// The day on which he is forgotten there; none = he leaves.
    pub(crate) until: Option<Day>,
}

/// Pairs by place, and by the day on which they are forgotten there: those of millions of visitors
/// are small.
#[derive(Debug, Default)]
pub(crate) struct Pairs(pub(crate) BTreeMap<(Partition, usize, Option<Day>), RoaringBitmap>);

impl<'p> Extend<&'p Pair> for Pairs {
    fn extend<I: IntoIterator<Item = &'p Pair>>(&mut self, pairs: I) {
        for own in pairs {
            let place = (own.partition, own.code, own.until);
            self.0.entry(place).or_default().insert(own.ordinal);
        }
    }
}

impl<'p> FromIterator<&'p Pair> for Pairs {
    fn from_iter<I: IntoIterator<Item = &'p Pair>>(pairs: I) -> Self {
        let mut own = Self::default();
        own.extend(pairs);
        own
    }
}

impl Pair {
    /// Whose it is.
    pub(super) fn visitor(&self) -> Visitor {
        Visitor { partition: self.partition, ordinal: self.ordinal }
    }
}

/// A batch, and what is noted when it was taken.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// The changes, one a visitor.
    pub(crate) users: Vec<UserChange>,
    /// The last visitor that was looked at: those up to him are dealt with.
    pub(crate) last: Option<Visitor>,
    /// For each change its pairs: adds in their order, then removals.
    pub(crate) pairs: Vec<Vec<Pair>>,
    /// Pairs that are not sent after all.
    pub(crate) left_out: u64,
    /// Those among them that are noted as if: nobody can be told.
    pub(crate) untold: Vec<Pair>,
    /// Everybody who was looked at.
    looked_at: Vec<(Partition, RoaringBitmap)>,
}

impl Changes {
    /// Whether anybody is still to be told of.
    pub(super) fn has_more(&self) -> bool {
        self.partitions.iter().any(|own| !own.left.is_empty())
    }

    /// Whether a visitor is to leave a code.
    pub(super) fn removes(&self, visitor: Visitor, code: usize) -> bool {
        let own = self.partitions.iter().find(|own| own.partition == visitor.partition);
        let found = own.and_then(|own| own.codes.get(&code));
        found.is_some_and(|(found, _)| found.removes.contains(visitor.ordinal))
    }
}

impl Chunk {
    /// All its pairs.
    pub(crate) fn all(&self) -> Pairs {
        self.pairs.iter().flatten().collect()
    }

    /// As it goes.
    pub(crate) fn batch(&self, id: &str, changes: &Changes, now: Timestamp) -> Batch {
        Batch {
            id: id.into(),
            now,
            segments: changes.segments.clone(),
            changes: self.users.clone(),
        }
    }
}

/// How a visitor is called there.
pub(super) struct Called {
    pub(super) uid: Box<str>,
    /// Who is not renewed by then can be told nothing any more.
    known_until: Option<Day>,
}

impl Desk {
    /// What changed between who was sent and who is to be there.
    pub(crate) async fn changes(
        &mut self,
        audience: &Audience,
        slots: &[Arc<Slot>],
        extent: Extent,
        now: Timestamp,
    ) -> Result<(Changes, Waterfall), NotNow> {
        let today = now.day().unwrap_or_default();
        // Who is kept for a day is told of again on the next one, not after it.
        let last = today.plus(self.destination.max_ttl_days.max(2));
        let (mut changes, mut pairs) =
            (Changes { last, ..Changes::default() }, audience.pairs.clone());
        let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
        let of_sent = self.sent.keys().map(|(_, code)| &**code);
        let all = audience.codes.keys().map(|code| &**code).chain(of_sent);
        for code in all {
            codes.entry(code).or_insert(usize::MAX);
        }
        for (at, (code, place)) in codes.iter_mut().enumerate() {
            *place = at;
            let rows = audience.rows.iter().filter(|row| *row.code == **code && !row.is_off());
            let names: Vec<&str> = rows.map(|row| &*row.segment).collect();
            let name = names.join(", ").into();
            changes.segments.push(SegmentKey { code: (*code).into(), name });
            // Of what is held back nobody is to be there.
            let is_sent = audience.wanted.keys().any(|(_, own)| **own == **code);
            let mapped = audience.codes.get(*code).filter(|_| is_sent);
            changes.mapped.push(mapped.cloned().unwrap_or_default());
        }
        changes.ends = changes.mapped.iter().map(|mapped| self.ends(mapped)).collect();
        let mut idle = std::mem::take(&mut self.idle);
        idle.retain(|_, (since, _)| !is_old(*since, now));
        for slot in slots {
            let mut own = PartitionChanges {
                partition: slot.partition(),
                left: RoaringBitmap::new(),
                codes: BTreeMap::new(),
            };
            for (code, at) in &codes {
                let place = (slot.partition(), Box::from(*code));
                let nobody = (Sent::default(), RoaringBitmap::new());
                let sent = self.sent.get(&place).unwrap_or(&nobody.0);
                let wanted = audience.wanted.get(&place).unwrap_or(&nobody.1);
                let again = extent.from(slot.partition());
                let mut found = CodeChanges::between(sent, wanted, today, again);
                let known = (now, RoaringBitmap::new());
                let (_, idle) = idle.entry(place.clone()).or_insert(known);
                if again.is_none() {
                    found.refreshes -= &*idle;
                }
                let lapses = self.lapses(&changes, *at, slot, &found, now).await?;
                if again.is_none() {
                    *idle |= drop_idle(&mut found, &lapses, today);
                }
                pairs.adds += found.adds.len();
                pairs.refreshes += found.refreshes.len();
                pairs.removes += found.removes.len();
                if !found.is_empty() {
                    own.left |= found.visitors();
                    own.codes.insert(*at, (found, lapses));
                }
            }
            if !own.left.is_empty() {
                changes.partitions.push(own);
            }
        }
        self.idle = idle;
        pairs.unchanged = pairs.wanted.saturating_sub(pairs.adds + pairs.refreshes);
        Ok((changes, pairs))
    }

    /// When the last of some segments is delivered no more.
    fn ends(&self, mapped: &[Mapped]) -> Timestamp {
        let active = self.app.active();
        let hours = mapped.iter().map(|mapped| {
            let segment = active.definitions().segment(mapped.segment);
            let own = segment.map_or(Hour(u32::MAX), |segment| segment.period.hours().end);
            own.min(mapped.period.hours().end)
        });
        hours.max().unwrap_or(Hour(u32::MAX)).start()
    }

    /// When those who are to be told of lapse.
    async fn lapses(
        &self,
        changes: &Changes,
        code: usize,
        slot: &Arc<Slot>,
        found: &CodeChanges,
        now: Timestamp,
    ) -> Result<Lapses, NotNow> {
        let asked = &found.adds | &found.refreshes;
        let mut all = Lapses::default();
        if asked.is_empty() {
            return Ok(all);
        }
        let (active, retention) = (self.app.active(), slot.retention());
        let (hour, last) = (now.hour().unwrap_or_default(), changes.last);
        for mapped in changes.mapped.get(code).into_iter().flatten() {
            let Some(segment) = active.definitions().segment(mapped.segment) else { continue };
            let own = slot.read(|index| index.members(mapped.segment).cloned());
            let own = own.flatten().unwrap_or_default() & &asked;
            // In some zones a day ends within one of ours.
            let ends = mapped.period.hours().end.min(segment.period.hours().end);
            let ends = ends.day().plus(u16::from(ends > ends.day().first_hour()));
            let expression = Expression::parse(&segment.rule, active.definitions(), retention);
            let mut days = match expression {
                Ok(expression) if expression.traces() == 0 => {
                    let until = (hour, last.min(ends));
                    evaluate::lapses(self.app.store(), slot, &expression, until, &own).await?
                }
                Ok(_) => BTreeMap::from([(hour.day().plus(TRACED_DAYS), own.clone())]),
                // It was compiled: it can be read.
                Err(_) => BTreeMap::new(),
            };
            let known = days.values().fold(RoaringBitmap::new(), |all, own| all | own);
            *days.entry(last.min(ends)).or_default() |= own - known;
            days.retain(|_, own| !own.is_empty());
            all = all.joined(Lapses(days));
        }
        Ok(all)
    }

    /// The next visitors, at most so many: none when all were given.
    pub(crate) async fn next_chunk(
        &mut self,
        changes: &mut Changes,
        most: usize,
        now: Timestamp,
    ) -> Result<Option<Chunk>, NotNow> {
        // What was asked at the beginning may be hours ago.
        self.hear_noes(now).await?;
        let mut chunk = Chunk::default();
        let mut room = most;
        while room > 0 {
            let at = changes.partitions.iter().position(|own| !own.left.is_empty());
            let Some(own) = at.and_then(|at| changes.partitions.get_mut(at)) else { break };
            let some: RoaringBitmap = own.left.iter().take(room).collect();
            own.left -= &some;
            let partition = own.partition;
            chunk.last = some.max().map(|ordinal| Visitor { partition, ordinal });
            room -= usize::try_from(some.len()).unwrap_or(room).min(room);
            self.fill(&mut chunk, changes, at.unwrap_or_default(), &some, now).await?;
            chunk.looked_at.push((partition, some));
        }
        let is_empty = chunk.users.is_empty() && chunk.left_out == 0;
        Ok((!is_empty).then_some(chunk))
    }

    /// Leaves out every visitor up to and with this one, in the order of batches.
    pub(crate) fn skip(changes: &mut Changes, upto: Visitor) {
        for own in &mut changes.partitions {
            if own.partition < upto.partition {
                own.left.clear();
            } else if own.partition == upto.partition {
                own.left.remove_range(..=upto.ordinal);
            }
        }
    }

    /// Puts visitors of a chunk back: they go in smaller ones.
    pub(crate) fn put_back(changes: &mut Changes, chunk: &Chunk) {
        for (partition, some) in &chunk.looked_at {
            let of = changes.partitions.iter_mut().find(|own| own.partition == *partition);
            if let Some(own) = of {
                own.left |= some;
            }
        }
    }

    /// Adds some visitors of a partition: as they are now.
    async fn fill(
        &mut self,
        chunk: &mut Chunk,
        changes: &Changes,
        at: usize,
        some: &RoaringBitmap,
        now: Timestamp,
    ) -> Result<(), NotNow> {
        let Some(own) = changes.partitions.get(at) else { return Ok(()) };
        let slots = self.app.slots();
        let slot = slots.iter().find(|slot| slot.partition() == own.partition);
        let slot = slot.ok_or(NotNow::Loading)?;
        let still = self.still(changes, slot, some).await?;
        let ids = self.ids(own.partition, some, now).await?;
        let with_id: RoaringBitmap = ids.keys().copied().collect();
        if self.has_their_ids() {
            self.note_unmatched(own.partition, &(some - with_id));
        }
        for ordinal in some {
            let mut user = UserChange::default();
            let (mut added, mut removed) = (Vec::new(), Vec::new());
            for (&code, (found, lapses)) in &own.codes {
                let place = |until| Pair { partition: own.partition, ordinal, code, until };
                if found.removes.contains(ordinal) {
                    user.removes.push(code);
                    removed.push(place(None));
                } else if found.adds.contains(ordinal) || found.refreshes.contains(ordinal) {
                    if !still.get(&code).is_some_and(|still| still.contains(ordinal)) {
                        chunk.left_out += 1;
                        continue;
                    }
                    let until = lapses.of(ordinal).unwrap_or(changes.last);
                    let known_until = ids.get(&ordinal).and_then(|own| own.known_until);
                    let until = known_until.map_or(until, |known| until.min(known));
                    let ends = changes.ends.get(code).copied().unwrap_or(until.start());
                    let ttl_s = self.ttl_s(until.start().min(ends), now);
                    user.adds.push(Add { segment: code, ttl_s });
                    added.push(place(Some(until)));
                }
            }
            let pairs = [added, removed].concat();
            match ids.get(&ordinal) {
                _ if pairs.is_empty() => {}
                Some(own) => {
                    user.uid = own.uid.clone();
                    chunk.users.push(user);
                    chunk.pairs.push(pairs);
                }
                None => {
                    chunk.left_out += pairs.len() as u64;
                    chunk.untold.extend(pairs.into_iter().filter(|pair| pair.until.is_none()));
                }
            }
        }
        self.spare_others(chunk, changes, own.partition, now).await
    }

    /// Who of some visitors is to be there at this moment, by code.
    pub(super) async fn still(
        &mut self,
        changes: &Changes,
        slot: &Arc<Slot>,
        some: &RoaringBitmap,
    ) -> Result<BTreeMap<usize, RoaringBitmap>, NotNow> {
        let some = some - self.app.hidden(slot.partition());
        let allowed = self.permitted(slot, &some).await?;
        let mut still = BTreeMap::new();
        for (code, mapped) in changes.mapped.iter().enumerate() {
            let mut all = RoaringBitmap::new();
            for mapped in mapped {
                let own = slot.read(|index| Some(index.members(mapped.segment)? & &allowed));
                all |= own.ok_or(NotNow::Loading)?.unwrap_or_default();
            }
            still.insert(code, all);
        }
        Ok(still)
    }

    /// The ids of some visitors.
    pub(super) async fn ids(
        &self,
        partition: Partition,
        some: &RoaringBitmap,
        now: Timestamp,
    ) -> Result<BTreeMap<Ordinal, Called>, NotNow> {
        let (partner, store) = (self.partner.id, self.app.store());
        if self.has_their_ids() {
            let found = store.matches(partition, partner, some, now).await?;
            let called = |own: Match| {
                let known_until = Some(store.match_ends(own.seen));
                Called { uid: own.uid, known_until }
            };
            return Ok(found.into_iter().map(|(ordinal, own)| (ordinal, called(own))).collect());
        }
        let named = some.iter().filter_map(|ordinal| {
            let visitor = Visitor { partition, ordinal };
            let uid = self.app.pseudonym(visitor, partner)?.into();
            Some((ordinal, Called { uid, known_until: None }))
        });
        Ok(named.collect())
    }

    /// Seconds until an instant, as the receiver may keep anyone.
    fn ttl_s(&self, until: Timestamp, now: Timestamp) -> u32 {
        let most = i64::from(self.destination.max_ttl_days) * DAY_SECONDS;
        let ttl = (until.secs() - now.secs()).clamp(TTL_LEAST_S, most);
        u32::try_from(ttl).unwrap_or(u32::MAX)
    }
}

/// Who would be told nothing new is not refreshed; who that is.
fn drop_idle(found: &mut CodeChanges, lapses: &Lapses, today: Day) -> RoaringBitmap {
    let soon = lapses.0.range(..=today.plus(1));
    let idle = soon.fold(RoaringBitmap::new(), |all, (_, own)| all | own) & &found.refreshes;
    found.refreshes -= &idle;
    idle
}

/// Whether it is to be found out again who would be told nothing new: meanwhile he may have come
/// back, or a day may have gone by.
fn is_old(since: Timestamp, now: Timestamp) -> bool {
    let is_long = !(0..IDLE_S).contains(&(now.secs() - since.secs()));
    is_long || since.day() != now.day()
}
