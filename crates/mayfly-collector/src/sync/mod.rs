//! Id sync: which id a partner has for a visitor, and which name we give him there.
//!
//! ```text
//! /sync?p=a,b   ─► partner a's URL, with our /setuid in it ─► partner leads back with its id
//! /setuid?p=a&uid=…&then=b ─► noted ─► /sync?p=b ─► …             at most SYNC_CHAIN of them
//! /sync?p=a&r=… ─► the partner's own URL with our name for the visitor in it
//! ```
//!
//! Nothing is read or written before the browser's choice allows us and the partner. Who has no
//! cookie of ours is nobody: visitors come with hits, and a match without hits has no use.
//!
//! Sources: Prebid Server, `/cookie_sync`, `/setuid`, `/getuids`; Google, "Cookie Matching".

mod ask;
mod bidders;
mod names;

use mayfly_core::partner::{BadUid, is_safe};
use mayfly_core::{
    Partner, PartnerId, Refusal, SyncMacro, SyncType, SyncUrl, Timestamp, Visitor, limits,
};
use mayfly_store::{ForeignId, Match, MatchNote, Noted};
use url::Url;

use crate::collector::Collector;

pub use ask::{BadSync, SyncRequest};
pub use bidders::{Bidder, Bidders, Filter, FilterSettings, Wanted};

use ask::Said;
pub(crate) use names::UidChanges;

/// What became of a sync with one partner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncOutcome {
    /// The partner's id was noted, and what that changed.
    Noted(Noted),
    /// The browser was sent to the partner.
    Led,
    /// The browser was led on with our name for the visitor.
    Told,
    /// Its match is young enough.
    Fresh,
    /// The browser has no cookie of ours.
    NoVisitor,
    /// The browser's choice does not allow us to.
    Refused(Refusal),
    /// It allows us, and not this partner.
    NotPermitted(Refusal),
    /// What the partner said is no id.
    BadUid(BadUid),
    /// The partner's id of this visitor changed [`limits::UID_CHANGES_PER_DAY`] times today.
    TooOften,
    /// The partner begins by itself: there is no URL to ask.
    NoWay,
    /// The store did not answer in time.
    Failed,
}

impl SyncOutcome {
    /// Every label; `bad_request` is of requests that cannot be understood.
    pub const LABELS: [&'static str; 18] = [
        "new",
        "changed",
        "renewed",
        "known",
        "forgotten",
        "absent",
        "erased",
        "led",
        "told",
        "fresh",
        "no_visitor",
        "refused",
        "not_permitted",
        "bad_uid",
        "too_often",
        "no_way",
        "failed",
        "bad_request",
    ];

    /// The name in metrics and headers.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Noted(Noted::New) => "new",
            Self::Noted(Noted::Changed) => "changed",
            Self::Noted(Noted::Renewed) => "renewed",
            Self::Noted(Noted::Known) => "known",
            Self::Noted(Noted::Forgotten) => "forgotten",
            Self::Noted(Noted::Absent) => "absent",
            Self::Noted(Noted::Erased) => "erased",
            Self::Led => "led",
            Self::Told => "told",
            Self::Fresh => "fresh",
            Self::NoVisitor => "no_visitor",
            Self::Refused(_) => "refused",
            Self::NotPermitted(_) => "not_permitted",
            Self::BadUid(_) => "bad_uid",
            Self::TooOften => "too_often",
            Self::NoWay => "no_way",
            Self::Failed => "failed",
        }
    }

    /// Why, where there is more to say than the label.
    #[must_use]
    pub const fn detail(self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) | Self::NotPermitted(refusal) => Some(refusal.label()),
            Self::BadUid(BadUid::Absent) => Some("no_uid"),
            Self::BadUid(BadUid::Nobody) => Some("nobody"),
            Self::BadUid(BadUid::Macro) => Some("macro"),
            Self::BadUid(BadUid::TooLong) => Some("too_long"),
            Self::BadUid(BadUid::Character) => Some("character"),
            Self::Noted(_)
            | Self::Led
            | Self::Told
            | Self::Fresh
            | Self::NoVisitor
            | Self::TooOften
            | Self::NoWay
            | Self::Failed => None,
        }
    }
}

