//! A file's lines become visitors in categories.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mayfly_core::{CategoryId, Partition, Partner, Timestamp, Visitor};
use mayfly_export::{ImportRow, Read1, read_import};
use mayfly_store::delivered::NOBODY;
use roaring::RoaringBitmap;
use tokio::sync::mpsc;

use super::changes::is_over;
use super::{Import, ImportMode, Receipt};
use crate::app::App;
use crate::http::ApiError;

/// Lines whose ids are looked up at a time.
const CHUNK: usize = 4096;

/// Whom a file names.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Who is in which category, and who is not.
    pub(super) pairs: BTreeMap<(CategoryId, Partition), (RoaringBitmap, RoaringBitmap)>,
    /// Everyone.
    pub(super) visitors: BTreeMap<Partition, RoaringBitmap>,
    /// The categories that are spoken of, whether or not anybody in them is known.
    pub(super) categories: BTreeSet<CategoryId>,
}

impl Named {
    /// These are spoken of.
    fn see(&mut self, visitors: impl IntoIterator<Item = Visitor>) {
        for Visitor { partition, ordinal } in visitors {
            self.visitors.entry(partition).or_default().insert(ordinal);
        }
    }

    /// Notes a pair, the last of its kind counts; whether it says something new.
    fn note(&mut self, category: CategoryId, visitor: Visitor, is_in: bool) -> bool {
        let Visitor { partition, ordinal } = visitor;
        let (inside, outside) = self.pairs.entry((category, partition)).or_default();
        let (to, from) = if is_in { (inside, outside) } else { (outside, inside) };
        let was_other = from.remove(ordinal);
        to.insert(ordinal) && !was_other
    }
}

/// What a code stands for.
#[derive(Clone, Copy)]
enum Audience {
    Open(CategoryId),
    Over,
    Sensitive,
}

/// Rows of open audiences with their categories, and the ids of those that are of none.
fn sorted(
    rows: Vec<Read1>,
    asked: &Import,
    audiences: &HashMap<Box<str>, Audience>,
    (named, receipt): (&mut Named, &mut Receipt),
) -> (Vec<(CategoryId, ImportRow)>, Vec<Box<str>>) {
    let mut known: Vec<(CategoryId, ImportRow)> = Vec::with_capacity(rows.len());
    let mut others: Vec<Box<str>> = Vec::new();
    for row in rows {
        let row = match row {
            Ok(row) => row,
            Err(bad) => {
                receipt.note_bad(bad);
                continue;
            }
        };
        receipt.counts.received += 1;
        let code = row.code.as_deref().or(asked.code.as_deref());
        match code.and_then(|code| audiences.get(code)) {
            Some(Audience::Open(category)) => {
                named.categories.insert(*category);
                known.push((*category, row));
                continue;
            }
            Some(Audience::Over) => receipt.counts.licence_over += 1,
            Some(Audience::Sensitive) => receipt.counts.sensitive += 1,
            None => receipt.note_unknown(code),
        }
        others.push(row.uid);
    }
    (known, others)
}

