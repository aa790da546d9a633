//! `GET|POST /p.gif`: one request in, one answer out.
//!
//! In this order: the visitor's no (opt-out cookie, `Sec-GPC`), the query, the site, automata, the
//! gate, the visitor, repeats, the store. A client without our cookie is asked to prove that it
//! keeps cookies: a probe cookie and a redirect to the same pixel with a mark. That first request
//! is no hit yet, the second one is; what comes back with the mark and without the probe is
//! `cookieless`. The script tag, which can read an answer, is given the probe and then an id to
//! keep on the page's own host, for browsers that keep no cookie of ours; cookies that do come
//! count first.

use std::net::IpAddr;
use std::sync::Arc;

use mayfly_core::{
    Admitted, Attribute, Candidate, Day, Denial, Outcome, Refusal, Site, Timestamp, Visitor, limits,
};

use crate::admission;
use crate::client::Hints;
use crate::collector::{Collector, Ready};
use crate::cookie::{Nonce, ProbeCookie, VisitorCookie};
use crate::cookie_header::OwnCookies;
use crate::intake::Due;
use crate::no::WhoseNo;
use crate::query::{PROBE_MARK, PixelQuery};
use crate::refusal::{Reason, Verdict};
use crate::visitors::{Standing, Visitors};

/// A request for the pixel, in plain strings.
#[derive(Clone, Copy, Debug, Default)]
pub struct PixelRequest<'r> {
    /// The query string, without `?`; of a POST its body, which has the same form.
    pub query: &'r str,
    /// The script tag's POST: answered as JSON, never by a redirect.
    pub is_post: bool,
    /// The `Cookie` header; several joined by `;`.
    pub cookie: Option<&'r str>,
    /// The `Referer` header.
    pub referer: Option<&'r str>,
    /// The `Origin` header.
    pub origin: Option<&'r str>,
    /// What tells the client: user agent and client hints.
    pub hints: Hints<'r>,
    /// The `Accept-Language` header.
    pub language: Option<&'r str>,
    /// The client's address: looked up, never kept.
    pub address: Option<IpAddr>,
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
        /// `Set-Cookie` values.
        set_cookies: Vec<String>,
    },
    /// 302: the round trip of the probe.
    Probe {
        /// `Location`, relative to the request's own path: `?…&mf_probe=1`.
        location: String,
        /// A `Set-Cookie` value.
        set_cookie: String,
    },
    /// 200 and JSON, for the script tag.
    Tag {
        /// What became of the hit; `None` = queued, or no hit yet when there is a probe.
        verdict: Option<Verdict>,
        /// To be sent back with the same hit: the client keeps no cookie of ours yet.
        probe: Option<String>,
        /// The id that the tag is to keep on the page's own host.
        id: Option<String>,
        /// `Set-Cookie` values.
        set_cookies: Vec<String>,
        /// The visitor opted out elsewhere: the tag is to remember it.
        is_out: bool,
        /// Whether the page that asked may read the answer.
        is_readable: bool,
    },
}

impl PixelAnswer {
    /// What became of the hit, as far as it is known.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Gif { verdict, .. } | Self::Tag { verdict, .. } => *verdict,
            Self::Probe { .. } => None,
        }
    }
}

/// Whose request it is.
enum Who {
    /// A cookie or id of ours says so; to be renewed when it is not of today.
    Known(VisitorCookie, By),
    /// He opted out by a link, which his browser is told now.
    OptedOut(By),
    /// Erased, and the store does not say whether he opted out: he is no stranger.
    Unsure,
    /// A probe came back.
    Probed(Nonce, By),
}

/// Where the client keeps what we gave it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Cookie,
    /// The script tag, on the page's own host.
    Tag,
}

/// What is known of a request once its site is.
struct Asked<'r> {
    request: &'r PixelRequest<'r>,
    site: Arc<Site>,
    /// The tag reads the answer.
    wants_json: bool,
    /// The probe's second round trip by redirect.
    is_probed: bool,
    today: Day,
}

