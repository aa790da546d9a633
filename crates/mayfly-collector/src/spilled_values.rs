//! Pages and consent states in the spill: what a batch behind them refers to, when the store was
//! away before it could intern them. Bytes: version 1, then MessagePack of [`Row`], positional.

use mayfly_core::{ConsentState, Day, Page, Partition, Visitor};
use mayfly_store::{Reader, ToIntern};
use serde::{Deserialize, Serialize};

/// Version byte.
const VERSION: u8 = 1;

/// What was to be interned, each with its day.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct SpilledValues {
    pub(crate) pages: Vec<(Page, Day, Reader)>,
    pub(crate) consents: Vec<(ConsentState, Day)>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    pages: Vec<PageRow>,
    /// Day, and Global Privacy Control.
    consents: Vec<(u16, Option<bool>)>,
}

#[derive(Serialize, Deserialize)]
struct PageRow {
    day: u16,
    /// Partition and ordinal.
    reader: Option<(u16, u32)>,
    url: Box<str>,
    title: Box<str>,
    keywords: Vec<Box<str>>,
    categories: Vec<Box<str>>,
}

impl SpilledValues {
    /// What a group found missing.
    pub(crate) fn of(missing: &ToIntern<'_>) -> Self {
        Self {
            pages: missing.pages.iter().map(|&(page, day, by)| (page.clone(), day, by)).collect(),
            consents: missing.consents.iter().map(|&(c, day)| (c.clone(), day)).collect(),
        }
    }

    /// The same, for the store.
    pub(crate) fn to_intern(&self) -> ToIntern<'_> {
        ToIntern {
            pages: self.pages.iter().map(|(page, day, by)| (page, *day, *by)).collect(),
            consents: self.consents.iter().map(|(c, day)| (c, *day)).collect(),
        }
    }

    /// The record's bytes.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        let page = |(page, day, reader): &(Page, Day, Reader)| PageRow {
            day: day.0,
            reader: reader.map(|visitor| (visitor.partition.0, visitor.ordinal)),
            url: page.url.clone(),
            title: page.title.clone(),
            keywords: page.keywords.clone(),
            categories: page.categories.clone(),
        };
        let row = Row {
            pages: self.pages.iter().map(page).collect(),
            consents: self.consents.iter().map(|(c, day)| (day.0, c.gpc)).collect(),
        };
        let mut bytes = vec![VERSION];
        rmp_serde::encode::write(&mut bytes, &row)?;
        Ok(bytes)
    }

    /// Reads [`Self::to_bytes`]; `None` for other bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let row: Row = rmp_serde::from_slice(bytes.strip_prefix(&[VERSION])?).ok()?;
        let page = |row: PageRow| {
            let PageRow { day, reader, url, title, keywords, categories } = row;
            let reader = reader.map(|(p, ordinal)| Visitor { partition: Partition(p), ordinal });
            (Page { url, title, keywords, categories }, Day(day), reader)
        };
        let consent = |(day, gpc)| (ConsentState { gpc }, Day(day));
        Some(Self {
            pages: row.pages.into_iter().map(page).collect(),
            consents: row.consents.into_iter().map(consent).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_their_bytes() {
        let page = Page {
            url: "https://n.example/".into(),
            title: "t".into(),
            keywords: vec!["k".into()],
            categories: vec!["c".into()],
        };
        let reader = Visitor { partition: Partition(7), ordinal: 9 };
        let consents = vec![(ConsentState { gpc: Some(false) }, Day(2))];
        let values = SpilledValues {
            pages: vec![(page.clone(), Day(1), None), (page, Day(3), Some(reader))],
            consents,
        };
        let bytes = values.to_bytes().unwrap();
        assert_eq!(SpilledValues::from_bytes(&bytes), Some(values));
        assert_eq!(SpilledValues::from_bytes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(SpilledValues::from_bytes(&[]), None);
    }
}
