//! Fair shares: requests of one address, hits of one token, pixel requests of one site. A share is
//! an average over ten seconds; who was quiet may send ten seconds' worth at once.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use mayfly_core::SiteId;

use crate::config::Settings;

/// Seconds that a share is an average over.
const SECONDS: u32 = 10;

/// The shares of this process.
#[derive(Debug)]
pub(crate) struct Shares {
    addresses: Option<DefaultKeyedRateLimiter<Network>>,
    tokens: Option<DefaultKeyedRateLimiter<String>>,
    sites: Option<DefaultKeyedRateLimiter<SiteId>>,
}

/// An address as far as one client is told by it: IPv6 clients own 64 bits of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Network(u128);

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u128::from(address.to_bits())),
            IpAddr::V6(address) => Self(address.to_bits() >> 64 << 64),
        }
    }
}

impl Shares {
    /// The shares that the settings give.
    pub(crate) fn of(settings: &Settings) -> Self {
        let Settings { address_requests_per_s, token_hits_per_s, site_requests_per_s, .. } =
            settings;
        Self::new(*address_requests_per_s, *token_hits_per_s, *site_requests_per_s)
    }

    /// So many a second; 0 = any number.
    fn new(requests_per_s: u32, hits_per_s: u32, site_requests_per_s: u32) -> Self {
        Self {
            addresses: limiter(requests_per_s),
            tokens: limiter(hits_per_s),
            sites: limiter(site_requests_per_s),
        }
    }

    /// Whether a site has a pixel request left; `site` is asked only where there is a limit.
    pub(crate) fn site_has_request(&self, site: impl FnOnce() -> Option<SiteId>) -> bool {
        let Some(shares) = &self.sites else { return true };
        site().is_none_or(|site| shares.check_key(&site).is_ok())
    }

    /// Whether an address has a request left.
    pub(crate) fn has_request(&self, address: IpAddr) -> bool {
        let network = Network::of(address);
        self.addresses.as_ref().is_none_or(|shares| shares.check_key(&network).is_ok())
    }

    /// Takes hits out of a token's share.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn take_hits(&self, token: &str, hits: usize) -> Result<(), Duration> {
        let (Some(shares), Some(hits)) =
            (&self.tokens, u32::try_from(hits).ok().and_then(NonZeroU32::new))
        else {
            return Ok(());
        };
        match shares.check_key_n(&token.to_owned(), hits) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(until.wait_time_from(DefaultClock::default().now())),
            // More at once than ten seconds' worth.
            Err(_) => Err(Duration::from_secs(u64::from(SECONDS))),
        }
    }

    /// Forgets who is quiet; to be called now and then.
    pub(crate) fn tidy(&self) {
        self.addresses.iter().for_each(RateLimiter::retain_recent);
        self.tokens.iter().for_each(RateLimiter::retain_recent);
        self.sites.iter().for_each(RateLimiter::retain_recent);
    }
}

fn limiter<K: Hash + Eq + Clone>(per_s: u32) -> Option<DefaultKeyedRateLimiter<K>> {
    let per_s = NonZeroU32::new(per_s)?;
    let burst = per_s.saturating_mul(NonZeroU32::new(SECONDS)?);
    Some(RateLimiter::keyed(Quota::per_second(per_s).allow_burst(burst)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_his_own_share() {
        let shares = Shares::new(2, 5, 0);
        let [one, other]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|a| a.parse().unwrap());
        let taken = (0..100).filter(|_| shares.has_request(one)).count();
        assert!((20..25).contains(&taken), "{taken}");
        assert!(shares.has_request(other));
        let [a, b]: [IpAddr; 2] = ["2001:db8::1", "2001:db8::2"].map(|a| a.parse().unwrap());
        let taken = (0..50).filter(|_| shares.has_request(a) & shares.has_request(b)).count();
        assert!(taken < 15, "one client: {taken}");
        assert_eq!(shares.take_hits("a", 50), Ok(()));
        assert!(shares.take_hits("a", 5).unwrap_err() <= Duration::from_secs(2));
        assert_eq!(shares.take_hits("b", 1), Ok(()));
        assert!(shares.take_hits("c", 51).is_err());
        assert!(Shares::new(0, 0, 0).take_hits("a", 1_000_000).is_ok());
        shares.tidy();
    }
}
