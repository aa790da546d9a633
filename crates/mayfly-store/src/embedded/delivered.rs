//! What deliveries remember.

use mayfly_core::{Day, Partition, PartnerId, Timestamp};

use super::keyspaces::engine;
use super::{EmbeddedStore, Tx, keys};
use crate::Result;
use crate::codec::records;
use crate::day::EntryId;
use crate::delivered::{LedgerRow, MatchNews, Sent, displaced};

/// Notes news of a match, if the partner is told.
pub(super) fn note(
    tx: &mut Tx<'_>,
    (partition, partner): (Partition, PartnerId),
    news: &MatchNews,
    now: Timestamp,
) -> Result<()> {
    if tx.shared.is_told(partner) {
        let id = tx.state.next_id(now);
        let keyspace = tx.keyspaces.make(keys::NEWS)?;
        let value = records::encode_news(now.day().unwrap_or_default(), news);
        tx.put(&keyspace, keys::news(partner, partition, id), value);
    }
    Ok(())
}

impl EmbeddedStore {
    /// See [`crate::Store::tell`].
    pub fn tell(&self, partners: &[PartnerId]) {
        self.shared.tell(partners);
    }

    /// See [`crate::Store::match_news`].
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`].
    pub async fn match_news(
        &self,
        partition: Partition,
        partner: PartnerId,
        after: EntryId,
        limit: usize,
    ) -> Result<Vec<(EntryId, MatchNews)>> {
        self.read(move |readers| {
            let from = keys::news(partner, partition, after.next());
            let to = keys::news(partner, partition, EntryId { ms: u64::MAX, seq: u64::MAX });
            let mut found = Vec::new();
            for item in readers.keyspaces.make(keys::NEWS)?.range(from..=to).take(limit) {
                let (key, value) = item.into_inner().map_err(engine)?;
                let id = keys::news_id(&key).ok_or_else(records::bad_news)?;
                found.push((id, records::decode_news(&value)?.1));
            }
            Ok(found)
        })
        .await
    }

    /// See [`crate::Store::forget_news`].
    ///
    /// # Errors
    /// None of its own.
    pub async fn forget_news(
        &self,
        partition: Partition,
        partner: PartnerId,
        upto: EntryId,
    ) -> Result<()> {
        self.write_alone(move |tx| {
            let keyspace = tx.keyspaces.make(keys::NEWS)?;
            let from = keys::news(partner, partition, EntryId::ZERO);
            let to = keys::news(partner, partition, upto);
            let mut gone = Vec::new();
            for item in keyspace.range(from..=to) {
                gone.push(item.key().map_err(engine)?.to_vec());
            }
            if !gone.is_empty() {
                super::purge::owe(tx, &[keys::NEWS])?;
            }
            gone.into_iter().for_each(|key| tx.remove(&keyspace, key));
            Ok(())
        })
        .await
    }

    /// See [`crate::Store::sent`].
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`].
    pub async fn sent(&self, destination: u32, partition: Partition) -> Result<Vec<Sent>> {
        self.read(move |readers| {
            let prefix = keys::sent(destination, partition, "");
            let mut found = Vec::new();
            for item in readers.keyspaces.make(keys::SENT)?.prefix(&prefix) {
                let (key, value) = item.into_inner().map_err(engine)?;
                let code = key.get(prefix.len()..).unwrap_or_default();
                let code = std::str::from_utf8(code).map_err(|_| records::bad_news())?;
                let until = records::decode_sent(&value)?;
                found.push(Sent { code: code.into(), until });
            }
            Ok(found)
        })
        .await
    }

    /// See [`crate::Store::put_sent`].
    ///
    /// # Errors
    /// None of its own.
    pub async fn put_sent(
        &self,
        destination: u32,
        rows: &[(Partition, Sent)],
        _now: Timestamp,
    ) -> Result<()> {
        let rows = rows.to_vec();
        self.write(move |tx| {
            let keyspace = tx.keyspaces.make(keys::SENT)?;
            for (partition, own) in rows {
                let key = keys::sent(destination, partition, &own.code);
                if own.until.is_empty() {
                    tx.remove(&keyspace, key);
                } else {
                    tx.put(&keyspace, key, records::encode_sent(&own.until));
                }
            }
            Ok(())
        })
        .await
    }

    /// See [`crate::Store::ledger`].
    ///
    /// # Errors
    /// None of its own.
    pub async fn ledger(
        &self,
        destination: u32,
        before: u64,
        limit: usize,
    ) -> Result<Vec<LedgerRow>> {
        self.read(move |readers| {
            let (from, to) = (keys::ledger(destination, 0), keys::ledger(destination, before));
            let mut rows = Vec::new();
            for item in readers.keyspaces.make(keys::LEDGER)?.range(from..to).rev().take(limit) {
                let (key, value) = item.into_inner().map_err(engine)?;
                let number = keys::version_of(&key).ok_or_else(records::bad_news)?;
                rows.push(LedgerRow { number, bytes: value.to_vec() });
            }
            Ok(rows)
        })
        .await
    }

    /// See [`crate::Store::write_ledger`].
    ///
    /// # Errors
    /// None of its own.
    pub async fn write_ledger(&self, destination: u32, row: &LedgerRow) -> Result<()> {
        let row = row.clone();
        self.write(move |tx| {
            let keyspace = tx.keyspaces.make(keys::LEDGER)?;
            tx.put(&keyspace, keys::ledger(destination, row.number), row.bytes);
            if let Some(old) = displaced(row.number) {
                tx.remove(&keyspace, keys::ledger(destination, old));
            }
            Ok(())
        })
        .await
    }
}

/// Whether news of a day are past their time.
pub(super) fn is_old(day: Day, today: Day) -> bool {
    day.plus(crate::delivered::NEWS_DAYS) < today
}
