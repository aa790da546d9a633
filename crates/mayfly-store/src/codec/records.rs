//! The other values: pages, consent states, memberships, versions of the catalog, bitmaps.

use std::collections::BTreeMap;

use mayfly_core::{
    Allowed, Choice, ConsentState, Day, Page, Partition, RealmId, SegmentId, StoreId, Timestamp,
    Visitor, limits,
};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{
    VERSION, body, corrupt, row_and_rest, row_from_bytes, row_to_bytes, take_row, versioned,
    versioned_row,
};
use crate::catalog::{CatalogVersion, Identity};
use crate::error::{Corruption, StoreError};
use crate::{Match, MatchNews, Membership, Reader};

/// URL, title, keywords, categories.
#[derive(Serialize, Deserialize)]
struct PageRow(Box<str>, Box<str>, Vec<Box<str>>, Vec<Box<str>>);

/// A page's bytes; equal pages have equal bytes, which is how interning compares them. A page with
/// one reader has those of [`encode_reader`] behind them.
pub(crate) fn encode_page(page: &Page) -> Vec<u8> {
    row_to_bytes(&PageRow(
        page.url.clone(),
        page.title.clone(),
        page.keywords.clone(),
        page.categories.clone(),
    ))
}

/// The bytes of a page's reader; none for several.
pub(crate) fn encode_reader(reader: Reader) -> Vec<u8> {
    reader.map(encode_visitor).unwrap_or_default()
}

/// Reads a page and its reader.
pub(crate) fn decode_page(bytes: &[u8]) -> Result<(Page, Reader), StoreError> {
    let (row, rest) = row_and_rest(bytes, Corruption::Page)?;
    let PageRow(url, title, keywords, categories) = row;
    let reader = if rest.is_empty() { None } else { Some(decode_visitor(rest)?) };
    Ok((Page { url, title, keywords, categories }, reader))
}

/// The version of consent states.
const CONSENT_VERSION: u8 = 2;

/// A consent state of version 1: Global Privacy Control.
#[derive(Serialize, Deserialize)]
struct ConsentRow1((Option<bool>,));

/// A consent state: what was allowed as bits, gdpr, coppa, Global Privacy Control, then the texts.
#[derive(Serialize, Deserialize)]
struct ConsentRow {
    allowed: u8,
    gdpr: Option<bool>,
    coppa: Option<bool>,
    gpc: Option<bool>,
    tcf: Option<Box<str>>,
    additional: Option<Box<str>>,
    gpp: Option<Box<str>>,
    gpp_sid: Option<Box<str>>,
    us_privacy: Option<Box<str>>,
}

/// A consent state's bytes; equal states have equal bytes.
#[must_use]
pub fn encode_consent(state: &ConsentState) -> Vec<u8> {
    let Choice { gdpr, tcf, additional, gpp, gpp_sid, us_privacy, gpc, coppa } =
        state.choice.clone();
    let allowed = state.allowed.bits();
    let row = ConsentRow { allowed, gdpr, coppa, gpc, tcf, additional, gpp, gpp_sid, us_privacy };
    versioned_row(CONSENT_VERSION, &row)
}

/// Reads a consent state.
///
/// # Errors
/// The bytes are none.
pub fn decode_consent(bytes: &[u8]) -> Result<ConsentState, StoreError> {
    let what = Corruption::Consent;
    let (version, body) = versioned(bytes, CONSENT_VERSION, what)?;
    let (state, rest) = if version == CONSENT_VERSION {
        let (row, rest) = take_row::<ConsentRow>(body, what)?;
        let ConsentRow { allowed, gdpr, coppa, gpc, tcf, additional, gpp, gpp_sid, us_privacy } =
            row;
        let choice = Choice { gdpr, tcf, additional, gpp, gpp_sid, us_privacy, gpc, coppa };
        let allowed = Allowed::from_bits(allowed).ok_or_else(|| corrupt(what))?;
        (ConsentState { choice, allowed }, rest)
    } else {
        let (ConsentRow1((gpc,)), rest) = take_row(body, what)?;
        let choice = Choice { gpc, ..Choice::default() };
        (ConsentState { choice, allowed: Allowed::default() }, rest)
    };
    if rest.is_empty() { Ok(state) } else { Err(corrupt(what)) }
}

