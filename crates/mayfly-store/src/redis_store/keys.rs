//! Every key's name, and how long each kind may live. Keys are built and read here and nowhere
//! else; the table at the head of [`super`] is tested against [`Kind`].

use std::sync::OnceLock;

use crc16::{State as Crc, XMODEM};
use mayfly_core::{
    ConsentKey, Day, Ordinal, PageKey, Partition, PartnerId, RealmId, Retention, Timestamp, limits,
};

use crate::ForeignId;
use crate::batch::LaneId;
use crate::catalog::CatalogName;
use crate::day::Lease;
use crate::delivered::NEWS_DAYS;

/// Slots of a Redis Cluster.
pub(super) const SLOTS: u16 = 16_384;
/// Buckets of hit ids a partition and day: an intset (9 B an id) up to 512 ids each.
const HIT_ID_BUCKETS: u64 = 1024;
/// Days whose foreign ids one `names` key remembers.
pub(super) const NAMES_PERIOD_DAYS: u16 = 10;
/// Ordinals that share one key of `names` or `matches`.
pub(super) const NAMES_ORDINALS: u32 = 128;
/// How long a lane's last number is kept, seconds.
pub(super) const LANE_SECONDS: i64 = 91 * 86_400;
/// How long what was built aside may wait for its switch, seconds.
pub(super) const ASIDE_SECONDS: i64 = 3600;
/// What every key of ours begins with.
pub(super) const PREFIX: &str = "mf:";
/// The catalog's tag: one slot for all of it.
const CATALOG: &str = "mf:{catalog}:";

/// Kinds of key, in the order of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Hits,
    Past,
    PastAside,
    Cells,
    Lane,
    HitIds,
    Segments,
    Names,
    Matches,
    Partners,
    News,
    Sent,
    Erased,
    Next,
    Lease,
    Dirty,
    Page,
    Consent,
    Ids,
    Identity,
    Clock,
    Entry,
    Ledger,
}

/// How long keys of a kind may live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    /// They hold no behaviour.
    Kept,
    /// They hold behaviour and are gone at this instant at the latest.
    Until(Timestamp),
}

/// A key's name, read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Named {
    /// What it is.
    pub(super) kind: Kind,
    /// The day in its name: of the hits, of receipt, or the first of a period.
    pub(super) day: Option<Day>,
}

impl Kind {
    /// Every kind.
    pub(super) const ALL: [Self; 23] = [
        Self::Hits,
        Self::Past,
        Self::PastAside,
        Self::Cells,
        Self::Lane,
        Self::HitIds,
        Self::Segments,
        Self::Names,
        Self::Matches,
        Self::Partners,
        Self::News,
        Self::Sent,
        Self::Erased,
        Self::Next,
        Self::Lease,
        Self::Dirty,
        Self::Page,
        Self::Consent,
        Self::Ids,
        Self::Identity,
        Self::Clock,
        Self::Entry,
        Self::Ledger,
    ];

    /// The word that tells the kind in a key's name, and in an audit.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Hits => "hits",
            Self::Past => "past",
            Self::PastAside => "past-aside",
            Self::Cells => "cells",
            Self::Lane => "lane",
            Self::HitIds => "hitids",
            Self::Segments => "segments",
            Self::Names => "names",
            Self::Matches => "matches",
            Self::Partners => "partners",
            Self::News => "news",
            Self::Sent => "sent",
            Self::Erased => "erased",
            Self::Next => "next",
            Self::Lease => "lease",
            Self::Dirty => "dirty",
            Self::Page => "page",
            Self::Consent => "consent",
            Self::Ids => "ids",
            Self::Identity => "identity",
            Self::Clock => "clock",
            Self::Entry => "entry",
            Self::Ledger => "ledger",
        }
    }

    /// How the table writes the name.
    #[cfg(test)]
    pub(super) const fn pattern(self) -> &'static str {
        match self {
            Self::Hits => "…:hits:<day>",
            Self::Past => "…:past:<day>",
            Self::PastAside => "…:past-aside:<day>:<lease>",
            Self::Cells => "…:cells:<day>",
            Self::Lane => "…:lane:<id>",
            Self::HitIds => "…:hitids:<day received>:<bucket>",
            Self::Segments => "…:segments",
            Self::Names => "…:names:<10-day period>:<ordinal / 128>",
            Self::Matches => "…:matches:<first day of period>:<partner>:<ordinal / 128>",
            Self::Partners => "…:partners",
            Self::News => "…:news:<partner>",
            Self::Sent => "…:sent:<destination>",
            Self::Erased => "…:erased",
            Self::Next => "…:next",
            Self::Lease => "…:lease",
            Self::Dirty => "…:dirty",
            Self::Page => "mf:page:<key>",
            Self::Consent => "mf:consent:<key>",
            Self::Ids => "mf:ids:<space>:<hash>",
            Self::Identity => "mf:{catalog}:identity",
            Self::Clock => "mf:{catalog}:clock",
            Self::Entry => "mf:{catalog}:entry:<name>",
            Self::Ledger => "mf:{catalog}:ledger:<destination>",
        }
    }
}

