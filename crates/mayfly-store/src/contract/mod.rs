//! The contract suite: what every backend promises, each promise a function that takes an
//! [`Opener`] and panics when it is broken. [`contract_tests!`](crate::contract_tests) makes a
//! test of each.
//!
//! Constraints. Nothing here waits: instants are given. Redis lets days go by its own clock, so
//! instants are near [`Opener::today`], which for a server is the true day.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "these are tests, shared by test binaries"
)]

use std::any::Any;
use std::collections::BTreeSet;

use mayfly_core::{
    Attribute, CategoryId, Cell, CellEntry, CellId, ConsentKey, Day, DayCells, Event, Hit,
    HitParts, PageKey, Partition, Referrer, ReferrerKind, SiteId, Timestamp, Value, Visitor,
};

use crate::{
    Appended, Batch, DayCheckpoint, DayCursor, DayHeader, EntryId, LaneId, Lease, Leased, NewHit,
    Result, Store, StoreConfig, StoreUrl,
};

pub mod bytes;
pub mod catalog;
pub mod delivered;
pub mod intake;
pub mod matches;
pub mod model;
pub mod people;
pub mod servers;
pub mod worker;

/// Opens one store again and again.
pub struct Opener {
    /// The store.
    pub config: StoreConfig,
    /// The day around which all instants are.
    pub today: Day,
    /// What must live as long: a folder, a server.
    _keep: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Opener {
    /// A store that is not there yet, and what must live as long as it.
    pub fn new(config: StoreConfig, today: Day, keep: impl Any + Send + Sync) -> Self {
        Self { config, today, _keep: Box::new(keep) }
    }

    /// An embedded store in a folder that goes with the opener.
    ///
    /// # Panics
    /// When no folder can be made.
    #[must_use]
    pub fn embedded() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the store");
        let config = StoreConfig::new(StoreUrl::File(folder.path().join("store")));
        Self::new(config, Day(20_778), folder)
    }

    /// Opens the store at noon.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(&self) -> Store {
        self.try_open().await.expect("the store opens")
    }

    /// Opens the store at noon.
    ///
    /// # Errors
    /// See [`Store::open`].
    pub async fn try_open(&self) -> Result<Store> {
        Store::open(&self.config, self.noon()).await
    }

    /// Noon of [`Opener::today`].
    #[must_use]
    pub const fn noon(&self) -> Timestamp {
        self.today.at_second(43_200)
    }
}

/// The partition that most promises are tried in.
pub const PARTITION: Partition = Partition(3);

/// A page view of an ordinal at a second, with a little of everything.
#[must_use]
pub fn hit(day: Day, ordinal: u32, second: u32) -> Hit {
    hit_in(PARTITION, day, ordinal, second)
}

/// The same in another partition.
#[must_use]
pub fn hit_in(partition: Partition, day: Day, ordinal: u32, second: u32) -> Hit {
    let odd = ordinal % 2 == 1;
    let attribute = Attribute { name: "section".into(), value: Value::Text("sport".into()) };
    Hit::restore(HitParts {
        visitor: Visitor { partition, ordinal },
        time: day.at_second(second),
        site: SiteId(1 + ordinal % 3),
        page: (!second.is_multiple_of(7)).then_some(PageKey(u64::from(second % 5))),
        event: if odd { Event::PageView } else { Event::AdClick },
        engaged_s: (second % 90) as u16,
        referrer: Referrer { host: "a.example".into(), kind: ReferrerKind::Link, campaign: None },
        context: Default::default(),
        attributes: if odd { vec![attribute] } else { Vec::new() },
        consent: ConsentKey(9),
        fired: if odd { Vec::new() } else { vec![CategoryId(4)] },
    })
}

/// Hits without ids, as a batch of [`PARTITION`].
#[must_use]
pub fn batch(lane: u64, number: u64, received: Day, hits: &[Hit]) -> Batch {
    let hits: Vec<NewHit> = hits.iter().map(|hit| NewHit { hit: hit.clone(), id: None }).collect();
    Batch::encode(LaneId(lane), number, PARTITION, received, &hits)
}

/// Appends hits through a lane of their own.
///
/// # Panics
/// When they are not stored.
pub async fn append(store: &Store, lane: u64, now: Timestamp, hits: &[Hit]) {
    let batch = batch(lane, 1, now.day().unwrap_or_default(), hits);
    assert_eq!(store.append(&[&batch], now).await.unwrap(), [Appended::Stored]);
}

/// Every hit of a day, read in pieces of about `max_hits`.
///
/// # Panics
/// When reading fails.
pub async fn whole_day(store: &Store, day: Day, max_hits: usize) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut cursor = DayCursor::Start;
    loop {
        let page = store.read_day(PARTITION, day, cursor, max_hits).await.unwrap();
        hits.extend(page.hits);
        match page.next {
            Some(next) => cursor = next,
            None => return hits,
        }
    }
}

/// Hits in an order of their own, to compare what may come in any.
#[must_use]
pub fn sorted(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by_key(|h| (h.visitor, h.time, format!("{h:?}")));
    hits
}

