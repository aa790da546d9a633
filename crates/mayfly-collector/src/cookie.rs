//! The visitor cookie and the probe cookie: fixed binary, signed, base64url without padding.
//!
//! Visitor, 41 bytes: version 1, signing key u32, store u64, realm u32, partition u16, ordinal u32,
//! issue day u16, signature 16. Probe, 41 bytes: version 1, signing key u32, issued (ms) i64,
//! nonce 12, signature 16. Numbers are little-endian; a signature covers all bytes before it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mayfly_core::{Day, Partition, RealmId, SiteId, StoreId, Timestamp, Visitor, limits};

use crate::keys::{KeyRing, Purpose, TAG_BYTES};

/// Version byte of both cookies.
const VERSION: u8 = 1;
/// Bytes of a visitor cookie before its signature.
const VISITOR_BODY: usize = 25;
/// Bytes of a probe cookie before its signature.
const PROBE_BODY: usize = 25;
/// Room for the decoded bytes of either; a longer text is none of ours.
const DECODED_BYTES: usize = 64;

/// Random bytes that the parallel first requests of one browser share.
pub type Nonce = [u8; 12];

/// What a visitor cookie says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VisitorCookie {
    /// The store it was issued for.
    pub store: StoreId,
    /// The realm it was issued in.
    pub realm: RealmId,
    /// Who.
    pub visitor: Visitor,
    /// The UTC day of issue.
    pub issued: Day,
}

/// Why a cookie counts as none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CookieFault {
    /// Not base64url of the right length and version.
    Shape,
    /// No key of ours signed it.
    Signature,
    /// Another store's or realm's.
    Elsewhere,
    /// Issued in the future or too long ago.
    Age,
    /// A partition or ordinal that is never issued.
    Visitor,
}

impl VisitorCookie {
    /// The cookie's value.
    #[must_use]
    pub fn encode(&self, keys: &KeyRing) -> String {
        seal(keys, Purpose::Visitor, self.body(keys), &[])
    }

    /// The same as the id that the script tag keeps on a site's own host: pages can read it, so it
    /// is good for that site alone.
    #[must_use]
    pub fn encode_for(&self, site: SiteId, keys: &KeyRing) -> String {
        seal(keys, Purpose::FirstParty, self.body(keys), &site.0.to_le_bytes())
    }

    /// The same as a link by which a site's page shows its visitor what is held about him, good for
    /// [`limits::PASS_SECONDS`] at least, for twice as long at most.
    #[must_use]
    pub fn encode_pass(&self, site: SiteId, now: Timestamp, keys: &KeyRing) -> String {
        seal(keys, Purpose::Pass, self.body(keys), &pass_scope(site, pass_window(now)))
    }

    fn body(&self, keys: &KeyRing) -> Vec<u8> {
        let mut body = Vec::with_capacity(VISITOR_BODY + TAG_BYTES);
        body.push(VERSION);
        body.extend_from_slice(&keys.signer().to_le_bytes());
        body.extend_from_slice(&self.store.0.to_le_bytes());
        body.extend_from_slice(&self.realm.0.to_le_bytes());
        body.extend_from_slice(&self.visitor.partition.0.to_le_bytes());
        body.extend_from_slice(&self.visitor.ordinal.to_le_bytes());
        body.extend_from_slice(&self.issued.0.to_le_bytes());
        debug_assert_eq!(body.len(), VISITOR_BODY);
        body
    }

    /// Reads and verifies a cookie of this store and realm. Whether the ordinal was issued is for
    /// [`crate::ordinals`] to say, whether it is erased for the store.
    ///
    /// # Errors
    /// Why it counts as none.
    pub fn decode(
        value: &str,
        keys: &KeyRing,
        here: (StoreId, RealmId),
        today: Day,
    ) -> Result<Self, CookieFault> {
        Self::read(value, keys, (Purpose::Visitor, &[]), here, today)
    }

    /// Reads and verifies an id that the script tag kept for this site.
    ///
    /// # Errors
    /// Why it counts as none.
    pub fn decode_for(
        value: &str,
        site: SiteId,
        keys: &KeyRing,
        here: (StoreId, RealmId),
        today: Day,
    ) -> Result<Self, CookieFault> {
        Self::read(value, keys, (Purpose::FirstParty, &site.0.to_le_bytes()), here, today)
    }

    /// Reads and verifies such a link.
    ///
    /// # Errors
    /// Why it counts as none.
    pub fn decode_pass(
        value: &str,
        site: SiteId,
        keys: &KeyRing,
        here: (StoreId, RealmId),
        now: Timestamp,
    ) -> Result<Self, CookieFault> {
        let today = now.day().ok_or(CookieFault::Age)?;
        let of = |window: i64| {
            Self::read(value, keys, (Purpose::Pass, &pass_scope(site, window)), here, today)
        };
        of(pass_window(now)).or_else(|_| of(pass_window(now) - 1))
    }

