//! From a pixel's query to an admitted hit: the page, the origin, the signals, the gate.

use mayfly_core::{Admitted, Outcome, Retention, Site, Timestamp};
use mayfly_core::{Candidate, ConsentState, Gate, Hit, Page, Referrer, Signals, limits};
use url::{Position, Url};

use crate::canonical::canonical_url;
use crate::hit_row::bounded;
use crate::pixel::PixelRequest;
use crate::query::PixelQuery;
use crate::refusal::{Reason, Verdict};

/// The hit that a pixel request asks for.
///
/// # Errors
/// What is wrong with its URL.
pub(crate) fn candidate(
    query: PixelQuery<'_>,
    request: &PixelRequest<'_>,
) -> Result<Candidate, Reason> {
    let referer = request.referer.filter(|r| !r.is_empty());
    let url = canonical_url(query.url.as_deref().or(referer).ok_or(Reason::NoUrl)?)?;
    let from = query.referrer.filter(|r| r.len() <= limits::URL_BYTES);
    let host = url.host_str().unwrap_or("");
    Ok(Candidate {
        time: None,
        event: query.event,
        engaged_s: query.engaged_s,
        referrer: from.map(|r| bounded(Referrer::of(&r, host))).unwrap_or_default(),
        attributes: query.attributes,
        origin: origin(request.origin, referer, &url),
        signals: Signals { opted_out: false, state: ConsentState { gpc: gpc(request.gpc) } },
        page: Page {
            url: String::from(url).into(),
            title: query.title,
            keywords: query.keywords,
            categories: query.categories,
        },
    })
}

/// `Sec-GPC`: `1` is a no; `0` is not in the standard and counts as not said.
pub(crate) fn gpc(header: Option<&str>) -> Option<bool> {
    header.and_then(|value| (value.trim() == "1").then_some(true))
}

/// The origin that the browser gave: `Origin`, else that of `Referer`. An opaque one (`null`) is
/// given on as it is: no site allows it but a campaign site.
fn origin(origin: Option<&str>, referer: Option<&str>, page: &Url) -> Option<Box<str>> {
    if let Some(origin) = origin.filter(|o| !o.is_empty()) {
        return Some(origin.into());
    }
    let referer = referer?;
    let own = &page[..Position::BeforePath];
    let after = referer.strip_prefix(own);
    if after.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
        return Some(own.into());
    }
    Url::parse(referer).ok().map(|url| url.origin().ascii_serialization().into())
}

/// The gate.
///
/// # Errors
/// The outcome of a hit that does not pass.
pub(crate) fn admit(
    candidate: Candidate,
    site: &Site,
    now: Timestamp,
    retention: Retention,
) -> Result<Admitted, Verdict> {
    Hit::admit(candidate, &Gate { site, now, retention }).map_err(|o: Outcome| o.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin_of(header: &str, referer: &str) -> String {
        let page = Url::parse("https://n.example/a").unwrap();
        let referer = Some(referer).filter(|r| !r.is_empty());
        origin(Some(header), referer, &page).map(String::from).unwrap_or_default()
    }

    #[test]
    fn the_browsers_word_on_its_origin_is_found() {
        for (header, referer, expected) in [
            ("https://o.example", "https://r.example/x", "https://o.example"),
            ("", "https://n.example/x?y", "https://n.example"),
            ("", "https://n.example", "https://n.example"),
            ("", "https://N.example:443/", "https://n.example"),
            ("", "https://n.example.evil.example/", "https://n.example.evil.example"),
            ("", "https://n.example@evil.example/", "https://evil.example"),
            ("null", "", "null"),
            ("", "", ""),
        ] {
            assert_eq!(origin_of(header, referer), expected, "{header} {referer}");
        }
    }
}
