//! What a pixel request amounts to, for whoever debugs it: nothing is stored or counted.

use mayfly_core::consent::{self, Refusal};
use mayfly_core::{Allowed, Candidate};

use crate::admission;
use crate::bots::BotKind;
use crate::collector::Collector;
use crate::hygiene::{self, Stripped};
use crate::pixel::PixelRequest;
use crate::query::PixelQuery;
use crate::refusal::Reason;

/// What our cookies in a request amount to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CookieSeen {
    /// None of ours came.
    None,
    /// A visitor's, and it counts.
    Visitor,
    /// A visitor's that counts as none: of another store, forged, too old, erased.
    NotOurs,
    /// A probe.
    Probe,
    /// The opt-out.
    OptOut,
}

/// A request, taken apart.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The hit as it would be stored, or why it cannot be read.
    pub hit: Result<Candidate, Reason>,
    /// What was taken out of it.
    pub stripped: Stripped,
    /// Whether it may be kept, and for what.
    pub consent: Result<Allowed, Refusal>,
    /// Why it counts as an automaton's.
    pub bot: Option<BotKind>,
    /// What our cookies say.
    pub cookie: CookieSeen,
}

impl Collector {
    /// Takes a request apart.
    #[must_use]
    pub async fn examine(&self, request: &PixelRequest<'_>) -> Examined {
        let mut stripped = Stripped::default();
        let mut decision = Ok(Allowed::default());
        let sites = self.sites();
        let asker = self.agents().asker(&request.hints);
        let hit = PixelQuery::parse(request.query).and_then(|query| {
            let site = sites.get(&query.site).ok_or(Reason::UnknownSite)?;
            let context = self.context(asker.client, request.language, request.address);
            let mut candidate = admission::candidate(query, request, context)?;
            stripped = hygiene::tidy(&mut candidate, site, sites.arrival());
            decision = consent::decide(&site.consent, &candidate.signals);
            Ok(candidate)
        });
        let cookie = self.cookie_seen(request).await;
        if cookie == CookieSeen::OptOut {
            decision = Err(Refusal::OptedOut);
        }
        Examined { hit, stripped, consent: decision, bot: asker.bot, cookie }
    }

    async fn cookie_seen(&self, request: &PixelRequest<'_>) -> CookieSeen {
        let Ok(cookies) = self.own_cookies(request.cookie.unwrap_or("")) else {
            return CookieSeen::NotOurs;
        };
        if cookies.opted_out {
            return CookieSeen::OptOut;
        }
        if cookies.visitors().next().is_none() {
            let has_probe = cookies.probes().next().is_some();
            return if has_probe { CookieSeen::Probe } else { CookieSeen::None };
        }
        match self.visitor(request.cookie.unwrap_or(""), request.now).await {
            Some(_) => CookieSeen::Visitor,
            None => CookieSeen::NotOurs,
        }
    }
}
