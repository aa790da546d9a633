//! Partners: whose ids are matched with visitors, and who receives what.
//!
//! Sources: Prebid Server, "Cookie Sync" and the bidders' `usersync` (templates, macros); Google,
//! "Cookie Matching"; Xandr, "User ID mapping with getUID and mapUID".

use std::fmt;

use url::Url;

use crate::consent::receiver::Receiver;
use crate::limits;

/// A partner's stable number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartnerId(pub u32);

/// How a partner tells its ids.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum PartnerKind {
    /// By redirects with macros, as most do.
    #[default]
    Plain,
    /// Google cookie matching under this network id (`google_nid`).
    Google {
        /// `google_nid`.
        network: Box<str>,
    },
    /// Xandr's `getuid`.
    Xandr,
}

/// How a browser goes to a partner.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SyncType {
    /// As an image that is led on.
    #[default]
    Redirect,
    /// In a frame of its own.
    Iframe,
}

/// A partner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partner {
    /// Stable number.
    pub id: PartnerId,
    /// The key in `p=`.
    pub key: Box<str>,
    /// What Prebid calls it; the key when empty.
    pub bidder: Box<str>,
    /// How it tells its ids.
    pub kind: PartnerKind,
    /// What it must be allowed.
    pub receiver: Receiver,
    /// Where a browser is sent for the partner's id; none = the partner begins.
    pub sync: Option<SyncUrl>,
    /// What the partner puts its id in place of.
    pub uid_macro: Box<str>,
    /// How a browser goes there.
    pub sync_type: SyncType,
    /// Hosts that `/sync?r=` may lead to.
    pub hosts: Vec<Box<str>>,
    /// Days after which a match is asked for again.
    pub sync_days: u16,
}

impl Partner {
    /// Days after which a match is asked for again, when not said: partners keep theirs for two
    /// weeks.
    pub const SYNC_DAYS: u16 = 14;

    /// A partner with the defaults.
    #[must_use]
    pub fn new(id: PartnerId, key: &str, receiver: Receiver) -> Self {
        Self {
            id,
            key: key.into(),
            bidder: Box::default(),
            kind: PartnerKind::default(),
            receiver,
            sync: None,
            uid_macro: "$UID".into(),
            sync_type: SyncType::default(),
            hosts: Vec::new(),
            sync_days: Self::SYNC_DAYS,
        }
    }

    /// Whether Prebid, or a request of ours, means this partner.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        *self.key == *name || self.bidder() == name
    }

    /// What Prebid calls it.
    #[must_use]
    pub fn bidder(&self) -> &str {
        match self.kind {
            _ if !self.bidder.is_empty() => &self.bidder,
            PartnerKind::Xandr => "appnexus",
            PartnerKind::Plain | PartnerKind::Google { .. } => &self.key,
        }
    }

    /// Whether a browser that is sent there comes back to us.
    #[must_use]
    pub fn leads_back(&self) -> bool {
        let has_redirect = self.sync.as_ref().is_some_and(|url| url.has(SyncMacro::RedirectUrl));
        has_redirect || matches!(self.kind, PartnerKind::Google { .. })
    }

    /// An id of this partner as it may be kept.
    ///
    /// # Errors
    /// Why it is none: real traffic holds all of these.
    pub fn uid<'u>(&self, said: &'u str) -> Result<&'u str, BadUid> {
        let uid = said.trim();
        if uid.len() > limits::PARTNER_UID_BYTES {
            return Err(BadUid::TooLong);
        }
        // What was no UTF-8 came as that.
        if uid.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
            return Err(BadUid::Character);
        }
        if uid == &*self.uid_macro || is_macro(uid) {
            return Err(BadUid::Macro);
        }
        const NOBODY: [&str; 9] =
            ["", "0", "-1", "null", "none", "undefined", "optout", "opt_out", "nan"];
        let is_nobody = NOBODY.iter().any(|word| uid.eq_ignore_ascii_case(word));
        let is_blank = uid.chars().all(|c| matches!(c, '0' | '-'));
        if is_nobody || is_blank { Err(BadUid::Nobody) } else { Ok(uid) }
    }
}

/// Why a text is no partner's id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadUid {
    /// None was told.
    Absent,
    /// It stands for nobody: empty, `0`, `null`, `OPTOUT` …
    Nobody,
    /// A macro that nobody replaced.
    Macro,
    /// More than [`limits::PARTNER_UID_BYTES`].
    TooLong,
    /// A character that does not belong into an id.
    Character,
}