impl Named {
    /// Reads a key's name; `None` when it is none of ours.
    pub(super) fn read(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX)?;
        let rest = match rest.strip_prefix('{') {
            Some(tagged) => tagged.split_once("}:")?.1,
            None => rest,
        };
        let (label, rest) = rest.split_once(':').unwrap_or((rest, ""));
        let kind = Kind::ALL.into_iter().find(|kind| kind.label() == label)?;
        let first = rest.split(':').next().unwrap_or_default();
        let day = match kind {
            Kind::Hits | Kind::Past | Kind::PastAside | Kind::Cells => {
                Some(Day(first.parse().ok()?))
            }
            Kind::HitIds | Kind::Matches => Some(Day(first.parse().ok()?)),
            Kind::Names => Some(Day(first.parse::<u16>().ok()?.checked_mul(NAMES_PERIOD_DAYS)?)),
            Kind::Lane
            | Kind::Segments
            | Kind::Partners
            | Kind::News
            | Kind::Sent
            | Kind::Erased
            | Kind::Next
            | Kind::Lease
            | Kind::Dirty
            | Kind::Page
            | Kind::Consent
            | Kind::Ids
            | Kind::Identity
            | Kind::Clock
            | Kind::Entry
            | Kind::Ledger => None,
        };
        Some(Self { kind, day })
    }

    /// How long the key may live, by the table, when it is `now` here and `then` on the server,
    /// by whose clock the relative lives are counted (in whole seconds, rounded up).
    pub(super) fn life(self, retention: Retention, now: Timestamp, then: Timestamp) -> Life {
        let today = now.day().unwrap_or_default();
        let day = self.day.unwrap_or(today);
        Life::Until(match self.kind {
            Kind::Hits | Kind::Past | Kind::Cells | Kind::Matches => retention.expires_at(day),
            Kind::Names => names_until(day, retention),
            Kind::PastAside => then.plus_secs(ASIDE_SECONDS + 1),
            Kind::Lane => then.plus_secs(LANE_SECONDS + 1),
            Kind::HitIds => hit_ids_until(day),
            Kind::Segments => segments_until(now),
            Kind::News => news_until(now),
            Kind::Sent => sent_until(now, retention),
            // A caller may be up to a day ahead of this one at midnight.
            Kind::Page | Kind::Consent | Kind::Ids => retention.expires_at(today.plus(1)),
            Kind::Erased
            | Kind::Partners
            | Kind::Next
            | Kind::Lease
            | Kind::Dirty
            | Kind::Identity
            | Kind::Clock
            | Kind::Entry
            | Kind::Ledger => return Life::Kept,
        })
    }
}

/// When the ids of hits received on a day are forgotten: at the end of the next day.
pub(super) const fn hit_ids_until(received: Day) -> Timestamp {
    received.plus(2).start()
}

/// When memberships as of an instant are gone: at the end of the day after.
pub(super) fn segments_until(as_of: Timestamp) -> Timestamp {
    as_of.day().unwrap_or_default().plus(2).start()
}

