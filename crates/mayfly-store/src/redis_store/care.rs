//! Care: dropping what the retention no longer keeps, and proving that nothing stays longer.

use std::collections::{BTreeSet, HashMap};

use mayfly_core::{Day, Partition, Timestamp, limits};

use super::RedisStore;
use super::conn::{Command, Load};
use super::keys::{self, Kind, Life, Named};
use crate::{Audit, Finding, Result};

/// Keys that one `SCAN` asks for, about.
const SCAN_KEYS: u32 = 1000;
/// How long a clock must have been ahead before it is believed, seconds.
const AHEAD_SECONDS: i64 = 86_400;

/// How far `expire` has been asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Clock {
    /// The last day believed.
    day: Day,
    /// Since when a day is asked for that is more than one ahead of it.
    ahead: Option<Timestamp>,
}

impl Clock {
    /// Whether the day of `now` is believed, and the clock after that.
    fn ask(self, now: Timestamp) -> (bool, Self) {
        let today = now.day().unwrap_or_default();
        if today <= self.day.plus(1) {
            return (true, Self { day: self.day.max(today), ahead: None });
        }
        let since = self.ahead.unwrap_or(now);
        if now >= since.plus_secs(AHEAD_SECONDS) {
            return (true, Self { day: today, ahead: None });
        }
        (false, Self { day: self.day, ahead: Some(since.min(now)) })
    }
}

impl RedisStore {
    /// See [`crate::Store::expire`]. Keys go by themselves too, by the server's clock.
    pub async fn expire(&self, now: Timestamp) -> Result<Vec<Day>> {
        let (believed, clock) = self.clock().await?.ask(now);
        self.keep_clock(clock).await?;
        if !believed {
            return Ok(Vec::new());
        }
        let oldest = self.inner.retention.oldest(now.day().unwrap_or_default());
        let partitions: Vec<_> = (0..self.identity().partitions).map(Partition).collect();
        let mut dropped = BTreeSet::new();
        for (&p, heads) in partitions.iter().zip(self.heads(&partitions).await?) {
            for day in heads.iter().map(|head| head.day).filter(|&day| day < oldest) {
                self.drop_day(p, day).await?;
                dropped.insert(day);
            }
        }
        Ok(dropped.into_iter().collect())
    }

    async fn drop_day(&self, p: Partition, day: Day) -> Result<()> {
        let keys = self.keys();
        let unlink = Command::new("UNLINK", &keys.hits(p, day))
            .text(&keys.past(p, day))
            .text(&keys.cells(p, day));
        let forget = Command::new("HDEL", &keys.dirty(p)).number(day.0);
        self.conn().run(vec![unlink, forget], Load::Small).await.map(|_| ())
    }

    /// A store that was never asked has been believed up to the day it was made.
    async fn clock(&self) -> Result<Clock> {
        let get = Command::new("HMGET", &keys::clock()).text("day").text("ahead");
        let (day, ahead): (Option<u16>, Option<i64>) = self.conn().one(get).await?;
        let made = self.identity().created.day().unwrap_or_default();
        Ok(Clock { day: day.map_or(made, Day), ahead: ahead.map(Timestamp::from_millis) })
    }

    async fn keep_clock(&self, clock: Clock) -> Result<()> {
        let key = keys::clock();
        let day = Command::new("HSET", &key).text("day").number(clock.day.0);
        let ahead = match clock.ahead {
            Some(since) => Command::new("HSET", &key).text("ahead").number(since.millis()),
            None => Command::new("HDEL", &key).text("ahead"),
        };
        self.conn().run(vec![day, ahead], Load::Small).await.map(|_| ())
    }

    /// See [`crate::Store::audit`]. Looks at every key of ours on every primary; at most
    /// [`limits::AUDIT_FINDINGS`] findings are listed.
    pub async fn audit(&self, now: Timestamp) -> Result<Audit> {
        let mut audit = Audit::default();
        let mut cursors: HashMap<Box<str>, u64> = HashMap::new();
        for (address, _) in self.conn().primaries(&Command::routed("PING", "")).await? {
            cursors.insert(address, 0);
        }
        for (address, mut cursor) in cursors {
            loop {
                let pattern = format!("{}*", keys::PREFIX);
                let scan = Command::routed("SCAN", "").number(cursor).text("MATCH").text(&pattern);
                let scan = scan.text("COUNT").number(SCAN_KEYS);
                let value = self.conn().primary(&address, &scan).await?;
                let (next, names): (u64, Vec<Vec<u8>>) = self.conn().read(value)?;
                let names = names.iter().map(|name| String::from_utf8_lossy(name).into_owned());
                self.judge(names.collect(), now, &mut audit).await?;
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(audit)
    }

    async fn judge(&self, names: Vec<String>, now: Timestamp, audit: &mut Audit) -> Result<()> {
        let expiry = |name: &String| Command::new("EXPIRETIME", name);
        let expiries = self.conn().run(names.iter().map(expiry).collect(), Load::Small).await?;
        let then = self.server_time().await?;
        for (name, expiry) in names.into_iter().zip(expiries) {
            let expiry = match self.conn().read::<i64>(expiry)? {
                // Gone since the scan named it.
                -2 => continue,
                -1 => None,
                secs => Some(Timestamp::from_secs(secs)),
            };
            let named = Named::read(&name);
            audit.look(named);
            let finding = match named.map(|named| named.life(self.inner.retention, now, then)) {
                None => Finding::Unknown(name.into()),
                Some(Life::Kept) => continue,
                Some(Life::Until(last)) => match expiry {
                    None => Finding::NoExpiry(name.into()),
                    Some(at) if at > last => Finding::LivesTooLong(name.into()),
                    Some(_) => continue,
                },
            };
            if audit.findings.len() < limits::AUDIT_FINDINGS {
                audit.findings.push(finding);
            }
        }
        Ok(())
    }
}

impl Audit {
    fn look(&mut self, named: Option<Named>) {
        *self.seen.entry(named.map_or("unknown", |n| n.kind.label())).or_default() += 1;
        let Some(Named { kind: Kind::Hits | Kind::Past | Kind::Cells, day: Some(day) }) = named
        else {
            return;
        };
        self.oldest = Some(self.oldest.map_or(day, |oldest| oldest.min(day)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_is_believed_after_a_day() {
        let today = Day(20_778);
        let clock = Clock { day: today, ahead: None };
        assert!(clock.ask(today.start()).0);
        let (believed, clock) = clock.ask(today.plus(1).start());
        assert!(believed && clock.day == today.plus(1));
        let jumped = today.plus(100).start();
        let (believed, waiting) = clock.ask(jumped);
        assert!(!believed && waiting.ahead == Some(jumped));
        assert!(!waiting.ask(jumped.plus_secs(86_399)).0);
        let (believed, after) = waiting.ask(jumped.plus_secs(86_400));
        assert!(believed && after.day == today.plus(101));
        let (believed, back) = waiting.ask(today.plus(1).start());
        assert!(believed && back == clock, "a clock that comes back was never ahead");
    }
}
