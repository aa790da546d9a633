//! What a request for id sync says, and the URLs that are made of it.

use mayfly_core::consent::{Allowed, Ground, Signals, decide};
use mayfly_core::partner::BadUid;
use mayfly_core::{
    Choice, ConsentRules, ConsentState, Partner, PartnerKind, Refusal, SyncMacro, SyncType,
    SyncUrl, Timestamp, limits,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

use super::SyncOutcome;
use crate::collector::Collector;
use crate::sites::SiteTable;

/// What stands in a query as it is.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Where Google takes back what it pushed.
const GOOGLE: &str = "https://cm.g.doubleclick.net/pixel";
/// How partners write the place of our name in their URL.
const OUR_UID: [&str; 6] = ["${OUR_UID}", "${UID}", "{{our_uid}}", "$UID", "[UID]", "{UID}"];

/// A request for id sync.
#[derive(Clone, Copy, Debug)]
pub struct SyncRequest<'r> {
    /// The query string.
    pub query: &'r str,
    /// The `Cookie` headers, joined.
    pub cookies: &'r str,
    /// `Sec-GPC`.
    pub gpc: Option<&'r str>,
    /// Scheme, host and prefix under which this browser reaches us, without a slash at the end.
    pub base: &'r str,
    /// When it came.
    pub now: Timestamp,
}

/// A request that cannot be understood; nothing was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadSync {
    /// The query is longer than [`limits::QUERY_BYTES`].
    #[error("the query has more than {} bytes", limits::QUERY_BYTES)]
    TooLong,
    /// No partner is named.
    #[error("name a partner: p=KEY, or bidder= as Prebid calls it")]
    NoPartner,
    /// There is no such partner.
    #[error("there is no such partner; `mayfly partner list` shows them")]
    UnknownPartner,
    /// There is no such site.
    #[error("there is no such site (account=, s=); its rules of consent would count")]
    UnknownSite,
    /// More partners than one visit is led through.
    #[error("at most {} partners are asked at once", limits::SYNC_CHAIN)]
    TooManyPartners,
    /// `f` is neither `i` nor `b`.
    #[error("f is i (an image) or b (an empty page)")]
    Form,
    /// `gdpr` is neither 0 nor 1.
    #[error("gdpr is 0 or 1")]
    Gdpr,
    /// `gdpr=1` without a consent string.
    #[error("gdpr=1 needs gdpr_consent")]
    ConsentMissing,
    /// A consent string that cannot be read.
    #[error("the consent string cannot be read, or is not valid for us")]
    ConsentInvalid,
    /// The URL in `r` leads to a host that the partner did not register, or is no https URL.
    #[error("r leads to a host that the partner did not register (hosts = […]), or is not https")]
    Target,
    /// The URL in `r` has no place for our name.
    #[error("r has no macro for our id: ${{OUR_UID}}")]
    NoMacro,
}

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Said {
    partners: Vec<String>,
    uid: Option<String>,
    /// Partners that come after the one that was led to.
    then: Vec<String>,
    /// Where a partner wants to be led.
    pub(super) to: Option<String>,
    pub(super) is_frame: bool,
    /// The site whose rules count.
    account: String,
    choice: Choice,
    /// What the browser's choice allows us; why not.
    allowed: Option<Result<ConsentState, Refusal>>,
    google_gid: Option<String>,
    has_google_error: bool,
    google_push: Option<String>,
}

/// What Google pushed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pushed<'s> {
    network: &'s str,
    token: &'s str,
}

impl Pushed<'_> {
    /// Where it takes it back.
    pub(super) fn location(self, name: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("google_nid", self.network).append_pair("google_push", self.token);
        if let Some(name) = name {
            query.append_pair("google_hm", name);
        }
        format!("{GOOGLE}?{}", query.finish())
    }
}

impl Collector {
    /// Reads a request, and decides about its choice.
    pub(super) fn read(&self, request: &SyncRequest<'_>) -> Result<Said, BadSync> {
        if request.query.len() > limits::QUERY_BYTES {
            return Err(BadSync::TooLong);
        }
        let mut said = Said::default();
        for (name, value) in form_urlencoded::parse(request.query.as_bytes()) {
            said.take(&name, &value)?;
        }
        if request.gpc.is_some_and(|gpc| gpc.trim() == "1") {
            said.choice.gpc = Some(true);
        }
        said.allowed = Some(self.decide(&said.choice, request.cookies, &said.account)?);
        Ok(said)
    }

    /// What a choice allows us, before any partner is asked for.
    pub(super) fn decide(
        &self,
        choice: &Choice,
        cookies: &str,
        account: &str,
    ) -> Result<Result<ConsentState, Refusal>, BadSync> {
        if !account.is_empty() && self.sites().get(account).is_none() {
            return Err(BadSync::UnknownSite);
        }
        let has_string = choice.tcf.is_some() || choice.gpp.is_some();
        if choice.gdpr == Some(true) && !has_string {
            return Err(BadSync::ConsentMissing);
        }
        if !choice.is_bounded() {
            return Err(BadSync::ConsentInvalid);
        }
        let opted_out = self.is_opted_out(cookies);
        let signals = Signals { opted_out, is_pending: false, choice: choice.clone() };
        let mut allowed = Allowed::default();
        for rules in rules(&self.sites(), account) {
            match decide(&rules, &signals) {
                Err(Refusal::Invalid) => return Err(BadSync::ConsentInvalid),
                Err(refusal) => return Ok(Err(refusal)),
                Ok(own) => allowed = allowed.and(own),
            }
        }
        Ok(Ok(ConsentState { choice: choice.clone(), allowed }))
    }
}

