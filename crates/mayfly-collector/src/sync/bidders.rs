//! `POST /cookie_sync`: which partners a page's browser should be sent to, as Prebid asks it.

use std::collections::BTreeSet;

use mayfly_core::{Choice, Partner, PartnerId, SyncType, limits};

use super::ask::{BadSync, SyncRequest, fill};
use super::is_fresh;
use crate::collector::Collector;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Partners, as Prebid or we call them; `None` = all.
    pub bidders: Option<Vec<String>>,
    /// Others than those may be added.
    pub is_coop: bool,
    /// At most so many, and at most [`limits::SYNC_CHAIN`].
    pub limit: usize,
    /// How browsers may be sent.
    pub filter: FilterSettings,
    /// The site's key.
    pub account: String,
    /// What was said about consent.
    pub choice: Choice,
}

/// How browsers may be sent to which partners.
#[derive(Clone, Debug, Default)]
pub struct FilterSettings {
    /// In frames.
    pub iframe: Filter,
    /// By images.
    pub image: Filter,
}

/// Whom a way is for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Filter {
    /// Everyone.
    #[default]
    All,
    /// Nobody.
    None,
    /// These.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

impl Filter {
    fn allows(&self, partner: &Partner) -> bool {
        let is_in = |list: &[String]| list.iter().any(|name| partner.is_called(name));
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(list) => is_in(list),
            Self::Except(list) => !is_in(list),
        }
    }
}

/// A partner to send the browser to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bidder {
    /// What Prebid calls it.
    pub name: Box<str>,
    /// Where.
    pub url: String,
    /// How.
    pub sync_type: SyncType,
}

/// What a page is answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bidders {
    /// The browser has a match with one of those that were asked for.
    pub has_any: bool,
    /// Whom to send it to.
    pub bidders: Vec<Bidder>,
    /// Who is left out, and why.
    pub left_out: Vec<(Box<str>, &'static str)>,
}

impl Collector {
    /// `POST /cookie_sync`: the partners whose ids this browser lacks, with their URLs.
    ///
    /// # Errors
    /// [`BadSync`]: the consent cannot be understood.
    pub async fn cookie_sync(
        &self,
        request: &SyncRequest<'_>,
        wanted: &Wanted,
    ) -> Result<Bidders, BadSync> {
        let mut answer = Bidders::default();
        let allowed = self.decide(&wanted.choice, request.cookies, &wanted.account)?;
        let sites = self.sites();
        let (chosen, unknown) = choose(sites.partners(), wanted);
        answer.left_out = unknown.into_iter().map(|name| (name.into(), "unknown")).collect();
        let visitor = match allowed {
            Ok(_) => self.visitor(request.cookies, request.now).await,
            Err(_) => None,
        };
        let ids: Vec<PartnerId> = chosen.iter().map(|partner| partner.id).collect();
        let matches = match visitor {
            Some(visitor) => self.matched(visitor, &ids, request.now).await,
            None => None,
        };
        answer.has_any = matches.iter().flatten().any(Option::is_some);
        let limit = wanted.limit.min(limits::SYNC_CHAIN);
        for (at, partner) in chosen.into_iter().enumerate() {
            let own = matches.as_ref().and_then(|all| all.get(at)?.as_ref());
            let is_young = own.is_some_and(|own| is_fresh(own, partner, request.now));
            let why = match (&allowed, visitor, &matches, &partner.sync) {
                (Err(refusal), ..) => Some(refusal.label()),
                (_, None, ..) => Some("no_visitor"),
                (_, _, None, _) => Some("failed"),
                (.., None) => Some("no_way"),
                _ if is_young => Some("fresh"),
                _ if !wanted.filter.of(partner).allows(partner) => Some("filtered"),
                _ if answer.bidders.len() >= limit => Some("limit"),
                (Ok(state), ..) => {
                    partner.receiver.is_permitted(state).err().map(|_| "not_permitted")
                }
            };
            if let Some(why) = why {
                answer.left_out.push((partner.bidder().into(), why));
                continue;
            }
            let (Some(visitor), Some(url)) = (visitor, &partner.sync) else { continue };
            let Some(name) = self.name_in(url, visitor, partner.id, request.now).await else {
                answer.left_out.push((partner.bidder().into(), "failed"));
                continue;
            };
            let url =
                fill(url, request.base, partner, &name, (&wanted.account, &wanted.choice), &[]);
            let (name, sync_type) = (partner.bidder().into(), partner.sync_type);
            answer.bidders.push(Bidder { name, url, sync_type });
        }
        Ok(answer)
    }
}

impl FilterSettings {
    const fn of(&self, partner: &Partner) -> &Filter {
        match partner.sync_type {
            SyncType::Iframe => &self.iframe,
            SyncType::Redirect => &self.image,
        }
    }
}

/// The partners that are asked for, each once, and names of none.
fn choose<'p, 'w>(all: &'p [Partner], wanted: &'w Wanted) -> (Vec<&'p Partner>, Vec<&'w str>) {
    let Some(names) = &wanted.bidders else { return (all.iter().collect(), Vec::new()) };
    let (mut chosen, mut unknown, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for name in names.iter().take(limits::PARTNERS) {
        match all.iter().find(|partner| partner.is_called(name)) {
            Some(partner) if seen.insert(partner.id) => chosen.push(partner),
            Some(_) => {}
            None => unknown.push(name.as_str()),
        }
    }
    if wanted.is_coop {
        chosen.extend(all.iter().filter(|partner| !seen.contains(&partner.id)));
    }
    (chosen, unknown)
}