impl Asked<'_> {
    fn answer(&self, verdict: Option<Verdict>, set_cookies: Vec<String>) -> PixelAnswer {
        if !self.request.is_post {
            return PixelAnswer::Gif { verdict, set_cookies };
        }
        let is_readable = self.is_readable();
        PixelAnswer::Tag { verdict, probe: None, id: None, set_cookies, is_out: false, is_readable }
    }

    fn is_readable(&self) -> bool {
        self.request.origin.is_some_and(|origin| self.site.allows(origin))
    }
}

impl Collector {
    /// Answers a pixel request. With [`crate::Ack::Stored`] the answer waits for the store.
    ///
    /// Cancel safety: when the future is dropped, the hit still gets its one outcome.
    pub async fn pixel(&self, request: &PixelRequest<'_>) -> PixelAnswer {
        let answer = self.answer_pixel(request).await;
        self.note_passed(request.query, answer.verdict(), request.now);
        answer
    }

    async fn answer_pixel(&self, request: &PixelRequest<'_>) -> PixelAnswer {
        let is_readable = |site: &Site| request.origin.is_some_and(|origin| site.allows(origin));
        match self.pixel_or_verdict(request).await {
            Ok(answer) => answer,
            Err((verdict, site)) => {
                self.metrics().count(verdict);
                let verdict = Some(verdict);
                if !request.is_post {
                    return PixelAnswer::Gif { verdict, set_cookies: Vec::new() };
                }
                let is_readable = site.is_some_and(|site| is_readable(&site));
                PixelAnswer::Tag {
                    verdict,
                    probe: None,
                    id: None,
                    set_cookies: Vec::new(),
                    is_out: false,
                    is_readable,
                }
            }
        }
    }

    /// Refuses a request that was not looked at, and counts it.
    pub fn refuse(&self, reason: Reason) -> Verdict {
        let verdict = Verdict::from(reason);
        self.metrics().count(verdict);
        verdict
    }

    /// `Err` = refused before it was taken: not counted yet; with the site when it is known.
    async fn pixel_or_verdict(
        &self,
        request: &PixelRequest<'_>,
    ) -> Result<PixelAnswer, (Verdict, Option<Arc<Site>>)> {
        let early = |reason: Reason| (Verdict::from(reason), None);
        let query = PixelQuery::parse(request.query);
        let cookies = self.own_cookies(request.cookie.unwrap_or("")).map_err(early)?;
        // A no is heard also from a request that cannot be read.
        let no = cookies.refusal(request.gpc);
        let sites = self.sites();
        let site = query.as_ref().ok().and_then(|query| sites.get(&query.site)).cloned();
        if let Some(no) = no {
            self.hear(no, request, site.as_deref()).await;
            return Err((Reason::Consent(no).into(), site));
        }
        let query = query.map_err(early)?;
        let ready = self.ready().ok_or_else(|| early(Reason::NotOpen))?;
        let site = site.ok_or_else(|| early(Reason::UnknownSite))?;
        let late = |verdict: Verdict| (verdict, Some(Arc::clone(&site)));
        let asked = Asked {
            request,
            site: Arc::clone(&site),
            wants_json: query.wants_json,
            is_probed: query.probed,
            today: request.now.day().ok_or_else(|| late(Outcome::Malformed.into()))?,
        };
        let first_party = query.first_party.clone();
        let (candidate, fleeting) = self.candidate(query, &asked).map_err(late)?;
        let who = self.who(ready, &cookies, first_party.as_deref(), &asked).await;
        let admitted = self.admit(candidate, &fleeting, &asked.site, request.address, request.now);
        let hit = admitted.map_err(|denial| {
            // A foreign page can send a no in an image; it cannot say that it is the site's.
            let is_from_page = request.origin.or(request.referer).is_some();
            if let Some(Who::Known(cookie, _)) = &who
                && is_from_page
            {
                self.note_no(WhoseNo::Visitor(cookie.visitor), &asked.site, &denial, request.now);
            }
            late(denial.into())
        })?;
        self.take_or_probe(ready, hit, who, first_party.is_some(), &asked).await.map_err(late)
    }

