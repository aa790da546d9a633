//! Pages and consent states in the spill: what a batch behind them refers to, when the store was
//! away before it could intern them. Bytes: version 2, then MessagePack of [`Row`], positional;
//! version 1, whose consent states were Global Privacy Control alone, is read, too.

use mayfly_core::{Allowed, Choice, ConsentState, Day, Page, Partition, Visitor};
use mayfly_store::{Reader, ToIntern, decode_consent, encode_consent};
use serde::{Deserialize, Serialize};

/// Version byte.
const VERSION: u8 = 2;

/// What was to be interned, each with its day.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct SpilledValues {
    pub(crate) pages: Vec<(Page, Day, Reader)>,
    pub(crate) consents: Vec<(ConsentState, Day)>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    pages: Vec<PageRow>,
    /// Day, and the state's bytes as the store keeps them.
    consents: Vec<(u16, Vec<u8>)>,
}

#[derive(Deserialize)]
struct Row1 {
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
            consents: self
                .consents
                .iter()
                .map(|(state, day)| (day.0, encode_consent(state)))
                .collect(),
        };
        let mut bytes = vec![VERSION];
        rmp_serde::encode::write(&mut bytes, &row)?;
        Ok(bytes)
    }

    /// Reads [`Self::to_bytes`]; `None` for other bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, body) = bytes.split_first()?;
        let (pages, consents): (_, Option<Vec<_>>) = match *version {
            VERSION => {
                let row: Row = rmp_serde::from_slice(body).ok()?;
                let state =
                    |(day, bytes): (_, Vec<u8>)| Some((decode_consent(&bytes).ok()?, Day(day)));
                (row.pages, row.consents.into_iter().map(state).collect())
            }
            1 => {
                let row: Row1 = rmp_serde::from_slice(body).ok()?;
                let state = |(day, gpc)| {
                    let choice = Choice { gpc, ..Choice::default() };
                    (ConsentState { choice, allowed: Allowed::default() }, Day(day))
                };
                (row.pages, Some(row.consents.into_iter().map(state).collect()))
            }
            _ => return None,
        };
        let page = |row: PageRow| {
            let PageRow { day, reader, url, title, keywords, categories } = row;
            let reader = reader.map(|(p, ordinal)| Visitor { partition: Partition(p), ordinal });
            (Page { url, title, keywords, categories }, Day(day), reader)
        };
        Some(Self { pages: pages.into_iter().map(page).collect(), consents: consents? })
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
        let choice = Choice { tcf: Some("CX".into()), gpc: Some(false), ..Choice::default() };
        let consents = vec![(ConsentState { choice, ..ConsentState::default() }, Day(2))];
        let values = SpilledValues {
            pages: vec![(page.clone(), Day(1), None), (page, Day(3), Some(reader))],
            consents,
        };
        let bytes = values.to_bytes().unwrap();
        assert_eq!(SpilledValues::from_bytes(&bytes), Some(values));
        assert_eq!(SpilledValues::from_bytes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(SpilledValues::from_bytes(&[]), None);
        // Version 1: no pages, one state of day 2.
        let old = SpilledValues::from_bytes(&[1, 0x92, 0x90, 0x91, 0x92, 2, 0xc2]).unwrap();
        assert_eq!((old.consents[0].0.choice.gpc, old.consents[0].1), (Some(false), Day(2)));
    }
}
