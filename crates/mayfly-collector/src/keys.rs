//! The collector's keys: for signing cookies, and for hashing ids. They live in the store's catalog
//! ([`mayfly_store::CatalogName::Keys`]) and in memory, nowhere else.
//!
//! Bytes: version (1), number of signing keys, each `id: u32 LE, key: 32 bytes` (the first signs),
//! then 32 bytes of the hashing key. The hashing key never changes: ids hashed under it are stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use mayfly_core::{PartnerId, RealmId, Visitor};
use sha2::Sha256;

/// Version byte of [`KeyRing::to_bytes`].
const VERSION: u8 = 1;
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Signing keys a ring holds at most.
const KEYS_MAX: usize = 16;
/// Bytes of a signature in a cookie.
pub(crate) const TAG_BYTES: usize = 16;

/// Why there is no key ring.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system's source of randomness failed.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// The bytes are no key ring that this version reads.
    #[error("the stored keys cannot be read")]
    Damaged,
}

/// One signing key, ready to sign: the key schedule is done once.
#[derive(Clone)]
struct SigningKey {
    id: u32,
    key: [u8; KEY_BYTES],
    mac: Hmac<Sha256>,
}

/// Signing keys (the first signs, all verify) and the hashing key.
#[derive(Clone)]
pub struct KeyRing {
    signing: Vec<SigningKey>,
    hash_key: [u8; KEY_BYTES],
    hash: Hmac<Sha256>,
}

impl std::fmt::Debug for KeyRing {
    /// Names the keys' ids, never the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.signing.iter().map(|k| k.id)).finish()
    }
}

impl KeyRing {
    /// A new ring with one signing key.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let (mut id, mut key, mut hash_key) = ([0; 4], [0; KEY_BYTES], [0; KEY_BYTES]);
        for bytes in [&mut id[..], &mut key[..], &mut hash_key[..]] {
            getrandom::fill(bytes).map_err(KeyError::Random)?;
        }
        Ok(Self::new(vec![signing_key(u32::from_le_bytes(id), key)], hash_key))
    }

    /// Puts a new signing key in front; the oldest above the limit goes.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn rotate(&mut self) -> Result<(), KeyError> {
        let fresh = Self::generate()?;
        self.signing.splice(0..0, fresh.signing);
        self.signing.truncate(KEYS_MAX);
        Ok(())
    }

    fn new(signing: Vec<SigningKey>, hash_key: [u8; KEY_BYTES]) -> Self {
        Self { signing, hash_key, hash: keyed(&hash_key) }
    }

    /// The bytes for the catalog.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, u8::try_from(self.signing.len()).unwrap_or(u8::MAX)];
        for own in &self.signing {
            bytes.extend_from_slice(&own.id.to_le_bytes());
            bytes.extend_from_slice(&own.key);
        }
        bytes.extend_from_slice(&self.hash_key);
        bytes
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`KeyError::Damaged`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let [VERSION, count, rest @ ..] = bytes else { return Err(KeyError::Damaged) };
        let count = usize::from(*count);
        let (keys, hash_key) =
            rest.split_at_checked(count * (4 + KEY_BYTES)).ok_or(KeyError::Damaged)?;
        let hash_key = hash_key.try_into().map_err(|_| KeyError::Damaged)?;
        let signing: Vec<_> = keys.chunks_exact(4 + KEY_BYTES).filter_map(read_key).collect();
        if signing.is_empty() || signing.len() > KEYS_MAX {
            return Err(KeyError::Damaged);
        }
        Ok(Self::new(signing, hash_key))
    }

    /// The id of the key that signs now.
    pub(crate) fn signer(&self) -> u32 {
        self.signing.first().map_or(0, |own| own.id)
    }

    /// The signature of key `id` over `message`; `None` for a key that is not ours.
    pub(crate) fn sign(
        &self,
        id: u32,
        purpose: Purpose,
        message: &[u8],
    ) -> Option<[u8; TAG_BYTES]> {
        let mac = self.mac(id, purpose, &[message])?;
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        full.first_chunk().copied()
    }

    /// Whether `tag` is key `id`'s signature over the parts of a message. Constant time in the tag.
    pub(crate) fn verify(&self, id: u32, purpose: Purpose, message: &[&[u8]], tag: &[u8]) -> bool {
        tag.len() == TAG_BYTES
            && self
                .mac(id, purpose, message)
                .is_some_and(|mac| mac.verify_truncated_left(tag).is_ok())
    }

    /// Key `id`'s code, fed with the parts of the message.
    fn mac(&self, id: u32, purpose: Purpose, message: &[&[u8]]) -> Option<Hmac<Sha256>> {
        let mut mac = self.signing.iter().find(|own| own.id == id)?.mac.clone();
        mac.update(&[purpose as u8]);
        message.iter().for_each(|part| mac.update(part));
        Some(mac)
    }

    /// Keyed 128-bit hash of a foreign id in its space. The realm counts: nothing crosses realms.
    #[must_use]
    pub fn foreign_hash(&self, realm: RealmId, space: &str, id: &[u8]) -> u128 {
        self.hashed(Purpose::ForeignId, realm, space.as_bytes(), id)
    }

    /// Keyed hash of a client's hit id, in the scope of a site: 63 bits, never negative.
    #[must_use]
    pub fn hit_hash(&self, realm: RealmId, site: u32, id: &[u8]) -> i64 {
        let hash = self.hashed(Purpose::HitId, realm, &site.to_le_bytes(), id);
        i64::try_from(hash >> 65).unwrap_or(i64::MAX)
    }

    /// What a visitor is called towards a partner: 16 bytes as base64url without padding, which is
    /// also the form of Google's `google_hm` (at most 24 bytes before encoding).
    #[must_use]
    pub fn pseudonym(&self, realm: RealmId, partner: PartnerId, visitor: Visitor) -> String {
        let (scope, id) = (partner.0.to_le_bytes(), visitor.to_string());
        let hash = self.hashed(Purpose::Pseudonym, realm, &scope, id.as_bytes());
        URL_SAFE_NO_PAD.encode(hash.to_le_bytes())
    }

    /// The first half of an HMAC-SHA256 over realm, scope (its length first) and id.
    fn hashed(&self, purpose: Purpose, realm: RealmId, scope: &[u8], id: &[u8]) -> u128 {
        let mut mac = self.hash.clone();
        mac.update(&[purpose as u8]);
        mac.update(&realm.0.to_le_bytes());
        mac.update(&(scope.len() as u64).to_le_bytes());
        mac.update(scope);
        mac.update(id);
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        full.first_chunk().map_or(0, |half| u128::from_le_bytes(*half))
    }
}