/// `$UID`, `${UID}`, `[UID]`, `{UID}`, `{{uid}}`, `<uid>`, `%%UID%%`, `%UID%`.
fn is_macro(text: &str) -> bool {
    let within = [("[", "]"), ("{", "}"), ("<", ">"), ("%", "%")];
    let is_within = within
        .iter()
        .any(|(open, close)| text.len() > 2 && text.starts_with(open) && text.ends_with(close));
    is_within || text.starts_with('$') || text.contains("${") || text.contains("{{")
}

/// What is put into a partner's URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncMacro {
    /// Our own address that takes the id, with the partner's macro in it.
    RedirectUrl,
    /// What we call the visitor towards this partner.
    OurUid,
    /// `0` or `1`.
    Gdpr,
    /// The TC string.
    GdprConsent,
    /// The US Privacy string.
    UsPrivacy,
    /// The GPP string.
    Gpp,
    /// The sections of it that apply.
    GppSid,
}

impl SyncMacro {
    /// As Prebid Server's two versions write them between `{{` and `}}`; the second name is ours.
    pub const NAMES: [(&'static str, &'static str, Self); 7] = [
        (".RedirectURL", "redirect_url", Self::RedirectUrl),
        (".OurUID", "our_uid", Self::OurUid),
        (".GDPR", "gdpr", Self::Gdpr),
        (".GDPRConsent", "gdpr_consent", Self::GdprConsent),
        (".USPrivacy", "us_privacy", Self::UsPrivacy),
        (".GPP", "gpp", Self::Gpp),
        (".GPPSID", "gpp_sid", Self::GppSid),
    ];
}

/// A partner's URL with macros, `https://partner.example/getuid?r={{redirect_url}}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncUrl {
    text: Box<str>,
    /// Each text with the macro behind it; the rest of the URL has none.
    parts: Vec<(Box<str>, Option<SyncMacro>)>,
}

/// Why a text is no URL with macros.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BadSyncUrl {
    /// `{{` without `}}`.
    Unclosed,
    /// No such macro.
    Unknown(Box<str>),
    /// No URL, or none that a browser may be sent to: https, or http on this machine.
    NotHttps,
    /// It is led to a host that is itself a macro.
    Host,
}

impl fmt::Display for BadSyncUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclosed => f.write_str("`{{` has no `}}`"),
            Self::Unknown(name) if name.starts_with('$') => write!(f, "there is no macro {name}"),
            Self::Unknown(name) => write!(f, "there is no macro {{{{{name}}}}}"),
            Self::NotHttps => f.write_str(
                "a browser is sent to https URLs without a login, or to http on this machine",
            ),
            Self::Host => f.write_str("the host may not hang on a macro"),
        }
    }
}

impl std::error::Error for BadSyncUrl {}

impl SyncUrl {
    /// Reads a URL with macros.
    ///
    /// # Errors
    /// [`BadSyncUrl`].
    pub fn parse(text: &str) -> Result<Self, BadSyncUrl> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or(BadSyncUrl::Unclosed)?;
            let name = name.trim();
            let found = SyncMacro::NAMES.iter().find(|(go, own, _)| name == *go || name == *own);
            let (_, _, found) = found.ok_or_else(|| BadSyncUrl::Unknown(name.into()))?;
            parts.push((before.into(), Some(*found)));
            rest = after;
        }
        parts.push((rest.into(), None));
        let foreign = parts.iter().find_map(|(text, _): &(Box<str>, _)| text.split_once("${"));
        if let Some((_, rest)) = foreign {
            let name = rest.split('}').next().unwrap_or_default();
            return Err(BadSyncUrl::Unknown(format!("${{{name}}}").into()));
        }
        let own = Self { text: text.into(), parts };
        let url = Url::parse(&own.fill(|_| "x")).map_err(|_| BadSyncUrl::NotHttps)?;
        if !is_safe(&url) {
            return Err(BadSyncUrl::NotHttps);
        }
        let head = own.parts.first().map_or("", |(head, _)| head);
        let host_ends = head.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?']));
        if own.parts.len() > 1 && !host_ends {
            return Err(BadSyncUrl::Host);
        }
        Ok(own)
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it has this macro.
    #[must_use]
    pub fn has(&self, wanted: SyncMacro) -> bool {
        self.parts.iter().any(|(_, own)| *own == Some(wanted))
    }

    /// The URL with a value in place of each macro; values must be encoded for a query.
    #[must_use]
    pub fn fill<'v>(&self, value: impl Fn(SyncMacro) -> &'v str) -> String {
        let mut filled = String::with_capacity(self.text.len());
        for (text, own) in &self.parts {
            filled.push_str(text);
            filled.push_str(own.map_or("", &value));
        }
        filled
    }
}

