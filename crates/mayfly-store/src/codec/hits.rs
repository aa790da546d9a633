//! Hits of one partition and day in columns: an entry of the log, or a sealed block.
//!
//! Both have the same form; a block differs only in being sorted by ordinal and time, which makes
//! its differences small. What many hits share (page, site, event, …) stands once in a table, and
//! the column holds its index; a column of nothing but zeros is empty.
//!
//! Constraints. The ordinals' column is never empty, so a row cannot claim more hits than it has
//! bytes. Order is kept.

use std::collections::HashMap;
use std::hash::Hash;

use mayfly_core::{
    Attribute, Browser, Campaign, CategoryId, Client, ConsentKey, Context, Day, Device, Event, Geo,
    Hit, HitParts, Language, NetworkToken, Os, PageKey, Partition, Referrer, ReferrerKind, SiteId,
    Value, Visitor, limits,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{corrupt, take_row, varint, versioned, versioned_row};
use crate::error::{Corruption, StoreError};

/// The stored row, field by field in this order.
#[derive(Serialize, Deserialize)]
struct HitsRow {
    /// Number of hits.
    hits: u32,
    /// Differences of the ordinals.
    ordinals: ByteBuf,
    /// Differences of the seconds of the day.
    seconds: ByteBuf,
    /// Page keys, eight bytes each, little-endian.
    page_table: ByteBuf,
    /// Index into the page table; its length = no page.
    pages: ByteBuf,
    /// Site numbers.
    site_table: Vec<u32>,
    sites: ByteBuf,
    /// Names of events; the empty name is `page_view`.
    event_table: Vec<Box<str>>,
    events: ByteBuf,
    /// Engaged seconds.
    engaged: ByteBuf,
    /// Host and kind (its place in `ReferrerKind::ALL`).
    referrer_table: Vec<(Box<str>, u8)>,
    referrers: ByteBuf,
    /// Keys of consent states.
    consent_table: Vec<u64>,
    consents: ByteBuf,
    /// What few hits have; not written when none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extras: Option<Extras>,
}

/// The version of these rows. Version 1 had the first three extras only, and their columns were
/// never empty.
const VERSION: u8 = 2;

/// What few hits have.
#[derive(Serialize, Deserialize, Default)]
struct Extras {
    /// Names and values.
    attribute_table: Vec<(Box<str>, ValueRow)>,
    /// For each hit the number of its attributes, then an index for each.
    attributes: ByteBuf,
    /// For each hit the number of its fired categories, then the number of each.
    fired: ByteBuf,
    /// What is known of requests.
    #[serde(default)]
    context_table: Vec<ContextRow>,
    /// Index into it, 0 = nothing, 1 = its first.
    #[serde(default)]
    contexts: ByteBuf,
    /// Source, medium, name.
    #[serde(default)]
    campaign_table: Vec<(Box<str>, Box<str>, Box<str>)>,
    /// Index into it, 0 = none, 1 = its first.
    #[serde(default)]
    campaigns: ByteBuf,
    /// Network tokens. This and the next are written only where a hit has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    network_table: Vec<u64>,
    /// Index into it, 0 = none, 1 = its first.
    #[serde(default, skip_serializing_if = "is_empty")]
    networks: ByteBuf,
}

fn is_empty(bytes: &ByteBuf) -> bool {
    bytes.is_empty()
}

/// Device, system, browser (each its place in its `ALL`), language, country, region.
#[derive(Serialize, Deserialize)]
struct ContextRow(u8, u8, u8, Box<str>, Box<str>, Box<str>);

/// An attribute's value: a MessagePack float or text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ValueRow {
    Number(f64),
    Text(Box<str>),
}

/// A table of distinct values in the order of their first use.
struct Table<K> {
    index: HashMap<K, u32>,
    keys: Vec<K>,
}

