//! Where a destination stood is read, and what was cut off there is ended: after a start, after
//! another process delivered, after an error of the store.

use mayfly_core::{Partition, Timestamp};
use mayfly_segments::destination::Destination;
use mayfly_store::{Sent, StoreError};
use roaring::RoaringBitmap;

use super::audience::Desk;
use super::held::{Held, Told};
use super::ledger::read;
use super::record::{Delivery, STANDING, Status};
use super::runner::{Runner, pause};
use crate::clock;

impl Runner {
    /// Reads what is known, the first time, and takes a changed definition on.
    pub(super) async fn sit_down(&mut self, destination: &Destination) -> Result<(), StoreError> {
        let active = self.app.active();
        let partner = active.definitions().partner_by_id(destination.partner);
        let Some(partner) = partner.cloned() else { return Ok(()) };
        match &mut self.desk {
            Some(desk) if desk.partner == partner && desk.destination.ids == destination.ids => {
                if desk.destination != *destination {
                    // What was wrong with it may be mended.
                    self.standing.retry_ms = self.standing.retry_ms.map(|_| clock::now().millis());
                    desk.destination = destination.clone();
                }
            }
            Some(_) | None => {
                let store = self.app.store();
                self.standing = read(store, self.id, STANDING).await?.unwrap_or_default();
                let desk = Desk::open(&self.app, destination.clone(), partner).await?;
                self.desk = Some(desk);
                self.close_cut_off().await?;
                // It was under way when the process ended.
                if let Some(mut held) = self.standing.in_flight.take() {
                    let adds = held.told.iter().filter(|told| told.until.is_some());
                    self.note_maybe(adds.map(Told::who).collect(), clock::now()).await?;
                    if !destination.idempotent && !self.is_noted(&held, clock::now()) {
                        held.code = "may_have_arrived".to_owned();
                        self.standing.held = Some(held);
                    }
                    self.keep().await?;
                }
            }
        }
        self.note_receiver(destination).await
    }

    /// Whether all that a batch says is noted already: it was taken.
    fn is_noted(&self, held: &Held, now: Timestamp) -> bool {
        let Some(desk) = &self.desk else { return false };
        let tomorrow = now.day().unwrap_or_default().plus(1);
        let mut told = held.told.iter().map(|told| (told.who(), told.until));
        !held.told.is_empty()
            && told.all(|((place, who), until)| match (desk.sent.get(&place), until) {
                (None, until) => until.is_none(),
                (Some(own), None) => own.all().is_disjoint(&who),
                (Some(own), Some(_)) => {
                    let mut live = RoaringBitmap::new();
                    own.until.range(tomorrow..).for_each(|(_, some)| live |= some);
                    who.is_subset(&live)
                }
            })
    }

    /// A delivery that was under way when its process ended is over: its rest is found again.
    async fn close_cut_off(&mut self) -> Result<(), StoreError> {
        let last: Option<Delivery> = match self.standing.number {
            0 => None,
            number => read(self.app.store(), self.id, number).await?,
        };
        let Some(mut last) = last.filter(|own| own.status == Status::Running) else {
            return Ok(());
        };
        (last.status, last.code) = (Status::Waiting, Some("cut_off".to_owned()));
        let now = clock::now();
        last.ended_ms = Some(now.millis());
        let own = &mut self.standing;
        let pause_s = match self.errors {
            0 => 0,
            _ => {
                own.failures = own.failures.saturating_add(1);
                pause(own.failures, None)
            }
        };
        // Not with the next day's: who was to leave has waited long enough.
        own.retry_ms = own.retry_ms.max(Some(now.plus_secs(pause_s).millis()));
        own.was_idle = last.pairs.sent == 0 && own.in_flight.is_none();
        self.keep().await?;
        self.write(&mut last).await
    }

    /// Another receiver in this one's place was told of nobody; who was told of to the old one is
    /// forgotten there with time.
    async fn note_receiver(&mut self, destination: &Destination) -> Result<(), StoreError> {
        let receiver = destination.way.receiver();
        if self.standing.receiver == receiver {
            return Ok(());
        }
        let was = std::mem::replace(&mut self.standing.receiver, receiver);
        if let Some(desk) = self.desk.as_mut().filter(|_| !was.is_empty()) {
            let sent = std::mem::take(&mut desk.sent).into_iter();
            let nobody = |(place, _): ((Partition, Box<str>), Sent)| {
                (place.0, Sent { code: place.1, ..Sent::default() })
            };
            let rows: Vec<_> = sent.map(nobody).collect();
            self.app.store().put_sent(self.id.0, &rows, clock::now()).await?;
            self.standing.begin_full();
            self.standing.held = None;
        }
        self.keep().await
    }
}