    fn read(
        value: &str,
        keys: &KeyRing,
        (purpose, scope): (Purpose, &[u8]),
        (store, realm): (StoreId, RealmId),
        today: Day,
    ) -> Result<Self, CookieFault> {
        let mut room = [0; DECODED_BYTES];
        let mut body = open::<VISITOR_BODY>(keys, purpose, value, scope, &mut room)?;
        let cookie = Self {
            store: StoreId(u64::from_le_bytes(take(&mut body)?)),
            realm: RealmId(u32::from_le_bytes(take(&mut body)?)),
            visitor: Visitor {
                partition: Partition(u16::from_le_bytes(take(&mut body)?)),
                ordinal: u32::from_le_bytes(take(&mut body)?),
            },
            issued: Day(u16::from_le_bytes(take(&mut body)?)),
        };
        if (cookie.store, cookie.realm) != (store, realm) {
            return Err(CookieFault::Elsewhere);
        }
        // A day ahead is another node's clock just after midnight.
        if cookie.issued > today.plus(1) || cookie.issued < today.minus(limits::COOKIE_DAYS_MAX) {
            return Err(CookieFault::Age);
        }
        let Visitor { partition, ordinal } = cookie.visitor;
        if partition.0 >= limits::PARTITIONS_MAX || ordinal == 0 {
            return Err(CookieFault::Visitor);
        }
        Ok(cookie)
    }
}

/// The span of time in which a link is made.
fn pass_window(now: Timestamp) -> i64 {
    now.secs().div_euclid(limits::PASS_SECONDS)
}

fn pass_scope(site: SiteId, window: i64) -> Vec<u8> {
    [&site.0.to_le_bytes()[..], &window.to_le_bytes()].concat()
}

/// What a probe cookie says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProbeCookie {
    /// When it was issued.
    pub issued: Timestamp,
    /// Shared by the parallel first requests of one browser.
    pub nonce: Nonce,
}

impl ProbeCookie {
    /// The cookie's value.
    #[must_use]
    pub fn encode(&self, keys: &KeyRing) -> String {
        let mut body = Vec::with_capacity(PROBE_BODY + TAG_BYTES);
        body.push(VERSION);
        body.extend_from_slice(&keys.signer().to_le_bytes());
        body.extend_from_slice(&self.issued.millis().to_le_bytes());
        body.extend_from_slice(&self.nonce);
        debug_assert_eq!(body.len(), PROBE_BODY);
        seal(keys, Purpose::Probe, body, &[])
    }

    /// Reads and verifies a probe cookie not older than [`limits::PROBE_SECONDS`].
    ///
    /// # Errors
    /// Why it counts as none.
    pub fn decode(value: &str, keys: &KeyRing, now: Timestamp) -> Result<Self, CookieFault> {
        let mut room = [0; DECODED_BYTES];
        let mut body = open::<PROBE_BODY>(keys, Purpose::Probe, value, &[], &mut room)?;
        let issued = Timestamp::from_millis(i64::from_le_bytes(take(&mut body)?));
        let age = now.millis().saturating_sub(issued.millis());
        let most = limits::PROBE_SECONDS * 1000;
        if !(-limits::FUTURE_SECONDS_MAX * 1000..=most).contains(&age) {
            return Err(CookieFault::Age);
        }
        Ok(Self { issued, nonce: take(&mut body)? })
    }
}

/// Signs a body (and what it is good for, which is not written) and writes both as text.
fn seal(keys: &KeyRing, purpose: Purpose, mut body: Vec<u8>, scope: &[u8]) -> String {
    let message = [&body, scope].concat();
    let tag = keys.sign(keys.signer(), purpose, &message).unwrap_or_default();
    body.extend_from_slice(&tag);
    URL_SAFE_NO_PAD.encode(body)
}

/// Decodes and verifies; answers what stands between key id and signature.
fn open<'a, const BODY: usize>(
    keys: &KeyRing,
    purpose: Purpose,
    value: &str,
    scope: &[u8],
    room: &'a mut [u8; DECODED_BYTES],
) -> Result<&'a [u8], CookieFault> {
    let length =
        URL_SAFE_NO_PAD.decode_slice(value, &mut room[..]).map_err(|_| CookieFault::Shape)?;
    let (body, tag) = room[..length].split_first_chunk::<BODY>().ok_or(CookieFault::Shape)?;
    let mut rest = &body[1..];
    if body[0] != VERSION || tag.len() != TAG_BYTES {
        return Err(CookieFault::Shape);
    }
    let key = u32::from_le_bytes(take(&mut rest)?);
    if !keys.verify(key, purpose, &[body, scope], tag) {
        return Err(CookieFault::Signature);
    }
    Ok(rest)
}

