//! Batches to a partner's server.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;

use mayfly_core::{Partition, Timestamp};
use mayfly_export::push::{Judged, Rejected};
use mayfly_export::{Batch, UserChange};
use mayfly_segments::destination::Destination;
use mayfly_store::{Sent, StoreError};
use roaring::RoaringBitmap;

use super::audience::{Desk, NotNow};
use super::changes::{Changes, Chunk, Pairs};
use super::held::{Held, Told};
use super::news::Gone;
use super::record::{BatchRow, CODES, Delivery, Mode};
use super::runner::{End, Runner};
use super::secrets;
use super::sender::{Sender, Terms};
use crate::clock;

impl Runner {
    /// Sends all that changed: first whose ids are gone, then the rest.
    pub(super) async fn push(
        &mut self,
        destination: &Destination,
        delivery: &mut Delivery,
        changes: &mut Changes,
        gone: &[Gone],
    ) -> Result<End, NotNow> {
        let secrets = match secrets::of(destination, &self.app.settings().delivery.secrets) {
            Ok(secrets) => secrets,
            Err(error) => {
                tracing::warn!(destination = &*destination.name, %error, "nothing can be sent");
                return Ok(held("no_secret", "", &Pairs::default(), changes));
            }
        };
        let terms = match Terms::new(destination, secrets) {
            Ok(terms) => terms,
            Err(code) => return Ok(held(code, "", &Pairs::default(), changes)),
        };
        let connector = self.connector.clone();
        let (app, term) = (Arc::clone(&self.app), self.term);
        let is_ours = move || app.leads() == term;
        let next = Instant::now();
        let mut sender = Sender { connector: &connector, terms: &terms, next, is_ours: &is_ours };
        if let Some(end) = self.push_gone(&mut sender, delivery, changes, gone).await? {
            return Ok(end);
        }
        let mut most = usize::try_from(destination.batch).unwrap_or(usize::MAX);
        let mut number = 0;
        loop {
            // What is sent is looked up after the wait: choices may change meanwhile.
            if changes.has_more() {
                sender.wait().await;
            }
            if !self.may_go_on(delivery) {
                return Ok(End::Later("changed".into(), None));
            }
            let Some(desk) = &mut self.desk else { return Ok(End::Done) };
            let now = clock::now();
            let Some(chunk) = desk.next_chunk(changes, most, now).await? else {
                return Ok(End::Done);
            };
            if chunk.users.is_empty() {
                delivery.pairs.left_out += chunk.left_out;
                self.note(changes, chunk.untold.iter().collect(), now).await?;
                self.pass(delivery, &chunk);
                continue;
            }
            number += 1;
            let batch = chunk.batch(&format!("{}.{number}", delivery.id()), changes, now);
            self.take_off(&batch, &chunk, changes).await?;
            let (row, judged) = sender.send(&batch).await;
            if !self.is_ours() {
                return Ok(self.give_up());
            }
            self.landed(delivery, row);
            match judged {
                Judged::Smaller if most > 1 => {
                    // A part of it may have arrived.
                    self.note_maybe(added(&chunk.all(), changes), now).await?;
                    Desk::put_back(changes, &chunk);
                    self.keep().await?;
                    most = (most.min(chunk.users.len()) / 2).max(1);
                    self.write(delivery).await?;
                }
                Judged::Taken { rejected } => {
                    self.pass(delivery, &chunk);
                    self.taken(delivery, changes, &chunk, &rejected).await?;
                }
                not @ (Judged::Later { .. } | Judged::Smaller | Judged::Refused { .. }) => {
                    self.note_maybe(added(&chunk.all(), changes), now).await?;
                    return Ok(self.not_taken(destination, not, &batch, &chunk, changes));
                }
            }
        }
    }

    /// A full delivery that ends before its end goes on from here.
    fn pass(&mut self, delivery: &Delivery, chunk: &Chunk) {
        if delivery.mode == Mode::Full {
            self.standing.full_upto = chunk.last.map(|own| (own.partition.0, own.ordinal));
        }
    }

    /// Another process delivers by now: what it noted is not written over.
    pub(super) fn give_up(&mut self) -> End {
        self.desk = None;
        End::Later("changed".into(), None)
    }

    /// Whether what a delivery began with still holds: it may take hours.
    pub(super) fn may_go_on(&self, delivery: &Delivery) -> bool {
        self.is_ours() && self.app.active().version() == delivery.version
    }

    /// A batch is noted before it goes: it may arrive, and nobody hear of it.
    async fn take_off(
        &mut self,
        batch: &Batch,
        chunk: &Chunk,
        changes: &Changes,
    ) -> Result<(), StoreError> {
        if let End::Held(held) = held("", &batch.id, &chunk.all(), changes) {
            self.standing.in_flight = Some(held);
        }
        self.keep().await
    }