/// Version, as_of in milliseconds, members as a portable roaring bitmap.
#[derive(Serialize, Deserialize)]
struct MembershipRow(u32, i64, ByteBuf);

/// A membership's bytes; the segment stands in its key.
pub(crate) fn encode_membership(membership: &Membership) -> Vec<u8> {
    let members = bitmap_bytes(&membership.members, Vec::new());
    row_to_bytes(&MembershipRow(membership.version, membership.as_of.millis(), members.into()))
}

/// Reads a membership.
pub(crate) fn decode_membership(
    segment: SegmentId,
    bytes: &[u8],
) -> Result<Membership, StoreError> {
    let MembershipRow(version, as_of, members) = row_from_bytes(bytes, Corruption::Membership)?;
    let members = read_bitmap(&members).ok_or_else(|| corrupt(Corruption::Membership))?;
    Ok(Membership { segment, version, as_of: Timestamp::from_millis(as_of), members })
}

/// When (milliseconds), who, what; the version stands in the key.
#[derive(Serialize, Deserialize)]
struct CatalogRow(i64, Box<str>, ByteBuf);

/// A catalog version's bytes.
pub(crate) fn encode_catalog(version: &CatalogVersion) -> Vec<u8> {
    let bytes = ByteBuf::from(version.bytes.clone());
    row_to_bytes(&CatalogRow(version.at.millis(), version.by.clone(), bytes))
}

/// Reads a catalog version.
pub(crate) fn decode_catalog(version: u64, bytes: &[u8]) -> Result<CatalogVersion, StoreError> {
    let CatalogRow(at, by, bytes) = row_from_bytes(bytes, Corruption::Catalog)?;
    let at = Timestamp::from_millis(at);
    Ok(CatalogVersion { version, at, by, bytes: bytes.into_vec() })
}

/// Store, realm, realm's name, partitions, seed, created (milliseconds).
#[derive(Serialize, Deserialize)]
struct IdentityRow(u64, u32, Box<str>, u16, u64, i64);

/// What the store is.
pub(crate) fn encode_identity(identity: &Identity) -> Vec<u8> {
    row_to_bytes(&IdentityRow(
        identity.store.0,
        identity.realm.0,
        identity.realm_name.clone(),
        identity.partitions,
        identity.seed,
        identity.created.millis(),
    ))
}

/// Reads what the store is.
pub(crate) fn decode_identity(bytes: &[u8]) -> Result<Identity, StoreError> {
    let IdentityRow(store, realm, realm_name, partitions, seed, created) =
        row_from_bytes(bytes, Corruption::Record)?;
    if !partitions.is_power_of_two() || partitions > limits::PARTITIONS_MAX {
        return Err(corrupt(Corruption::Record));
    }
    Ok(Identity {
        store: StoreId(store),
        realm: RealmId(realm),
        realm_name,
        partitions,
        seed,
        created: Timestamp::from_millis(created),
    })
}

/// Partition and ordinal.
#[derive(Serialize, Deserialize)]
struct VisitorRow(u16, u32);

/// Whom a foreign id stands for.
pub(crate) fn encode_visitor(visitor: Visitor) -> Vec<u8> {
    row_to_bytes(&VisitorRow(visitor.partition.0, visitor.ordinal))
}

/// Reads whom a foreign id stands for.
pub(crate) fn decode_visitor(bytes: &[u8]) -> Result<Visitor, StoreError> {
    let VisitorRow(partition, ordinal) = row_from_bytes(bytes, Corruption::Record)?;
    Ok(Visitor { partition: Partition(partition), ordinal })
}

/// A match's bytes: version, day last seen and generation (two bytes each, the higher first), id.
/// `redis_store/lua/match.lua` reads and writes them, too.
pub(crate) fn encode_match(own: &Match) -> Vec<u8> {
    let numbers = [own.seen.0.to_be_bytes(), own.generation.to_be_bytes()].concat();
    [&[VERSION][..], &numbers, own.uid.as_bytes()].concat()
}

