//! What deliveries remember.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use mayfly_core::{Partition, PartnerId, Timestamp, Visitor};
use redis::Value;

use super::conn::{Command, Load};
use super::read::read_id;
use super::{RedisStore, keys};
use crate::codec::records;
use crate::day::EntryId;
use crate::delivered::{LedgerRow, MatchNews, Sent, displaced};
use crate::{Match, Result};

impl RedisStore {
    /// See [`crate::Store::tell`].
    pub fn tell(&self, partners: &[PartnerId]) {
        let mut told = self.inner.told.write().unwrap_or_else(PoisonError::into_inner);
        *told = partners.iter().copied().collect();
    }

    pub(super) fn is_told(&self, partner: PartnerId) -> bool {
        let told = self.inner.told.read().unwrap_or_else(PoisonError::into_inner);
        told.contains(&partner)
    }

    /// Commands that tell of ids that go with an erased visitor, before they go.
    pub(super) fn tell_gone(
        &self,
        visitor: Visitor,
        gone: &[(PartnerId, Match)],
        now: Timestamp,
    ) -> Vec<Command> {
        let told = gone.iter().filter(|(partner, _)| self.is_told(*partner));
        let calls = told.flat_map(|(partner, own)| {
            let name = self.keys().news(visitor.partition, *partner);
            let news = MatchNews::Gone(own.uid.clone());
            let value = records::encode_news(now.day().unwrap_or_default(), &news);
            let add = Command::new("XADD", &name).text("*").text("n").bytes(&value);
            [add, Command::new("EXPIREAT", &name).number(keys::news_until(now).secs())]
        });
        calls.collect()
    }

    /// See [`crate::Store::match_news`].
    pub async fn match_news(
        &self,
        partition: Partition,
        partner: PartnerId,
        after: EntryId,
        limit: usize,
    ) -> Result<Vec<(EntryId, MatchNews)>> {
        let range = Command::new("XRANGE", &self.keys().news(partition, partner))
            .text(&format!("({}-{}", after.ms, after.seq))
            .text("+")
            .text("COUNT")
            .number(limit as u64);
        let value = self.conn().run(vec![range], Load::Big).await?.pop().unwrap_or(Value::Nil);
        let rows: Vec<(String, Vec<Vec<u8>>)> = self.conn().read(value)?;
        let news = rows.into_iter().map(|(id, fields)| {
            let [_, bytes] = &fields[..] else { return Err(records::bad_news()) };
            Ok((read_id(&id)?, records::decode_news(bytes)?.1))
        });
        news.collect()
    }

    /// See [`crate::Store::forget_news`].
    pub async fn forget_news(
        &self,
        partition: Partition,
        partner: PartnerId,
        upto: EntryId,
    ) -> Result<()> {
        let next = upto.next();
        let trim = Command::new("XTRIM", &self.keys().news(partition, partner))
            .text("MINID")
            .text(&format!("{}-{}", next.ms, next.seq));
        self.conn().run(vec![trim], Load::Small).await.map(|_| ())
    }

    /// See [`crate::Store::sent`].
    pub async fn sent(&self, destination: u32, partition: Partition) -> Result<Vec<Sent>> {
        let get = Command::new("HGETALL", &self.keys().sent(partition, destination));
        let value = self.conn().run(vec![get], Load::Big).await?.pop().unwrap_or(Value::Nil);
        let rows: BTreeMap<String, Vec<u8>> = self.conn().read(value)?;
        let sent = rows.into_iter().map(|(code, bytes)| {
            Ok(Sent { code: code.into(), until: records::decode_sent(&bytes)? })
        });
        sent.collect()
    }

    /// See [`crate::Store::put_sent`].
    pub async fn put_sent(
        &self,
        destination: u32,
        rows: &[(Partition, Sent)],
        now: Timestamp,
    ) -> Result<()> {
        let until = keys::sent_until(now, self.inner.retention);
        let mut calls = Vec::with_capacity(rows.len() * 2);
        for (partition, own) in rows {
            let name = self.keys().sent(*partition, destination);
            calls.push(if own.until.is_empty() {
                Command::new("HDEL", &name).text(&own.code)
            } else {
                let bytes = records::encode_sent(&own.until);
                Command::new("HSET", &name).text(&own.code).bytes(&bytes)
            });
            calls.push(Command::new("EXPIREAT", &name).number(until.secs()));
        }
        self.conn().run(calls, Load::Small).await.map(|_| ())
    }

    /// See [`crate::Store::ledger`].
    pub async fn ledger(
        &self,
        destination: u32,
        before: u64,
        limit: usize,
    ) -> Result<Vec<LedgerRow>> {
        let name = keys::ledger(destination);
        let mut numbers: Vec<u64> = self.conn().one(Command::new("HKEYS", &name)).await?;
        numbers.retain(|number| *number < before);
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers.truncate(limit);
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let get = Command::new("HMGET", &name);
        let get = numbers.iter().fold(get, |get, number| get.number(*number));
        let value = self.conn().run(vec![get], Load::Big).await?.pop().unwrap_or(Value::Nil);
        let found: Vec<Option<Vec<u8>>> = self.conn().read(value)?;
        let rows = numbers.into_iter().zip(found);
        Ok(rows.filter_map(|(number, bytes)| Some(LedgerRow { number, bytes: bytes? })).collect())
    }

    /// See [`crate::Store::write_ledger`].
    pub async fn write_ledger(&self, destination: u32, row: &LedgerRow) -> Result<()> {
        let name = keys::ledger(destination);
        let set = Command::new("HSET", &name).number(row.number).bytes(&row.bytes);
        let drop = displaced(row.number).map(|old| Command::new("HDEL", &name).number(old));
        let calls = std::iter::once(set).chain(drop).collect();
        self.conn().run(calls, Load::Small).await.map(|_| ())
    }
}
