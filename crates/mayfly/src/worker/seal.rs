//! Sealing of closed days, and the pass that takes erased visitors' bytes out.

use mayfly_core::{Day, Timestamp};
use mayfly_store::{EntryId, StoreError};

use super::checkpoint::{self, Scope};
use super::partition::{DayState, Task};

/// Closed days are sealed from this second of the next day on: late hits come first.
const SEAL_FROM_SECOND: u32 = 3600;
/// A late hit waits so long for others of its day: a log that is replayed would otherwise have the
/// same day sealed anew with each few of its lines.
const LATE_SECONDS: i64 = 300;

impl Task {
    /// Seals what is due: one day a round, so that new hits are folded in between.
    pub(super) async fn seal_due(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.lease.is_none() || self.pending.is_some() {
            return Ok(());
        }
        let is_night = now.second_of_day() >= SEAL_FROM_SECOND;
        let erased = self.slot.erased().len();
        if self.slot.purges() || is_night && erased != self.purged {
            return self.purge(erased, now).await;
        }
        if !is_night {
            return Ok(());
        }
        let today = self.calendar.today();
        let due = self.days.iter().find(|(day, d)| **day < today && is_due(d, now));
        match due.map(|(day, _)| *day) {
            Some(day) => self.seal_day(day, now).await,
            None => Ok(()),
        }
    }

    /// Seals a day up to its checkpointed cursor, where its log holds anything.
    async fn seal_day(&mut self, day: Day, now: Timestamp) -> Result<(), StoreError> {
        let (store, partition) = (self.app.store().clone(), self.slot.partition());
        if !store.read_new(partition, day, EntryId::ZERO, 1).await?.is_empty() {
            self.seal(day, now).await?;
        }
        if let Some(state) = self.days.get_mut(&day) {
            state.unsealed = None;
        }
        Ok(())
    }

    async fn seal(&mut self, day: Day, now: Timestamp) -> Result<(), StoreError> {
        let Some(state) = self.days.get(&day).copied() else { return Ok(()) };
        if state.cursor != state.stored.cursor {
            checkpoint::write_day(self, day, Scope::Changed, now).await?;
        }
        if let Some(lease) = &self.lease {
            self.app.store().seal(lease, day, state.cursor).await?;
        }
        Ok(())
    }

    /// Writes every day anew without erased visitors, one a round, so that lease and folding go
    /// on in between: their bytes go. Begins again when another is erased meanwhile.
    async fn purge(&mut self, erased: u64, now: Timestamp) -> Result<(), StoreError> {
        let purge = self.purge.take().filter(|purge| purge.erased == erased);
        let begin = || Purge { erased, left: self.days.keys().copied().collect() };
        let mut purge = purge.unwrap_or_else(begin);
        if let Some(day) = purge.left.pop() {
            self.purge_day(day, now).await?;
            self.purge = Some(purge);
            return Ok(());
        }
        checkpoint::write(self, now).await?;
        self.app.store().purge().await?;
        self.purged = erased;
        self.slot.purged();
        Ok(())
    }

    async fn purge_day(&mut self, day: Day, now: Timestamp) -> Result<(), StoreError> {
        self.bring(day).await?;
        // Reading leaves erased visitors out; so everything that is read is written again.
        checkpoint::write_day(self, day, Scope::All, now).await?;
        self.seal(day, now).await?;
        self.evict();
        Ok(())
    }
}

/// Whether what came to a closed day since it was sealed has waited long enough.
fn is_due(day: &DayState, now: Timestamp) -> bool {
    day.unsealed.is_some_and(|since| since.plus_secs(LATE_SECONDS) <= now)
}

/// A pass over all days that takes erased visitors out.
#[derive(Debug)]
pub(super) struct Purge {
    /// How many were erased when it began.
    erased: u64,
    /// Days to do.
    left: Vec<Day>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_day_is_sealed_once_for_the_hits_of_five_minutes() {
        let since = Timestamp::from_secs(1_000_000);
        let day = |unsealed| DayState { unsealed, ..DayState::default() };
        assert!(!is_due(&day(None), since), "nothing came");
        assert!(!is_due(&day(Some(since)), since.plus_secs(LATE_SECONDS - 1)));
        assert!(is_due(&day(Some(since)), since.plus_secs(LATE_SECONDS)));
        assert!(is_due(&day(Some(Timestamp::default())), since), "as it was found at the start");
    }
}
