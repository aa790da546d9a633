//! `GET /p.gif`: one request in, one answer out.
//!
//! In this order: the visitor's no (opt-out cookie, `Sec-GPC`), the query, the site, the gate, the
//! visitor, the store. A client without our cookie is asked to prove that it keeps cookies: a probe
//! cookie and a redirect to the same pixel with a mark. That first request is no hit yet, the
//! second one is; what comes back with the mark and without the probe is `cookieless`.

use mayfly_core::{Admitted, Day, Outcome, Timestamp, Visitor, limits};

use crate::admission;
use crate::collector::{Collector, Ready};
use crate::cookie::{Nonce, ProbeCookie, VisitorCookie};
use crate::cookie_header::{OwnCookies, PROBE_COOKIE, VISITOR_COOKIE, set_cookie};
use crate::intake::Due;
use crate::query::{PROBE_MARK, PixelQuery};
use crate::refusal::{Reason, Verdict};

/// A request for the pixel, in plain strings.
#[derive(Clone, Copy, Debug, Default)]
pub struct PixelRequest<'r> {
    /// The query string, without `?`.
    pub query: &'r str,
    /// The `Cookie` header; several joined by `;`.
    pub cookie: Option<&'r str>,
    /// The `Referer` header.
    pub referer: Option<&'r str>,
    /// The `Origin` header.
    pub origin: Option<&'r str>,
    /// The `User-Agent` header; not used in this version.
    pub user_agent: Option<&'r str>,
    /// The `Sec-GPC` header.
    pub gpc: Option<&'r str>,
    /// Whether the request came by https.
    pub https: bool,
    /// The server's time.
    pub now: Timestamp,
}

/// The answer to a pixel request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PixelAnswer {
    /// 200 and the GIF.
    Gif {
        /// What became of the hit; `None` = queued and not decided yet ([`crate::Ack::Queued`]).
        verdict: Option<Verdict>,
        /// A `Set-Cookie` value.
        set_cookie: Option<String>,
    },
    /// 302: the round trip of the probe.
    Probe {
        /// `Location`, relative to the request's own path: `?…&mf_probe=1`.
        location: String,
        /// A `Set-Cookie` value.
        set_cookie: String,
    },
}

/// Whose request it is.
enum Who {
    /// Our cookie says so; to be renewed when it is not of today.
    Known(VisitorCookie),
    /// A probe came back.
    Probed(Nonce),
}

impl Collector {
    /// Answers a pixel request. With [`crate::Ack::Stored`] the answer waits for the store.
    ///
    /// Cancel safety: when the future is dropped, the hit still gets its one outcome.
    pub async fn pixel(&self, request: &PixelRequest<'_>) -> PixelAnswer {
        match self.pixel_or_verdict(request).await {
            Ok(answer) => answer,
            Err(verdict) => {
                self.metrics().count(verdict.outcome);
                PixelAnswer::Gif { verdict: Some(verdict), set_cookie: None }
            }
        }
    }

    /// `Err` = refused before it was taken: not counted yet.
    async fn pixel_or_verdict(&self, request: &PixelRequest<'_>) -> Result<PixelAnswer, Verdict> {
        let cookies = OwnCookies::find(request.cookie.unwrap_or(""))?;
        if cookies.opted_out || admission::gpc(request.gpc) == Some(true) {
            return Err(Outcome::OptedOut.into());
        }
        let query = PixelQuery::parse(request.query)?;
        let probed = query.probed;
        let ready = self.ready().ok_or(Reason::NotOpen)?;
        let hit = self.admit_pixel(query, request)?;
        let today = request.now.day().ok_or(Outcome::Malformed)?;
        // From here the hit counts, whatever happens to the request.
        match self.who(ready, &cookies, request.now).await {
            Some(Who::Known(cookie)) => {
                let renew = cookie.issued != today;
                let visitor = cookie.visitor;
                let due = Due::new(self.metrics());
                Ok(self.take_pixel(ready, hit, visitor, due, (request, today), renew).await)
            }
            Some(Who::Probed(nonce)) => {
                let due = Due::new(self.metrics());
                match ready.visitors.of_probe(nonce, request.now).await {
                    Ok(visitor) => {
                        Ok(self.take_pixel(ready, hit, visitor, due, (request, today), true).await)
                    }
                    Err(reason) => {
                        let verdict = Some(due.decide(reason));
                        Ok(PixelAnswer::Gif { verdict, set_cookie: None })
                    }
                }
            }
            None if probed => Err(Reason::NoCookie.into()),
            None => self.probe(ready, request),
        }
    }

