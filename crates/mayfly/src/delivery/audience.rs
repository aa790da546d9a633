//! Who is to be where: members, allowed by consent, with an id, in segments that may go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use mayfly_core::consent::Ground;
use mayfly_core::{ConsentKey, Day, Partition, Partner, SegmentId, SiteId, Timestamp, Visitor};
use mayfly_segments::definitions::Definitions;
use mayfly_segments::destination::{Destination, IdSpace, Mapped};
use mayfly_store::delivered::NOBODY;
use mayfly_store::{Sent, StoreError};
use roaring::RoaringBitmap;

use super::record::{SegmentRow, Standing, Waterfall};
use super::shared::{Matches, Shared};
use crate::app::App;
use crate::worker::Slot;
use crate::worker::consents::{Consents, Refused};
use crate::worker::rebuild::each_hit;

/// Matches read at a time.
const MATCHES_AT_ONCE: usize = 1 << 16;
/// Consent states read at a time.
const STATES_AT_ONCE: usize = 1024;
/// For so long noes of other processes may be unheard, seconds.
pub(super) const HEARD_S: i64 = 5;
/// Choices whose meaning is remembered; all are forgotten when there are more.
const PERMITS: usize = 1 << 20;

/// Why nothing can be said yet.
#[derive(Debug)]
pub(crate) enum NotNow {
    /// A partition is being loaded, or its definitions changed.
    Loading,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for NotNow {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Who is to be there, by partition and code.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    /// Everyone who is to be there.
    pub(crate) wanted: BTreeMap<(Partition, Box<str>), RoaringBitmap>,
    /// The segments that are delivered, by code.
    pub(crate) codes: BTreeMap<Box<str>, Vec<Mapped>>,
    /// From members to those who are wanted.
    pub(crate) pairs: Waterfall,
    /// Segment by segment.
    pub(crate) rows: Vec<SegmentRow>,
}

/// What is remembered of a destination while this process serves it.
pub(crate) struct Desk {
    pub(crate) app: Arc<App>,
    pub(crate) destination: Destination,
    pub(crate) partner: Partner,
    /// Who was sent, by partition and code.
    pub(crate) sent: BTreeMap<(Partition, Box<str>), Sent>,
    /// Of whom the partner has an id.
    matched: BTreeMap<Partition, RoaringBitmap>,
    /// When that was last read whole.
    matched_on: Option<Day>,
    /// Whose ids others have as well.
    pub(super) shared: Shared,
    /// When noes were last read.
    heard_at: Option<Timestamp>,
    /// What choices mean to this receiver.
    permits: HashMap<ConsentKey, bool>,
    /// Who would be told nothing new, by partition and code; since when that is known.
    pub(super) idle: BTreeMap<(Partition, Box<str>), (Timestamp, RoaringBitmap)>,
}

impl Desk {
    /// What is known of a destination.
    pub(crate) async fn open(
        app: &Arc<App>,
        destination: Destination,
        partner: Partner,
    ) -> Result<Self, StoreError> {
        let mut sent = BTreeMap::new();
        for partition in app.partitions() {
            for own in app.store().sent(destination.id.0, partition).await? {
                sent.insert((partition, own.code.clone()), own);
            }
        }
        Ok(Self {
            app: Arc::clone(app),
            destination,
            partner,
            sent,
            matched: BTreeMap::new(),
            matched_on: None,
            shared: Shared::default(),
            heard_at: None,
            permits: HashMap::new(),
            idle: BTreeMap::new(),
        })
    }

    /// Whether the partner's own ids are sent.
    pub(crate) fn has_their_ids(&self) -> bool {
        self.destination.ids == IdSpace::Partner
    }

    /// A visitor has an id there from now on, or another one.
    pub(crate) fn note_matched(&mut self, partition: Partition, ordinal: u32) {
        self.matched.entry(partition).or_default().insert(ordinal);
    }

    /// Of these it turned out that the partner has no id.
    pub(crate) fn note_unmatched(&mut self, partition: Partition, gone: &RoaringBitmap) {
        *self.matched.entry(partition).or_default() -= gone;
    }

