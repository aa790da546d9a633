//! Batches on their second way: out of the spill, after a failover, after an odd answer.

use mayfly_core::limits;
use mayfly_store::{Appended, Batch, StoreError};

use crate::batcher::{Batcher, Open, within};
use crate::lanes::relane;
use crate::spill::{Kind, Record};
use crate::spilled_values::SpilledValues;

/// So far above the numbers of a lane no batch is ever next.
const FAR_BEYOND: u64 = 1 << 40;
/// Answers that one batch may get before its delivery counts as failed.
const ROUNDS: usize = 8;

impl Batcher {
    /// Sends a batch until the store has it. What was seen before is decided as duplicate and left
    /// out; a batch that can never be next in its lane gets one of its own.
    ///
    /// # Errors
    /// The store's. The batch is then in the form whose fate is unknown: to be sent again so.
    pub(crate) async fn deliver(&mut self, open: &mut Open) -> Result<(), StoreError> {
        for _ in 0..ROUNDS {
            match self.offer(open).await? {
                Appended::Stored | Appended::Done => return Ok(()),
                Appended::Duplicates(seen) => {
                    open.batch = open.batch.without(&seen)?;
                    open.decide_duplicates(&seen);
                }
                Appended::Gap { last } => {
                    let Batch { lane, partition, number, .. } = open.batch;
                    let lost = self.acknowledged.take_lost(lane, partition, last, number);
                    self.metrics.count_lost(lost);
                    relane(&mut open.batch);
                }
            }
        }
        Err(StoreError::Deadline)
    }

    /// After a restart or failover of the server: sends the batches of the last seconds again.
    /// Those that it still has answer `Done`. Whom foreign ids stand for, and what the batches
    /// refer to, goes first.
    pub(crate) async fn resend(&mut self) {
        self.resend_due = false;
        let claimed = self.visitors.claim_again(self.answered, self.now).await;
        let ready = match claimed {
            Ok(()) => self.intern_again().await,
            Err(error) => Err(error),
        };
        if let Err(error) = ready {
            self.store_failed(&error);
            self.resend_due = true;
            return;
        }
        let kept = self.acknowledged.take_resendable(self.answered);
        let mut rest = kept.into_iter();
        while let Some((batch, bytes, at)) = rest.next() {
            let mut open = Open { batch, dues: Vec::new(), bytes };
            match self.resend_one(&mut open).await {
                Ok(()) => self.acknowledged.keep(open.batch, bytes, at),
                Err(error) => {
                    // All stay kept; the next tick comes here again.
                    self.store_failed(&error);
                    self.resend_due = true;
                    self.acknowledged.keep(open.batch, bytes, at);
                    rest.by_ref().for_each(|(b, bytes, at)| self.acknowledged.keep(b, bytes, at));
                    return;
                }
            }
        }
        if let Err(error) = self.count_unsendable().await {
            self.store_failed(&error);
            self.resend_due = true;
        }
    }

    /// Counts what is lost and behind which no other batch of its lane came, to meet the gap. The
    /// store is asked to take an empty batch far beyond it, which it answers with the last it has.
    async fn count_unsendable(&mut self) -> Result<(), StoreError> {
        let received = self.now.day().unwrap_or_default();
        let places = self.acknowledged.unsendable().into_iter();
        let beyond: Vec<Batch> = places
            .map(|((lane, p), last)| Batch::encode(lane, last + FAR_BEYOND, p, received, &[]))
            .collect();
        for group in beyond.chunks(limits::DRAIN_BATCHES) {
            let group: Vec<&Batch> = group.iter().collect();
            let answers = within(self.deadline, self.store.append(&group, self.now)).await?;
            for (Batch { lane, partition, number, .. }, answer) in group.into_iter().zip(answers) {
                if let Appended::Gap { last } = answer {
                    let lost = self.acknowledged.take_lost(*lane, *partition, last, *number);
                    self.metrics.count_lost(lost);
                }
            }
        }
        Ok(())
    }

    /// Interns anew what was interned lately; everything older is asked for when it is met.
    async fn intern_again(&mut self) -> Result<(), StoreError> {
        let lately = self.interner.lately(self.answered);
        within(self.deadline, self.store.intern(&lately.to_intern())).await?;
        self.interner.forget();
        Ok(())
    }

    async fn resend_one(&mut self, open: &mut Open) -> Result<(), StoreError> {
        match self.offer(open).await? {
            Appended::Done => return Ok(()),
            Appended::Stored => {}
            Appended::Gap { .. } | Appended::Duplicates(_) => self.deliver(open).await?,
        }
        self.metrics.count_resent();
        Ok(())
    }