/// The rules of the site that is named; of every site where none is: then each must allow it.
fn rules(sites: &SiteTable, account: &str) -> Vec<ConsentRules> {
    if let Some(site) = sites.get(account) {
        return vec![site.consent.clone()];
    }
    let mut all: Vec<ConsentRules> = Vec::new();
    for site in sites.iter() {
        // Scopes say what a choice takes back, and nothing here.
        let rules = ConsentRules { scope: Box::default(), ..site.consent.clone() };
        if !all.contains(&rules) {
            all.push(rules);
        }
    }
    if all.is_empty() { vec![ConsentRules::default()] } else { all }
}

impl Said {
    fn take(&mut self, name: &str, value: &str) -> Result<(), BadSync> {
        let text = || Some(value.to_owned()).filter(|text| !text.is_empty());
        match name {
            "p" | "bidder" if self.partners.is_empty() => self.partners = names(value)?,
            "then" => self.then = names(value)?,
            "uid" => self.uid = Some(value.to_owned()),
            "account" | "s" => self.account = value.to_owned(),
            "r" => self.to = text(),
            "f" => match value {
                "" | "i" => {}
                "b" => self.is_frame = true,
                _ => return Err(BadSync::Form),
            },
            "gdpr" if !matches!(value, "" | "0" | "1") => return Err(BadSync::Gdpr),
            "google_gid" => self.google_gid = text(),
            "google_error" => self.has_google_error = true,
            "google_push" => self.google_push = text(),
            _ => {
                self.choice.take(name, value);
            }
        }
        Ok(())
    }

    /// The partners that are named, in their order.
    pub(super) fn partners<'t>(
        &self,
        sites: &'t SiteTable,
    ) -> impl Iterator<Item = Result<&'t Partner, BadSync>> {
        let find = |name: &String| sites.partner(name).ok_or(BadSync::UnknownPartner);
        self.partners.iter().map(find)
    }

    /// Whether the browser's choice allows us and this partner.
    pub(super) fn is_permitted(&self, partner: &Partner) -> Result<(), SyncOutcome> {
        match &self.allowed {
            Some(Ok(state)) => {
                partner.receiver.is_permitted(state).map_err(SyncOutcome::NotPermitted)
            }
            Some(Err(refusal)) => Err(SyncOutcome::Refused(*refusal)),
            None => Err(SyncOutcome::Refused(Refusal::Absent)),
        }
    }

    /// The id that the partner tells; none where it has none any more.
    pub(super) fn uid_for(&self, partner: &Partner) -> Result<Option<&str>, BadUid> {
        let is_google = matches!(partner.kind, PartnerKind::Google { .. });
        if is_google && self.uid.is_none() {
            if self.has_google_error {
                return Err(BadUid::Nobody);
            }
            return match self.google_gid.as_deref() {
                Some(gid) => partner.uid(gid).map(Some),
                None => Err(BadUid::Nobody),
            };
        }
        match self.uid.as_deref() {
            Some(uid) if uid.trim().is_empty() => Ok(None),
            Some(uid) => partner.uid(uid).map(Some),
            None => Err(BadUid::Absent),
        }
    }

    /// What Google pushed with this request.
    pub(super) fn pushed<'s>(&'s self, partner: &'s Partner) -> Option<Pushed<'s>> {
        match &partner.kind {
            PartnerKind::Google { network } => {
                Some(Pushed { network, token: self.google_push.as_deref()? })
            }
            PartnerKind::Plain | PartnerKind::Xandr => None,
        }
    }

    /// Google asks for nothing but what it pushed.
    pub(super) fn is_push_alone(&self, partner: &Partner) -> bool {
        self.pushed(partner).is_some() && self.google_gid.is_none() && !self.has_google_error
    }

    /// On to the rest of the chain.
    pub(super) fn go_on(&self, request: &SyncRequest<'_>) -> Option<String> {
        if self.then.is_empty() {
            return None;
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("p", &self.then.join(","));
        carry(&mut query, &self.account, choices(&self.choice), "");
        Some(format!("{}/sync?{}", request.base, query.finish()))
    }

    /// The partner's URL, with our own in it.
    pub(super) fn fill(
        &self,
        url: &SyncUrl,
        base: &str,
        partner: &Partner,
        name: &str,
        rest: &[&Partner],
    ) -> String {
        fill(url, base, partner, name, (&self.account, &self.choice), rest)
    }

    /// A partner's URL with our name for the visitor in it, and what was said about consent.
    pub(super) fn put(&self, to: &str, partner: &Partner, name: &str) -> Result<String, BadSync> {
        let uid_macro = OUR_UID.into_iter().find(|own| to.contains(own));
        let uid_macro = uid_macro.ok_or(BadSync::NoMacro)?;
        let mut to = to.replace(uid_macro, name);
        let vendor = match partner.receiver.ground {
            Ground::Vendor(id) => id.to_string(),
            Ground::Provider(_) | Ground::Processor => String::new(),
        };
        let Choice { gdpr, tcf, gpp, gpp_sid, us_privacy, .. } = &self.choice;
        let text = |text: &Option<Box<str>>| encoded(text.as_deref().unwrap_or_default());
        for (own, value) in [
            ("${GDPR}".to_owned(), flag(*gdpr).to_owned()),
            (format!("${{GDPR_CONSENT_{vendor}}}"), text(tcf)),
            ("${US_PRIVACY}".to_owned(), text(us_privacy)),
            (format!("${{GPP_STRING_{vendor}}}"), text(gpp)),
            ("${GPP_STRING}".to_owned(), text(gpp)),
            ("${GPP_SID}".to_owned(), text(gpp_sid)),
        ] {
            to = to.replace(&own, &value);
        }
        Ok(without_macros(&to))
    }
}

