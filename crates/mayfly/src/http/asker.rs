//! Who asks: the client's address and scheme, behind hops that are trusted.

use std::net::IpAddr;

use actix_web::HttpRequest;

use super::State;

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
    let said = super::header(request, "x-forwarded-proto");
    let https = https || said.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"));
    // The last hop that is not ours was told by one that is; what stands before it is hearsay.
    let hops = request.headers().get_all("x-forwarded-for").filter_map(|v| v.to_str().ok());
    let hops: Vec<&str> = hops.flat_map(|line| line.split(',')).map(str::trim).collect();
    let client = hops.iter().rev().map(|hop| hop.parse::<IpAddr>().ok().map(|a| a.to_canonical()));
    match client.into_iter().find(|hop| !hop.is_some_and(|hop| trusted.contains(hop))) {
        Some(address) => Asker { address, https, is_trusted: false },
        None => Asker { address: peer, https, is_trusted: hops.is_empty() },
    }
}