    /// Appends one batch, once.
    async fn offer(&self, open: &Open) -> Result<Appended, StoreError> {
        let group = [&open.batch];
        let answers = within(self.deadline, self.store.append(&group, self.now)).await;
        // A store that answers nothing has not said that it took the batch.
        answers?.pop().ok_or(StoreError::Deadline)
    }

    /// Sends the next records of the spill, in order. What the store takes shows that it is back;
    /// a failure leaves the rest for the next tick.
    pub(crate) async fn drain(&mut self) {
        let records = match self.spill.peek(limits::DRAIN_BATCHES).await {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(%error, "the spill cannot be read");
                return;
            }
        };
        let (sent, ended) = self.drain_records(&records).await;
        if let Err(error) = self.spill.advance(sent).await {
            tracing::error!(%error, "a drained spill file cannot be removed");
        }
        match ended {
            Ok(()) => self.set_away(false),
            Err(error) => self.store_failed(&error),
        }
    }

    /// Sends records run by run; answers how many are done with, and how it ended.
    async fn drain_records(&mut self, records: &[Record]) -> (usize, Result<(), StoreError>) {
        let mut sent = 0;
        for run in records.chunk_by(|a, b| a.kind == b.kind) {
            let ended = match run.first().map(|record| record.kind) {
                Some(Kind::Batch) => self.drain_batches(run, &mut sent).await,
                Some(Kind::Values) | None => self.drain_values(run, &mut sent).await,
            };
            if ended.is_err() {
                return (sent, ended);
            }
        }
        (sent, Ok(()))
    }

    /// Appends batches as one group; what is answered oddly goes by itself, in order.
    async fn drain_batches(&mut self, run: &[Record], sent: &mut usize) -> Result<(), StoreError> {
        let opens: Vec<_> = run.iter().map(|record| self.read_batch(record)).collect();
        let batches: Vec<&Batch> = opens.iter().flatten().map(|open| &open.batch).collect();
        let asked = self.store.append(&batches, self.now);
        let mut answers = within(self.deadline, asked).await?.into_iter();
        for open in opens {
            if let Some(mut open) = open {
                match answers.next() {
                    Some(Appended::Stored | Appended::Done) => {}
                    Some(Appended::Gap { .. } | Appended::Duplicates(_)) | None => {
                        self.drain_alone(&mut open).await?;
                    }
                }
                self.stored(open);
            }
            *sent += 1;
        }
        Ok(())
    }

    /// Sends one batch of the spill. One that meets a gap waits for the acknowledged batches
    /// before it, if they are still kept.
    async fn drain_alone(&mut self, open: &mut Open) -> Result<(), StoreError> {
        if let Appended::Gap { .. } = self.offer(open).await? {
            self.resend().await;
        }
        self.deliver(open).await
    }

    /// A batch from its record; one that cannot be read is reported and passed over.
    fn read_batch(&self, record: &Record) -> Option<Open> {
        match Batch::from_bytes(&record.bytes) {
            Ok(batch) => Some(Open { batch, dues: Vec::new(), bytes: record.bytes.len() }),
            Err(error) => {
                tracing::error!(%error, "a batch in the spill cannot be read");
                self.metrics.count_error(&error);
                None
            }
        }
    }

    /// Interns what the batches behind these records refer to. Their hits carry the keys that
    /// the values had first claim to; another value under such a key (one chance in 2^64 a page)
    /// would be reported here.
    async fn drain_values(&mut self, run: &[Record], sent: &mut usize) -> Result<(), StoreError> {
        for record in run {
            if let Some(values) = SpilledValues::from_bytes(&record.bytes) {
                let asked = values.to_intern();
                let keys = within(self.deadline, self.store.intern(&asked)).await?;
                if !self.interner.were_assumed(&asked, &keys) {
                    tracing::error!("spilled hits refer to a page key that another page has");
                }
            } else {
                tracing::error!("pages in the spill cannot be read");
            }
            *sent += 1;
        }
        Ok(())
    }
}

impl Open {
    fn decide_duplicates(&mut self, seen: &[u32]) {
        for &index in seen {
            let due = usize::try_from(index).ok().and_then(|at| self.dues.get_mut(at));
            if let Some(due) = due.and_then(Option::take) {
                due.decide(mayfly_core::Outcome::Duplicate);
            }
        }
    }
}