impl App {
    /// Reads a file, a chunk at a time.
    pub(super) async fn read_import(
        &self,
        asked: &Import,
        partner: &Partner,
        now: Timestamp,
    ) -> Result<(Named, Receipt), ApiError> {
        let audiences = self.audiences_of(asked, partner, now)?;
        let suppressed = self.suppressed().await?;
        let mut receipt = Receipt {
            partner: partner.key.to_string(),
            name: asked.name.clone(),
            bytes: asked.bytes,
            sha256: asked.sha256.clone(),
            format: Some(asked.format),
            mode: asked.mode,
            by: asked.by.clone(),
            began_ms: now.millis(),
            ..Receipt::default()
        };
        let mut named = Named::default();
        let (tell, mut told) = mpsc::channel(2);
        let (path, format) = (asked.file.clone(), asked.format);
        let reading = tokio::task::spawn_blocking(move || {
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = read_import(&path, format, |row| {
                chunk.push(row);
                let is_full = chunk.len() >= CHUNK;
                !is_full || tell.blocking_send(std::mem::take(&mut chunk)).is_ok()
            });
            // Nobody listens any more when the question was given up.
            tell.blocking_send(chunk).unwrap_or_default();
            read
        });
        while let Some(rows) = told.recv().await {
            let (known, others) = sorted(rows, asked, &audiences, (&mut named, &mut receipt));
            if asked.mode == ImportMode::OverwriteUsers {
                // Whatever it says of them, they are named.
                let others: Vec<&str> = others.iter().map(|uid| &**uid).collect();
                let found = self.whose(asked, partner, &others, now).await?;
                named.see(found.into_iter().flatten());
            }
            let uids: Vec<&str> = known.iter().map(|(_, row)| &*row.uid).collect();
            let visitors = self.whose(asked, partner, &uids, now).await?;
            for ((category, row), visitor) in known.iter().zip(visitors) {
                let Some(visitor) = visitor else {
                    receipt.counts.unknown_id += 1;
                    continue;
                };
                named.see([visitor]);
                let no = suppressed.get(&visitor.partition);
                if row.is_in && no.is_some_and(|no| no.contains(visitor.ordinal)) {
                    receipt.counts.suppressed += 1;
                } else if !named.note(*category, visitor, row.is_in) {
                    receipt.counts.repeated += 1;
                }
            }
        }
        // A file that makes its reader panic is no file of its format.
        let read = reading.await.map_err(|_| ApiError::Panicked)?;
        read.map_err(|source| ApiError::Import { source })?;
        Ok((named, receipt))
    }

    /// What the partner's codes stand for; the category of lines without a code must be there.
    fn audiences_of(
        &self,
        asked: &Import,
        partner: &Partner,
        now: Timestamp,
    ) -> Result<HashMap<Box<str>, Audience>, ApiError> {
        let active = self.active();
        let definitions = active.definitions();
        let all = definitions.imports_of(partner.id).map(|(category, import)| {
            let audience = if definitions.is_sensitive(category.id) {
                Audience::Sensitive
            } else if is_over(import, now) {
                Audience::Over
            } else {
                Audience::Open(category.id)
            };
            (import.code.clone(), audience)
        });
        let all: HashMap<Box<str>, Audience> = all.collect();
        if all.is_empty() {
            return Err(ApiError::NothingImported { partner: partner.key.to_string() });
        }
        match &asked.code {
            Some(code) if !all.contains_key(code.as_str()) => {
                Err(ApiError::NoAudience { partner: partner.key.to_string(), code: code.clone() })
            }
            Some(_) | None => Ok(all),
        }
    }

    /// Who said no within the retention, or is about to be erased.
    async fn suppressed(&self) -> Result<BTreeMap<Partition, RoaringBitmap>, ApiError> {
        let mut all = BTreeMap::new();
        for partition in self.partitions() {
            let rows = self.store().sent(NOBODY, partition).await?;
            let noes = rows.iter().fold(self.hidden(partition), |all, row| all | row.all());
            all.insert(partition, noes);
        }
        Ok(all)
    }

    /// Whom ids stand for, in their order.
    async fn whose(
        &self,
        asked: &Import,
        partner: &Partner,
        uids: &[&str],
        now: Timestamp,
    ) -> Result<Vec<Option<Visitor>>, ApiError> {
        let found = match &asked.ids {
            None => self.of_partner_all(partner.id, uids, now).await?,
            Some(space) => {
                let ids = uids.iter().map(|uid| self.collector().foreign_id(space, uid));
                let ids: Option<Vec<_>> = ids.collect();
                self.store().lookup_ids(&ids.ok_or(ApiError::Starting)?).await?
            }
        };
        let slots = self.slots();
        let is_erased = |visitor: &Visitor| {
            let own = slots.iter().find(|slot| slot.partition() == visitor.partition);
            own.is_some_and(|slot| slot.has_erased(visitor.ordinal))
        };
        Ok(found.into_iter().map(|own| own.filter(|own| !is_erased(own))).collect())
    }
}