impl fmt::Display for SyncUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a browser may be sent there with somebody's id: by https, or within this machine; no
/// login in it.
#[must_use]
pub fn is_safe(url: &Url) -> bool {
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let is_plain = url.username().is_empty() && url.password().is_none();
    let is_secure = url.scheme() == "https" || url.scheme() == "http" && is_here;
    is_plain && is_secure && url.host_str().is_some_and(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partner() -> Partner {
        Partner::new(PartnerId(1), "p", Receiver::vendor(7))
    }

    #[test]
    fn what_stands_for_nobody_is_no_id() {
        let partner = Partner { uid_macro: "__ID__".into(), ..partner() };
        for (said, expected) in [
            ("5912333222111000999", Ok("5912333222111000999")),
            (" a-b ", Ok("a-b")),
            ("CAESEabc%", Ok("CAESEabc%")),
            ("a\"b", Ok("a\"b")),
            ("", Err(BadUid::Nobody)),
            (" ", Err(BadUid::Nobody)),
            ("0", Err(BadUid::Nobody)),
            ("00000000-0000-0000-0000-000000000000", Err(BadUid::Nobody)),
            ("OPTOUT", Err(BadUid::Nobody)),
            ("undefined", Err(BadUid::Nobody)),
            ("NULL", Err(BadUid::Nobody)),
            ("$UID", Err(BadUid::Macro)),
            ("${CRITEO_USER_ID}", Err(BadUid::Macro)),
            ("[PBS_UID]", Err(BadUid::Macro)),
            ("{uid}", Err(BadUid::Macro)),
            ("{{uid}}", Err(BadUid::Macro)),
            ("<vsid>", Err(BadUid::Macro)),
            ("%%GOOGLE_GID%%", Err(BadUid::Macro)),
            ("%USER_ID%", Err(BadUid::Macro)),
            ("__ID__", Err(BadUid::Macro)),
            ("a\tb", Err(BadUid::Character)),
            ("a\nb", Err(BadUid::Character)),
            ("\u{fffd}", Err(BadUid::Character)),
        ] {
            assert_eq!(partner.uid(said), expected, "{said:?}");
        }
        let long = "x".repeat(limits::PARTNER_UID_BYTES + 1);
        assert_eq!(partner.uid(&long), Err(BadUid::TooLong));
    }

    #[test]
    fn a_url_takes_macros_as_both_prebid_servers_write_them() {
        let go = SyncUrl::parse("https://p.example/s?r={{.RedirectURL}}&g={{ .GDPR }}").unwrap();
        let java = SyncUrl::parse("https://p.example/s?r={{redirect_url}}&g={{gdpr}}").unwrap();
        let value = |own| if own == SyncMacro::Gdpr { "1" } else { "R" };
        assert_eq!(go.fill(value), "https://p.example/s?r=R&g=1");
        assert_eq!(java.fill(value), go.fill(value));
        assert!(go.has(SyncMacro::Gdpr) && !go.has(SyncMacro::Gpp));
        for (bad, expected) in [
            ("https://p.example/?r={{uid}}", BadSyncUrl::Unknown("uid".into())),
            ("https://p.example/?r={{gdpr", BadSyncUrl::Unclosed),
            ("http://p.example/?r={{gdpr}}", BadSyncUrl::NotHttps),
            ("https://u@p.example/", BadSyncUrl::NotHttps),
            ("p.example", BadSyncUrl::NotHttps),
            ("https://{{gpp}}/x", BadSyncUrl::Host),
            ("https://p.example{{gpp}}/x", BadSyncUrl::Host),
            ("https://p.example/?g=${GDPR}", BadSyncUrl::Unknown("${GDPR}".into())),
        ] {
            assert_eq!(SyncUrl::parse(bad), Err(expected), "{bad}");
        }
        assert!(SyncUrl::parse("http://127.0.0.1:9/s").is_ok());
    }
}
