//! The way out: the only thing here that connects to others. Redirects are not followed, answers
//! are cut, and addresses inside private ranges are refused unless their host is allowed by name.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mayfly_export::push::Request;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Method, Url, redirect};

/// What is read of an answer, bytes.
const ANSWER_BYTES: usize = 1 << 20;
/// How long a piece of a file may take.
const FILE: Duration = Duration::from_secs(300);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// An answer, as far as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Received {
    /// The status.
    pub(crate) status: u16,
    /// `Retry-After`, seconds.
    pub(crate) retry_after_s: Option<u64>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unreached {
    /// The host has no address.
    Dns,
    /// The host has addresses inside private ranges, and is not allowed by name.
    PrivateAddress,
    /// Without TLS, to a host that is not allowed by name.
    Insecure,
    /// The request cannot be made: its URL or a header.
    BadRequest,
    /// The certificate is wrong, or there is no TLS.
    Tls,
    /// Nobody took the connection.
    Refused,
    /// It took too long.
    Timeout,
    /// It broke off: it may have arrived.
    Broken,
    /// It arrived, and the answer is longer than anybody would read.
    LongAnswer,
}

impl Unreached {
    /// Its code in the ledger.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::PrivateAddress => "private_address",
            Self::Insecure => "insecure",
            Self::BadRequest => "bad_request",
            Self::Tls => "tls",
            Self::Refused => "connection_refused",
            Self::Timeout => "timeout",
            Self::Broken => "broken_off",
            Self::LongAnswer => "long_answer",
        }
    }

    /// Whether a person has to look: waiting mends nothing.
    pub(crate) const fn is_for_good(self) -> bool {
        match self {
            Self::PrivateAddress | Self::Insecure | Self::BadRequest => true,
            Self::Dns
            | Self::Tls
            | Self::Refused
            | Self::Timeout
            | Self::Broken
            | Self::LongAnswer => false,
        }
    }
}

/// Connects.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    client: Client,
    /// The same with more time, for files.
    patient: Client,
    allowed: Arc<[String]>,
}

impl Connector {
    /// One that gives an answer so much time, believes the certificates of `ca_file`, too, and may
    /// reach these hosts wherever they are.
    pub(crate) fn new(
        timeout: Duration,
        ca_file: Option<&Path>,
        allowed: &[String],
    ) -> anyhow::Result<Self> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let allowed: Arc<[String]> = allowed.into();
        let mut own = Vec::new();
        if let Some(file) = ca_file {
            own = Certificate::from_pem_bundle(&std::fs::read(file)?)?;
        }
        let client = |timeout: Duration| {
            Client::builder()
                .user_agent(concat!("mayfly/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .no_proxy()
                .connect_timeout(CONNECT)
                .timeout(timeout)
                .dns_resolver(Arc::new(Guard { allowed: Arc::clone(&allowed) }))
                .tls_certs_merge(own.clone())
                .build()
        };
        let (client, patient) = (client(timeout)?, client(timeout.max(FILE))?);
        Ok(Self { client, patient, allowed })
    }

    /// The client for files.
    pub(super) fn patient(&self) -> &Client {
        &self.patient
    }

    /// The addresses of a host that may be reached.
    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Unreached> {
        let found = tokio::net::lookup_host((host, port)).await.map_err(|_| Unreached::Dns)?;
        let found: Vec<SocketAddr> = found.collect();
        let is_allowed = is_allowed(&self.allowed, host);
        if !is_allowed && found.iter().any(|own| !is_public(own.ip())) {
            return Err(Unreached::PrivateAddress);
        }
        if found.is_empty() { Err(Unreached::Dns) } else { Ok(found) }
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn send(&self, request: &Request) -> Result<Received, Unreached> {
        let url = Url::parse(&request.url).map_err(|_| Unreached::BadRequest)?;
        self.may_ask(&url)?;
        let method = Method::from_bytes(request.method.label().as_bytes())
            .map_err(|_| Unreached::BadRequest)?;
        let headers = headers(request)?;
        let body = request.body.clone();
        let asked = self.client.request(method, url).headers(headers).body(body);
        let mut answer = asked.send().await.map_err(why)?;
        let status = answer.status().as_u16();
        let retry_after_s = answer.headers().get(RETRY_AFTER).and_then(retry_after);
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(why)? {
            if body.len() + piece.len() > ANSWER_BYTES {
                return Err(Unreached::LongAnswer);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Received { status, retry_after_s, body })
    }

    pub(super) fn may_ask(&self, url: &Url) -> Result<(), Unreached> {
        let host = url.host_str().ok_or(Unreached::BadRequest)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Unreached::BadRequest);
        }
        if is_allowed(&self.allowed, host) {
            return Ok(());
        }
        if url.scheme() != "https" {
            return Err(Unreached::Insecure);
        }
        let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        if literal.is_some_and(|address| !is_public(address)) {
            return Err(Unreached::PrivateAddress);
        }
        Ok(())
    }
}

fn headers(request: &Request) -> Result<HeaderMap, Unreached> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unreached::BadRequest)?;
        let mut value = HeaderValue::from_str(value).map_err(|_| Unreached::BadRequest)?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// Seconds, or an instant (RFC 9110, 10.2.3).
