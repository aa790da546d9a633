//! Applying destinations.

use super::Draft;
use crate::definitions::file::{DestinationItem, MappedItem};
use crate::destination::way::FilesSettings;
use crate::destination::{Destination, DestinationId, Mapped};
use crate::problem::{DestinationFault, ProblemKind, nearest};

impl Draft {
    /// One destination, once partners and segments are known.
    pub(super) fn destination(&mut self, item: &DestinationItem) {
        let named = |name: &str| self.new.destination(name).map(|own| own.id);
        let before = || item.was.iter().find_map(|was| named(&was.value));
        let id = named(&item.name.value).or_else(before).unwrap_or_else(|| {
            let id = DestinationId(self.new.next_destination);
            self.new.next_destination = self.new.next_destination.saturating_add(1);
            id
        });
        if !self.destinations.insert(id) {
            return self.twice("destination", &item.name);
        }
        let partner = match self.new.partner(&item.partner.value) {
            Some(partner) => partner.id,
            None => {
                let keys = self.new.partners().map(|own| &*own.key);
                let (name, nearest) =
                    (item.partner.value.clone(), nearest(&item.partner.value, keys));
                let kind = ProblemKind::UnknownPartner { name, nearest };
                return self.fault(kind, &item.partner.span);
            }
        };
        let mapping = self.mapping(&item.segments);
        let was = self.new.destinations.get(&id).map(|own| (own.name.clone(), own.was.clone()));
        let was = was.map_or_else(Vec::new, |(name, mut was)| {
            if name != item.name.value && !was.contains(&name) {
                was.push(name);
            }
            was
        });
        let own = Destination { id, partner, mapping, was, ..item.destination.clone() };
        if let Some(what) = self.new.destinations.get(&id).and_then(|old| moved(old, &own)) {
            let fault = DestinationFault::Kept { what };
            return self.fault(ProblemKind::Destination { fault }, &item.name.span);
        }
        if let Some(FilesSettings { folder, .. }) = own.way.files() {
            let mut others = self.new.destinations.values().filter(|other| other.id != id);
            let is_same = |files: &FilesSettings| files.folder == *folder;
            let other = others.find(|other| other.way.files().is_some_and(is_same));
            if let Some(other) = other.map(|other| other.name.clone()) {
                let fault = DestinationFault::SameFolder { other };
                return self.fault(ProblemKind::Destination { fault }, &item.way_place);
            }
        }
        self.new.destinations.insert(id, own);
    }

    fn mapping(&mut self, items: &[MappedItem]) -> Vec<Mapped> {
        let mut mapping: Vec<Mapped> = Vec::with_capacity(items.len());
        for MappedItem { segment, mapped, .. } in items {
            let Some(found) = self.new.segment_named(&segment.value).map(|own| own.id) else {
                let nearest = self.new.nearest_segment(&segment.value);
                let kind = ProblemKind::UnknownSegment { name: segment.value.clone(), nearest };
                self.fault(kind, &segment.span);
                continue;
            };
            let own = Mapped { segment: found, ..mapped.clone() };
            if mapping.contains(&own) {
                self.twice("mapping of segment", segment);
            }
            mapping.push(own);
        }
        mapping
    }

    /// What is mapped to segments that are gone goes, too.
    pub(super) fn unmap(&mut self) {
        let segments = &self.new.segments;
        for own in self.new.destinations.values_mut() {
            own.mapping.retain(|mapped| segments.contains_key(&mapped.segment));
        }
    }
}

/// What of a destination would make it another one: those who were sent there could not be told
/// to leave any more.
fn moved(old: &Destination, new: &Destination) -> Option<&'static str> {
    if old.partner != new.partner {
        Some("partner")
    } else if old.ids != new.ids {
        Some("ids")
    } else if old.way.label() != new.way.label() {
        Some("way")
    } else {
        None
    }
}