    /// Keeps a browser's no to everything, where it is one that we know: what was kept of it before
    /// is not passed on any more.
    async fn hear(&self, no: Refusal, request: &PixelRequest<'_>, site: Option<&Site>) {
        let cookies = request.cookie.unwrap_or_default();
        if let Some(site) = site
            && request.origin.or(request.referer).is_some()
            && let Some(visitor) = self.visitor(cookies, request.now).await
        {
            let denial = Denial::Consent(no, Box::default());
            self.note_no(WhoseNo::Visitor(visitor), site, &denial, request.now);
        }
    }

    /// What a pixel says of a hit, with the attributes that are for rules only.
    fn candidate(
        &self,
        mut query: PixelQuery<'_>,
        asked: &Asked<'_>,
    ) -> Result<(Candidate, Vec<Attribute>), Verdict> {
        let request = asked.request;
        let asker = self.agents().asker(&request.hints);
        asker.may_ask(&asked.site)?;
        let context = self.context(asker.client, request.language, request.address);
        let fleeting = std::mem::take(&mut query.fleeting);
        Ok((admission::candidate(query, request, context)?, fleeting))
    }

    /// Whose request it is; `None` for a stranger. A cookie counts before what the tag keeps.
    async fn who(
        &self,
        ready: &Ready,
        cookies: &OwnCookies<'_>,
        first_party: Option<&str>,
        asked: &Asked<'_>,
    ) -> Option<Who> {
        let (visitors, now) = (&ready.visitors, asked.request.now);
        for value in cookies.visitors() {
            let standing = visitors.cookie(value, now).await;
            if let Some(who) = known(visitors, standing, By::Cookie).await {
                return Some(who);
            }
        }
        if let Some(value) = first_party {
            let standing = visitors.first_party(value, asked.site.id, now).await;
            if let Some(who) = known(visitors, standing, By::Tag).await {
                return Some(who);
            }
        }
        let probe = |value: &str| ProbeCookie::decode(value, &visitors.keys(), now).ok();
        let by_cookie = cookies.probes().find_map(probe).map(|p| Who::Probed(p.nonce, By::Cookie));
        by_cookie.or_else(|| Some(Who::Probed(first_party.and_then(probe)?.nonce, By::Tag)))
    }

    /// Takes the hit of someone who is known or proved that he keeps what he is given; asks a
    /// stranger to prove it. From here the hit counts, whatever happens to the request.
    async fn take_or_probe(
        &self,
        ready: &Ready,
        hit: Admitted,
        who: Option<Who>,
        keeps_id: bool,
        asked: &Asked<'_>,
    ) -> Result<PixelAnswer, Verdict> {
        match who {
            Some(Who::OptedOut(by)) => Ok(self.tell_opted_out(by, asked)),
            Some(Who::Unsure) => Err(Reason::StoreAway.into()),
            Some(Who::Known(cookie, by)) => {
                let renewed = (cookie.issued != asked.today).then_some(by);
                let due = Due::new(self.metrics());
                Ok(self.take_pixel(ready, hit, cookie.visitor, due, asked, renewed).await)
            }
            Some(Who::Probed(nonce, by)) => {
                let due = Due::new(self.metrics());
                match ready.visitors.of_probe(nonce, asked.request.now).await {
                    Ok(visitor) => {
                        Ok(self.take_pixel(ready, hit, visitor, due, asked, Some(by)).await)
                    }
                    Err(reason) => Ok(asked.answer(Some(due.decide(reason)), Vec::new())),
                }
            }
            None if asked.is_probed || asked.request.is_post && !(asked.wants_json && keeps_id) => {
                Err(Reason::NoCookie.into())
            }
            None => self.probe(ready, asked),
        }
    }