    fn landed(&mut self, delivery: &mut Delivery, row: BatchRow) {
        self.standing.in_flight = None;
        delivery.push(row);
    }

    fn not_taken(
        &self,
        destination: &Destination,
        judged: Judged,
        batch: &Batch,
        chunk: &Chunk,
        changes: &Changes,
    ) -> End {
        match judged {
            Judged::Later { code, .. } if !destination.idempotent && may_have_arrived(&code) => {
                held("may_have_arrived", &batch.id, &chunk.all(), changes)
            }
            Judged::Later { code, after_s } => End::Later(code, after_s),
            Judged::Refused { code } => held(&code, &batch.id, &chunk.all(), changes),
            Judged::Smaller => held("too_large", &batch.id, &chunk.all(), changes),
            Judged::Taken { .. } => End::Done,
        }
    }

    /// Tells of ids that are nobody's any more: they leave every code.
    async fn push_gone(
        &mut self,
        sender: &mut Sender<'_>,
        delivery: &mut Delivery,
        changes: &Changes,
        gone: &[Gone],
    ) -> Result<Option<End>, NotNow> {
        let codes: Vec<usize> = (0..changes.segments.len()).collect();
        let mut most = usize::try_from(sender.terms.destination.batch).unwrap_or(usize::MAX);
        let (mut left, mut number) = (gone, 0);
        // News of these partitions are read again: some of them did not get through.
        let mut again: BTreeSet<Partition> = BTreeSet::new();
        while !left.is_empty() {
            let (some, rest) = left.split_at(left.len().min(most));
            number += 1;
            let users = some.iter().map(|own| UserChange {
                uid: own.uid.clone(),
                adds: Vec::new(),
                removes: codes.clone(),
            });
            let batch = Batch {
                id: format!("{}.gone.{number}", delivery.id()).into(),
                now: clock::now(),
                segments: changes.segments.clone(),
                changes: users.collect(),
            };
            // Without a code there is nothing that they could leave.
            let mut judged = Judged::Taken { rejected: Vec::new() };
            if !codes.is_empty() {
                let (row, answered) = sender.send(&batch).await;
                if !self.is_ours() {
                    return Ok(Some(self.give_up()));
                }
                self.landed(delivery, row);
                judged = answered;
            }
            match judged {
                Judged::Taken { rejected } => {
                    count(delivery, &batch, &rejected);
                    self.standing.accepted_ms = clock::now().millis();
                    let missed = rejected.iter().filter(|own| own.again);
                    let missed = missed.filter_map(|own| some.get(own.user?));
                    again.extend(missed.map(|own| own.partition));
                }
                // Removals do no harm when they come twice.
                Judged::Later { code, after_s } => return Ok(Some(End::Later(code, after_s))),
                Judged::Smaller if most > 1 => {
                    most = (most.min(some.len()) / 2).max(1);
                    continue;
                }
                Judged::Smaller => return Ok(Some(held_gone("too_large", &batch.id, some))),
                Judged::Refused { code } => return Ok(Some(held_gone(&code, &batch.id, some))),
            }
            for own in some.iter().filter(|own| !again.contains(&own.partition)) {
                self.standing.set_told(own.partition, own.at);
            }
            self.keep().await?;
            left = rest;
        }
        Ok(None)
    }

    /// A batch was taken, but for some.
    async fn taken(
        &mut self,
        delivery: &mut Delivery,
        changes: &Changes,
        chunk: &Chunk,
        rejected: &[Rejected],
    ) -> Result<(), StoreError> {
        let now = clock::now();
        let batch = chunk.batch("", changes, now);
        count(delivery, &batch, rejected);
        delivery.pairs.left_out += chunk.left_out;
        self.standing.accepted_ms = now.millis();
        let place = |own: &Rejected| Some((own.user?, own.segment));
        let all: HashSet<_> = rejected.iter().filter_map(place).collect();
        let again: HashSet<_> = rejected.iter().filter(|own| own.again).filter_map(place).collect();
        let is_in = |of: &HashSet<(usize, Option<usize>)>, user, code| {
            of.contains(&(user, Some(code))) || of.contains(&(user, None))
        };
        let (mut noted, mut accepted): (Pairs, Pairs) =
            (chunk.untold.iter().collect(), Pairs::default());
        for (user, pairs) in chunk.pairs.iter().enumerate() {
            noted.extend(pairs.iter().filter(|pair| !is_in(&again, user, pair.code)));
            accepted.extend(pairs.iter().filter(|pair| !is_in(&all, user, pair.code)));
        }
        let unnamed = rejected.iter().filter(|own| own.user.is_none()).map(|own| own.pairs as u64);
        self.bill(changes, &accepted, unnamed.sum(), now);
        self.note(changes, noted, now).await?;
        // It is under way no more, and on the invoice.
        self.keep().await?;
        self.write(delivery).await
    }

