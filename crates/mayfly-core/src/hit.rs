//! Hits, and the one gate that makes them: [`Hit::admit`]. Nothing below it sees an unadmitted hit.

use std::ops::Deref;

use crate::client::{Context, NetworkToken};
use crate::consent::{self, Choice, ConsentKey, ConsentState, Refusal, Signals};
use crate::event::{Attribute, Event};
use crate::limits;
use crate::outcome::Outcome;
use crate::page::{Page, PageKey};
use crate::referrer::Referrer;
use crate::site::{Site, SiteId};
use crate::time::{Day, Retention, Timestamp};
use crate::visitor::{CategoryId, Visitor};

/// A parsed hit that asks to be admitted. Its texts are within [`limits`]: the parser saw to it.
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    /// When it happened; `None` = now.
    pub time: Option<Timestamp>,
    /// The page, its URL canonical.
    pub page: Page,
    /// What happened.
    pub event: Event,
    /// Engaged seconds.
    pub engaged_s: u16,
    /// Where the visitor came from.
    pub referrer: Referrer,
    /// What is known of the request.
    pub context: Context,
    /// Properties.
    pub attributes: Vec<Attribute>,
    /// The origin that the browser itself gave (`Origin`, else `Referer`); `None` = it gave none,
    /// or the hit came from a server.
    pub origin: Option<Box<str>>,
    /// Consent signals.
    pub signals: Signals,
}

/// Why the gate did not let a hit through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Denial {
    /// Its URL has no origin.
    Malformed,
    /// The page or the request comes from an origin that the site does not name.
    WrongOrigin,
    /// Its time is too far ahead.
    FromFuture,
    /// Its day is outside the retention.
    TooOld,
    /// Consent: why, and the choice that was sent, since a no may take back an earlier yes.
    Consent(Refusal, Box<Choice>),
}

impl Denial {
    /// The outcome of a hit that is denied so.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Malformed => Outcome::Malformed,
            Self::WrongOrigin => Outcome::WrongOrigin,
            Self::FromFuture => Outcome::FromFuture,
            Self::TooOld => Outcome::TooOld,
            Self::Consent(refusal, _) => refusal.outcome(),
        }
    }
}

/// What the gate knows.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// The site that the hit names.
    pub site: &'a Site,
    /// The server's time.
    pub now: Timestamp,
    /// The store's retention.
    pub retention: Retention,
}

/// A hit that passed the gate and waits for its visitor and the keys of its page and consent.
#[derive(Clone, Debug)]
pub struct Admitted {
    site: SiteId,
    time: Timestamp,
    day: Day,
    page: Option<Page>,
    event: Event,
    engaged_s: u16,
    referrer: Referrer,
    context: Context,
    attributes: Vec<Attribute>,
    consent: ConsentState,
    fired: Vec<CategoryId>,
    pages_per_day: u32,
}

impl Admitted {
    /// A hit that was admitted before and goes on under another visitor.
    #[must_use]
    pub fn again(hit: &Hit, page: Option<Page>, consent: ConsentState) -> Self {
        let HitParts { time, site, event, engaged_s, referrer, context, attributes, fired, .. } =
            hit.0.clone();
        let (day, pages_per_day) = (hit.day(), u32::MAX);
        Self {
            site,
            time,
            day,
            page,
            event,
            engaged_s,
            referrer,
            context,
            attributes,
            consent,
            fired,
            pages_per_day,
        }
    }

    /// What a partner declares of a visitor: that he is in a category of its from this instant on,
    /// or was in it on that day no more. `None` before 1970 and after 2149.
    #[must_use]
    pub fn declared(category: CategoryId, is_in: bool, time: Timestamp) -> Option<Self> {
        let time = time.whole_secs();
        Some(Self {
            site: SiteId::NONE,
            time,
            day: time.day()?,
            page: None,
            event: if is_in { Event::Import } else { Event::ImportEnd },
            engaged_s: 0,
            referrer: Referrer::default(),
            context: Context::default(),
            attributes: Vec::new(),
            consent: ConsentState::default(),
            fired: vec![category],
            pages_per_day: u32::MAX,
        })
    }

    /// The page to intern; `None` for a hit without one.
    #[must_use]
    pub fn page(&self) -> Option<&Page> {
        self.page.as_ref()
    }

    /// The consent state to intern.
    #[must_use]
    pub fn consent(&self) -> &ConsentState {
        &self.consent
    }

