//! News of matches: who has an id at the partner now, and whose went. What every destination was
//! told is forgotten.

use mayfly_core::{Partition, Timestamp};
use mayfly_store::{EntryId, MatchNews, Sent, StoreError};
use roaring::RoaringBitmap;

use super::audience::{Desk, NotNow};
use super::ledger::read;
use super::record::{STANDING, Standing};
use super::runner::Runner;
use crate::app::App;

/// News of matches read at a time.
const NEWS_AT_ONCE: usize = 10_000;

/// An id that is nobody's any more, and where its news stand.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    pub(super) partition: Partition,
    pub(super) at: EntryId,
    pub(super) uid: Box<str>,
}

impl Runner {
    /// Reads news of matches: who has an id now is to be sent, and whose went is to be removed.
    pub(super) async fn read_news(&mut self, now: Timestamp) -> Result<Vec<Gone>, NotNow> {
        let is_first = self.standing.number == 0;
        let mut gone = Vec::new();
        let Some(desk) = &mut self.desk else { return Ok(gone) };
        if !desk.has_their_ids() {
            return Ok(gone);
        }
        let mut touched: Vec<(Partition, Box<str>)> = Vec::new();
        for partition in self.app.partitions() {
            let mut after = self.standing.told(partition);
            loop {
                let (store, partner) = (self.app.store(), desk.partner.id);
                let news = store.match_news(partition, partner, after, NEWS_AT_ONCE).await?;
                let is_last = news.len() < NEWS_AT_ONCE;
                for (at, news) in news {
                    after = at;
                    match news {
                        MatchNews::Matched(ordinal) => {
                            desk.note_matched(partition, ordinal);
                            touched.extend(desk.forget_sent(partition, ordinal));
                        }
                        MatchNews::Gone(uid) if !is_first => {
                            gone.push(Gone { partition, at, uid });
                        }
                        MatchNews::Gone(_) => {}
                    }
                }
                if is_last {
                    break;
                }
            }
            // The last of them was told: so was what came after it.
            match gone.iter_mut().rev().find(|own| own.partition == partition) {
                Some(last) => last.at = after,
                None => self.standing.set_told(partition, after),
            }
        }
        // Whose ids were told of as gone is nobody who could be told by his number; but somebody
        // else may be called so, too: he is told of again, after the removal.
        let uids: Vec<&str> = gone.iter().map(|own| &*own.uid).collect();
        for other in desk.called(&uids, now).await?.into_iter().flatten() {
            touched.extend(desk.forget_sent(other.partition, other.ordinal));
        }
        forget_erased(&self.app, desk, &mut touched);
        touched.sort();
        touched.dedup();
        let row = |place: &(Partition, Box<str>)| Some((place.0, desk.sent.get(place)?.clone()));
        let rows: Vec<(Partition, Sent)> = touched.iter().filter_map(row).collect();
        self.app.store().put_sent(self.id.0, &rows, now).await?;
        Ok(gone)
    }

    /// News up to the newest were told: they can go when every destination was.
    pub(super) async fn tell_all(
        &mut self,
        are_told: bool,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        self.keep().await?;
        let Some(desk) = self.desk.as_ref().filter(|desk| desk.has_their_ids()) else {
            return Ok(());
        };
        if !are_told {
            return Ok(());
        }
        let active = self.app.active();
        let partner = desk.partner.id;
        let others = active.definitions().destinations();
        let others = others.filter(|own| own.partner == partner && own.ids == desk.destination.ids);
        let mut standings = Vec::new();
        for other in others.filter(|own| own.id != self.id) {
            let own: Option<Standing> = read(self.app.store(), other.id, STANDING).await?;
            standings.push(own.unwrap_or_default());
        }
        for partition in self.app.partitions() {
            let all = standings.iter().map(|own| own.told(partition));
            let upto = all.fold(self.standing.told(partition), Ord::min);
            if upto > EntryId::ZERO {
                self.app.store().forget_news(partition, partner, upto).await?;
            }
        }
        Ok(())
    }
}

impl Desk {
    /// A visitor has another id there than the one that was sent; the places that say so now.
    pub(super) fn forget_sent(
        &mut self,
        partition: Partition,
        ordinal: u32,
    ) -> Vec<(Partition, Box<str>)> {
        let own = RoaringBitmap::from_iter([ordinal]);
        let mut touched = Vec::new();
        for (place, sent) in self.sent.iter_mut().filter(|((of, _), _)| *of == partition) {
            if sent.until.values().any(|all| all.contains(ordinal)) {
                sent.remove(&own);
                touched.push(place.clone());
            }
        }
        touched
    }
}

/// Erased visitors were not sent to anybody.
fn forget_erased(app: &App, desk: &mut Desk, touched: &mut Vec<(Partition, Box<str>)>) {
    for slot in app.slots() {
        let erased = slot.erased();
        let own = desk.sent.iter_mut().filter(|((of, _), _)| *of == slot.partition());
        for (place, sent) in own {
            if sent.until.values().any(|all| !all.is_disjoint(&erased)) {
                sent.remove(&erased);
                touched.push(place.clone());
            }
        }
    }
}
