//! Who asks: the client's address and scheme, behind hops that are trusted.

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header;

use super::{ApiError, State};

/// Where a request comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Asker {
    /// The client's address; none when it cannot be told. Looked up and limited, never kept.
    pub(crate) address: Option<IpAddr>,
    /// It came by https, here or at the first trusted hop.
    pub(crate) https: bool,
    /// A trusted hop itself: this machine, not a client behind it.
    pub(crate) is_trusted: bool,
}

/// Where this request comes from.
pub(crate) fn asker(request: &HttpRequest, state: &State) -> Asker {
    let trusted = &state.settings().trusted;
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    let https = request.app_config().secure();
    if !peer.is_some_and(|peer| trusted.contains(peer)) {
        return Asker { address: peer, https, is_trusted: false };
    }
    let said = super::header(request, header::X_FORWARDED_PROTO);
    let https = https || said.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"));
    // The last hop that is not ours was told by one that is; what stands before it is hearsay. One
    // that is no address is not ours either, and shares what its hop may send.
    let lines = request.headers().get_all(header::X_FORWARDED_FOR).map(|line| line.as_bytes());
    let mut hops: Vec<&[u8]> = lines.flat_map(|line| line.split(|byte| *byte == b',')).collect();
    let is_direct = hops.is_empty();
    while let Some(hop) = hops.pop() {
        match address_of(hop) {
            Some(address) if trusted.contains(address) => {}
            Some(address) => return Asker { address: Some(address), https, is_trusted: false },
            None => break,
        }
    }
    Asker { address: peer, https, is_trusted: is_direct }
}

/// `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn address_of(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    text.parse::<IpAddr>().ok().or_else(with_port).map(|address| address.to_canonical())
}

/// Lets a request through if its address has one left.
///
/// # Errors
/// [`ApiError::Limited`].
pub(crate) fn fair(request: &HttpRequest, state: &State) -> Result<(), ApiError> {
    let asker = asker(request, state);
    let limited = asker.address.filter(|_| !asker.is_trusted);
    match limited {
        Some(address) if !state.shares().has_request(address) => {
            Err(ApiError::Limited { seconds: 1 })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_are_addresses_with_or_without_a_port() {
        for (hop, address) in [
            (" 203.0.113.7 ", "203.0.113.7"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
        ] {
            assert_eq!(address_of(hop.as_bytes()), address.parse().ok(), "{hop}");
        }
        for hop in [&b"\xff"[..], b"unknown", b"", b"203.000.113.007", "é".as_bytes()] {
            assert_eq!(address_of(hop), None);
        }
    }
}
