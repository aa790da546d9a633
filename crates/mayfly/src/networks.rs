//! Networks of addresses, as operators write them.

use std::net::IpAddr;

/// Networks: addresses with the number of bits that count.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Networks(Vec<(IpAddr, u32)>);

impl Networks {
    /// Reads addresses (`::1`) and networks (`10.0.0.0/8`) with commas between.
    ///
    /// # Errors
    /// The first part that is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts
            .map(|part| network(part).ok_or_else(|| part.to_owned()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether the address is in one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(network, bits)| match (network, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same(u128::from(own.to_bits()), u128::from(other.to_bits()), 32 - bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                same(own.to_bits(), other.to_bits(), 128 - bits)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        })
    }
}

/// Whether two numbers differ in nothing but their lowest bits.
fn same(a: u128, b: u128, free_bits: u32) -> bool {
    let differs = a ^ b;
    differs.checked_shr(free_bits).unwrap_or(0) == 0
}

fn network(part: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = part.split_once('/').map_or((part, None), |(a, bits)| (a, Some(bits)));
    let address = address.parse::<IpAddr>().ok()?.to_canonical();
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok()).filter(|bits| *bits <= most)?;
    Some((address, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let networks = Networks::parse("127.0.0.0/8, 10.1.2.3,::1, 2001:db8::/32").unwrap();
        let holds = |text: &str| networks.contains(text.parse().unwrap());
        for inside in ["127.9.9.9", "10.1.2.3", "::1", "2001:db8:1::2", "::ffff:127.0.0.1"] {
            assert!(holds(inside), "{inside}");
        }
        for outside in ["128.0.0.1", "10.1.2.4", "::2", "2001:db9::"] {
            assert!(!holds(outside), "{outside}");
        }
        assert!(Networks::parse("0.0.0.0/0").unwrap().contains("8.8.8.8".parse().unwrap()));
        for bad in ["localhost", "10.0.0.0/33", "10.0.0.0/x", "::1/129"] {
            assert_eq!(Networks::parse(bad), Err(bad.to_owned()));
        }
    }
}