/// What a browser is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncAnswer {
    /// What became of it with the partner that was asked for last.
    pub outcome: SyncOutcome,
    /// Where the browser goes from here.
    pub location: Option<String>,
    /// An empty page is wanted, for a frame; else an image.
    pub is_frame: bool,
}

impl Collector {
    /// `GET /setuid`: a partner tells its id.
    ///
    /// # Errors
    /// [`BadSync`]: the request cannot be understood; nothing was done.
    pub async fn set_uid(&self, request: &SyncRequest<'_>) -> Result<SyncAnswer, BadSync> {
        self.counted(self.take(request).await)
    }

    /// `GET /sync`: a browser is sent to partners for their ids, or a partner asks for ours.
    ///
    /// # Errors
    /// [`BadSync`]: the request cannot be understood, or would lead to a host that the partner did
    /// not register.
    pub async fn sync(&self, request: &SyncRequest<'_>) -> Result<SyncAnswer, BadSync> {
        self.counted(self.send(request).await)
    }

    /// A request that nothing came of is counted without a partner.
    fn counted<T>(&self, answer: Result<T, BadSync>) -> Result<T, BadSync> {
        if answer.is_err() {
            self.metrics().count_sync("", "bad_request", None);
        }
        answer
    }

    async fn take(&self, request: &SyncRequest<'_>) -> Result<SyncAnswer, BadSync> {
        let said = self.read(request)?;
        let sites = self.sites();
        let Some(partner) = said.partners(&sites).next().transpose()? else {
            return Err(BadSync::NoPartner);
        };
        let outcome = self.take_uid(request, &said, partner).await;
        self.count_sync(partner, outcome);
        let is_no = matches!(outcome, SyncOutcome::Refused(_) | SyncOutcome::NotPermitted(_));
        let location = if is_no {
            None
        } else {
            self.answer_push(&said, partner, request).await.or_else(|| said.go_on(request))
        };
        Ok(SyncAnswer { outcome, location, is_frame: said.is_frame })
    }

    async fn send(&self, request: &SyncRequest<'_>) -> Result<SyncAnswer, BadSync> {
        let said = self.read(request)?;
        let sites = self.sites();
        let partners = said.partners(&sites).collect::<Result<Vec<&Partner>, BadSync>>()?;
        let Some(first) = partners.first() else { return Err(BadSync::NoPartner) };
        if let Some(to) = &said.to {
            registered(to, first)?;
            let (outcome, location) = self.tell_uid(request, &said, first, to).await?;
            self.count_sync(first, outcome);
            return Ok(SyncAnswer { outcome, location, is_frame: false });
        }
        let mut partners = partners;
        // Who does not lead back ends the chain.
        partners.sort_by_key(|partner| !partner.leads_back());
        let mut outcome = SyncOutcome::NoWay;
        for (at, partner) in partners.iter().enumerate() {
            let (own, location) = self.lead(request, &said, partner, &partners[at + 1..]).await;
            outcome = own;
            self.count_sync(partner, outcome);
            if location.is_some() {
                return Ok(SyncAnswer { outcome, location, is_frame: false });
            }
        }
        Ok(SyncAnswer { outcome, location: None, is_frame: false })
    }

    fn count_sync(&self, partner: &Partner, outcome: SyncOutcome) {
        self.metrics().count_sync(&partner.key, outcome.label(), outcome.detail());
    }

    /// Whose browser it is, where the choice lets us and this partner know.
    async fn allowed_visitor(
        &self,
        request: &SyncRequest<'_>,
        said: &Said,
        partner: &Partner,
    ) -> Result<Visitor, SyncOutcome> {
        said.is_permitted(partner)?;
        self.visitor(request.cookies, request.now).await.ok_or(SyncOutcome::NoVisitor)
    }

    async fn take_uid(
        &self,
        request: &SyncRequest<'_>,
        said: &Said,
        partner: &Partner,
    ) -> SyncOutcome {
        let visitor = match self.allowed_visitor(request, said, partner).await {
            Ok(visitor) => visitor,
            Err(outcome) => return outcome,
        };
        if said.is_push_alone(partner) {
            return SyncOutcome::Told;
        }
        match said.uid_for(partner) {
            Ok(uid) => self.note(visitor, partner.id, uid, request.now).await,
            Err(bad) => SyncOutcome::BadUid(bad),
        }
    }