    fn admit_pixel(
        &self,
        query: PixelQuery<'_>,
        request: &PixelRequest<'_>,
    ) -> Result<Admitted, Verdict> {
        let site = self.sites().get(&query.site).cloned().ok_or(Reason::UnknownSite)?;
        let candidate = admission::candidate(query, request)?;
        admission::admit(candidate, &site, request.now, self.config().retention)
    }

    /// Whose request it is; `None` for a stranger.
    async fn who(&self, ready: &Ready, cookies: &OwnCookies<'_>, now: Timestamp) -> Option<Who> {
        if let Some(cookie) = cookies.visitor.and_then(|v| ready.visitors.cookie(v, now))
            && ready.visitors.is_issued(cookie.visitor).await
        {
            return Some(Who::Known(cookie));
        }
        let probe = ProbeCookie::decode(cookies.probe?, &ready.visitors.keys(), now).ok()?;
        Some(Who::Probed(probe.nonce))
    }

    /// Queues the hit, waits as far as `ack` asks, and makes the answer.
    async fn take_pixel(
        &self,
        ready: &Ready,
        hit: Admitted,
        visitor: Visitor,
        mut due: Due,
        (request, today): (&PixelRequest<'_>, Day),
        issue: bool,
    ) -> PixelAnswer {
        let told = self.waits().then(|| due.reply());
        let verdict = match ready.enqueue(hit, visitor, None, request.now, due) {
            Err(verdict) => Some(verdict),
            Ok(()) => match told {
                Some(told) => Some(told.await.unwrap_or(Outcome::StoreFailed.into())),
                None => None,
            },
        };
        let set_cookie = issue.then(|| self.issue(ready, visitor, today, request.https));
        PixelAnswer::Gif { verdict, set_cookie }
    }

    /// The `Set-Cookie` of a visitor, issued today.
    fn issue(&self, ready: &Ready, visitor: Visitor, issued: Day, https: bool) -> String {
        let identity = &ready.visitors.identity;
        let cookie =
            VisitorCookie { store: identity.store, realm: identity.realm, visitor, issued };
        let value = cookie.encode(&ready.visitors.keys());
        let max_age_s = i64::from(self.config().retention.days()) * mayfly_core::time::DAY_SECONDS;
        set_cookie(VISITOR_COOKIE, &value, max_age_s, self.config().placement, https)
    }

    /// Sends a probe.
    fn probe(&self, ready: &Ready, request: &PixelRequest<'_>) -> Result<PixelAnswer, Verdict> {
        let mut nonce = Nonce::default();
        // Without randomness visitors cannot be told apart.
        getrandom::fill(&mut nonce).map_err(|_| Reason::NoOrdinal)?;
        let value = ProbeCookie { issued: request.now, nonce }.encode(&ready.visitors.keys());
        let placement = self.config().placement;
        let set_cookie =
            set_cookie(PROBE_COOKIE, &value, limits::PROBE_SECONDS, placement, request.https);
        self.metrics().count_probe();
        Ok(PixelAnswer::Probe { location: location(request.query), set_cookie })
    }
}

/// The same pixel with the probe's mark. What may not stand in a header is escaped.
fn location(query: &str) -> String {
    let mut location = String::with_capacity(query.len() + 16);
    location.push('?');
    for byte in query.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'#' => location.push(char::from(byte)),
            other => location.push_str(&format!("%{other:02X}")),
        }
    }
    if !query.is_empty() {
        location.push('&');
    }
    location + PROBE_MARK + "=1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_holds_no_line_break_and_reads_as_the_same_query() {
        assert_eq!(location(""), "?mf_probe=1");
        assert_eq!(location("s=a&t=b%20c"), "?s=a&t=b%20c&mf_probe=1");
        let odd = location("s=a\r\nSet-Cookie: x=1&t=ö#");
        assert!(odd.bytes().all(|b| b.is_ascii_graphic()) && !odd.contains('#'));
        assert_eq!(&*PixelQuery::parse(&odd[1..]).unwrap().title, "ö#");
    }
}