    /// The UTC day of the hit.
    #[must_use]
    pub fn day(&self) -> Day {
        self.day
    }

    /// The hit's time, whole seconds.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// What happened.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Where from.
    #[must_use]
    pub fn referrer(&self) -> &Referrer {
        &self.referrer
    }

    /// What is known of the request.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Properties.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// Notes which network it came from.
    pub fn set_network(&mut self, network: Option<NetworkToken>) {
        self.context.network = network;
    }

    /// Forgets the page, what it said of itself, and the campaign that its address names: it is
    /// sensitive.
    pub fn forget_page(&mut self) {
        self.page = None;
        self.attributes.clear();
        self.referrer.campaign = None;
    }

    /// Notes the categories that rules over values that are not kept gave it.
    pub fn set_fired(&mut self, fired: Vec<CategoryId>) {
        self.fired = fired;
    }

    /// The site.
    #[must_use]
    pub fn site(&self) -> SiteId {
        self.site
    }

    /// New pages that its site may bring on one day.
    #[must_use]
    pub fn pages_per_day(&self) -> u32 {
        self.pages_per_day
    }

    /// Finishes the hit: its visitor, and the keys that the store interned page and consent under;
    /// no page where the site brought too many.
    #[must_use]
    pub fn into_hit(
        self,
        visitor: Visitor,
        page: impl Into<Option<PageKey>>,
        consent: ConsentKey,
    ) -> Hit {
        Hit(HitParts {
            visitor,
            time: self.time,
            site: self.site,
            page: page.into(),
            event: self.event,
            engaged_s: self.engaged_s,
            referrer: self.referrer,
            context: self.context,
            attributes: self.attributes,
            consent,
            fired: self.fired,
        })
    }
}

/// The fields of a hit, as stored.
#[derive(Clone, PartialEq, Debug)]
pub struct HitParts {
    /// Who.
    pub visitor: Visitor,
    /// When: whole seconds.
    pub time: Timestamp,
    /// Where: the site.
    pub site: SiteId,
    /// Where: the version of the page; `None` where none may be kept (sensitive categories).
    pub page: Option<PageKey>,
    /// What.
    pub event: Event,
    /// For how long, seconds.
    pub engaged_s: u16,
    /// Where from.
    pub referrer: Referrer,
    /// What is known of the request.
    pub context: Context,
    /// Properties.
    pub attributes: Vec<Attribute>,
    /// Under which consent state.
    pub consent: ConsentKey,
    /// Categories that fired at admission, from rules over values that are not kept.
    pub fired: Vec<CategoryId>,
}

/// One admitted event. Made by [`Hit::admit`], or by the store that reads back what it was given.
#[derive(Clone, PartialEq, Debug)]
pub struct Hit(HitParts);

impl Deref for Hit {
    type Target = HitParts;

    fn deref(&self) -> &HitParts {
        &self.0
    }
}

impl Hit {
    /// The one gate. In this order: origin, time, consent.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn admit(candidate: Candidate, gate: &Gate<'_>) -> Result<Admitted, Denial> {
        let own = origin_of(&candidate.page.url).ok_or(Denial::Malformed)?;
        let said = candidate.origin.as_deref();
        if !gate.site.allows(own) || said.is_some_and(|origin| !gate.site.allows(origin)) {
            return Err(Denial::WrongOrigin);
        }
        let (time, day) = admit_time(candidate.time, gate)?;
        let allowed = match consent::decide(&gate.site.consent, &candidate.signals) {
            Ok(allowed) => allowed,
            Err(why) => return Err(Denial::Consent(why, Box::new(candidate.signals.choice))),
        };
        let is_sensitive = gate.site.plan.is_sensitive(&candidate.page.url);
        let mut admitted = Admitted {
            site: gate.site.id,
            time,
            day,
            page: Some(candidate.page),
            event: candidate.event,
            engaged_s: candidate.engaged_s.min(limits::ENGAGED_SECONDS_PER_HIT),
            referrer: candidate.referrer,
            context: candidate.context,
            attributes: candidate.attributes,
            consent: ConsentState { choice: candidate.signals.choice, allowed },
            fired: Vec::new(),
            pages_per_day: gate.site.plan.pages_per_day,
        };
        if is_sensitive {
            admitted.forget_page();
        }
        Ok(admitted)
    }

    /// A hit read back from where it was stored. For stores only (a test sees to it).
    #[must_use]
    pub fn restore(parts: HitParts) -> Self {
        Self(parts)
    }

    /// The UTC day of the hit.
    #[must_use]
    pub fn day(&self) -> Day {
        self.0.time.day().unwrap_or_default()
    }

    /// Whether a partner declared it ([`Admitted::declared`]): nobody was seen, and no choice came
    /// with it. No client can send such a hit, since each names a site.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.0.site == SiteId::NONE
    }

    /// Whether it takes back what a partner declared of the visitor on its day.
    #[must_use]
    pub fn takes_back(&self) -> bool {
        self.is_declared() && self.0.event == Event::ImportEnd
    }
}