impl<K: Clone + Eq + Hash> Table<K> {
    fn new() -> Self {
        Self { index: HashMap::new(), keys: Vec::new() }
    }

    /// The key's index; new keys go to the end.
    fn index_of(&mut self, key: K) -> u32 {
        let next = self.keys.len() as u32;
        *self.index.entry(key).or_insert_with_key(|key| {
            self.keys.push(key.clone());
            next
        })
    }
}

/// Encodes hits of one partition and day, in this order.
pub(crate) fn encode(hits: &[&Hit]) -> Vec<u8> {
    let (page_table, pages) = pages(hits);
    let (mut sites, mut events) = (Table::new(), Table::new());
    let (mut referrers, mut consents) = (Table::new(), Table::new());
    let mut columns: [Vec<u32>; 5] = Default::default();
    for hit in hits {
        let name = if hit.event == Event::PageView { "" } else { hit.event.name() };
        let row = [
            sites.index_of(hit.site.0),
            events.index_of(name),
            u32::from(hit.engaged_s),
            referrers.index_of((&*hit.referrer.host, hit.referrer.kind as u8)),
            consents.index_of(hit.consent.0),
        ];
        columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
    }
    let [sites_of, events_of, engaged, referrers_of, consents_of] =
        columns.map(|column| ByteBuf::from(varint::column(&column)));
    let row = HitsRow {
        hits: hits.len() as u32,
        ordinals: varint::deltas(hits.iter().map(|h| h.visitor.ordinal)).into(),
        seconds: varint::deltas(hits.iter().map(|h| h.time.second_of_day())).into(),
        page_table,
        pages,
        site_table: sites.keys,
        sites: sites_of,
        event_table: events.keys.into_iter().map(Into::into).collect(),
        events: events_of,
        engaged,
        referrer_table: referrers.keys.into_iter().map(|(h, k)| (h.into(), k)).collect(),
        referrers: referrers_of,
        consent_table: consents.keys,
        consents: consents_of,
        extras: extras(hits),
    };
    versioned_row(VERSION, &row)
}

/// Page table and column.
fn pages(hits: &[&Hit]) -> (ByteBuf, ByteBuf) {
    let mut table = Table::new();
    let indexes: Vec<Option<u32>> =
        hits.iter().map(|h| h.page.map(|page| table.index_of(page.0))).collect();
    let none = table.keys.len() as u32;
    let column: Vec<u32> = indexes.into_iter().map(|i| i.unwrap_or(none)).collect();
    let bytes: Vec<u8> = table.keys.iter().flat_map(|key| key.to_le_bytes()).collect();
    (bytes.into(), varint::column(&column).into())
}

/// What few hits have; `None` when no hit has any of it.
fn extras(hits: &[&Hit]) -> Option<Extras> {
    let (attribute_table, attributes) = attributes(hits);
    let (mut contexts, mut campaigns) = (Table::new(), Table::new());
    let mut networks = Table::new();
    let context_of: Vec<u32> = hits
        .iter()
        .map(|h| Context { network: None, ..h.context })
        .map(|c| if c == Context::default() { 0 } else { contexts.index_of(c) + 1 })
        .collect();
    let network_of: Vec<u32> = hits
        .iter()
        .map(|h| h.context.network.map_or(0, |token| networks.index_of(token.0) + 1))
        .collect();
    let campaign_of: Vec<u32> = hits
        .iter()
        .map(|h| h.referrer.campaign.as_deref().map_or(0, |c| campaigns.index_of(c) + 1))
        .collect();
    let extras = Extras {
        attribute_table,
        attributes: attributes.into(),
        fired: fired(hits).into(),
        context_table: contexts.keys.into_iter().map(context_row).collect(),
        contexts: varint::column(&context_of).into(),
        campaign_table: campaigns
            .keys
            .into_iter()
            .map(|c| (c.source.clone(), c.medium.clone(), c.name.clone()))
            .collect(),
        campaigns: varint::column(&campaign_of).into(),
        network_table: networks.keys,
        networks: varint::column(&network_of).into(),
    };
    let Extras { attributes, fired, contexts, campaigns, networks, .. } = &extras;
    let columns = [attributes, fired, contexts, campaigns, networks];
    let has_any = columns.into_iter().any(|column| !column.is_empty());
    has_any.then_some(extras)
}