    /// Queues the hit, waits as far as `ack` asks, and makes the answer; `issue` says where the
    /// client is to keep its (new) id.
    async fn take_pixel(
        &self,
        ready: &Ready,
        hit: Admitted,
        visitor: Visitor,
        mut due: Due,
        asked: &Asked<'_>,
        issue: Option<By>,
    ) -> PixelAnswer {
        let now = asked.request.now;
        let noted = match self.behaves(&hit, visitor, &asked.site, now) {
            Ok(noted) => noted,
            Err(verdict) => return asked.answer(Some(due.decide(verdict)), Vec::new()),
        };
        let told = self.waits().then(|| due.reply());
        let verdict = match ready.enqueue(hit, visitor, None, now, due) {
            Err(verdict) => Some(verdict),
            Ok(()) => match told {
                Some(told) => Some(told.await.unwrap_or(Outcome::StoreFailed.into())),
                None => None,
            },
        };
        if verdict.is_some_and(|verdict| !verdict.outcome.is_kept()) {
            self.behaviour().forget(noted);
        }
        let identity = &ready.visitors.identity;
        let (store, realm, issued) = (identity.store, identity.realm, asked.today);
        let cookie = VisitorCookie { store, realm, visitor, issued };
        match issue {
            None => asked.answer(verdict, Vec::new()),
            Some(By::Cookie) => {
                let set_cookie = self.set_visitor_cookie(ready, &cookie, asked.request.https);
                asked.answer(verdict, vec![set_cookie])
            }
            Some(By::Tag) => PixelAnswer::Tag {
                verdict,
                probe: None,
                id: Some(cookie.encode_for(asked.site.id, &ready.visitors.keys())),
                set_cookies: Vec::new(),
                is_out: false,
                is_readable: asked.is_readable(),
            },
        }
    }

    /// Has the browser keep what its visitor said elsewhere.
    fn tell_opted_out(&self, by: By, asked: &Asked<'_>) -> PixelAnswer {
        let request = asked.request;
        let verdict = Due::new(self.metrics()).decide(Reason::Consent(Refusal::OptedOut));
        let set_cookies = match by {
            By::Cookie => self.set_opt_out(true, request.cookie.unwrap_or(""), request.https),
            By::Tag => Vec::new(),
        };
        let mut answer = asked.answer(Some(verdict), set_cookies);
        if let PixelAnswer::Tag { is_out, .. } = &mut answer {
            *is_out = true;
        }
        answer
    }

    fn set_visitor_cookie(&self, ready: &Ready, cookie: &VisitorCookie, https: bool) -> String {
        let value = cookie.encode(&ready.visitors.keys());
        let max_age_s = i64::from(self.config().retention.days()) * mayfly_core::time::DAY_SECONDS;
        self.set_cookie(&self.cookie_names().visitor, &value, max_age_s, https)
    }

    /// Sends a probe.
    fn probe(&self, ready: &Ready, asked: &Asked<'_>) -> Result<PixelAnswer, Verdict> {
        let request = asked.request;
        let (value, nonce) = fresh_probe(ready, request.now)?;
        let name = format!("{}_{:02x}", self.cookie_names().probe, nonce[0]);
        let set_cookie = self.set_cookie(&name, &value, limits::PROBE_SECONDS, request.https);
        self.metrics().count_probe();
        if !request.is_post {
            return Ok(PixelAnswer::Probe { location: location(request.query), set_cookie });
        }
        // Another one than the cookie's: the page can read it, and must not learn who the cookie
        // makes of this browser on other sites.
        let (readable, _) = fresh_probe(ready, request.now)?;
        Ok(PixelAnswer::Tag {
            verdict: None,
            probe: Some(readable),
            id: None,
            set_cookies: vec![set_cookie],
            is_out: false,
            is_readable: asked.is_readable(),
        })
    }
}

/// Who a cookie's or id's visitor is, when he was ever issued.
async fn known(visitors: &Visitors, standing: Option<Standing>, by: By) -> Option<Who> {
    match standing? {
        Standing::OptedOut => Some(Who::OptedOut(by)),
        Standing::Unsure => Some(Who::Unsure),
        Standing::Living(cookie) => {
            visitors.is_issued(cookie.visitor).await.then_some(Who::Known(cookie, by))
        }
    }
}

fn fresh_probe(ready: &Ready, now: Timestamp) -> Result<(String, Nonce), Verdict> {
    let mut nonce = Nonce::default();
    // Without randomness visitors cannot be told apart.
    getrandom::fill(&mut nonce).map_err(|_| Reason::NoOrdinal)?;
    Ok((ProbeCookie { issued: now, nonce }.encode(&ready.visitors.keys()), nonce))
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