    /// Everyone who is to be there.
    pub(crate) async fn audience(
        &mut self,
        standing: &mut Standing,
        now: Timestamp,
    ) -> Result<Audience, NotNow> {
        let active = self.app.active();
        let mapping = delivered(&self.destination, active.definitions(), now);
        let mut audience = Audience::default();
        self.rows(&mut audience, &mapping, active.definitions());
        let slots = self.slots()?;
        self.read_matches(&slots, now).await?;
        self.heard_at = None;
        self.hear_noes(now).await?;
        for slot in &slots {
            self.add(&mut audience, slot, now).await?;
        }
        self.hold_back(&mut audience, standing);
        self.off(&mut audience, &mapping, now);
        Ok(audience)
    }

    /// Adds what is mapped and not delivered now.
    fn off(&self, audience: &mut Audience, mapping: &[Mapped], now: Timestamp) {
        let active = self.app.active();
        let terms = self.destination.terms.as_ref();
        let is_over = terms.is_some_and(|terms| terms.are_over(now));
        for mapped in self.destination.mapping.iter().filter(|own| !mapping.contains(own)) {
            let Some(segment) = active.definitions().segment(mapped.segment) else { continue };
            let is_ended = now.hour().is_some_and(|now| mapped.period.hours().end <= now);
            let why = match (is_over, is_ended) {
                (true, _) => "terms_ended",
                (false, true) => "ended",
                (false, false) => "not_begun",
            };
            audience.rows.push(SegmentRow {
                segment: segment.name.to_string(),
                code: mapped.code.to_string(),
                held_back: Some(why.to_owned()),
                ..SegmentRow::default()
            });
        }
    }

    /// All partitions, whole and of the definitions in force.
    fn slots(&self) -> Result<Vec<Arc<Slot>>, NotNow> {
        let (slots, version) = (self.app.slots(), self.app.active().version());
        let is_ready = |slot: &Arc<Slot>| slot.is_loaded() && slot.version() == version;
        let is_whole = slots.len() == self.app.partitions().count();
        let are_ready = is_whole && slots.iter().all(is_ready) && self.app.not_ready().is_empty();
        if are_ready { Ok(slots) } else { Err(NotNow::Loading) }
    }

    fn rows(&self, audience: &mut Audience, mapping: &[Mapped], definitions: &Definitions) {
        for mapped in mapping {
            let Some(segment) = definitions.segment(mapped.segment) else { continue };
            let forbids = |label| self.destination.forbidden_labels.contains(label);
            let is_forbidden = segment.labels.iter().any(forbids);
            audience.rows.push(SegmentRow {
                segment: segment.name.to_string(),
                code: mapped.code.to_string(),
                held_back: is_forbidden.then(|| "label".to_owned()),
                ..SegmentRow::default()
            });
            let codes = audience.codes.entry(mapped.code.clone()).or_default();
            if !is_forbidden {
                codes.push(mapped.clone());
            }
        }
    }

    /// Adds a partition's members.
    async fn add(
        &mut self,
        audience: &mut Audience,
        slot: &Arc<Slot>,
        now: Timestamp,
    ) -> Result<(), NotNow> {
        let partition = slot.partition();
        let hidden = self.app.hidden(partition);
        let active = self.app.active();
        let mapping = delivered(&self.destination, active.definitions(), now);
        let mut members: BTreeMap<SegmentId, RoaringBitmap> = BTreeMap::new();
        let mut all = RoaringBitmap::new();
        for mapped in &mapping {
            let own = slot.read(|index| index.members(mapped.segment).cloned());
            let own = own.ok_or(NotNow::Loading)?.unwrap_or_default() - &hidden;
            all |= &own;
            members.insert(mapped.segment, own);
        }
        let allowed = self.permitted(slot, &all).await?;
        let matched = match self.has_their_ids() {
            true => &allowed & &*self.matched.entry(partition).or_default(),
            false => allowed.clone(),
        };
        for (row, mapped) in audience.rows.iter_mut().zip(&mapping) {
            let Some(own) = members.get(&mapped.segment) else { continue };
            row.members += own.len();
            row.matched += own.intersection_len(&matched);
            let pairs = &mut audience.pairs;
            let (may, has) = (own.intersection_len(&allowed), own.intersection_len(&matched));
            pairs.members += own.len();
            pairs.allowed += may;
            pairs.not_allowed += own.len() - may;
            pairs.matched += has;
            pairs.without_id += may - has;
            if row.held_back.is_none() {
                let place = (partition, mapped.code.clone());
                *audience.wanted.entry(place).or_default() |= own & &matched;
            }
        }
        Ok(())
    }