/// `${GDPR_CONSENT_755}` of somebody else stays empty.
fn without_macros(to: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(to.len()), to);
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        match after.split_once('}') {
            Some((_, after)) => rest = after,
            None => rest = "",
        }
    }
    out + rest
}

/// Partners' names between commas.
fn names(list: &str) -> Result<Vec<String>, BadSync> {
    let names: Vec<String> =
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Into::into).collect();
    if names.len() > limits::SYNC_CHAIN { Err(BadSync::TooManyPartners) } else { Ok(names) }
}

/// A partner's URL with our own in it that takes its id, and goes on to the rest.
pub(super) fn fill(
    url: &SyncUrl,
    base: &str,
    partner: &Partner,
    name: &str,
    (account, choice): (&str, &Choice),
    rest: &[&Partner],
) -> String {
    let form = if partner.sync_type == SyncType::Iframe { "b" } else { "i" };
    let mut query = form_urlencoded::Serializer::new(String::new());
    let then: Vec<&str> = rest.iter().map(|own| &*own.key).collect();
    let then = then.join(",");
    query.append_pair("bidder", partner.bidder());
    carry(&mut query, account, choices(choice), &then);
    query.append_pair("f", form);
    // The macro itself stands as it is: who replaces it looks for it in the decoded URL.
    let back = format!("{base}/setuid?{}&uid={}", query.finish(), partner.uid_macro);
    let value = |own: &Option<Box<str>>| encoded(own.as_deref().unwrap_or_default());
    let values = [
        (SyncMacro::RedirectUrl, encoded(&back)),
        (SyncMacro::OurUid, name.to_owned()),
        (SyncMacro::Gdpr, flag(choice.gdpr).to_owned()),
        (SyncMacro::GdprConsent, value(&choice.tcf)),
        (SyncMacro::UsPrivacy, value(&choice.us_privacy)),
        (SyncMacro::Gpp, value(&choice.gpp)),
        (SyncMacro::GppSid, value(&choice.gpp_sid)),
    ];
    let filled =
        url.fill(|own| values.iter().find(|(one, _)| *one == own).map_or("", |(_, value)| value));
    if !matches!(partner.kind, PartnerKind::Google { .. }) {
        return filled;
    }
    // Google leads to the URL that is registered with it, and hands on what is added here.
    let mut own = form_urlencoded::Serializer::new(String::new());
    // These two stand in its URL already.
    let others = choices(choice).filter(|(name, _)| !matches!(*name, "gdpr" | "gdpr_consent"));
    carry(&mut own, account, others, &then);
    let own = own.finish();
    if own.is_empty() { filled } else { format!("{filled}&{own}") }
}

/// What comes back with the browser: the site whose rules count, its choice, who is next.
fn carry<'c>(
    query: &mut form_urlencoded::Serializer<'_, String>,
    account: &'c str,
    choices: impl Iterator<Item = (&'static str, &'c str)>,
    then: &'c str,
) {
    let account = std::iter::once(("account", account));
    let all = account.chain(choices).chain(std::iter::once(("then", then)));
    query.extend_pairs(all.filter(|(_, value)| !value.is_empty()));
}

const fn flag(said: Option<bool>) -> &'static str {
    match said {
        Some(true) => "1",
        Some(false) => "0",
        None => "",
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

/// What was said about consent, as parameters.
fn choices(choice: &Choice) -> impl Iterator<Item = (&'static str, &str)> {
    let Choice { gdpr, tcf, additional, gpp, gpp_sid, us_privacy, coppa, .. } = choice;
    let texts = [
        ("gdpr_consent", tcf),
        ("addtl_consent", additional),
        ("gpp", gpp),
        ("gpp_sid", gpp_sid),
        ("us_privacy", us_privacy),
    ];
    let gdpr = gdpr.map(|_| ("gdpr", flag(*gdpr)));
    let coppa = coppa.map(|_| ("coppa", flag(*coppa)));
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, &**text.as_ref()?)));
    gdpr.into_iter().chain(coppa).chain(texts)
}