/// The lease of [`PARTITION`].
///
/// # Panics
/// When another has it.
pub async fn own(store: &Store, now: Timestamp) -> Lease {
    match store.lease(PARTITION, None, "here", 60, now).await.unwrap() {
        Leased::Granted(lease) => lease,
        Leased::Held { address } => panic!("held by {address}"),
    }
}

/// The newest entry of a day of [`PARTITION`].
///
/// # Panics
/// When there is none.
pub async fn head(store: &Store, day: Day) -> EntryId {
    let heads = store.heads(&[PARTITION]).await.unwrap();
    heads[0].iter().find(|head| head.day == day).expect("the day has a head").last
}

/// Cells with these entries (ordinal, count, seconds) in each of the categories.
#[must_use]
pub fn cells(categories: &[u32], entries: &[(u32, u8, u16)]) -> DayCells {
    let entries: Vec<CellEntry> = entries
        .iter()
        .map(|&(ordinal, count, seconds)| CellEntry { ordinal, count, seconds })
        .collect();
    let id = |&n: &u32| CellId { category: CategoryId(n), since: 1 };
    categories.iter().map(|n| (id(n), Cell { entries: entries.clone() })).collect()
}

/// The categories of cells.
#[must_use]
pub fn categories(cells: &DayCells) -> BTreeSet<CategoryId> {
    cells.keys().map(|id| id.category).collect()
}

/// Writes all cells of a day up to a cursor.
///
/// # Errors
/// See [`Store::checkpoint`].
pub async fn checkpoint(
    store: &Store,
    lease: &Lease,
    day: Day,
    cursors: (EntryId, EntryId),
    cells: &DayCells,
) -> Result<()> {
    let header = DayHeader { cursor: cursors.1, complete: 1 };
    let changed = categories(cells);
    let day = DayCheckpoint { day, from: cursors.0, header, cells, changed: &changed };
    store.checkpoint(lease, &[day], &[], Timestamp::default()).await
}

/// Seals a day up to its head; its cells are empty.
///
/// # Panics
/// When it cannot be sealed.
pub async fn seal_all(store: &Store, lease: &Lease, day: Day) -> crate::Sealed {
    let head = head(store, day).await;
    let from = store.cells(PARTITION, day, None).await.unwrap().header.cursor;
    checkpoint(store, lease, day, (from, head), &DayCells::new()).await.unwrap();
    store.seal(lease, day, head).await.unwrap()
}

/// Makes a `#[tokio::test]` of every promise; the argument makes a fresh [`Opener`] and may
/// `.await`.
#[macro_export]
macro_rules! contract_tests {
    ($opener:expr) => {
        $crate::contract_tests!(@each $opener;
            intake::a_batch_is_stored_once,
            intake::a_lane_has_no_gaps,
            intake::one_group_takes_batches_of_one_lane_in_order,
            intake::an_id_seen_before_is_a_duplicate,
            intake::ids_of_a_batch_taken_before_are_not_looked_at,
            intake::days_of_a_batch_are_kept_apart,
            intake::days_out_of_retention_are_not_kept,
            intake::new_entries_are_read_in_order_and_by_pieces,
            intake::equal_values_have_one_key,
            intake::no_ordinal_is_leased_twice,
            intake::an_id_stands_for_its_first_claimant,
            worker::a_partition_has_one_owner,
            worker::a_checkpoint_needs_lease_and_cursor,
            worker::cells_come_back_all_or_some,
            worker::a_cell_may_grow_large_and_small_again,
            worker::memberships_come_back,
            worker::sealing_keeps_every_hit,
            worker::a_late_hit_is_sealed_again,
            worker::entries_without_hits_go_with_sealing,
            worker::sealing_needs_the_cursor,
            worker::a_day_that_moves_while_it_is_read_says_so,
            matches::a_match_is_new_renewed_changed_and_forgotten,
            matches::matches_are_read_for_many_visitors,
            matches::notes_at_once_lose_nothing,
            matches::an_erased_visitor_has_no_match,
            matches::a_match_goes_with_its_day,
            delivered::news_tell_what_happened_to_matches,
            delivered::news_are_forgotten_when_told_or_old,
            delivered::who_was_sent_is_kept_by_code,
            delivered::the_ledger_keeps_the_newest,
            people::a_visitor_is_read_by_time,
            people::erased_is_invisible_at_once,
            people::erased_hits_are_not_sealed,
            people::a_page_goes_with_its_only_reader,
            people::a_clock_that_jumps_drops_nothing,
            people::an_audit_finds_nothing,
            catalog::versions_are_kept_and_conflicts_refused,
            catalog::the_store_keeps_its_identity,
            catalog::partitions_are_raised_and_never_lowered,
            model::random_operations_agree_with_the_model,
        );
    };
    (@each $opener:expr; $($area:ident :: $promise:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let opener = $opener;
                $crate::contract::$area::$promise(&opener).await;
            }
        )+
    };
}