    /// Takes codes out that are too small, and counts what is left.
    fn hold_back(&self, audience: &mut Audience, standing: &mut Standing) {
        let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
        for ((_, code), own) in &audience.wanted {
            *sizes.entry(code).or_default() += own.len();
        }
        let mut small: BTreeSet<Box<str>> = BTreeSet::new();
        for code in audience.codes.keys() {
            let size = sizes.get(&**code).copied().unwrap_or_default();
            let was_below = standing.below.contains(&**code);
            if size >= self.destination.least(!was_below) {
                standing.below.remove(&**code);
                continue;
            }
            small.insert(code.clone());
            let was_sent =
                self.sent.iter().any(|((_, own), sent)| own == code && !sent.until.is_empty());
            if was_sent {
                standing.below.insert(code.to_string());
            }
        }
        audience.wanted.retain(|(_, code), _| !small.contains(code));
        for row in &mut audience.rows {
            let of_code = audience.wanted.iter().filter(|((_, code), _)| **code == *row.code);
            row.wanted = of_code.map(|(_, own)| own.len()).sum();
            if small.contains(&*row.code) && row.held_back.is_none() {
                row.held_back = Some("below_minimum".to_owned());
            }
        }
        // In pairs of visitor and code: who is in two segments of one code is there once.
        let pairs = &mut audience.pairs;
        pairs.wanted = audience.wanted.values().map(RoaringBitmap::len).sum();
        let held_back = audience.rows.iter().filter(|row| row.held_back.is_some());
        pairs.held_back = held_back.map(|row| row.matched).sum();
        pairs.together = pairs.matched.saturating_sub(pairs.wanted + pairs.held_back);
    }

    /// Those of some visitors whose choices permit the receiver.
    pub(crate) async fn permitted(
        &mut self,
        slot: &Arc<Slot>,
        of: &RoaringBitmap,
    ) -> Result<RoaringBitmap, NotNow> {
        if self.partner.receiver.ground == Ground::Processor {
            return Ok(of.clone());
        }
        let keys = slot.consents(|own| own.is_whole().then(|| own.keys(of)));
        let keys = keys.flatten().ok_or(NotNow::Loading)?;
        if self.permits.len() > PERMITS {
            self.permits.clear();
        }
        let unknown: Vec<ConsentKey> =
            keys.into_iter().filter(|key| !self.permits.contains_key(key)).collect();
        for keys in unknown.chunks(STATES_AT_ONCE) {
            let states = self.app.store().consents(keys).await?;
            for (key, state) in keys.iter().zip(states) {
                // Without its proof nothing is permitted.
                let permits =
                    state.is_some_and(|own| self.partner.receiver.is_permitted(&own).is_ok());
                self.permits.insert(*key, permits);
            }
        }
        let scopes = scopes(self.app.active().definitions());
        let scope = |site: SiteId| scopes.get(&site).copied().unwrap_or(u32::MAX - site.0);
        let permits = |key: ConsentKey| self.permits.get(&key) == Some(&true);
        slot.consents(|own| own.permitted(of, scope, permits)).ok_or(NotNow::Loading)
    }

    /// Reads, now and then, who said no without a hit that was kept: in any process.
    pub(super) async fn hear_noes(&mut self, now: Timestamp) -> Result<(), NotNow> {
        let since = self.heard_at.map(|at| now.secs() - at.secs());
        let was_lately = since.is_some_and(|since| (0..HEARD_S).contains(&since));
        if self.partner.receiver.ground == Ground::Processor {
            return Ok(());
        }
        let slots = self.slots()?;
        let is_whole = |slot: &Arc<Slot>| slot.consents(Consents::is_whole) == Some(true);
        if was_lately && slots.iter().all(is_whole) {
            return Ok(());
        }
        for slot in &slots {
            let noes = noes(&self.app, slot).await?;
            fill_consents(&self.app, slot, &noes, now.day().unwrap_or_default()).await?;
            slot.note_consents(|own| refuse(own, &noes));
        }
        self.heard_at = Some(now);
        Ok(())
    }