/// What a code is for: the first byte under every key, so that no code serves two ends.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Purpose {
    /// The visitor's cookie.
    Visitor = 1,
    /// The probe cookie.
    Probe = 2,
    /// A foreign id's hash.
    ForeignId = 3,
    /// A hit id's hash.
    HitId = 4,
    /// The id that the script tag keeps for its site.
    FirstParty = 5,
    /// A link from a site's page to what is held.
    Pass = 6,
    /// What a partner calls a visitor.
    Pseudonym = 7,
}

/// A key with its schedule.
fn signing_key(id: u32, key: [u8; KEY_BYTES]) -> SigningKey {
    SigningKey { id, key, mac: keyed(&key) }
}

/// One entry of [`KeyRing::to_bytes`].
fn read_key(bytes: &[u8]) -> Option<SigningKey> {
    let (id, key) = bytes.split_first_chunk::<4>()?;
    Some(signing_key(u32::from_le_bytes(*id), key.try_into().ok()?))
}

/// The code under a key, before any message.
fn keyed(key: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
    // HMAC fills a short key with zeros up to the hash's block; so filled, it cannot be refused.
    let mut block = [0; 64];
    block[..KEY_BYTES].copy_from_slice(key);
    Hmac::new(&block.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_survives_its_bytes_and_any_damage_is_said() {
        let mut ring = KeyRing::generate().unwrap();
        ring.rotate().unwrap();
        let bytes = ring.to_bytes();
        let back = KeyRing::from_bytes(&bytes).unwrap();
        assert_eq!(back.to_bytes(), bytes);
        for len in 0..bytes.len() {
            assert!(KeyRing::from_bytes(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn an_old_key_verifies_after_rotation_and_another_ring_does_not() {
        let mut ring = KeyRing::generate().unwrap();
        let old = ring.signer();
        let tag = ring.sign(old, Purpose::Visitor, b"m").unwrap();
        ring.rotate().unwrap();
        assert_ne!(ring.signer(), old);
        assert!(ring.verify(old, Purpose::Visitor, &[b"m"], &tag));
        assert!(!ring.verify(old, Purpose::Probe, &[b"m"], &tag), "a code serves one end");
        assert!(!ring.verify(old, Purpose::Visitor, &[b"n"], &tag));
        assert!(!KeyRing::generate().unwrap().verify(old, Purpose::Visitor, &[b"m"], &tag));
    }

    #[test]
    fn hashes_depend_on_every_part() {
        let ring = KeyRing::generate().unwrap();
        let all = [
            ring.foreign_hash(RealmId(1), "crm", b"a"),
            ring.foreign_hash(RealmId(2), "crm", b"a"),
            ring.foreign_hash(RealmId(1), "cr", b"ma"),
            ring.foreign_hash(RealmId(1), "crm", b"b"),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert!(ring.hit_hash(RealmId(1), 1, b"a") >= 0);
        assert_ne!(ring.hit_hash(RealmId(1), 1, b"a"), ring.hit_hash(RealmId(1), 2, b"a"));
    }
}
