//! What was delivered, in counts for an invoice: by month and code.

use std::collections::BTreeMap;

use mayfly_core::{Day, Timestamp};
use mayfly_store::Sent;
use roaring::RoaringBitmap;

use super::changes::{Changes, Pairs};
use super::record::Usage;
use super::runner::Runner;

impl Runner {
    /// Counts pairs that the receiver took, before they are noted; of these it refused some without
    /// saying which: so many less have come.
    pub(super) fn bill(
        &mut self,
        changes: &Changes,
        taken: &Pairs,
        mut refused: u64,
        now: Timestamp,
    ) {
        let (Some(desk), today) = (&self.desk, now.day().unwrap_or_default()) else { return };
        for ((partition, code, until), who) in &taken.0 {
            let Some(key) = changes.segments.get(*code) else { continue };
            let sent = desk.sent.get(&(*partition, key.code.clone()));
            let known = sent.map_or(0, |sent| there(sent, who, today));
            let mut less = |n: u64| {
                let own = n.min(refused);
                refused -= own;
                n - own
            };
            let more = match until {
                Some(_) => Usage {
                    added: less(who.len() - known),
                    refreshed: less(known),
                    ..Usage::default()
                },
                None => Usage { removed: known, ..Usage::default() },
            };
            self.standing.bill(&key.code, now, more);
        }
    }

    /// Counts how many are there under each code.
    pub(super) fn bill_most(&mut self, now: Timestamp) {
        let Some(desk) = &self.desk else { return };
        let today = now.day().unwrap_or_default();
        let mut held: BTreeMap<&str, u64> = BTreeMap::new();
        for ((_, code), sent) in &desk.sent {
            let live = sent.until.range(today.plus(1)..).map(|(_, own)| own.len());
            *held.entry(code).or_default() += live.sum::<u64>();
        }
        for (code, most) in held.into_iter().filter(|(_, most)| *most > 0) {
            self.standing.bill(code, now, Usage { most, ..Usage::default() });
        }
    }
}

/// How many of some visitors are there: each of them is once, by the day on which he lapses.
fn there(sent: &Sent, who: &RoaringBitmap, today: Day) -> u64 {
    let live = sent.until.range(today.plus(1)..);
    live.map(|(_, own)| own.intersection_len(who)).sum()
}
