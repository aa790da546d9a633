//! Expiry: days that the retention no longer keeps are dropped whole, records one by one.

use fjall::Keyspace;
use mayfly_core::{Day, Retention, Timestamp};

use super::append::LaneRow;
use super::clock::TrustedClock;
use super::ids::{IdRow, NameRow};
use super::intern::InternedRow;
use super::keys::{self, Kind};
use super::keyspaces::{Keyspaces, engine};
use super::{EmbeddedStore, Tx, delivered, purge};
use crate::Result;
use crate::codec::records;
use mayfly_core::SegmentId;

/// Days a lane is remembered after its last batch: longer than any batch may wait.
const LANE_DAYS: u16 = 91;

/// The trusted clock as last saved.
pub(super) fn load_clock(keyspaces: &Keyspaces) -> Result<TrustedClock> {
    match keyspaces.make(keys::META)?.get(keys::CLOCK).map_err(engine)? {
        Some(bytes) => TrustedClock::from_bytes(&bytes),
        None => Ok(TrustedClock::default()),
    }
}

/// Keyspaces whose records expire one by one.
pub(super) const RECORDS: [&str; 8] = [
    keys::PAGES,
    keys::IDS,
    keys::NAMES,
    keys::MATCHES,
    keys::NEWS,
    keys::SENT,
    keys::SEGMENTS,
    keys::LANES,
];

/// Whether a record of one of [`RECORDS`] is past its last day.
pub(super) fn is_over(
    keyspace: &str,
    value: &[u8],
    retention: Retention,
    today: Day,
) -> Result<bool> {
    Ok(match keyspace {
        keys::PAGES => !retention.keeps(Day(InternedRow::read(value)?.0), today),
        keys::IDS => IdRow::read(value)?.2 < today.0,
        keys::MATCHES => !retention.keeps(records::decode_match(value)?.seen, today),
        keys::NEWS => delivered::is_old(records::decode_news(value)?.0, today),
        keys::SENT => {
            records::decode_sent(value)?.keys().all(|day| crate::delivered::is_over(*day, today))
        }
        keys::NAMES => NameRow::read(value)?.0 < today.0,
        keys::SEGMENTS => {
            let as_of = records::decode_membership(SegmentId(0), value)?.as_of;
            as_of.day().is_none_or(|day| day.plus(1) < today)
        }
        keys::LANES => Day(LaneRow::read(value)?.1).plus(LANE_DAYS) < today,
        _ => false,
    })
}

/// Whether a keyspace of a day is past its day.
pub(super) fn is_day_over(kind: Kind, day: Day, retention: Retention, today: Day) -> bool {
    match kind {
        Kind::Hits | Kind::Past | Kind::Cells => !retention.keeps(day, today),
        Kind::HitIds => day.plus(1) < today,
    }
}

impl EmbeddedStore {
    /// See [`crate::Store::expire`]. Looks through records once a day, through days at each call.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`].
    pub async fn expire(&self, now: Timestamp) -> Result<Vec<Day>> {
        let (today, swept) = self.write(move |tx| note_clock(tx, now)).await?;
        let Some(today) = today else { return Ok(Vec::new()) };
        let over = if swept == Some(today) { Vec::new() } else { self.over(today).await? };
        self.write_alone(move |tx| {
            remove_records(tx, over, today)?;
            let days = drop_days(tx, today)?;
            tx.state.swept = Some(today);
            Ok(days)
        })
        .await
    }

    /// Keys of the records that are over, by keyspace.
    async fn over(&self, today: Day) -> Result<Vec<(&'static str, Vec<Vec<u8>>)>> {
        self.read(move |readers| {
            let mut over = Vec::new();
            for name in RECORDS {
                let mut found = Vec::new();
                for item in readers.keyspaces.make(name)?.iter() {
                    let (key, value) = item.into_inner().map_err(engine)?;
                    if is_over(name, &value, readers.shared.retention, today)? {
                        found.push(key.to_vec());
                    }
                }
                over.push((name, found));
            }
            Ok(over)
        })
        .await
    }
}

/// The day to act on, and the day for which records were last looked through.
fn note_clock(tx: &mut Tx<'_>, now: Timestamp) -> Result<(Option<Day>, Option<Day>)> {
    let before = tx.state.clock;
    let mut clock = before;
    let today = clock.note(now);
    if clock != before {
        let meta = tx.keyspaces.make(keys::META)?;
        tx.put(&meta, keys::CLOCK.to_vec(), clock.to_bytes());
        tx.state.clock = clock;
    }
    Ok((today, tx.state.swept))
}

/// Removes records that are still over: they may have been renewed since they were found.
fn remove_records(
    tx: &mut Tx<'_>,
    over: Vec<(&'static str, Vec<Vec<u8>>)>,
    today: Day,
) -> Result<()> {
    let retention = tx.shared.retention;
    let mut removals: Vec<(Keyspace, Vec<u8>)> = Vec::new();
    let mut touched = Vec::new();
    for (name, found) in over {
        let keyspace = tx.keyspaces.make(name)?;
        for key in found {
            let value = tx.get(&keyspace, &key)?;
            if value.is_some_and(|v| is_over(name, &v, retention, today).unwrap_or(false)) {
                removals.push((keyspace.clone(), key));
                touched.push(name);
            }
        }
    }
    purge::owe(tx, &touched)?;
    for (keyspace, key) in removals {
        tx.remove(&keyspace, key);
    }
    Ok(())
}

/// Drops keyspaces of days that are over; answers the days whose behaviour went.
fn drop_days(tx: &mut Tx<'_>, today: Day) -> Result<Vec<Day>> {
    let retention = tx.shared.retention;
    let mut days = Vec::new();
    for name in tx.keyspaces.names() {
        let Some((kind, day)) = keys::parse(&name) else { continue };
        if !is_day_over(kind, day, retention, today) {
            continue;
        }
        purge::owe(tx, &[&name])?;
        tx.drop_keyspace(name);
        if kind != Kind::HitIds {
            tx.after(move |shared| shared.forget_day(day));
            days.push(day);
        }
    }
    days.sort();
    days.dedup();
    Ok(days)
}
