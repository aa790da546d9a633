//! The visitor's pages: `/privacy` and `/optout`, and what programs read of the same.
//!
//! Pure: plain data in, text out. The pages need no script and keep to [`POLICY`].

mod frame;
mod html;
mod json;
mod language;
mod optout;
mod privacy;
#[cfg(test)]
mod tests;
mod texts;

pub(crate) use json::{Domain, device_storage_json, gpc_json};
pub(crate) use language::Language;
pub(crate) use optout::optout_page;
pub(crate) use privacy::privacy_page;

/// The style sheet of both pages.
pub(crate) const STYLE: &str = concat!(include_str!("../look.css"), include_str!("style.css"));
/// The `Content-Security-Policy` that both pages keep to.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// How long the probe cookie lives.
pub(crate) const PROBE_SECONDS: u64 = 600;
/// How long the opt-out cookie lives: 400 days, the longest that browsers keep one.
pub(crate) const OPTOUT_SECONDS: u64 = 34_560_000;

/// What the pages show.
#[derive(Clone, Debug)]
pub(crate) struct State<'a> {
    /// Who is responsible; may be empty.
    pub controller: &'a str,
    /// Where questions go: an e-mail address, an `https://` address or any text.
    pub contact: Option<&'a str>,
    /// The longest that a hit is held.
    pub retention_days: u16,
    /// The opt-out cookie is there.
    pub opted_out: bool,
    /// The browser sends `Sec-GPC: 1`.
    pub gpc: bool,
    /// The browser may keep our cookies apart for each site: these pages see nothing then.
    pub is_apart: bool,
    /// What is held; `None` = this browser has no id here.
    pub known: Option<Known>,
    /// What was just done.
    pub done: Option<Done>,
    /// The link by which a site's page sent its visitor, while it is good.
    pub pass: Option<Pass<'a>>,
    /// The link was good once.
    pub spent: Option<Spent>,
    /// What stands before the path of every link: empty, or e.g. `/m`.
    pub base: &'a str,
    /// The address of [`STYLE`].
    pub style: &'a str,
    /// What our cookies are called.
    pub cookies: CookieNames<'a>,
}

impl State<'_> {
    /// Nothing is collected from this browser, whatever it visits.
    fn refused(&self) -> bool {
        self.opted_out || self.gpc
    }
}

/// A link from a site's page: for its visitor, as that site knows him.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pass<'a> {
    /// The site's key.
    pub site: &'a str,
    /// Signed, and good for minutes.
    pub value: &'a str,
}

/// Why a link is good no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spent {
    /// Its time is over.
    Expired,
    /// Its visitor opted out by it.
    OptedOut,
}

/// What our cookies are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CookieNames<'a> {
    /// Holds the visitor's id.
    pub id: &'a str,
    /// Tells whether cookies are kept.
    pub probe: &'a str,
    /// Holds the visitor's no.
    pub optout: &'a str,
}

/// What is held about a browser.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Known {
    /// `partition.ordinal`.
    pub id: String,
    /// The names of its segments.
    pub segments: Vec<String>,
    /// Partners, with their ids of it.
    pub partners: Vec<(String, String)>,
    /// Its newest hits, newest first.
    pub hits: Vec<HitRow>,
    /// How many older ones are held and not in `hits`.
    pub more_hits: usize,
}

/// A hit, in words. All of it may come from a hostile client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HitRow {
    /// When.
    pub time: String,
    /// The site's key.
    pub site: String,
    /// The event's name.
    pub event: String,
    /// The page's URL.
    pub page: Option<String>,
    /// The page's title; may be empty.
    pub title: String,
    /// Paths of categories.
    pub categories: Vec<String>,
    /// Engaged seconds; 0 = not known.
    pub seconds: u16,
}

/// What the visitor just did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Done {
    /// Said no.
    OptedOut,
    /// Said no to the site that a link came from.
    OptedOutOfSite,
    /// Took the no back.
    OptedIn,
    /// Had everything erased.
    Erased,
    /// Wanted to erase, and nothing was held.
    NothingHeld,
}
