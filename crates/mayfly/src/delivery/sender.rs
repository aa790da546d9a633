//! One batch to a partner's server: its requests one after the other, and what their answers mean.

use std::time::{Duration, Instant};

use mayfly_export::Batch;
use mayfly_export::push::{
    Adobe, Answer, Google, Judged, Step, Talk, Template, Templated, TradeDesk, Xandr,
};
use mayfly_segments::destination::{Destination, Way};
use sha2::{Digest, Sha256};

use super::connect::{Connector, Received, Unreached};
use super::record::BatchRow;
use super::secrets::{self, Secrets};

/// What a destination's talks need.
pub(super) struct Terms<'d> {
    pub(super) destination: &'d Destination,
    pub(super) secrets: Secrets,
    pub(super) template: Option<Template>,
}

impl<'d> Terms<'d> {
    /// Why nothing can be sent: a code.
    pub(super) fn new(
        destination: &'d Destination,
        secrets: Secrets,
    ) -> Result<Self, &'static str> {
        let template = match &destination.way {
            Way::Request(settings) => {
                Some(Template::new(settings.clone(), &secrets).map_err(|_| "template")?)
            }
            Way::Files(_) | Way::Xandr(_) | Way::TradeDesk(_) | Way::Google(_) | Way::Adobe(_) => {
                None
            }
        };
        Ok(Self { destination, secrets, template })
    }

    /// The way of a batch; none for files, which have none.
    pub(super) fn talk<'b>(&'b self, batch: &'b Batch) -> Option<Talk<'b>> {
        let secret = |what| secrets::used_for(&self.secrets, what);
        Some(match &self.destination.way {
            Way::Files(_) => return None,
            Way::Xandr(own) => {
                Talk::Xandr(Xandr::new(own, batch, secret("password").unwrap_or_default(), None))
            }
            Way::TradeDesk(own) => {
                let token = secret("token").unwrap_or_default();
                Talk::TradeDesk(TradeDesk::new(own, batch, token, secret("signing")))
            }
            Way::Google(own) => Talk::Google(Google::new(own, self.destination.ids, batch)),
            Way::Adobe(own) => Talk::Adobe(Adobe::new(own, batch, secret("signing"))),
            Way::Request(_) => {
                Talk::Template(Templated::new(self.template.as_ref()?, batch, &self.secrets))
            }
        })
    }
}

/// Sends batches, no faster than the receiver wants.
pub(super) struct Sender<'r> {
    pub(super) connector: &'r Connector,
    pub(super) terms: &'r Terms<'r>,
    pub(super) next: Instant,
    /// Whether the process still serves the destination.
    pub(super) is_ours: &'r (dyn Fn() -> bool + Sync),
}

impl Sender<'_> {
    /// One batch to its end; what it was, and what became of it.
    pub(super) async fn send(&mut self, batch: &Batch) -> (BatchRow, Judged) {
        let (begun, mut hash) = (Instant::now(), Sha256::new());
        let mut row = BatchRow {
            id: batch.id.to_string(),
            visitors: batch.changes.len() as u64,
            pairs: batch.pairs() as u64,
            ..BatchRow::default()
        };
        let judged = self.go(batch, &mut row, &mut hash).await;
        row.ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        row.sha256 = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        row.result = match &judged {
            Judged::Taken { .. } => "accepted".to_owned(),
            Judged::Later { code, .. } | Judged::Refused { code } => code.to_string(),
            Judged::Smaller => "too_large".to_owned(),
        };
        (row, judged)
    }

    async fn go(&mut self, batch: &Batch, row: &mut BatchRow, hash: &mut Sha256) -> Judged {
        let terms = self.terms;
        let Some(mut talk) = terms.talk(batch) else {
            return Judged::Refused { code: "no_way".into() };
        };
        let mut step = talk.next(None);
        loop {
            step = match step {
                Step::Done(judged) => return self.once(&talk, judged),
                Step::Wait(seconds) => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    talk.next(None)
                }
                Step::Send(request) => {
                    self.pace().await;
                    // It may have stood still: another process tells the partner by now.
                    if !(self.is_ours)() {
                        return Judged::Later { after_s: None, code: "changed".into() };
                    }
                    hash.update(&request.body);
                    row.bytes += request.body.len() as u64;
                    match self.connector.send(&request).await {
                        Ok(Received { status, retry_after_s, body }) => {
                            talk.next(Some(&Answer { status, retry_after_s, body: &body }))
                        }
                        Err(why) => talk.unanswered(self.judged(&why)),
                    }
                }
            };
        }
    }

    /// What it means that there is no answer.
    fn judged(&self, why: &Unreached) -> Judged {
        let code = why.code().into();
        let arrived = matches!(why, Unreached::LongAnswer);
        match (arrived, self.terms.destination.idempotent) {
            // Smaller batches have shorter answers.
            (true, true) => Judged::Smaller,
            (true, false) => Judged::Refused { code },
            (false, _) if why.is_for_good() => Judged::Refused { code },
            (false, _) => Judged::Later { after_s: None, code },
        }
    }

    /// What must not arrive twice is not sent again when a part of it was taken.
    fn once(&self, talk: &Talk<'_>, judged: Judged) -> Judged {
        match judged {
            Judged::Later { .. } | Judged::Smaller | Judged::Refused { .. }
                if talk.is_partly_taken() && !self.terms.destination.idempotent =>
            {
                Judged::Refused { code: "may_have_arrived".into() }
            }
            Judged::Taken { .. }
            | Judged::Later { .. }
            | Judged::Smaller
            | Judged::Refused { .. } => judged,
        }
    }

    /// Waits until the receiver wants another request.
    pub(super) async fn wait(&self) {
        tokio::time::sleep_until(self.next.into()).await;
    }

    async fn pace(&mut self) {
        self.wait().await;
        let between = Duration::from_secs(60) / self.terms.destination.per_minute.max(1);
        self.next = Instant::now() + between;
    }
}
