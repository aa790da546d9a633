//! Stub, being written.
use crate::*;
use mayfly_core::*;
use roaring::RoaringBitmap;
use std::ops::Range;
/// The store.
#[derive(Clone, Debug)]
pub struct RedisStore;
impl RedisStore {
    /// Opens.
    pub async fn open(_c: &StoreConfig, _now: Timestamp) -> Result<Self> {
        todo!()
    }
    /// Identity.
    pub fn identity(&self) -> Identity {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn raise_partitions(&self, partitions: u16) -> Result<()> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn close(&self) -> Result<()> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn lease_ordinals(
        &self,
        partition: Partition,
        above: Ordinal,
    ) -> Result<Range<Ordinal>> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn intern(&self, values: &ToIntern<'_>) -> Result<Interned> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn lookup_ids(&self, ids: &[ForeignId]) -> Result<Vec<Option<Visitor>>> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn claim_ids(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Visitor>> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn append(&self, batches: &[&Batch], now: Timestamp) -> Result<Vec<Appended>> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn lease(
        &self,
        partition: Partition,
        held: Option<&Lease>,
        address: &str,
        seconds: u32,
        now: Timestamp,
    ) -> Result<Leased> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn release(&self, lease: &Lease) -> Result<()> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn heads(&self, partitions: &[Partition]) -> Result<Vec<Vec<Head>>> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn read_new(
        &self,
        partition: Partition,
        day: Day,
        after: EntryId,
        max_hits: usize,
    ) -> Result<Vec<Entry>> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn read_day(
        &self,
        partition: Partition,
        day: Day,
        from: DayCursor,
        max_hits: usize,
    ) -> Result<DayPage> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn read_visitor(&self, visitor: Visitor, days: Range<Day>) -> Result<Vec<Hit>> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn pages(&self, keys: &[PageKey]) -> Result<Vec<Option<Page>>> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn consents(&self, keys: &[ConsentKey]) -> Result<Vec<Option<ConsentState>>> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn cells(
        &self,
        partition: Partition,
        day: Day,
        categories: Option<&[CategoryId]>,
    ) -> Result<StoredDay> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn checkpoint(
        &self,
        lease: &Lease,
        days: &[DayCheckpoint<'_>],
        memberships: &[Membership],
        now: Timestamp,
    ) -> Result<()> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn memberships(&self, partition: Partition) -> Result<Vec<Membership>> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn seal(&self, lease: &Lease, day: Day, upto: EntryId) -> Result<Sealed> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn erase(&self, visitors: &[Visitor], now: Timestamp) -> Result<()> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn erased(&self, partition: Partition) -> Result<RoaringBitmap> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn expire(&self, now: Timestamp) -> Result<Vec<Day>> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn health(&self, now: Timestamp) -> Result<Health> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn audit(&self, now: Timestamp) -> Result<Audit> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn catalog(&self, name: CatalogName) -> Result<Option<CatalogVersion>> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn catalog_history(&self, name: CatalogName) -> Result<Vec<CatalogVersion>> {
        todo!()
    }
    /// See the enum.
    #[allow(unused_variables, clippy::unused_async)]
    pub async fn write_catalog(
        &self,
        name: CatalogName,
        expected: u64,
        bytes: Vec<u8>,
        by: &str,
        now: Timestamp,
    ) -> Result<u64> {
        todo!()
    }
}