/// Names and values, and for each hit the number of its attributes with an index for each; empty
/// when no hit has any.
fn attributes(hits: &[&Hit]) -> (Vec<(Box<str>, ValueRow)>, Vec<u8>) {
    let (mut table, mut bytes) = (Table::new(), Vec::new());
    if hits.iter().all(|h| h.attributes.is_empty()) {
        return (Vec::new(), bytes);
    }
    for hit in hits {
        varint::put(&mut bytes, hit.attributes.len() as u64);
        for attribute in &hit.attributes {
            let index = table.index_of((&*attribute.name, ValueKey::of(&attribute.value)));
            varint::put(&mut bytes, u64::from(index));
        }
    }
    let rows = table.keys.into_iter().map(|(name, value)| (name.into(), value.row())).collect();
    (rows, bytes)
}

/// For each hit the number of its fired categories, then each; empty when no hit has any.
fn fired(hits: &[&Hit]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if hits.iter().any(|h| !h.fired.is_empty()) {
        for hit in hits {
            varint::put(&mut bytes, hit.fired.len() as u64);
            hit.fired.iter().for_each(|c| varint::put(&mut bytes, u64::from(c.0)));
        }
    }
    bytes
}

fn context_row(context: Context) -> ContextRow {
    let Context { client: Client { device, os, browser }, language, geo, network: _ } = context;
    let language = language.map(|l| l.as_str().into()).unwrap_or_default();
    let text = |text: Option<&str>| text.unwrap_or("").into();
    ContextRow(
        device as u8,
        os as u8,
        browser as u8,
        language,
        text(geo.country()),
        text(geo.region()),
    )
}

/// A value that can be compared: a number by its bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum ValueKey<'a> {
    Number(u64),
    Text(&'a str),
}

impl<'a> ValueKey<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Number(n) => Self::Number(n.to_bits()),
            Value::Text(text) => Self::Text(text),
        }
    }

    fn row(self) -> ValueRow {
        match self {
            Self::Number(bits) => ValueRow::Number(f64::from_bits(bits)),
            Self::Text(text) => ValueRow::Text(text.into()),
        }
    }
}

/// Decodes hits of this partition and day; `what` names the bytes if they are damaged.
pub(crate) fn decode(
    bytes: &[u8],
    partition: Partition,
    day: Day,
    what: Corruption,
) -> Result<Vec<Hit>, StoreError> {
    let row = read_row(bytes, what)?;
    Columns::read(&row).and_then(|c| c.hits(partition, day)).ok_or_else(|| corrupt(what))
}

fn read_row(bytes: &[u8], what: Corruption) -> Result<HitsRow, StoreError> {
    let (_, body) = versioned(bytes, VERSION, what)?;
    let (row, rest) = take_row(body, what)?;
    if rest.is_empty() { Ok(row) } else { Err(corrupt(what)) }
}

/// Decodes one visitor's hits; cheap where it has none.
pub(crate) fn decode_of(
    bytes: &[u8],
    visitor: Visitor,
    day: Day,
    what: Corruption,
) -> Result<Vec<Hit>, StoreError> {
    let row = read_row(bytes, what)?;
    let ordinals = varint::undeltas(&row.ordinals, row.hits as usize);
    let ordinals = (0..).zip(ordinals.ok_or_else(|| corrupt(what))?);
    let places: Vec<usize> =
        ordinals.filter(|(_, own)| *own == visitor.ordinal).map(|(at, _)| at).collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut columns = Columns::read(&row).ok_or_else(|| corrupt(what))?;
    let hits = places.into_iter().map(|at| columns.hit(at, visitor.partition, day));
    hits.collect::<Option<_>>().ok_or_else(|| corrupt(what))
}