/// When news of matches are gone, the last of which came now: at the end of the day after their
/// last.
pub(super) fn news_until(now: Timestamp) -> Timestamp {
    now.day().unwrap_or_default().plus(NEWS_DAYS + 1).start()
}

/// When it is forgotten who was sent to a destination, written now: every destination has forgotten
/// them by then.
pub(super) fn sent_until(now: Timestamp, retention: Retention) -> Timestamp {
    retention.expires_at(now.day().unwrap_or_default().plus(1))
}

/// When the foreign ids of a period are forgotten: with what its first day holds, but not before it
/// is over.
pub(super) fn names_until(start: Day, retention: Retention) -> Timestamp {
    retention.expires_at(start).max(start.plus(NAMES_PERIOD_DAYS).start())
}

/// The first day of the period in which matches seen on a day are kept: ten days, or one where hits
/// are kept for less than twenty, since a match goes with the first day of its period.
pub(super) const fn period_start(day: Day, retention: Retention) -> Day {
    if retention.days() < 2 * NAMES_PERIOD_DAYS { day } else { names_start(day) }
}

/// The first day of the period in which foreign ids claimed on a day are remembered.
pub(super) const fn names_start(day: Day) -> Day {
    Day(day.0 - day.0 % NAMES_PERIOD_DAYS)
}

/// The builder of names: knows the realm, and each partition's tag.
#[derive(Debug)]
pub(super) struct Keys {
    realm: RealmId,
    /// `mf:{<realm>.<p>.<n>}:`, found at first use.
    tags: Box<[OnceLock<Box<str>>]>,
}

impl Keys {
    /// For a realm.
    pub(super) fn new(realm: RealmId) -> Self {
        let tags = (0..limits::PARTITIONS_MAX).map(|_| OnceLock::new()).collect();
        Self { realm, tags }
    }

    fn of(&self, p: Partition, kind: Kind) -> String {
        let found;
        let tag = match self.tags.get(usize::from(p.0)) {
            Some(cell) => cell.get_or_init(|| tag(self.realm, p)),
            None => {
                found = tag(self.realm, p);
                &found
            }
        };
        let mut name = String::with_capacity(tag.len() + 24);
        name.push_str(tag);
        name.push_str(kind.label());
        name
    }

    fn of_day(&self, p: Partition, kind: Kind, day: Day) -> String {
        let mut name = self.of(p, kind);
        name.push(':');
        name.push_str(&day.0.to_string());
        name
    }

    /// The log of a day.
    pub(super) fn hits(&self, p: Partition, day: Day) -> String {
        self.of_day(p, Kind::Hits, day)
    }

    /// The sealed blocks of a day.
    pub(super) fn past(&self, p: Partition, day: Day) -> String {
        self.of_day(p, Kind::Past, day)
    }

    /// Sealed blocks being built under a lease; another owner builds elsewhere.
    pub(super) fn past_aside(&self, lease: &Lease, day: Day) -> String {
        let day = self.of_day(lease.partition, Kind::PastAside, day);
        format!("{day}:{:016x}", lease.token)
    }

    /// The cells of a day.
    pub(super) fn cells(&self, p: Partition, day: Day) -> String {
        self.of_day(p, Kind::Cells, day)
    }

    /// The last number taken through a lane.
    pub(super) fn lane(&self, p: Partition, lane: LaneId) -> String {
        format!("{}:{:016x}", self.of(p, Kind::Lane), lane.0)
    }

    /// The ids of hits received on a day, one of [`HIT_ID_BUCKETS`].
    pub(super) fn hit_ids(&self, p: Partition, received: Day, id: i64) -> String {
        let bucket = id.cast_unsigned() % HIT_ID_BUCKETS;
        format!("{}:{bucket}", self.of_day(p, Kind::HitIds, received))
    }

    /// The memberships.
    pub(super) fn segments(&self, p: Partition) -> String {
        self.of(p, Kind::Segments)
    }

