//! Where a visitor came from: the referring host, its kind, the campaign.
//!
//! Search engines and social networks are told by the domains that they send visitors from. A
//! domain counts with all its subdomains, and exactly: `notgoogle.com` and `google.evil.com` are
//! other sites.

use url::Url;

/// Where a visitor came from, without the path: the host and its kind.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Referrer {
    /// Host in lower case; empty when the visit was direct.
    pub host: Box<str>,
    /// Its kind.
    pub kind: ReferrerKind,
    /// The campaign that the page's URL named (`utm_*`); its kind is then
    /// [`ReferrerKind::Campaign`].
    pub campaign: Option<Box<Campaign>>,
}

/// A campaign, as the page's URL named it; texts in lower case, within [`limits::CAMPAIGN_BYTES`],
/// empty when not said.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Campaign {
    /// `utm_source`.
    pub source: Box<str>,
    /// `utm_medium`.
    pub medium: Box<str>,
    /// `utm_campaign`.
    pub name: Box<str>,
}

/// Kinds of referrer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum ReferrerKind {
    /// No referrer was said.
    #[default]
    Direct,
    /// The same host as the page.
    Internal,
    /// A search engine.
    Search,
    /// A social network.
    Social,
    /// Another site.
    Link,
    /// A campaign that the page's URL names.
    Campaign,
}

impl ReferrerKind {
    /// Every kind, in the order of their stored numbers.
    pub const ALL: [Self; 6] =
        [Self::Direct, Self::Internal, Self::Search, Self::Social, Self::Link, Self::Campaign];

    /// The name in rules.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Internal => "internal",
            Self::Search => "search",
            Self::Social => "social",
            Self::Link => "link",
            Self::Campaign => "campaign",
        }
    }
}

impl Referrer {
    /// From the referrer's URL and the page's host. What cannot be read counts as direct.
    #[must_use]
    pub fn of(referrer: &str, page_host: &str) -> Self {
        let Ok(url) = Url::parse(referrer) else { return Self::default() };
        let Some(host) = url.host_str().filter(|h| !h.is_empty()) else {
            return Self::default();
        };
        let host = host.strip_prefix("www.").unwrap_or(host);
        let is_own = host == page_host.strip_prefix("www.").unwrap_or(page_host);
        let kind = if is_own { ReferrerKind::Internal } else { kind(host) };
        Self { host: host.into(), kind, campaign: None }
    }
}

/// Search engines with a domain in many countries: the name before a public suffix.
const SEARCH_EVERYWHERE: [&str; 2] = ["google", "yandex"];

/// Social networks with a domain in many countries.
const SOCIAL_EVERYWHERE: [&str; 1] = ["pinterest"];

/// First parts of the public suffixes of countries that have two, where those above have domains.
const COUNTRY_SECOND: [&str; 4] = ["co", "com", "net", "org"];

/// Hosts of the engines above that are no search; their pages are links like any other.
const NO_SEARCH: [&str; 12] = [
    "accounts.google.com",
    "calendar.google.com",
    "chat.google.com",
    "classroom.google.com",
    "docs.google.com",
    "drive.google.com",
    "groups.google.com",
    "mail.google.com",
    "mail.yahoo.com",
    "mail.yandex.ru",
    "meet.google.com",
    "sites.google.com",
];

/// Domains of search engines.
const SEARCH: [&str; 36] = [
    "360.cn",
    "aol.com",
    "ask.com",
    "baidu.com",
    "bing.com",
    "coccoc.com",
    "daum.net",
    "dogpile.com",
    "duckduckgo.com",
    "ecosia.org",
    "excite.com",
    "gibiru.com",
    "kagi.com",
    "lycos.com",
    "metager.de",
    "metager.org",
    "mojeek.com",
    "mwmbl.org",
    "naver.com",
    "perplexity.ai",
    "presearch.com",
    "qwant.com",
    "rambler.ru",
    "search.brave.com",
    "search.marginalia.nu",
    "seznam.cz",
    "sm.cn",
    "so.com",
    "sogou.com",
    "startpage.com",
    "swisscows.com",
    "wolframalpha.com",
    "ya.ru",
    "yahoo.co.jp",
    "yahoo.com",
    "you.com",
];

/// Domains of social networks.
const SOCIAL: [&str; 58] = [
    "bsky.app",
    "discord.com",
    "discord.gg",
    "disq.us",
    "disqus.com",
    "douban.com",
    "douyin.com",
    "facebook.com",
    "fb.com",
    "fb.me",
    "flickr.com",
    "hi5.com",
    "instagram.com",
    "kakao.com",
    "lemmy.world",
    "lemon8-app.com",
    "line.me",
    "linkedin.com",
    "lnkd.in",
    "mastodon.online",
    "mastodon.social",
    "medium.com",
    "meetup.com",
    "messenger.com",
    "myspace.com",
    "news.ycombinator.com",
    "nextdoor.com",
    "odnoklassniki.ru",
    "ok.ru",
    "pin.it",
    "pinterest.com",
    "quora.com",
    "redd.it",
    "reddit.com",
    "snapchat.com",
    "stackexchange.com",
    "stackoverflow.com",
    "t.co",
    "t.me",
    "telegram.org",
    "threads.com",
    "threads.net",
    "tieba.baidu.com",
    "tiktok.com",
    "tumblr.com",
    "twitch.tv",
    "twitter.com",
    "vimeo.com",
    "vk.com",
    "wa.me",
    "weibo.com",
    "whatsapp.com",
    "x.com",
    "xiaohongshu.com",
    "xing.com",
    "youtu.be",
    "youtube.com",
    "zhihu.com",
];

