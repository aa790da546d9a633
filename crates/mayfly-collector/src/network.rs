//! Network tokens: whether two hits of a day came from one network, and nothing else. Off unless
//! switched on.
//!
//! A token is a hash of the address (of an IPv6 address the first 64 bits, which are one client's)
//! under a random key of its UTC day. The key is in memory alone, so no backup can hold it, and it
//! is destroyed at 06:00 UTC of the next day: what comes late still finds it. After that nobody can
//! tell which address a token came from, nor compare it with another day's. Each process has keys
//! of its own; a restart begins with new ones.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use mayfly_core::{Day, NetworkToken, Timestamp};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How long into the next day a key is kept, seconds.
const LATE_S: u32 = 6 * 3600;

type Key = Zeroizing<[u8; 32]>;

/// The keys of today and, early in the day, of yesterday.
#[derive(Default)]
pub(crate) struct NetworkKeys(Mutex<Vec<(Day, Key)>>);

impl std::fmt::Debug for NetworkKeys {
    /// Names no key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NetworkKeys")
    }
}

impl NetworkKeys {
    /// The token of an address on the day of a hit; `None` when that day's key is destroyed, or was
    /// never made.
    pub(crate) fn token(&self, address: IpAddr, day: Day, now: Timestamp) -> Option<NetworkToken> {
        let today = now.day()?;
        self.destroy_old(now);
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if day == today && keys.iter().all(|(own, _)| *own != today) {
            let mut key = Key::default();
            getrandom::fill(&mut *key).ok()?;
            keys.push((today, key));
        }
        let (_, key) = keys.iter().find(|(own, _)| *own == day)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&**key).ok()?;
        match address.to_canonical() {
            IpAddr::V4(address) => mac.update(&address.octets()),
            IpAddr::V6(address) => mac.update(&address.octets()[..8]),
        }
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        hash.first_chunk().map(|bytes| NetworkToken(u64::from_le_bytes(*bytes)))
    }

    /// Destroys the keys whose time is over.
    pub(crate) fn destroy_old(&self, now: Timestamp) {
        let Some(today) = now.day() else { return };
        let is_early = now < today.at_second(LATE_S);
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|(day, _)| *day == today || is_early && day.plus(1) == today);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_networks_of_one_day_apart_until_its_key_is_gone() {
        let keys = NetworkKeys::default();
        let (day, next) = (Day(20_778), Day(20_779));
        let noon = day.at_second(43_200);
        let [one, other]: [IpAddr; 2] = ["203.0.113.7", "203.0.113.8"].map(|a| a.parse().unwrap());
        let token = |address, of, now| keys.token(address, of, now);
        let first = token(one, day, noon).unwrap();
        assert_eq!(token(one, day, noon), Some(first));
        assert_eq!(token("::ffff:203.0.113.7".parse().unwrap(), day, noon), Some(first));
        assert_ne!(token(other, day, noon), Some(first));
        let v6 = |text: &str| token(text.parse().unwrap(), day, noon);
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::2"), "one client's 64 bits");
        assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
        assert_eq!(token(one, day.minus(1), noon), None, "a day without a key gets none later");

        let late = next.at_second(LATE_S - 1);
        assert_eq!(token(one, day, late), Some(first), "what comes late");
        assert_ne!(token(one, next, late), Some(first), "each day has its own key");
        assert_eq!(token(one, day, next.at_second(LATE_S)), None);
        assert_eq!(token(one, day, late), None, "gone is gone, whatever the clock says");
        keys.destroy_old(next.plus(1).at_second(LATE_S));
        assert!(keys.0.lock().unwrap().is_empty());
    }
}