    /// Notes an id, and who it stands for where the partner names visitors by it.
    async fn note(
        &self,
        visitor: Visitor,
        partner: PartnerId,
        uid: Option<&str>,
        now: Timestamp,
    ) -> SyncOutcome {
        let Some(ready) = self.ready() else { return SyncOutcome::Failed };
        let today = now.day().unwrap_or_default();
        if uid.is_some() && self.uid_changes().are_many(visitor, partner, today) {
            return SyncOutcome::TooOften;
        }
        let note = MatchNote { visitor, partner, uid: uid.map(Into::into) };
        let notes = [note];
        let noted = ready.visitors.in_time(async |store| store.note_matches(&notes, now).await);
        let Some(&[noted]) = noted.await.as_deref() else { return SyncOutcome::Failed };
        if let (Some(uid), Noted::New | Noted::Changed | Noted::Renewed) = (uid, noted) {
            self.uid_changes().note(visitor, partner, today);
            let id = ready.visitors.of_uid(partner, uid);
            if ready.visitors.stands_for(id, visitor, now).await.is_none() {
                return SyncOutcome::Failed;
            }
        }
        SyncOutcome::Noted(noted)
    }

    /// Google began: what it pushed goes back, with our name for the visitor where it may have it.
    async fn answer_push(
        &self,
        said: &Said,
        partner: &Partner,
        request: &SyncRequest<'_>,
    ) -> Option<String> {
        let pushed = said.pushed(partner)?;
        let visitor = self.allowed_visitor(request, said, partner).await.ok();
        let name = match visitor {
            Some(visitor) => self.tell(visitor, partner.id, request.now).await,
            None => None,
        };
        Some(pushed.location(name.as_deref()))
    }

    /// The next partner's URL, with our own in it that takes its id and goes on to the rest.
    async fn lead(
        &self,
        request: &SyncRequest<'_>,
        said: &Said,
        partner: &Partner,
        rest: &[&Partner],
    ) -> (SyncOutcome, Option<String>) {
        let visitor = match self.allowed_visitor(request, said, partner).await {
            Ok(visitor) => visitor,
            Err(outcome) => return (outcome, None),
        };
        // An image is no frame.
        let by_image = partner.sync_type == SyncType::Redirect;
        let Some(url) = partner.sync.as_ref().filter(|_| by_image) else {
            return (SyncOutcome::NoWay, None);
        };
        let own = match self.matched(visitor, &[partner.id], request.now).await {
            Some(found) => found.into_iter().next().flatten(),
            None => return (SyncOutcome::Failed, None),
        };
        if own.is_some_and(|own| is_fresh(&own, partner, request.now)) {
            return (SyncOutcome::Fresh, None);
        }
        let Some(name) = self.name_in(url, visitor, partner.id, request.now).await else {
            return (SyncOutcome::Failed, None);
        };
        (SyncOutcome::Led, Some(said.fill(url, request.base, partner, &name, rest)))
    }

    async fn tell_uid(
        &self,
        request: &SyncRequest<'_>,
        said: &Said,
        partner: &Partner,
        to: &str,
    ) -> Result<(SyncOutcome, Option<String>), BadSync> {
        // Looked at before anything is done.
        said.put(to, partner, "")?;
        let visitor = match self.allowed_visitor(request, said, partner).await {
            Ok(visitor) => visitor,
            Err(outcome) => return Ok((outcome, None)),
        };
        // A partner that begins may tell its own id at once.
        if let Ok(Some(uid)) = said.uid_for(partner) {
            self.note(visitor, partner.id, Some(uid), request.now).await;
        }
        Ok(match self.tell(visitor, partner.id, request.now).await {
            Some(name) => (SyncOutcome::Told, Some(said.put(to, partner, &name)?)),
            None => (SyncOutcome::Failed, None),
        })
    }

