//! From a pixel's query to a hit that asks to be admitted: the page, the origin, the signals.

use mayfly_core::{Candidate, Choice, Context, Page, Signals};
use url::{Position, Url};

use crate::canonical::page_and_referrer;
use crate::pixel::PixelRequest;
use crate::query::PixelQuery;
use crate::refusal::Reason;

/// The hit that a pixel request asks for.
///
/// # Errors
/// What is wrong with its URL.
pub(crate) fn candidate(
    query: PixelQuery<'_>,
    request: &PixelRequest<'_>,
    context: Context,
) -> Result<Candidate, Reason> {
    let referer = request.referer.filter(|r| !r.is_empty());
    let page = query.url.as_deref().or(referer).ok_or(Reason::NoUrl)?;
    let (url, referrer) = page_and_referrer(page, query.referrer.as_deref())?;
    Ok(Candidate {
        time: None,
        event: query.event,
        engaged_s: query.engaged_s,
        referrer,
        attributes: query.attributes,
        origin: origin(request.origin, referer, &url),
        signals: Signals {
            opted_out: false,
            is_pending: query.is_pending,
            choice: Choice { gpc: gpc(request.gpc).or(query.choice.gpc), ..query.choice },
        },
        context,
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
