//! `[category.import]`: a category that a partner fills, by file or API, and under which terms.

use jiff::civil::Date;
use mayfly_core::{CategoryId, PartnerId, limits};
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use super::export::{line, quoted};
use super::table::{PlacedText, Table};
use super::{Category, Definitions};
use crate::problem::{Fault, ImportFault, ProblemKind};

/// Who fills a category, and under which terms. Nothing else falls in it, and it counts in no other
/// category: what was licensed stays apart from what was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    /// Whose data it is.
    pub partner: PartnerId,
    /// What the partner calls it in its files.
    pub code: Box<str>,
    /// On which basis the partner may pass it on, and we may use it.
    pub basis: Box<str>,
    /// The last day of the licence, UTC; on the day after, nobody is in the category any more.
    pub ends: Option<Date>,
    /// What it costs, by thousand impressions.
    pub price: Option<Price>,
}

/// A price by thousand impressions (CPM).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Price {
    /// Millionths of the currency's unit.
    pub micros: u64,
    /// ISO 4217, as `EUR`.
    pub currency: Box<str>,
}

impl Price {
    /// Reads `1.20 EUR`: at most six digits after the point.
    ///
    /// ```
    /// use mayfly_segments::definitions::Price;
    ///
    /// let price = Price::parse("1.20 EUR").unwrap();
    /// assert_eq!((price.micros, price.to_string()), (1_200_000, "1.20 EUR".to_owned()));
    /// assert!(Price::parse("1,20 EUR").is_none() && Price::parse("1.20").is_none());
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (number, currency) = text.split_once(' ')?;
        let is_code = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !is_code || whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
            return None;
        }
        let whole: u64 = whole.parse().ok()?;
        let part: u64 = format!("{part:0<6}").parse().ok()?;
        let micros = whole.checked_mul(1_000_000)?.checked_add(part)?;
        Some(Self { micros, currency: currency.into() })
    }
}

impl std::fmt::Display for Price {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = format!("{:06}", self.micros % 1_000_000);
        let part = part.trim_end_matches('0');
        write!(f, "{}.{part:0<2} {}", self.micros / 1_000_000, self.currency)
    }
}

impl Definitions {
    /// The categories that a partner fills.
    pub fn imports_of(&self, partner: PartnerId) -> impl Iterator<Item = (&Category, &Import)> {
        let all = self.categories().filter_map(|own| Some((own, own.import.as_ref()?)));
        all.filter(move |(_, import)| import.partner == partner)
    }

    /// Whether the category is filled by a partner.
    #[must_use]
    pub fn is_imported(&self, id: CategoryId) -> bool {
        self.category(id).is_some_and(|own| own.import.is_some())
    }

    /// The lines of a definitions file.
    pub(super) fn export_import(&self, out: &mut String, import: &Import) {
        let partner = self.partner_by_id(import.partner).map(|own| &*own.key);
        line(out, "[category.import]\npartner", &quoted(partner.unwrap_or_default()));
        line(out, "code", &quoted(&import.code));
        line(out, "basis", &quoted(&import.basis));
        if let Some(ends) = import.ends {
            line(out, "ends", &ends.to_string());
        }
        if let Some(price) = &import.price {
            line(out, "price", &quoted(&price.to_string()));
        }
    }
}

/// As it is written: the partner is not known yet.
#[derive(Clone, Debug)]
pub(crate) struct ImportItem {
    pub(crate) partner: PlacedText,
    pub(crate) code: PlacedText,
    pub(crate) import: Import,
}

/// Reads the table.
pub(super) fn import(
    of: &mut Table<'_, '_>,
    has_rules: bool,
    faults: &mut Vec<Fault>,
) -> Option<ImportItem> {
    const KEYS: [&str; 5] = ["partner", "code", "basis", "ends", "price"];
    let (table, span): (&DeTable<'_>, _) = of.table("import")?;
    if has_rules {
        of.fault(ProblemKind::Import { fault: ImportFault::Rules }, span.clone());
    }
    let mut table = Table::new("category.import", table, span, &KEYS);
    let partner = table.need_text("partner");
    let (code, basis) = (table.need_text("code"), table.need_text("basis"));
    let ends = table.calendar_day("ends");
    let price = price(&mut table);
    let is_code = |text: &str| is_term(text) && text.len() <= limits::PARTNER_UID_BYTES;
    for (what, text, is_sound) in
        [("code", &code, &is_code as &dyn Fn(&str) -> bool), ("basis", &basis, &is_term)]
    {
        if let Some(text) = text.as_ref().filter(|text| !is_sound(&text.value)) {
            let name = text.value.clone();
            table.fault(ProblemKind::BadName { what, name }, text.span.clone());
        }
    }
    faults.extend(table.faults());
    let (partner, code, basis) = (partner?, code?, basis?.value);
    let own = Import { partner: PartnerId(0), code: code.value.clone(), basis, ends, price };
    Some(ImportItem { partner, code, import: own })
}

/// What it costs.
pub(super) fn price(table: &mut Table<'_, '_>) -> Option<Price> {
    let text = table.text("price")?;
    let price = Price::parse(&text.value);
    if price.is_none() {
        let fault = ImportFault::Price { text: text.value };
        table.fault(ProblemKind::Import { fault }, text.span);
    }
    price
}

/// Whether a text may stand for an agreement.
pub(super) fn is_term(text: &str) -> bool {
    let length = text.chars().count();
    let is_some = (1..=limits::BASIS_CHARS).contains(&length);
    is_some && text.trim() == text && !text.contains(char::is_control)
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportRow {
    partner: u32,
    code: Box<str>,
    basis: Box<str>,
    ends: Option<Date>,
    price: Option<Price>,
}

impl From<Import> for ImportRow {
    fn from(Import { partner, code, basis, ends, price }: Import) -> Self {
        Self { partner: partner.0, code, basis, ends, price }
    }
}

impl From<ImportRow> for Import {
    fn from(ImportRow { partner, code, basis, ends, price }: ImportRow) -> Self {
        Self { partner: PartnerId(partner), code, basis, ends, price }
    }
}
