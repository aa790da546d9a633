//! What deliveries remember: who was sent to whom, what happened to matches since, and the ledger.
//!
//! *Sent* says, for a destination and a code of its, which visitors it was told of, by the day on
//! which it forgets them without another word. *News* are what happened to the matches of a
//! partner that is told ([`crate::Store::tell`]): a visitor has an id there that was not sent yet,
//! or an id is nobody's any more and must be removed. The *ledger* holds counts alone.

use std::collections::BTreeMap;

use mayfly_core::{Day, Ordinal, Partition, PartnerId, Timestamp};
use roaring::RoaringBitmap;

use crate::{EntryId, Result, Store};

/// No destination has this number: its codes name noes, and who was "sent" there refused that
/// anything of him is passed on, until he says otherwise.
pub const NOBODY: u32 = 0;
/// How long those who were sent are remembered after a destination forgets them, days: so long a
/// removal may still be under way, or a destination be held.
const REMOVAL_DAYS: u16 = NEWS_DAYS;
/// How long news are kept, days: who was not told by then is not told.
pub const NEWS_DAYS: u16 = 30;
/// Deliveries of a destination that are remembered; the oldest go first.
pub const LEDGER_ROWS: u64 = 1000;
/// The first row that is a delivery; those below it say where the destination stands, and stay.
pub const LEDGER_FIRST: u64 = 2;

/// What happened to a match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MatchNews {
    /// The visitor has an id there that he had not before.
    Matched(Ordinal),
    /// Nobody has this id any more: who had it has another one, none, or is erased.
    Gone(Box<str>),
}

/// Who a destination was told is in a segment.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Sent {
    /// The destination's code of it.
    pub code: Box<str>,
    /// The visitors of a partition, by the first day on which the destination has forgotten them.
    pub until: BTreeMap<Day, RoaringBitmap>,
}

impl Sent {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> RoaringBitmap {
        self.until.values().fold(RoaringBitmap::new(), |all, own| all | own)
    }

    /// Takes visitors out.
    pub fn remove(&mut self, gone: &RoaringBitmap) {
        self.until.values_mut().for_each(|own| *own -= gone);
        self.until.retain(|_, own| !own.is_empty());
    }

    /// Notes that visitors were sent, to be forgotten on this day.
    pub fn add(&mut self, until: Day, sent: &RoaringBitmap) {
        if sent.is_empty() {
            return;
        }
        self.remove(sent);
        *self.until.entry(until).or_default() |= sent;
    }
}

/// Whether nobody needs to know any more who was sent until this day.
pub(crate) fn is_over(until: Day, today: Day) -> bool {
    until.plus(REMOVAL_DAYS) <= today
}

/// The row that goes when this one is written.
pub(crate) fn displaced(number: u64) -> Option<u64> {
    number.checked_sub(LEDGER_ROWS).filter(|old| *old >= LEDGER_FIRST)
}

/// One entry of the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerRow {
    /// 1, 2, 3 … of the destination.
    pub number: u64,
    /// Its bytes; they belong to the crates above.
    pub bytes: Vec<u8>,
}

impl Store {
    /// From now on, news are kept of the matches of these partners, and of no others
    /// (the head of this file). Each process says so for what it notes and erases.
    pub fn tell(&self, partners: &[PartnerId]) {
        match self {
            Self::Embedded(s) => s.tell(partners),
            Self::Redis(s) => s.tell(partners),
        }
    }

    /// What happened to the matches of a partner in a partition after `after`, the oldest first.
    /// News older than [`NEWS_DAYS`] are gone.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn match_news(
        &self,
        partition: Partition,
        partner: PartnerId,
        after: EntryId,
        limit: usize,
    ) -> Result<Vec<(EntryId, MatchNews)>> {
        match self {
            Self::Embedded(s) => s.match_news(partition, partner, after, limit).await,
            Self::Redis(s) => s.match_news(partition, partner, after, limit).await,
        }
    }

    /// Forgets news up to and with `upto`: everyone was told.
    ///
    /// # Errors
    /// None of its own.
    pub async fn forget_news(
        &self,
        partition: Partition,
        partner: PartnerId,
        upto: EntryId,
    ) -> Result<()> {
        match self {
            Self::Embedded(s) => s.forget_news(partition, partner, upto).await,
            Self::Redis(s) => s.forget_news(partition, partner, upto).await,
        }
    }

    /// Who was sent to a destination, by code.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn sent(&self, destination: u32, partition: Partition) -> Result<Vec<Sent>> {
        match self {
            Self::Embedded(s) => s.sent(destination, partition).await,
            Self::Redis(s) => s.sent(destination, partition).await,
        }
    }

    /// Writes rows of who was sent; one without visitors is removed. A row is gone after the last
    /// of its days.
    ///
    /// # Errors
    /// None of its own.
    pub async fn put_sent(
        &self,
        destination: u32,
        rows: &[(Partition, Sent)],
        now: Timestamp,
    ) -> Result<()> {
        match self {
            Self::Embedded(s) => s.put_sent(destination, rows, now).await,
            Self::Redis(s) => s.put_sent(destination, rows, now).await,
        }
    }

    /// The deliveries to a destination with numbers below `before`, the newest first.
    ///
    /// # Errors
    /// None of its own.
    pub async fn ledger(
        &self,
        destination: u32,
        before: u64,
        limit: usize,
    ) -> Result<Vec<LedgerRow>> {
        match self {
            Self::Embedded(s) => s.ledger(destination, before, limit).await,
            Self::Redis(s) => s.ledger(destination, before, limit).await,
        }
    }

    /// Writes a delivery, new or anew; the one [`LEDGER_ROWS`] before it goes,
    /// unless it is below [`LEDGER_FIRST`].
    ///
    /// # Errors
    /// None of its own.
    pub async fn write_ledger(&self, destination: u32, row: &LedgerRow) -> Result<()> {
        match self {
            Self::Embedded(s) => s.write_ledger(destination, row).await,
            Self::Redis(s) => s.write_ledger(destination, row).await,
        }
    }
}