/// The next `N` bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], CookieFault> {
    let (head, tail) = rest.split_first_chunk().ok_or(CookieFault::Shape)?;
    *rest = tail;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: (StoreId, RealmId) = (StoreId(7), RealmId(1));
    const TODAY: Day = Day(20_778);

    fn cookie(ordinal: u32, issued: Day) -> VisitorCookie {
        let visitor = Visitor { partition: Partition(3), ordinal };
        VisitorCookie { store: HERE.0, realm: HERE.1, visitor, issued }
    }

    fn fault(value: &str, keys: &KeyRing) -> Option<CookieFault> {
        VisitorCookie::decode(value, keys, HERE, TODAY).err()
    }

    #[test]
    fn our_cookie_is_read_and_any_other_is_none() {
        let keys = KeyRing::generate().unwrap();
        let own = cookie(5, TODAY);
        let value = own.encode(&keys);
        assert_eq!(VisitorCookie::decode(&value, &keys, HERE, TODAY), Ok(own));
        assert_eq!(fault(&value, &KeyRing::generate().unwrap()), Some(CookieFault::Signature));
        let other = VisitorCookie { store: StoreId(8), ..own }.encode(&keys);
        assert_eq!(fault(&other, &keys), Some(CookieFault::Elsewhere));
        let other = VisitorCookie { realm: RealmId(2), ..own }.encode(&keys);
        assert_eq!(fault(&other, &keys), Some(CookieFault::Elsewhere));
        assert_eq!(fault(&cookie(0, TODAY).encode(&keys), &keys), Some(CookieFault::Visitor));
        for (day, expected) in [
            (TODAY.minus(395), None),
            (TODAY.minus(396), Some(CookieFault::Age)),
            (TODAY.plus(1), None),
            (TODAY.plus(2), Some(CookieFault::Age)),
        ] {
            assert_eq!(fault(&cookie(5, day).encode(&keys), &keys), expected, "{day}");
        }
    }

    #[test]
    fn a_link_is_good_for_its_site_and_for_minutes() {
        let keys = KeyRing::generate().unwrap();
        let made = TODAY.start().plus_secs(3 * limits::PASS_SECONDS);
        let own = cookie(5, TODAY);
        let value = own.encode_pass(SiteId(1), made, &keys);
        let after = |site, seconds| {
            let now = made.plus_secs(seconds);
            VisitorCookie::decode_pass(&value, SiteId(site), &keys, HERE, now)
        };
        assert_eq!(after(1, limits::PASS_SECONDS), Ok(own));
        assert_eq!(after(1, 2 * limits::PASS_SECONDS), Err(CookieFault::Signature));
        assert_eq!(after(1, -1), Err(CookieFault::Signature));
        assert_eq!(after(2, 0), Err(CookieFault::Signature));
        assert_eq!(fault(&value, &keys), Some(CookieFault::Signature), "it is no cookie");
    }

    #[test]
    fn the_tags_id_is_good_for_its_site_alone() {
        let keys = KeyRing::generate().unwrap();
        let own = cookie(5, TODAY);
        let value = own.encode_for(SiteId(1), &keys);
        let at = |site| VisitorCookie::decode_for(&value, SiteId(site), &keys, HERE, TODAY);
        assert_eq!(at(1), Ok(own));
        assert_eq!(at(2), Err(CookieFault::Signature));
        assert_eq!(fault(&value, &keys), Some(CookieFault::Signature), "it is no cookie");
    }

    #[test]
    fn every_truncation_and_every_changed_character_is_refused() {
        let keys = KeyRing::generate().unwrap();
        let value = cookie(5, TODAY).encode(&keys);
        for len in 0..value.len() {
            assert!(fault(&value[..len], &keys).is_some(), "{len}");
            let other = if value.as_bytes()[len] == b'A' { "B" } else { "A" };
            let forged = format!("{}{other}{}", &value[..len], &value[len + 1..]);
            assert!(fault(&forged, &keys).is_some(), "{len}");
        }
        assert!(fault(&format!("{value}AAAA"), &keys).is_some());
    }

    #[test]
    fn a_probe_lives_ten_minutes_and_is_no_visitor() {
        let keys = KeyRing::generate().unwrap();
        let issued = TODAY.at_second(100);
        let value = ProbeCookie { issued, nonce: [9; 12] }.encode(&keys);
        let at = |s| ProbeCookie::decode(&value, &keys, issued.plus_secs(s)).map(|p| p.nonce);
        assert_eq!(at(600), Ok([9; 12]));
        assert_eq!(at(601), Err(CookieFault::Age));
        assert_eq!(at(-301), Err(CookieFault::Age));
        assert!(fault(&value, &keys).is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_survived(value in "[A-Za-z0-9_-]{0,90}|.{0,40}") {
            let keys = KeyRing::generate().unwrap();
            prop_assert!(fault(&value, &keys).is_some());
            prop_assert!(ProbeCookie::decode(&value, &keys, TODAY.start()).is_err());
        }
    }
}