    /// The foreign ids of 128 visitors, claimed in the period that begins on `start`.
    pub(super) fn names(&self, p: Partition, start: Day, ordinal: Ordinal) -> String {
        let period = start.0 / NAMES_PERIOD_DAYS;
        format!("{}:{period}:{}", self.of(p, Kind::Names), ordinal / NAMES_ORDINALS)
    }

    /// A partner's ids of 128 visitors, last seen in the period that begins on `start`.
    pub(super) fn matches(
        &self,
        p: Partition,
        partner: PartnerId,
        start: Day,
        ordinal: Ordinal,
    ) -> String {
        let bucket = ordinal / NAMES_ORDINALS;
        format!("{}:{}:{bucket}", self.of_day(p, Kind::Matches, start), partner.0)
    }

    /// The partners that have matches here.
    pub(super) fn partners(&self, p: Partition) -> String {
        self.of(p, Kind::Partners)
    }

    /// What happened to a partner's matches.
    pub(super) fn news(&self, p: Partition, partner: PartnerId) -> String {
        format!("{}:{}", self.of(p, Kind::News), partner.0)
    }

    /// Who was sent to a destination.
    pub(super) fn sent(&self, p: Partition, destination: u32) -> String {
        format!("{}:{destination}", self.of(p, Kind::Sent))
    }

    /// The erased ordinals.
    pub(super) fn erased(&self, p: Partition) -> String {
        self.of(p, Kind::Erased)
    }

    /// The partition's marker: store id, ordinal counter with `run_id`, version of `erased`.
    pub(super) fn next(&self, p: Partition) -> String {
        self.of(p, Kind::Next)
    }

    /// The owner's lease.
    pub(super) fn lease(&self, p: Partition) -> String {
        self.of(p, Kind::Lease)
    }

    /// Each day's newest entry.
    pub(super) fn dirty(&self, p: Partition) -> String {
        self.of(p, Kind::Dirty)
    }
}

/// A page.
pub(super) fn page(key: PageKey) -> String {
    format!("{PREFIX}{}:{:016x}", Kind::Page.label(), key.0)
}

/// A consent state.
pub(super) fn consent(key: ConsentKey) -> String {
    format!("{PREFIX}{}:{:016x}", Kind::Consent.label(), key.0)
}

/// A foreign id.
pub(super) fn ids(id: &ForeignId) -> String {
    format!("{PREFIX}{}:{}:{:032x}", Kind::Ids.label(), id.space, id.hash)
}

/// What the store is.
pub(super) fn identity() -> String {
    format!("{CATALOG}{}", Kind::Identity.label())
}

/// The day up to which `expire` has been asked.
pub(super) fn clock() -> String {
    format!("{CATALOG}{}", Kind::Clock.label())
}

/// All versions of an entry of the catalog.
pub(super) fn entry(name: CatalogName) -> String {
    format!("{CATALOG}{}:{}", Kind::Entry.label(), name.label())
}

/// The deliveries to a destination.
pub(super) fn ledger(destination: u32) -> String {
    format!("{CATALOG}{}:{destination}", Kind::Ledger.label())
}

/// `mf:{<realm>.<p>.<n>}:` with the smallest n that puts the tag into the partition's slot: p's
/// 14 bits reversed, so that any power of two of partitions spreads evenly over any masters.
fn tag(realm: RealmId, p: Partition) -> Box<str> {
    let slot = slot_of(p);
    let head = format!("{}.{}.", realm.0, p.0);
    let mut of_head = Crc::<XMODEM>::new();
    of_head.update(head.as_bytes());
    let mut digits = String::new();
    // Each n meets the slot with a chance of 1 in 16,384; the bound is never reached in practice
    // and only keeps the search finite.
    for n in 0..u32::MAX {
        digits.clear();
        digits.push_str(&n.to_string());
        let mut crc = of_head;
        crc.update(digits.as_bytes());
        if crc.get() % SLOTS == slot {
            break;
        }
    }
    format!("{PREFIX}{{{head}{digits}}}:").into()
}

/// The slot that a partition shall have.
const fn slot_of(p: Partition) -> u16 {
    (p.0 % SLOTS).reverse_bits() >> 2
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
