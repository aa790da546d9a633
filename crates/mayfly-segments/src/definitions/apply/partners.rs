//! Applying partners, and which of them a site's browsers are sent to.

use mayfly_core::{Partner, PartnerId};

use super::Draft;
use crate::definitions::file::{PartnerItem, SiteItem};
use crate::definitions::table::PlacedText;
use crate::problem::{PartnerFault, ProblemKind, nearest};

impl Draft {
    /// The partners of a site, once all are known.
    pub(super) fn sync(&mut self, item: &SiteItem) {
        let mut sync = Vec::new();
        for PlacedText { value, span } in &item.sync {
            match self.new.partner(value) {
                Some(partner) if sync.contains(&partner.id) => {}
                Some(partner) => sync.push(partner.id),
                None => {
                    let nearest = nearest(value, self.new.partners().map(|own| &*own.key));
                    self.fault(ProblemKind::UnknownPartner { name: value.clone(), nearest }, span);
                }
            }
        }
        let key = &item.key.value;
        let own = self.new.sites.values_mut().find(|entry| entry.site.key == *key);
        if let Some(entry) = own {
            entry.site.sync = sync;
        }
    }

    pub(super) fn partner(&mut self, item: &PartnerItem) {
        let named = |key: &str| self.new.partner(key).map(|own| own.id);
        let before = || item.was.iter().find_map(|was| named(&was.value));
        let id = named(&item.key.value).or_else(before).unwrap_or_else(|| {
            let id = PartnerId(self.new.next_partner);
            self.new.next_partner = self.new.next_partner.saturating_add(1);
            id
        });
        if !self.partners.insert(id) {
            return self.twice("partner", &item.key);
        }
        let own = Partner { id, ..item.partner.clone() };
        let clash = self.new.partners().filter(|other| other.id != id).find_map(|other| {
            let names = [&*own.key, own.bidder()];
            let name = names.into_iter().find(|name| other.is_called(name))?;
            Some(PartnerFault::Called { name: name.into(), other: other.key.clone() })
        });
        if let Some(fault) = clash {
            return self.fault(ProblemKind::Partner { fault }, &item.bidder_place);
        }
        self.new.partners.insert(id, own);
    }
}