/// What a host (in lower case, as URLs are serialised; a final dot does not matter) is.
#[must_use]
fn kind(host: &str) -> ReferrerKind {
    let host = host.strip_suffix('.').unwrap_or(host);
    if NO_SEARCH.contains(&host) {
        return ReferrerKind::Link;
    }
    // From `a.b.example.com` to `com`; the longest domain that is known decides.
    let mut domain = Some(host);
    while let Some(name) = domain {
        if SOCIAL.binary_search(&name).is_ok() || is_everywhere(name, &SOCIAL_EVERYWHERE) {
            return ReferrerKind::Social;
        }
        if SEARCH.binary_search(&name).is_ok() || is_everywhere(name, &SEARCH_EVERYWHERE) {
            return ReferrerKind::Search;
        }
        domain = name.split_once('.').map(|(_, parent)| parent);
    }
    ReferrerKind::Link
}

/// `google.nl`, `google.co.uk`, `yandex.com.tr`: not `google.blogspot.com`. Whether there is such a
/// country is not checked; the owners of these names hold them nearly everywhere.
fn is_everywhere(domain: &str, names: &[&str]) -> bool {
    let Some((name, suffix)) = domain.split_once('.') else { return false };
    let country = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_lowercase());
    let known = match suffix.split_once('.') {
        Some((second, last)) => COUNTRY_SECOND.contains(&second) && country(last),
        None => matches!(suffix, "com" | "cat" | "org" | "net") || country(suffix),
    };
    known && names.contains(&name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_tables_can_be_searched_and_hold_lower_case_domains() {
        assert!(SEARCH.is_sorted() && NO_SEARCH.is_sorted() && SOCIAL.is_sorted());
        for host in SEARCH.iter().chain(&NO_SEARCH).chain(&SOCIAL) {
            assert!(host.contains('.') && *host == host.to_ascii_lowercase(), "{host}");
        }
        assert!(SEARCH.iter().all(|host| kind(host) == ReferrerKind::Search));
        assert!(SOCIAL.iter().all(|host| kind(host) == ReferrerKind::Social));
    }

    #[test]
    fn domains_count_with_their_subdomains_and_exactly() {
        for (expected, hosts) in [
            (
                ReferrerKind::Search,
                "google.com www.google.nl google.co.uk news.google.com.br yandex.ru yandex.com.tr \
                 google.cat bing.com cn.bing.com search.yahoo.com nl.search.yahoo.com \
                 duckduckgo.com \
                 html.duckduckgo.com. m.baidu.com search.brave.com yahoo.co.jp ya.ru",
            ),
            (
                ReferrerKind::Social,
                "facebook.com l.facebook.com lm.facebook.com t.co x.com out.reddit.com youtu.be \
                 m.youtube.com nl.linkedin.com lnkd.in nl.pinterest.com pinterest.co.uk bsky.app",
            ),
            (
                ReferrerKind::Link,
                "notgoogle.com google.evil.com google.com.evil.example google.blogspot.com \
                 amazon.com brave.com mail.google.com mail.yahoo.com t.com x.org \
                 facebook.com.evil.io \
                 google localhost com 127.0.0.1 [::1] . .. example.com yandex.evil.com co.uk",
            ),
        ] {
            for host in hosts.split_whitespace() {
                assert_eq!(kind(host), expected, "{host}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_host_is_survived(host in "\\PC{0,40}|[a-z.]{0,40}") {
            prop_assert!(ReferrerKind::ALL.contains(&kind(&host)));
        }

        #[test]
        fn a_longer_name_is_another_site(name in "[a-z]{1,8}") {
            prop_assert_eq!(kind(&format!("{name}facebook.com")), ReferrerKind::Link);
            prop_assert_eq!(kind(&format!("google.{name}.example")), ReferrerKind::Link);
        }
    }

    #[test]
    fn referrers_have_a_kind() {
        let kind = |r| Referrer::of(r, "www.news.example").kind;
        assert_eq!(kind("https://news.example/a"), ReferrerKind::Internal);
        assert_eq!(kind("https://www.google.co.uk/search?q=x"), ReferrerKind::Search);
        assert_eq!(kind("https://m.facebook.com/"), ReferrerKind::Social);
        assert_eq!(kind("https://blog.example/"), ReferrerKind::Link);
        assert_eq!(kind("garbage"), ReferrerKind::Direct);
    }
}
