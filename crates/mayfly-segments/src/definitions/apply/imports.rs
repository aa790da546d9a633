//! Applying who fills categories, once all partners are known.

use super::Draft;
use crate::definitions::file::CategoryItem;
use crate::definitions::tree::tidy;
use crate::definitions::{Category, Import};
use crate::problem::{ImportFault, ProblemKind, nearest};

impl Draft {
    /// Who fills the category of an item; nobody where it does not say.
    pub(super) fn import(&mut self, item: &CategoryItem) {
        let Some(id) = self.new.id_of_present_path(&tidy(&item.name.value)) else { return };
        let mut own = None;
        if let Some(said) = &item.import {
            let Some(partner) = self.new.partner(&said.partner.value).map(|own| own.id) else {
                let keys = self.new.partners().map(|own| &*own.key);
                let nearest = nearest(&said.partner.value, keys);
                let kind =
                    ProblemKind::UnknownPartner { name: said.partner.value.clone(), nearest };
                return self.fault(kind, &said.partner.span);
            };
            let is_same = |(other, own): &(&Category, &Import)| {
                other.id != id && *own.code == *said.code.value
            };
            let same = self.new.imports_of(partner).find(is_same).map(|(other, _)| other.id);
            if let Some(other) = same.map(|other| self.new.path(other)) {
                let fault = ImportFault::SameCode { other: other.into() };
                return self.fault(ProblemKind::Import { fault }, &said.code.span);
            }
            let before = self.new.category(id).and_then(|own| own.import.as_ref());
            if before.is_some_and(|before| before.partner != partner) {
                let kind = ProblemKind::Import { fault: ImportFault::Kept };
                return self.fault(kind, &said.partner.span);
            }
            own = Some(Import { partner, ..said.import.clone() });
        }
        if let Some(category) = self.new.categories.edit(id) {
            category.import = own;
        }
    }
}
