//! The canonical URL of a page: one form for one page, without what follows a person around.
//!
//! http and https only; host in lower case, default port, user, password and fragment dropped (the
//! URL standard does the first two); tracking parameters and session ids dropped. The order of the
//! remaining parameters is kept. [`keeps_param`] is the one place that decides on parameters.

use mayfly_core::{Campaign, Referrer, ReferrerKind, limits};
use url::Url;

use crate::hygiene::{GONE, has_address};
use crate::percent::{cut, decode};
use crate::refusal::Reason;

/// Parameters that say how a visitor came, not what the page is. Compared in lower case.
const TRACKING: [&str; 30] = [
    "_ga",
    "_gl",
    "_hsenc",
    "_hsmi",
    "dclid",
    "ef_id",
    "epik",
    "fbclid",
    "gad_source",
    "gbraid",
    "gclid",
    "gclsrc",
    "igshid",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "msclkid",
    "oly_anon_id",
    "oly_enc_id",
    "rb_clickid",
    "s_cid",
    "srsltid",
    "ttclid",
    "twclid",
    "vero_id",
    "wbraid",
    "wickedid",
    "yclid",
    "zanpid",
];

/// Parameters that carry a session. Compared in lower case.
const SESSION: [&str; 7] =
    ["phpsessid", "jsessionid", "aspsessionid", "sid", "sessionid", "session_id", "cfid"];

/// The campaign that a URL names, before its parameters are dropped.
fn campaign(url: &Url) -> Option<Box<Campaign>> {
    let query = url.query().filter(|query| query.contains("utm_"))?;
    let mut campaign = Campaign::default();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let text = match name {
            "utm_source" => &mut campaign.source,
            "utm_medium" => &mut campaign.medium,
            "utm_campaign" => &mut campaign.name,
            _ => continue,
        };
        if let Ok(value) = decode(value) {
            // Some put the reader's own address there. Numbers stay: campaigns have them.
            *text = if has_address(&value) {
                GONE.into()
            } else {
                cut(&value.to_lowercase(), limits::CAMPAIGN_BYTES).into()
            };
        }
    }
    (campaign != Campaign::default()).then(|| Box::new(campaign))
}

/// The canonical form of a page's URL, and where its visitor came from: the referrer's host, and
/// the campaign that the URL named.
///
/// # Errors
/// Those of [`canonical_url`].
pub(crate) fn page_and_referrer(
    text: &str,
    referrer: Option<&str>,
) -> Result<(Url, Referrer), Reason> {
    let parsed = parsed(text)?;
    let campaign = campaign(&parsed);
    let url = canonical(parsed)?;
    let host = url.host_str().unwrap_or("");
    let referrer = referrer.filter(|r| r.len() <= limits::URL_BYTES);
    let mut referrer = referrer.map(|r| Referrer::of(r, host)).unwrap_or_default();
    // A host that fits no domain name says nothing.
    if referrer.host.len() > limits::HOST_BYTES {
        referrer = Referrer::default();
    }
    if campaign.is_some() {
        (referrer.kind, referrer.campaign) = (ReferrerKind::Campaign, campaign);
    }
    Ok((url, referrer))
}

/// The canonical form of a page's URL.
///
/// # Errors
/// [`Reason::UrlTooLong`] above [`limits::URL_BYTES`], before or after; [`Reason::BadUrl`] for
/// anything but an http or https URL with a host.
pub fn canonical_url(text: &str) -> Result<Url, Reason> {
    canonical(parsed(text)?)
}

fn parsed(text: &str) -> Result<Url, Reason> {
    if text.len() > limits::URL_BYTES {
        return Err(Reason::UrlTooLong);
    }
    Url::parse(text).map_err(|_| Reason::BadUrl)
}

fn canonical(mut url: Url) -> Result<Url, Reason> {
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(Reason::BadUrl);
    }
    url.set_fragment(None);
    if !url.username().is_empty() || url.password().is_some() {
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| Reason::BadUrl)?;
    }
    drop_session_path(&mut url);
    drop_params(&mut url);
    // Escaping may lengthen a URL that was short enough as text.
    if url.as_str().len() > limits::URL_BYTES { Err(Reason::UrlTooLong) } else { Ok(url) }
}