fn retry_after(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second();
    u64::try_from(at - crate::clock::now().secs()).ok()
}

/// What went wrong, read off the chain of causes.
fn why(error: reqwest::Error) -> Unreached {
    // A URL may hold a secret.
    let error = error.without_url();
    tracing::debug!(?error, "no answer");
    if error.is_timeout() {
        return Unreached::Timeout;
    }
    if error.is_builder() {
        return Unreached::BadRequest;
    }
    cause_of(&error).unwrap_or(Unreached::Broken)
}

/// What the guard, TLS or the way there said, read off the chain of causes.
pub(super) fn cause_of(error: &(dyn Error + 'static)) -> Option<Unreached> {
    let (mut is_connect, mut is_late) = (false, false);
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(own) = cause {
        if own.is::<PrivateAddress>() {
            return Some(Unreached::PrivateAddress);
        }
        if own.is::<NoAddress>() {
            return Some(Unreached::Dns);
        }
        if own.is::<rustls::Error>() {
            return Some(Unreached::Tls);
        }
        is_connect |= own.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect);
        is_late |= own.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout);
        // An error of the system that wraps another hides it from `source`.
        let wrapped = own.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => own.source(),
        };
    }
    match (is_late, is_connect) {
        (true, _) => Some(Unreached::Timeout),
        (false, true) => Some(Unreached::Refused),
        (false, false) => None,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the host has an address inside a private range")]
struct PrivateAddress;

#[derive(Debug, thiserror::Error)]
#[error("the host has no address")]
struct NoAddress;

/// Finds the addresses of hosts, and lets none pass that is not public.
#[derive(Debug)]
struct Guard {
    allowed: Arc<[String]>,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let is_allowed = is_allowed(&self.allowed, name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found: Vec<SocketAddr> = found.map_err(|_| NoAddress)?.collect();
            if !is_allowed && found.iter().any(|own| !is_public(own.ip())) {
                return Err(PrivateAddress.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn is_allowed(allowed: &[String], host: &str) -> bool {
    allowed.iter().any(|own| own.eq_ignore_ascii_case(host))
}

/// Whether an address is one of the open internet (IANA's special-purpose registries).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(own) => is_public_4(own),
        IpAddr::V6(own) => is_public_6(own),
    }
}

fn is_public_4(own: Ipv4Addr) -> bool {
    let [a, b, c, _] = own.octets();
    let is_special = own.is_private()
        || own.is_loopback()
        || own.is_link_local()
        || own.is_documentation()
        || own.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // shared by providers, RFC 6598
        || (a == 198 && (b == 18 || b == 19)) // benchmarks, RFC 2544
        || (a == 192 && b == 0 && c == 0); // protocol assignments, RFC 6890
    !is_special
}

fn is_public_6(own: Ipv6Addr) -> bool {
    if let Some(inner) = inner_4(own) {
        return is_public_4(inner);
    }
    let [a, b, c, ..] = own.segments();
    let is_special = own.is_loopback()
        || own.is_unspecified()
        || own.is_multicast()
        || (a & 0xfe00) == 0xfc00 // unique local
        || (a & 0xff80) == 0xfe80 // link local, and what was once the site's
        || (a == 0x0064 && b == 0xff9b && c == 1) // translated within one's own network
        || (a == 0x2001 && b == 0x0db8); // documentation
    !is_special
}

/// An address of version 4 inside of one of version 6: mapped, translated (RFC 6052), 6to4.
fn inner_4(own: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match own.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(of(high, low))
        }
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_of_the_open_internet_are_known() {
        for own in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:a00:1::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(own.parse().unwrap()), "{own}");
        }
        for own in ["1.1.1.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(own.parse().unwrap()), "{own}");
        }
    }

    #[test]
    fn a_time_to_come_back_is_seconds_or_an_instant() {
        let read = |text: &str| retry_after(&HeaderValue::from_str(text).unwrap());
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), None, "it has passed");
        assert!(read("Wed, 21 Oct 2099 07:28:00 GMT").is_some_and(|s| s > 1_000_000));
        assert_eq!(read("soon"), None);
    }
}
