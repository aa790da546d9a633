//! What a rule can see of a hit: facts of its page, made once per page version, and of the hit.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use mayfly_core::{
    Admitted, Attribute, Candidate, Context, Event, Hit, Page, Referrer, Site, Timestamp,
};
use percent_encoding::percent_decode_str;
use url::Url;

use super::PageField;

/// The fields of a page in the form in which rules compare them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PageFacts {
    pub(crate) host: Box<str>,
    pub(crate) path: Box<str>,
    pub(crate) url: Box<str>,
    pub(crate) query: BTreeMap<Box<str>, Vec<Box<str>>>,
    pub(crate) title: Box<str>,
    pub(crate) keywords: Vec<Box<str>>,
    pub(crate) categories: Vec<Box<str>>,
}

impl PageFacts {
    /// The facts of a page. A URL that cannot be read leaves host, path and query absent.
    #[must_use]
    pub fn of(page: &Page) -> Self {
        let mut facts = Self {
            url: page.url.clone(),
            title: folded(&page.title),
            keywords: page.keywords.iter().map(|word| folded(word)).collect(),
            categories: page.categories.iter().map(|word| folded(word)).collect(),
            ..Self::default()
        };
        let Ok(url) = Url::parse(&page.url) else { return facts };
        facts.host = folded(url.host_str().unwrap_or_default());
        facts.path = percent_decode_str(url.path()).decode_utf8_lossy().into();
        for (name, value) in url.query_pairs() {
            facts.query.entry(name.into()).or_default().push(value.into());
        }
        facts
    }
}

impl PageFacts {
    /// The same with every text that keeps its case in lower case.
    #[must_use]
    pub(crate) fn in_lower_case(mut self) -> Self {
        (self.path, self.url) = (folded(&self.path), folded(&self.url));
        for values in self.query.values_mut() {
            values.iter_mut().for_each(|value| *value = folded(value));
        }
        self
    }

    /// Calls `each` with every text of a field of the page.
    pub(crate) fn each_text(&self, field: &PageField, each: &mut dyn FnMut(&str)) {
        let texts: &[Box<str>] = match field {
            PageField::Host => std::slice::from_ref(&self.host),
            PageField::Path => std::slice::from_ref(&self.path),
            PageField::Url => std::slice::from_ref(&self.url),
            PageField::Title => std::slice::from_ref(&self.title),
            PageField::Keywords => &self.keywords,
            PageField::Categories => &self.categories,
            PageField::Query(name) => self.query.get(name).map_or(&[], Vec::as_slice),
        };
        texts.iter().for_each(|text| each(text));
    }
}

/// A text without regard to case.
pub(crate) fn folded(text: &str) -> Box<str> {
    text.to_lowercase().into()
}

/// What rules see of a site.
#[derive(Clone, Debug)]
pub struct SiteFacts {
    /// Its key.
    pub key: Box<str>,
    /// The zone of its hours and weekdays.
    pub zone: TimeZone,
}

impl SiteFacts {
    /// The facts of a site; a zone that is not known is UTC.
    #[must_use]
    pub fn of(site: &Site) -> Self {
        let zone = TimeZone::get(&site.time_zone).unwrap_or(TimeZone::UTC);
        Self { key: site.key.clone(), zone }
    }
}

/// The fields of a hit besides its page.
#[derive(Clone, Copy, Debug)]
pub struct HitFacts<'a> {
    /// What happened; engagement is given as a view of its page ([`HitFacts::of`] sees to it).
    pub event: &'a Event,
    /// When; `None` when it is not known.
    pub time: Option<Timestamp>,
    /// Where the visitor came from.
    pub referrer: &'a Referrer,
    /// What is known of the request.
    pub context: &'a Context,
    /// Properties.
    pub attributes: &'a [Attribute],
    /// Properties that are never stored: there while the hit comes, and empty later.
    pub fleeting: &'a [Attribute],
    /// The site; `None` when it is not known.
    pub site: Option<&'a SiteFacts>,
}

impl<'a> HitFacts<'a> {
    /// The facts of a hit as it was sent, with its properties that are never stored.
    pub(crate) fn sent(
        hit: &'a Candidate,
        fleeting: &'a [Attribute],
        site: Option<&'a SiteFacts>,
    ) -> Self {
        Self {
            event: seen_as(&hit.event),
            time: hit.time,
            referrer: &hit.referrer,
            context: &hit.context,
            attributes: &hit.attributes,
            fleeting,
            site,
        }
    }

    /// The facts of a hit that came from this site.
    #[must_use]
    pub fn of(hit: &'a Hit, site: Option<&'a SiteFacts>) -> Self {
        Self {
            event: seen_as(&hit.event),
            time: Some(hit.time),
            referrer: &hit.referrer,
            context: &hit.context,
            attributes: &hit.attributes,
            fleeting: &[],
            site,
        }
    }

    /// The facts of a hit while it comes, with its properties that are never stored.
    #[must_use]
    pub fn coming(
        hit: &'a Admitted,
        fleeting: &'a [Attribute],
        site: Option<&'a SiteFacts>,
    ) -> Self {
        Self {
            event: seen_as(hit.event()),
            time: Some(hit.time()),
            referrer: hit.referrer(),
            context: hit.context(),
            attributes: hit.attributes(),
            fleeting,
            site,
        }
    }

    /// The site's key.
    pub(crate) fn site_key(&self) -> Option<&'a str> {
        self.site.map(|site| &*site.key)
    }

    /// The hour (0 to 23) and the weekday (1 = Monday) in the site's zone.
    pub(crate) fn local(&self) -> Option<(i8, i8)> {
        let at = jiff::Timestamp::from_second(self.time?.secs()).ok()?;
        let local = at.to_zoned(self.site?.zone.clone());
        Some((local.hour(), local.weekday().to_monday_one_offset()))
    }
}

/// Engagement counts as a view of its page.
fn seen_as(event: &Event) -> &Event {
    if *event == Event::Engagement { &Event::PageView } else { event }
}

/// What a rule is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub(crate) page: &'a PageFacts,
    /// `None`: not known, so that rules over it stay undecided.
    pub(crate) hit: Option<HitFacts<'a>>,
}

/// The referrer of a visit that came from nowhere.
static DIRECT: std::sync::LazyLock<Referrer> = std::sync::LazyLock::new(Referrer::default);
/// Nothing is known of the request.
static UNKNOWN: std::sync::LazyLock<Context> = std::sync::LazyLock::new(Context::default);

impl<'a> Facts<'a> {
    /// Facts of a hit on a page.
    #[must_use]
    pub fn new(page: &'a PageFacts, hit: HitFacts<'a>) -> Self {
        Self { page, hit: Some(hit) }
    }

    /// A direct view of the page, without attributes and site.
    #[must_use]
    pub fn page_view(page: &'a PageFacts) -> Self {
        let hit = HitFacts {
            event: &Event::PageView,
            time: None,
            referrer: &DIRECT,
            context: &UNKNOWN,
            attributes: &[],
            fleeting: &[],
            site: None,
        };
        Self::new(page, hit)
    }

    /// The page alone.
    pub(crate) fn page_alone(page: &'a PageFacts) -> Self {
        Self { page, hit: None }
    }
}
