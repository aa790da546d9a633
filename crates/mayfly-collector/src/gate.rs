//! What every hit passes before it is queued, wherever it came from: automata, hygiene, the gate,
//! behaviour.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use mayfly_core::{
    Admitted, Attribute, Candidate, Client, Context, Denial, Gate, Hit, Outcome, Site,
};
use mayfly_core::{Timestamp, Visitor};

use crate::behaviour::Noted;
use crate::collector::Collector;
use crate::enrichment::{self, Geography};
use crate::hygiene;
use crate::refusal::{Reason, Verdict};

impl Collector {
    /// What is known of a request.
    pub(crate) fn context(
        &self,
        client: Client,
        language: Option<&str>,
        address: Option<IpAddr>,
    ) -> Context {
        enrichment::context(client, language, address, self.geography().as_deref())
    }

    /// Takes out of a hit what may not be stored, and lets it through the gate.
    pub(crate) fn admit(
        &self,
        mut candidate: Candidate,
        fleeting: &[Attribute],
        site: &Site,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Admitted, Denial> {
        let sites = self.sites();
        let sensitive = sites.arrival().sensitive(&candidate, site.id, fleeting);
        let stripped = hygiene::tidy(&mut candidate, site, sites.arrival());
        let gate = Gate { site, now, retention: self.config().retention };
        let mut hit = Hit::admit(candidate, &gate)?;
        if !sensitive.is_empty() {
            hit.forget_page();
        }
        let fired = sites.arrival().fired(&hit, site.id, fleeting);
        hit.set_fired(fired);
        if let (Some(networks), Some(address)) = (self.networks(), address) {
            hit.set_network(networks.token(address, hit.day(), now));
        }
        self.signals_cell().note(&hit, site.id, &stripped);
        self.metrics().count_stripped(&stripped);
        Ok(hit)
    }

    /// Refuses what a browser sent twice, and who is faster than a person.
    pub(crate) fn behaves(
        &self,
        hit: &Admitted,
        visitor: Visitor,
        site: &Site,
        now: Timestamp,
    ) -> Result<Noted, Verdict> {
        let behaviour = self.behaviour();
        if !site.keeps_bots && behaviour.is_too_fast(visitor, now) {
            return Err(Reason::TooFast.into());
        }
        behaviour.note(hit, visitor, now).ok_or_else(|| Outcome::Duplicate.into())
    }

    /// The operator's file of networks, as it is now; `None` = countries are unknown.
    pub fn set_geography(&self, file: Option<Geography>) {
        let own = self.geography_cell();
        *own.write().unwrap_or_else(PoisonError::into_inner) = file.map(Arc::new);
    }

    fn geography(&self) -> Option<Arc<Geography>> {
        self.geography_cell().read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