/// The origin of a canonical http(s) URL (one that the URL standard serialised), read off its text:
/// the parser has parsed it once already, and this runs for every hit.
fn origin_of(url: &str) -> Option<&str> {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let at = url.len() - host.len();
    let end = at + host.find(['/', '?', '#']).unwrap_or(host.len());
    let origin = url.get(..end)?;
    (end > at && !origin.contains('@')).then_some(origin)
}

/// The hit's time in whole seconds, and its day. A little ahead is now; far ahead is refused.
fn admit_time(time: Option<Timestamp>, gate: &Gate<'_>) -> Result<(Timestamp, Day), Denial> {
    let now = gate.now.whole_secs();
    let time = time.unwrap_or(now).whole_secs();
    if time > now.plus_secs(limits::FUTURE_SECONDS_MAX) {
        return Err(Denial::FromFuture);
    }
    let time = time.min(now);
    let today = now.day().ok_or(Denial::Malformed)?;
    match time.day() {
        Some(day) if gate.retention.keeps(day, today) => Ok((time, day)),
        Some(_) | None => Err(Denial::TooOld),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::site::Origin;

    fn site() -> Site {
        Site::new(SiteId(1), "news", vec![Origin::parse("https://news.example").unwrap()])
    }

    fn candidate(url: &str) -> Candidate {
        Candidate { page: Page { url: url.into(), ..Page::default() }, ..Candidate::default() }
    }

    fn admit(candidate: Candidate) -> Result<Timestamp, Outcome> {
        let now = Day(20_778).at_second(40_000);
        let gate = Gate { site: &site(), now, retention: Retention::default() };
        Hit::admit(candidate, &gate).map(|a| a.time()).map_err(|denial| denial.outcome())
    }

    fn at(time: Timestamp) -> Candidate {
        Candidate { time: Some(time), ..candidate("https://news.example/") }
    }

    #[test]
    fn times_ahead_are_now_or_refused_and_days_out_of_retention_are_refused() {
        let now = Day(20_778).at_second(40_000);
        assert_eq!(admit(at(now.plus_secs(300))), Ok(now));
        assert_eq!(admit(at(now.plus_secs(301))), Err(Outcome::FromFuture));
        let oldest = Day(20_778 - 89).start();
        assert_eq!(admit(at(oldest)), Ok(oldest));
        assert_eq!(admit(at(oldest.plus_secs(-1))), Err(Outcome::TooOld));
        assert_eq!(admit(at(Timestamp::from_secs(-5))), Err(Outcome::TooOld));
    }

    #[test]
    fn foreign_pages_and_foreign_origins_are_refused() {
        assert_eq!(admit(candidate("https://evil.example/")), Err(Outcome::WrongOrigin));
        let mut c = candidate("https://news.example/");
        c.origin = Some("https://evil.example".into());
        assert_eq!(admit(c), Err(Outcome::WrongOrigin));
        assert_eq!(admit(candidate("not a url")), Err(Outcome::Malformed));
        assert_eq!(admit(candidate("https://news.example@evil.example/")), Err(Outcome::Malformed));
        assert_eq!(admit(candidate("https://news.example:8443/")), Err(Outcome::WrongOrigin));
        assert!(admit(candidate("https://news.example/a@b")).is_ok());
    }

    proptest! {
        #[test]
        fn admission_never_panics(url in ".{0,80}", ms in any::<i64>(), origin in ".{0,40}") {
            let mut c = candidate(&url);
            c.time = Some(Timestamp::from_millis(ms));
            c.origin = Some(origin.into());
            if let Ok(time) = admit(c) {
                prop_assert_eq!(time.millis() % 1000, 0);
            }
        }
    }
}
