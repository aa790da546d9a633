//! Where an `ad_click` leads on to: hosts that its site registered, and nowhere else.

use mayfly_core::{Origin, Site, limits};
use url::{Host, Url};

use crate::collector::Collector;
use crate::percent::decode;

impl Collector {
    /// Where a pixel request with `e=ad_click&to=URL` leads on to, whatever becomes of its hit;
    /// `None` where it names no site or a host that the site did not register.
    #[must_use]
    pub fn redirect(&self, query: &str) -> Option<String> {
        // Asked of every pixel, and few are clicks.
        if query.len() > limits::QUERY_BYTES || !query.contains("to=") {
            return None;
        }
        let said = |wanted: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == wanted).and_then(|(_, value)| decode(value).ok())
        };
        if said("e")? != "ad_click" {
            return None;
        }
        let to = said("to").filter(|to| to.len() <= limits::URL_BYTES)?;
        let sites = self.sites();
        let site = sites.get(&said("s")?)?;
        let url = Url::parse(&to).ok()?;
        may_lead_to(site, &url).then(|| url.into())
    }
}

fn may_lead_to(site: &Site, url: &Url) -> bool {
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none();
    let host = match url.host() {
        Some(Host::Domain(host)) if is_plain => host,
        Some(_) | None => return false,
    };
    let is_own = site.origins.iter().any(|origin| match origin {
        Origin::Any => false,
        Origin::Exact(own) => **own == *url.origin().ascii_serialization(),
    });
    is_own || site.redirect_hosts.iter().any(|own| **own == *host)
}

#[cfg(test)]
mod tests {
    use mayfly_core::SiteId;

    use super::*;

    #[test]
    fn only_registered_hosts_are_led_to() {
        let origins = vec![Origin::Any, Origin::parse("https://n.example").unwrap()];
        let mut site = Site::new(SiteId(1), "n", origins);
        site.redirect_hosts = vec!["shop.example".into()];
        let leads = |to: &str| Url::parse(to).is_ok_and(|url| may_lead_to(&site, &url));
        for good in ["https://shop.example/a?b", "http://shop.example:8080/", "https://n.example/"]
        {
            assert!(leads(good), "{good}");
        }
        for bad in [
            "https://evil.example/",
            "https://shop.example.evil.example/",
            "https://shop.example@evil.example/",
            "https://u@shop.example/",
            "//shop.example/",
            "javascript:alert(1)//shop.example",
            "ftp://shop.example/",
            "https://n.example:8443/",
            "data:text/html,x",
        ] {
            assert!(!leads(bad), "{bad}");
        }
    }
}