    /// Reads anew, once a day, of whom the partner has an id: what news leave out comes in so.
    async fn read_matches(&mut self, slots: &[Arc<Slot>], now: Timestamp) -> Result<(), NotNow> {
        let today = now.day();
        if !self.has_their_ids() || self.matched_on == today {
            return Ok(());
        }
        let mut all = Matches::default();
        for slot in slots {
            let mut left = slot.read(|index| index.all()).ok_or(NotNow::Loading)?;
            let (mut matched, mut ending) = (RoaringBitmap::new(), RoaringBitmap::new());
            while !left.is_empty() {
                let some: RoaringBitmap = left.iter().take(MATCHES_AT_ONCE).collect();
                let (partition, partner) = (slot.partition(), self.partner.id);
                let found = self.app.store().matches(partition, partner, &some, now).await?;
                for (ordinal, own) in found {
                    all.note(&own.uid, Visitor { partition, ordinal });
                    let ends = self.app.store().match_ends(own.seen);
                    let is_last = is_last_day(own.seen, ends, today.unwrap_or_default());
                    if is_last { &mut ending } else { &mut matched }.insert(ordinal);
                }
                left -= some;
            }
            let known = self.matched.entry(slot.partition()).or_default();
            *known |= matched;
            *known -= ending;
        }
        self.shared = all.shared();
        self.matched_on = today;
        Ok(())
    }
}

/// Whether a match is forgotten tomorrow: who has it is told to leave while his id is known.
fn is_last_day(seen: Day, ends: Day, today: Day) -> bool {
    seen < today && ends <= today.plus(1)
}

/// The part of the mapping that is delivered now.
fn delivered(destination: &Destination, definitions: &Definitions, now: Timestamp) -> Vec<Mapped> {
    if destination.terms.as_ref().is_some_and(|terms| terms.are_over(now)) {
        return Vec::new();
    }
    let hour = now.hour().unwrap_or_default();
    let mapping = destination.mapping.iter();
    let is_on = |mapped: &&Mapped| {
        mapped.period.hours().contains(&hour) && definitions.segment(mapped.segment).is_some()
    };
    mapping.filter(is_on).cloned().collect()
}

/// The number of each site's consent scope.
fn scopes(definitions: &Definitions) -> HashMap<SiteId, u32> {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut scopes = HashMap::new();
    for site in definitions.sites() {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        scopes.insert(site.id, *numbers.entry(&site.consent.scope).or_insert(next));
    }
    scopes
}

/// Who of a partition said no without a hit that was kept.
async fn noes(app: &App, slot: &Slot) -> Result<Vec<(Refused, RoaringBitmap)>, StoreError> {
    let rows = app.store().sent(NOBODY, slot.partition()).await?;
    Ok(rows.iter().filter_map(|row| Some((Refused::read(&row.code)?, row.all()))).collect())
}

fn refuse(own: &mut Consents, noes: &[(Refused, RoaringBitmap)]) {
    for (no, who) in noes {
        who.iter().for_each(|ordinal| own.refuse(ordinal, *no));
    }
}

/// Reads the choices of all stored hits, the first time that anybody asks for them; with noes that
/// are in none.
async fn fill_consents(
    app: &App,
    slot: &Arc<Slot>,
    noes: &[(Refused, RoaringBitmap)],
    today: Day,
) -> Result<(), NotNow> {
    if slot.consents(Consents::is_whole) == Some(true) {
        return Ok(());
    }
    // From here on folding notes them: nothing that comes meanwhile is missed.
    let forgotten = slot.forgotten_consents();
    slot.note_consents(|_| {});
    let oldest = app.settings().store.retention.oldest(today);
    let mut stored = Consents::default();
    for day in (oldest.0..=today.plus(1).0).map(Day) {
        let place = (slot.partition(), day);
        each_hit(app.store(), place, |hit| stored.note(hit)).await?;
    }
    // Whoever reads them from here on is to find all of them.
    refuse(&mut stored, noes);
    slot.fill_consents(stored, forgotten);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_counts_until_the_day_before_it_is_forgotten() {
        let seen = Day(20_000);
        for (days, last) in [(90, 89), (80, 79), (2, 1)] {
            let ends = seen.plus(days);
            assert!(!is_last_day(seen, ends, seen.plus(last - 1)), "{days}");
            assert!(is_last_day(seen, ends, seen.plus(last)), "{days}");
        }
        assert!(!is_last_day(seen, seen.plus(1), seen), "it was seen today");
    }
}