    /// Our name for the visitor as a URL needs it: nothing where it has no place for it.
    async fn name_in(
        &self,
        url: &SyncUrl,
        visitor: Visitor,
        partner: PartnerId,
        now: Timestamp,
    ) -> Option<String> {
        if url.has(SyncMacro::OurUid) {
            self.tell(visitor, partner, now).await
        } else {
            Some(String::new())
        }
    }

    /// Our name for the visitor towards this partner, which leads back to him from now on. `None`
    /// when the store does not answer: a name that leads nowhere is not given out.
    async fn tell(&self, visitor: Visitor, partner: PartnerId, now: Timestamp) -> Option<String> {
        let visitors = &self.ready()?.visitors;
        let name = visitors.pseudonym(visitor, partner);
        let id = visitors.of_pseudonym(partner, &name);
        visitors.stands_for(id, visitor, now).await.map(|()| name)
    }

    /// What we call a visitor towards a partner: an HMAC made for it alone, 22 characters of
    /// base64url. `None` before there is a store.
    #[must_use]
    pub fn pseudonym(&self, visitor: Visitor, partner: PartnerId) -> Option<String> {
        Some(self.ready()?.visitors.pseudonym(visitor, partner))
    }

    /// The id under which a visitor is found whom a partner calls by our name for him.
    #[must_use]
    pub fn pseudonym_id(&self, partner: PartnerId, name: &str) -> Option<ForeignId> {
        Some(self.ready()?.visitors.of_pseudonym(partner, name))
    }

    /// The id under which a visitor is found whom a partner calls by its own id.
    #[must_use]
    pub fn uid_id(&self, partner: PartnerId, uid: &str) -> Option<ForeignId> {
        Some(self.ready()?.visitors.of_uid(partner, uid))
    }

    /// A visitor's matches; `None` when the store does not answer.
    async fn matched(
        &self,
        visitor: Visitor,
        partners: &[PartnerId],
        now: Timestamp,
    ) -> Option<Vec<Option<Match>>> {
        let visitors = &self.ready()?.visitors;
        visitors.in_time(async |store| store.matches_of(visitor, partners, now).await).await
    }

    /// `GET /getuids`: the ids of this browser, by what Prebid calls the partners, of those that
    /// its choice allows.
    ///
    /// # Errors
    /// [`BadSync`].
    pub async fn uids(
        &self,
        request: &SyncRequest<'_>,
    ) -> Result<Vec<(Box<str>, Box<str>)>, BadSync> {
        let (said, sites) = (self.read(request)?, self.sites());
        let allowed = sites.partners().iter().filter(|own| said.is_permitted(own).is_ok());
        let allowed: Vec<&Partner> = allowed.collect();
        let visitor = match allowed.as_slice() {
            [] => None,
            [_, ..] => self.visitor(request.cookies, request.now).await,
        };
        let Some(visitor) = visitor else { return Ok(Vec::new()) };
        let ids: Vec<PartnerId> = allowed.iter().map(|partner| partner.id).collect();
        let found = self.matched(visitor, &ids, request.now).await.unwrap_or_default();
        let named = allowed.into_iter().zip(found);
        Ok(named.filter_map(|(own, found)| Some((own.bidder().into(), found?.uid))).collect())
    }
}

/// Whether a match need not be asked for again.
fn is_fresh(own: &Match, partner: &Partner, now: Timestamp) -> bool {
    now.day().is_some_and(|today| own.seen.plus(partner.sync_days) > today)
}

/// A URL that the partner registered.
fn registered(to: &str, partner: &Partner) -> Result<(), BadSync> {
    // Macros are no part of a URL's host: it is read as the browser will read it.
    let url = Url::parse(to).map_err(|_| BadSync::Target)?;
    let host = url.host_str().unwrap_or_default();
    // Browsers leave line breaks out of URLs; headers may have none.
    let is_plain = !to.chars().any(char::is_control);
    let is_known = is_plain && partner.hosts.iter().any(|own| **own == *host);
    let is_bounded = to.len() <= limits::URL_BYTES;
    if is_known && is_bounded && is_safe(&url) { Ok(()) } else { Err(BadSync::Target) }
}

#[cfg(test)]
mod tests;