/// Reads a match.
pub(crate) fn decode_match(bytes: &[u8]) -> Result<Match, StoreError> {
    let bad = || corrupt(Corruption::Record);
    let body = body(bytes, Corruption::Record)?;
    let ([a, b, c, d], uid) = body.split_first_chunk::<4>().ok_or_else(bad)?;
    let uid = std::str::from_utf8(uid).map_err(|_| bad())?;
    Ok(Match {
        uid: uid.into(),
        generation: u16::from_be_bytes([*c, *d]),
        seen: Day(u16::from_be_bytes([*a, *b])),
    })
}

/// The error for news or a row of what was sent that cannot be read.
pub(crate) const fn bad_news() -> StoreError {
    corrupt(Corruption::Record)
}

/// News of a match: version, day (two bytes, the higher first), `m` and the ordinal (four bytes) or
/// `g` and the id. `redis_store/lua/match.lua` writes them, too.
pub(crate) fn encode_news(day: Day, news: &MatchNews) -> Vec<u8> {
    let head = [&[VERSION][..], &day.0.to_be_bytes()].concat();
    match news {
        MatchNews::Matched(ordinal) => [&head[..], b"m", &ordinal.to_be_bytes()].concat(),
        MatchNews::Gone(uid) => [&head[..], b"g", uid.as_bytes()].concat(),
    }
}

/// Reads news of a match, with their day.
pub(crate) fn decode_news(bytes: &[u8]) -> Result<(Day, MatchNews), StoreError> {
    let body = body(bytes, Corruption::Record)?;
    let ([a, b, kind], rest) = body.split_first_chunk::<3>().ok_or_else(bad_news)?;
    let news = match kind {
        b'm' => MatchNews::Matched(u32::from_be_bytes(rest.try_into().map_err(|_| bad_news())?)),
        b'g' => MatchNews::Gone(std::str::from_utf8(rest).map_err(|_| bad_news())?.into()),
        _ => return Err(bad_news()),
    };
    Ok((Day(u16::from_be_bytes([*a, *b])), news))
}

/// Days with portable roaring bitmaps.
#[derive(Serialize, Deserialize)]
struct SentRow((Vec<(u16, ByteBuf)>,));

/// Who was sent under a code, by the day on which they are forgotten there.
pub(crate) fn encode_sent(until: &BTreeMap<Day, RoaringBitmap>) -> Vec<u8> {
    let rows = until.iter().map(|(day, own)| (day.0, bitmap_bytes(own, Vec::new()).into()));
    row_to_bytes(&SentRow((rows.collect(),)))
}

/// Reads who was sent.
pub(crate) fn decode_sent(bytes: &[u8]) -> Result<BTreeMap<Day, RoaringBitmap>, StoreError> {
    let SentRow((rows,)) = row_from_bytes(bytes, Corruption::Record)?;
    let read = |(day, own): (u16, ByteBuf)| Some((Day(day), read_bitmap(&own)?));
    rows.into_iter().map(|row| read(row).ok_or_else(bad_news)).collect()
}

/// A bitmap (the erased ordinals): version byte and portable roaring.
pub(crate) fn encode_bitmap(bitmap: &RoaringBitmap) -> Vec<u8> {
    bitmap_bytes(bitmap, vec![VERSION])
}

/// Reads a bitmap.
pub(crate) fn decode_bitmap(bytes: &[u8]) -> Result<RoaringBitmap, StoreError> {
    let bytes = body(bytes, Corruption::Record)?;
    read_bitmap(bytes).ok_or_else(|| corrupt(Corruption::Record))
}

/// Appends the bitmap in canonical form.
fn bitmap_bytes(bitmap: &RoaringBitmap, mut out: Vec<u8>) -> Vec<u8> {
    let mut bitmap = bitmap.clone();
    bitmap.optimize();
    #[expect(clippy::expect_used, reason = "memory takes every byte")]
    bitmap.serialize_into(&mut out).expect("writing a bitmap to memory cannot fail");
    out
}

/// Reads exactly one bitmap.
fn read_bitmap(mut bytes: &[u8]) -> Option<RoaringBitmap> {
    let bitmap = RoaringBitmap::deserialize_from(&mut bytes).ok()?;
    bytes.is_empty().then_some(bitmap)
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
