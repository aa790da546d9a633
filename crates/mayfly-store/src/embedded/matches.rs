//! Matches, by visitor and partner.

use mayfly_core::{Ordinal, Partition, PartnerId, Timestamp, Visitor};
use roaring::RoaringBitmap;

use super::keyspaces::engine;
use super::{EmbeddedStore, Readers, Tx, delivered, keys, purge};
use crate::codec::records;
use crate::delivered::MatchNews;
use crate::matches::{Match, MatchNote, Noted, after};
use crate::{Day, Result};

impl EmbeddedStore {
    /// See [`crate::Store::match_ends`].
    #[must_use]
    pub fn match_ends(&self, seen: Day) -> Day {
        seen.plus(self.shared.retention.days())
    }

    /// See [`crate::Store::note_matches`].
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`].
    pub async fn note_matches(&self, notes: &[MatchNote], now: Timestamp) -> Result<Vec<Noted>> {
        let notes = notes.to_vec();
        self.write(move |tx| notes.iter().map(|note| take(tx, note, now)).collect()).await
    }

    /// See [`crate::Store::matches_of`].
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`].
    pub async fn matches_of(
        &self,
        visitor: Visitor,
        partners: &[PartnerId],
        now: Timestamp,
    ) -> Result<Vec<Option<Match>>> {
        let (partners, today) = (partners.to_vec(), now.day().unwrap_or_default());
        self.read(move |readers| {
            partners.iter().map(|partner| readers.matched(visitor, *partner, today)).collect()
        })
        .await
    }

    /// See [`crate::Store::matches`].
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`].
    pub async fn matches(
        &self,
        partition: Partition,
        partner: PartnerId,
        ordinals: &RoaringBitmap,
        now: Timestamp,
    ) -> Result<Vec<(Ordinal, Match)>> {
        let (ordinals, today) = (ordinals.clone(), now.day().unwrap_or_default());
        self.read(move |readers| {
            let mut found = Vec::new();
            for ordinal in ordinals {
                let visitor = Visitor { partition, ordinal };
                found.extend(readers.matched(visitor, partner, today)?.map(|own| (ordinal, own)));
            }
            Ok(found)
        })
        .await
    }
}

impl Readers {
    fn matched(&self, visitor: Visitor, partner: PartnerId, today: Day) -> Result<Option<Match>> {
        if self.shared.is_erased(visitor) {
            return Ok(None);
        }
        let matches = self.keyspaces.make(keys::MATCHES)?;
        let row = matches.get(keys::matched(visitor, partner)).map_err(engine)?;
        let own = row.map(|row| records::decode_match(&row)).transpose()?;
        Ok(own.filter(|own| self.shared.retention.keeps(own.seen, today)))
    }
}

fn take(tx: &mut Tx<'_>, note: &MatchNote, at: Timestamp) -> Result<Noted> {
    let today = at.day().unwrap_or_default();
    if tx.shared.is_erased(note.visitor) {
        return Ok(Noted::Erased);
    }
    let matches = tx.keyspaces.make(keys::MATCHES)?;
    let key = keys::matched(note.visitor, note.partner);
    let before = tx.get(&matches, &key)?.map(|row| records::decode_match(&row)).transpose()?;
    let (now, noted) = after(before.as_ref(), note.uid.as_deref(), today);
    let place = (note.visitor.partition, note.partner);
    if let (Some(old), true) = (&before, matches!(noted, Noted::Changed | Noted::Forgotten)) {
        delivered::note(tx, place, &MatchNews::Gone(old.uid.clone()), at)?;
    }
    if matches!(noted, Noted::New | Noted::Changed) {
        delivered::note(tx, place, &MatchNews::Matched(note.visitor.ordinal), at)?;
    }
    if now != before {
        match now {
            Some(own) => tx.put(&matches, key, records::encode_match(&own)),
            None => tx.remove(&matches, key),
        }
    }
    if matches!(noted, Noted::Changed | Noted::Forgotten) {
        purge::owe(tx, &[keys::MATCHES])?;
    }
    Ok(noted)
}