    /// Notes whom the receiver may have been told of, and may not: they are sent again if they are
    /// to be there, and told to leave if not. That is what those are who have lapsed there.
    pub(super) async fn note_maybe(
        &mut self,
        told: Vec<((Partition, Box<str>), RoaringBitmap)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(desk) = &mut self.desk else { return Ok(()) };
        let mut rows = Vec::new();
        for (place, who) in told {
            let own = desk.sent.entry(place.clone()).or_default();
            own.code = place.1;
            let who = who - own.all();
            if !who.is_empty() {
                own.add(now.day().unwrap_or_default(), &who);
                rows.push((place.0, own.clone()));
            }
        }
        self.app.store().put_sent(self.id.0, &rows, now).await
    }

    /// Notes pairs as told.
    pub(super) async fn note(
        &mut self,
        changes: &Changes,
        pairs: Pairs,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(desk) = &mut self.desk else { return Ok(()) };
        let mut touched = BTreeSet::new();
        for ((partition, code, until), who) in pairs.0 {
            let Some(key) = changes.segments.get(code) else { continue };
            let fresh = || Sent { code: key.code.clone(), ..Sent::default() };
            let own = desk.sent.entry((partition, key.code.clone())).or_insert_with(fresh);
            match until {
                Some(until) => own.add(until, &who),
                None => own.remove(&who),
            }
            touched.insert((partition, key.code.clone()));
        }
        let row = |place: (Partition, Box<str>)| Some((place.0, desk.sent.get(&place)?.clone()));
        let rows: Vec<_> = touched.into_iter().filter_map(row).collect();
        self.app.store().put_sent(self.id.0, &rows, now).await
    }
}

/// Counts what a receiver took of a batch, and what not.
fn count(delivery: &mut Delivery, batch: &Batch, rejected: &[Rejected]) {
    let sent = batch.pairs() as u64;
    let mut left = sent;
    for own in rejected {
        let of_user = own.user.and_then(|user| batch.changes.get(user));
        let pairs = match (of_user, own.segment) {
            (Some(user), None) => user.pairs(),
            (Some(_), Some(_)) | (None, _) => own.pairs,
        };
        // No more than there are, whatever the receiver says.
        let pairs = (pairs as u64).min(left);
        left -= pairs;
        let rejected = &mut delivery.pairs.rejected;
        // What stands there is the partner's text: it may be another one each time.
        let is_known = rejected.contains_key(&*own.code) || rejected.len() < CODES;
        let code = if is_known { &*own.code } else { "other" };
        *rejected.entry(code.to_owned()).or_default() += pairs;
    }
    delivery.pairs.sent += sent;
    delivery.pairs.accepted += left;
}

/// Whether an answer, or its absence, leaves open what became of the batch.
fn may_have_arrived(code: &str) -> bool {
    matches!(code, "timeout" | "broken_off" | "garbled")
        || code.parse::<u16>().is_ok_and(|status| status >= 500)
}

/// Who of some pairs comes, by partition and code.
pub(super) fn added(
    pairs: &Pairs,
    changes: &Changes,
) -> Vec<((Partition, Box<str>), RoaringBitmap)> {
    let adds = pairs.0.iter().filter(|((.., until), _)| until.is_some());
    let place =
        |partition, code: usize| Some((partition, changes.segments.get(code)?.code.clone()));
    adds.filter_map(|((partition, code, _), who)| Some((place(*partition, *code)?, who.clone())))
        .collect()
}

/// A person has to look.
pub(super) fn held(code: &str, batch: &str, pairs: &Pairs, changes: &Changes) -> End {
    let told = pairs.0.iter().filter_map(|((partition, code, until), who)| {
        let code = &changes.segments.get(*code)?.code;
        Some(Told::new((*partition, *until), code, who))
    });
    End::Held(Held {
        code: code.to_owned(),
        since_ms: clock::now().millis(),
        batch: batch.to_owned(),
        told: told.collect(),
        gone: BTreeMap::new(),
    })
}

/// A person has to look at ids that are nobody's any more.
fn held_gone(code: &str, batch: &str, some: &[Gone]) -> End {
    let gone = some.iter().map(|own| (own.partition.0, (own.at.ms, own.at.seq)));
    let (code, batch) = (code.to_owned(), batch.to_owned());
    let since_ms = clock::now().millis();
    End::Held(Held { code, since_ms, batch, gone: gone.collect(), ..Held::default() })
}