/// The row's tables and columns as values; every index is checked when it is used.
struct Columns {
    ordinals: Vec<u32>,
    seconds: Vec<u32>,
    page_table: Vec<PageKey>,
    pages: Vec<u32>,
    site_table: Vec<u32>,
    sites: Vec<u32>,
    event_table: Vec<Event>,
    events: Vec<u32>,
    engaged: Vec<u32>,
    referrer_table: Vec<Referrer>,
    referrers: Vec<u32>,
    consent_table: Vec<u64>,
    consents: Vec<u32>,
    /// Of each hit; empty when no hit has any, like all that follow.
    attributes: Vec<Vec<Attribute>>,
    fired: Vec<Vec<CategoryId>>,
    context_table: Vec<Context>,
    contexts: Vec<u32>,
    campaign_table: Vec<Campaign>,
    campaigns: Vec<u32>,
    network_table: Vec<u64>,
    networks: Vec<u32>,
}

impl Columns {
    fn read(row: &HitsRow) -> Option<Self> {
        let n = usize::try_from(row.hits).ok()?;
        let ordinals = varint::undeltas(&row.ordinals, n)?;
        let (keys, rest) = row.page_table.as_chunks::<8>();
        let none = Extras::default();
        let extras = row.extras.as_ref().unwrap_or(&none);
        rest.is_empty().then_some(Self {
            ordinals,
            seconds: varint::undeltas(&row.seconds, n)?,
            page_table: keys.iter().map(|key| PageKey(u64::from_le_bytes(*key))).collect(),
            pages: varint::uncolumn(&row.pages, n)?,
            site_table: row.site_table.clone(),
            sites: varint::uncolumn(&row.sites, n)?,
            event_table: row
                .event_table
                .iter()
                .map(|name| read_event(name))
                .collect::<Option<_>>()?,
            events: varint::uncolumn(&row.events, n)?,
            engaged: varint::uncolumn(&row.engaged, n)?,
            referrer_table: row.referrer_table.iter().map(read_referrer).collect::<Option<_>>()?,
            referrers: varint::uncolumn(&row.referrers, n)?,
            consent_table: row.consent_table.clone(),
            consents: varint::uncolumn(&row.consents, n)?,
            attributes: read_attributes(extras, n)?,
            fired: read_fired(&extras.fired, n)?,
            context_table: extras.context_table.iter().map(read_context).collect::<Option<_>>()?,
            contexts: varint::uncolumn(&extras.contexts, n)?,
            campaign_table: extras.campaign_table.iter().map(read_campaign).collect(),
            campaigns: varint::uncolumn(&extras.campaigns, n)?,
            network_table: extras.network_table.clone(),
            networks: varint::uncolumn(&extras.networks, n)?,
        })
    }

    fn hits(mut self, partition: Partition, day: Day) -> Option<Vec<Hit>> {
        (0..self.ordinals.len()).map(|i| self.hit(i, partition, day)).collect()
    }

