//! A known visitor's no: kept in bounded memory until whoever works on the store asks whether it
//! takes back an earlier yes ([`mayfly_core::consent::withdraws`]).

use std::collections::VecDeque;
use std::sync::PoisonError;

use mayfly_core::{Choice, Denial, Refusal, Site, SiteId, Timestamp, Visitor, limits};
use mayfly_store::ForeignId;

use crate::collector::Collector;

/// Whose no it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WhoseNo {
    /// His cookie, or the id that the tag keeps, said so.
    Visitor(Visitor),
    /// A server named him.
    Foreign(ForeignId),
}

/// A choice under which a hit of a known visitor was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct No {
    /// Whose.
    pub who: WhoseNo,
    /// The site that was told.
    pub site: SiteId,
    /// Why the hit was refused.
    pub refusal: Refusal,
    /// What he chose.
    pub choice: Choice,
    /// When.
    pub at: Timestamp,
}

impl Collector {
    /// Keeps a no that may be a withdrawal, or that forbids passing anything on: one of a visitor
    /// who has chosen.
    pub(crate) fn note_no(&self, who: WhoseNo, site: &Site, denial: &Denial, at: Timestamp) {
        let Denial::Consent(refusal, choice) = denial else { return };
        let has_string = choice.tcf.is_some() || choice.gpp.is_some();
        if *refusal == Refusal::PreChoice || !has_string && !refusal.is_choice() {
            return;
        }
        let mut noes = self.noes().lock().unwrap_or_else(PoisonError::into_inner);
        if noes.iter().any(|no| no.who == who && no.site == site.id) {
            return;
        }
        // The oldest goes: a visitor who is still here says so again.
        if noes.len() >= limits::NOES {
            noes.pop_front();
        }
        let (refusal, choice) = (*refusal, (**choice).clone());
        noes.push_back(No { who, site: site.id, refusal, choice, at });
    }

    /// The noes that came since the last call.
    #[must_use]
    pub fn take_noes(&self) -> VecDeque<No> {
        std::mem::take(&mut *self.noes().lock().unwrap_or_else(PoisonError::into_inner))
    }
}