/// `;jsessionid=…` at the end of a path.
fn drop_session_path(url: &mut Url) {
    let path = url.path();
    if let Some(at) = path.rfind(";jsessionid=") {
        let kept = path[..at].to_owned();
        url.set_path(&kept);
    }
}

/// Keeps the parameters that [`keeps_param`] keeps, byte for byte.
fn drop_params(url: &mut Url) {
    let Some(query) = url.query() else { return };
    let kept = |pair: &&str| !pair.is_empty() && keeps_param(pair.split('=').next().unwrap_or(""));
    if !query.is_empty() && query.split('&').all(|pair| kept(&pair)) {
        return;
    }
    let query: Vec<&str> = query.split('&').filter(kept).collect();
    let query = query.join("&");
    url.set_query(if query.is_empty() { None } else { Some(&query) });
}

/// Whether a parameter of this (still escaped) name says something about the page.
fn keeps_param(name: &str) -> bool {
    let is = |own: &&str| name.eq_ignore_ascii_case(own);
    let utm = name.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("utm_"));
    !utm && !TRACKING.iter().chain(&SESSION).any(is)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Result<String, Reason> {
        canonical_url(text).map(String::from)
    }

    #[test]
    fn one_page_has_one_form() {
        for (text, form) in [
            ("HTTPS://News.Example:443/A?b=1#top", "https://news.example/A?b=1"),
            ("http://u:p@news.example", "http://news.example/"),
            ("https://n.example/?utm_source=x&id=7&FBCLID=y&_ga=1", "https://n.example/?id=7"),
            ("https://n.example/?gclid=1", "https://n.example/"),
            ("https://n.example/?", "https://n.example/"),
            ("https://n.example/?b=2&a=1&&c", "https://n.example/?b=2&a=1&c"),
            ("https://n.example/x;jsessionid=AB?PHPSESSID=1&q=2", "https://n.example/x?q=2"),
            ("https://münchen.example/ö", "https://xn--mnchen-3ya.example/%C3%B6"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(form), "{text}");
        }
    }

    #[test]
    fn campaigns_are_read_before_their_parameters_go() {
        let text = "https://n.example/?utm_source=News+Letter&utm_campaign=May&id=7&utm_id=3";
        let (url, from) = page_and_referrer(text, Some("https://mail.example/x")).unwrap();
        assert_eq!((url.as_str(), &*from.host), ("https://n.example/?id=7", "mail.example"));
        let campaign = from.campaign.unwrap();
        assert_eq!((&*campaign.source, &*campaign.name), ("news letter", "may"));
        assert_eq!(from.kind, ReferrerKind::Campaign);
        let text = "https://n.example/?utm_source=crm&utm_campaign=Jo%40mail.example";
        let campaign = page_and_referrer(text, None).unwrap().1.campaign.unwrap();
        assert_eq!((&*campaign.source, &*campaign.name), ("crm", "*"));
        let (_, from) = page_and_referrer("https://n.example/?utm_term=x", None).unwrap();
        assert_eq!(from, Referrer::default());
    }

    #[test]
    fn what_is_no_web_page_is_refused() {
        for bad in
            ["", "/a", "javascript:alert(1)", "data:text/html,x", "ftp://a.example/", "http://"]
        {
            assert_eq!(canonical(bad), Err(Reason::BadUrl), "{bad}");
        }
        let long = format!("https://n.example/{}", "a".repeat(limits::URL_BYTES));
        assert_eq!(canonical(&long), Err(Reason::UrlTooLong));
        let grows = format!("https://n.example/{}", "ö".repeat(limits::URL_BYTES / 3));
        assert_eq!(canonical(&grows), Err(Reason::UrlTooLong));
    }

    proptest! {
        #[test]
        fn canonical_is_idempotent_and_never_panics(text in "https?://[a-z.]{1,9}/[ -~ö]{0,60}") {
            if let Ok(once) = canonical(&text) {
                prop_assert_eq!(canonical(&once), Ok(once));
            }
        }

        #[test]
        fn any_text_is_survived(text in ".{0,200}") {
            canonical(&text).ok();
        }
    }
}