    fn hit(&mut self, i: usize, partition: Partition, day: Day) -> Option<Hit> {
        let second = *self.seconds.get(i)?;
        if second >= mayfly_core::time::DAY_SECONDS as u32 {
            return None;
        }
        let page = *self.pages.get(i)? as usize;
        let mut referrer = at(&self.referrer_table, &self.referrers, i)?.clone();
        referrer.campaign = behind_none(&self.campaign_table, &self.campaigns, i)?
            .map(|campaign| Box::new(campaign.clone()));
        let context = behind_none(&self.context_table, &self.contexts, i)?.copied();
        let network = behind_none(&self.network_table, &self.networks, i)?.copied();
        Some(Hit::restore(HitParts {
            visitor: Visitor { partition, ordinal: *self.ordinals.get(i)? },
            time: day.at_second(second),
            site: SiteId(*at(&self.site_table, &self.sites, i)?),
            page: if page == self.page_table.len() {
                None
            } else {
                Some(*self.page_table.get(page)?)
            },
            event: at(&self.event_table, &self.events, i)?.clone(),
            engaged_s: u16::try_from(*self.engaged.get(i)?).ok()?,
            referrer,
            context: Context { network: network.map(NetworkToken), ..context.unwrap_or_default() },
            attributes: self.attributes.get_mut(i).map(std::mem::take).unwrap_or_default(),
            consent: ConsentKey(*at(&self.consent_table, &self.consents, i)?),
            fired: self.fired.get_mut(i).map(std::mem::take).unwrap_or_default(),
        }))
    }
}

/// The table's value for hit `i`.
fn at<'a, T>(table: &'a [T], column: &[u32], i: usize) -> Option<&'a T> {
    table.get(*column.get(i)? as usize)
}

/// The same for a column in which 0 is none and 1 the table's first.
fn behind_none<'a, T>(table: &'a [T], column: &[u32], i: usize) -> Option<Option<&'a T>> {
    match (*column.get(i)?).checked_sub(1) {
        None => Some(None),
        Some(index) => table.get(index as usize).map(Some),
    }
}

fn read_context(row: &ContextRow) -> Option<Context> {
    let ContextRow(device, os, browser, language, country, region) = row;
    let client = Client {
        device: *Device::ALL.get(usize::from(*device))?,
        os: *Os::ALL.get(usize::from(*os))?,
        browser: *Browser::ALL.get(usize::from(*browser))?,
    };
    let language = if language.is_empty() { None } else { Some(Language::parse(language)?) };
    Some(Context { client, language, geo: Geo::new(country, region), network: None })
}

fn read_campaign((source, medium, name): &(Box<str>, Box<str>, Box<str>)) -> Campaign {
    Campaign { source: source.clone(), medium: medium.clone(), name: name.clone() }
}

fn read_event(name: &str) -> Option<Event> {
    if name.is_empty() { Some(Event::PageView) } else { Event::parse(name) }
}

fn read_referrer((host, kind): &(Box<str>, u8)) -> Option<Referrer> {
    let kind = *ReferrerKind::ALL.get(usize::from(*kind))?;
    Some(Referrer { host: host.clone(), kind, campaign: None })
}

fn read_attributes(extras: &Extras, hits: usize) -> Option<Vec<Vec<Attribute>>> {
    if extras.attributes.is_empty() {
        return Some(Vec::new());
    }
    let mut bytes: &[u8] = &extras.attributes;
    let mut one = || {
        let count = varint::take(&mut bytes).filter(|&n| n <= limits::ATTRIBUTES as u64)?;
        (0..count)
            .map(|_| {
                let index = varint::take_u32(&mut bytes)?;
                let (name, value) = extras.attribute_table.get(index as usize)?;
                let value = match value {
                    ValueRow::Number(n) => Value::Number(*n),
                    ValueRow::Text(text) => Value::Text(text.clone()),
                };
                Some(Attribute { name: name.clone(), value })
            })
            .collect::<Option<Vec<_>>>()
    };
    let all: Option<Vec<_>> = (0..hits).map(|_| one()).collect();
    all.filter(|_| bytes.is_empty())
}

fn read_fired(mut bytes: &[u8], hits: usize) -> Option<Vec<Vec<CategoryId>>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let mut one = || {
        let count = varint::take(&mut bytes)?;
        (0..count).map(|_| varint::take_u32(&mut bytes).map(CategoryId)).collect()
    };
    let all: Option<Vec<_>> = (0..hits).map(|_| one()).collect();
    all.filter(|_| bytes.is_empty())
}

#[cfg(test)]
#[path = "hits_tests.rs"]
mod tests;
