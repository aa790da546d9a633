//! Whose browser it is: by our cookie, by the tag's id, by a link; and how a browser is told to
//! forget.

use mayfly_core::{Timestamp, Visitor, limits};
use mayfly_store::Identity;

use crate::collector::Collector;
use crate::cookie::VisitorCookie;
use crate::cookie_header::probe_names;
use crate::refusal::Reason;
use crate::visitors::{OPTED_OUT_SPACE, Standing};

/// Whom a link is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// This visitor.
    Visitor(Visitor),
    /// Someone who opted out by it.
    OptedOut,
    /// Nobody: it is too old, forged, or of someone who was erased.
    Nobody,
}

impl Collector {
    /// Whose browser sent this `Cookie` header.
    #[must_use]
    pub async fn visitor(&self, cookie_header: &str, now: Timestamp) -> Option<Visitor> {
        let cookies = self.own_cookies(cookie_header).ok()?;
        for value in cookies.visitors() {
            if let Some(visitor) = self.visitor_of_cookie(value, now).await {
                return Some(visitor);
            }
        }
        None
    }

    /// Whose id this is, which the script tag kept for a site.
    #[must_use]
    pub async fn visitor_of_tag(&self, site: &str, value: &str, now: Timestamp) -> Option<Visitor> {
        let site = self.sites().get(site)?.id;
        let standing = self.ready()?.visitors.first_party(value, site, now).await;
        Some(standing?.living()?.visitor)
    }

    /// Whom a link of [`Self::pass`] is for.
    pub async fn holder(&self, site: &str, pass: &str, now: Timestamp) -> Holder {
        let (sites, ready) = (self.sites(), self.ready());
        let (Some(site), Some(ready)) = (sites.get(site), ready) else { return Holder::Nobody };
        match ready.visitors.pass(pass, site.id, now).await {
            Some(Standing::Living(cookie)) => Holder::Visitor(cookie.visitor),
            Some(Standing::OptedOut) => Holder::OptedOut,
            Some(Standing::Unsure) | None => Holder::Nobody,
        }
    }

    /// A link by which a site's page shows its visitor what is held about him, where our own page
    /// could not know him: the browser keeps our cookie apart for each site, or not at all.
    #[must_use]
    pub fn pass(&self, site: &str, visitor: Visitor, now: Timestamp) -> Option<String> {
        let (site, ready) = (self.sites().get(site)?.id, self.ready()?);
        let Identity { store, realm, .. } = ready.visitors.identity;
        let cookie = VisitorCookie { store, realm, visitor, issued: now.day()? };
        Some(cookie.encode_pass(site, now, &ready.visitors.keys()))
    }

    /// Notes that a visitor opted out by a link: his browser is told with its next hit. To be
    /// called before he is erased.
    ///
    /// # Errors
    /// Why it is not noted: try again.
    pub async fn opt_out(&self, visitor: Visitor, now: Timestamp) -> Result<(), Reason> {
        let ready = self.ready().ok_or(Reason::NotOpen)?;
        ready.visitors.note_leaving(OPTED_OUT_SPACE, visitor, now).await.map(|_| ())
    }

    /// Whether this `Cookie` header says no to everything, or is too long to be sure.
    #[must_use]
    pub fn is_opted_out(&self, cookie_header: &str) -> bool {
        self.own_cookies(cookie_header).map_or(true, |cookies| cookies.opted_out)
    }

    /// `Set-Cookie` values by which a browser opts out (or back in) for as long as browsers keep a
    /// cookie; the visitor's id and the probes that it sent go with opting out.
    #[must_use]
    pub fn set_opt_out(&self, is_out: bool, cookie_header: &str, https: bool) -> Vec<String> {
        let optout = &self.cookie_names().optout;
        if !is_out {
            return vec![self.set_cookie(optout, "", 0, https)];
        }
        let mut set = self.set_forgotten(cookie_header, https);
        set.push(self.set_cookie(optout, "1", limits::OPTOUT_SECONDS, https));
        set
    }

    /// `Set-Cookie` values by which a browser forgets who it was.
    #[must_use]
    pub fn set_forgotten(&self, cookie_header: &str, https: bool) -> Vec<String> {
        let names = self.cookie_names();
        let probes = probe_names(cookie_header, names);
        let all = std::iter::once(&*names.visitor).chain(probes.iter().map(String::as_str));
        all.map(|name| self.set_cookie(name, "", 0, https)).collect()
    }

    /// Whose cookie value this is.
    #[must_use]
    pub async fn visitor_of_cookie(&self, value: &str, now: Timestamp) -> Option<Visitor> {
        Some(self.ready()?.visitors.cookie(value, now).await?.living()?.visitor)
    }
}
