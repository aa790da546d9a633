//! A `[[partner]]` of a definitions file.

use mayfly_core::consent::{Ground, Receiver};
use mayfly_core::{Partner, PartnerId, PartnerKind, SyncMacro, SyncType, SyncUrl, event, limits};
use toml::de::DeTable;

use super::file::{PartnerItem, Span};
use super::table::{PlacedText, Table};
use crate::problem::{Fault, PartnerFault, ProblemKind};

const KEYS: [&str; 14] = [
    "key",
    "kind",
    "network",
    "bidder",
    "vendor_id",
    "provider_id",
    "processor",
    "purposes",
    "sync",
    "uid_macro",
    "sync_type",
    "hosts",
    "sync_days",
    "was",
];

/// The words of `kind`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Google,
    Xandr,
}

const KINDS: [(&str, Kind); 3] =
    [("plain", Kind::Plain), ("google", Kind::Google), ("xandr", Kind::Xandr)];

/// The words of `sync_type`.
const SYNC_TYPES: [(&str, SyncType); 2] =
    [("redirect", SyncType::Redirect), ("iframe", SyncType::Iframe)];

/// Where Xandr is asked: `$UID` in the redirect is replaced.
const XANDR: &str = "https://ib.adnxs.com/getuid?{{redirect_url}}";
/// Numbers in the Global Vendor List.
const XANDR_VENDOR: u16 = 32;
const GOOGLE_VENDOR: u16 = 755;
/// The longest time between two asks, days.
const SYNC_DAYS_MAX: u32 = 90;

/// The keys of the grounds on which a partner receives.
const GROUNDS: [&str; 3] = ["vendor_id", "provider_id", "processor"];

const fn fault(fault: PartnerFault) -> ProblemKind {
    ProblemKind::Partner { fault }
}

/// Where Google is asked: it leads on to the URL that is registered with it.
fn google(network: &str) -> String {
    format!(
        "https://cm.g.doubleclick.net/pixel?google_nid={network}&google_cm\
         &google_hm={{{{our_uid}}}}&gdpr={{{{gdpr}}}}&gdpr_consent={{{{gdpr_consent}}}}"
    )
}

impl Kind {
    pub(super) const fn of(partner: &Partner) -> Self {
        match partner.kind {
            PartnerKind::Plain => Self::Plain,
            PartnerKind::Google { .. } => Self::Google,
            PartnerKind::Xandr => Self::Xandr,
        }
    }

    pub(super) fn word(self) -> &'static str {
        KINDS.iter().find(|(_, own)| *own == self).map_or("plain", |(word, _)| word)
    }
}

/// The word of a sync type in a definitions file.
pub(super) fn sync_word(own: SyncType) -> &'static str {
    SYNC_TYPES.iter().find(|(_, one)| *one == own).map_or("redirect", |(word, _)| word)
}

pub(super) fn partner(
    table: &DeTable<'_>,
    span: Span,
    faults: &mut Vec<Fault>,
) -> Option<PartnerItem> {
    let mut table = Table::new("partner", table, span, &KEYS);
    let (key, bidder) = (table.need_text("key"), table.text("bidder"));
    let bidder_place = bidder.as_ref().or(key.as_ref()).map(|name| name.span.clone());
    let was = table.texts("was");
    for name in key.iter().chain(&bidder).chain(&was) {
        if !event::is_name(&name.value, limits::SPACE_NAME_BYTES) {
            let kind = ProblemKind::BadName { what: "partner", name: name.value.clone() };
            table.fault(kind, name.span.clone());
        }
    }
    let kind = table.word("kind", &KINDS).unwrap_or(Kind::Plain);
    let receiver = receiver(&mut table, kind);
    let name = key.as_ref().map_or("", |key| &*key.value);
    let mut partner = Partner::new(PartnerId(0), name, receiver);
    partner.bidder = bidder.map(|bidder| bidder.value).unwrap_or_default();
    partner.kind = of_kind(&mut table, kind);
    if let Some(PlacedText { value, span }) = table.text("uid_macro") {
        if value.trim().is_empty() {
            table.fault(fault(PartnerFault::NoMacro), span);
        }
        partner.uid_macro = value;
    }
    partner.sync_type = table.word("sync_type", &SYNC_TYPES).unwrap_or_default();
    partner.hosts = table.hosts("hosts");
    let days = table.whole("sync_days", 1, SYNC_DAYS_MAX).and_then(|n| u16::try_from(n).ok());
    partner.sync_days = days.unwrap_or(Partner::SYNC_DAYS);
    partner.sync = sync(&mut table, &partner.kind);
    faults.extend(table.faults());
    Some(PartnerItem { key: key?, partner, bidder_place: bidder_place.unwrap_or_default(), was })
}

/// `kind` with what belongs to it.
fn of_kind(table: &mut Table<'_, '_>, kind: Kind) -> PartnerKind {
    let network = table.text("network");
    match (kind, network) {
        (Kind::Google, Some(PlacedText { value, span })) => {
            // It becomes part of a URL.
            if !event::is_name(&value, limits::NAME_BYTES) {
                let kind = ProblemKind::BadName { what: "network", name: value.clone() };
                table.fault(kind, span);
            }
            PartnerKind::Google { network: value }
        }
        (Kind::Google, None) => {
            let missing = ProblemKind::MissingKey { table: "partner", key: "network" };
            table.fault(missing, table.place("kind"));
            PartnerKind::Plain
        }
        (Kind::Plain | Kind::Xandr, Some(PlacedText { span, .. })) => {
            table.fault(fault(PartnerFault::Network), span);
            PartnerKind::Plain
        }
        (Kind::Plain, None) => PartnerKind::Plain,
        (Kind::Xandr, None) => PartnerKind::Xandr,
    }
}

fn receiver(table: &mut Table<'_, '_>, kind: Kind) -> Receiver {
    let vendor = table.whole("vendor_id", 1, u32::from(u16::MAX));
    let vendor = vendor.and_then(|id| u16::try_from(id).ok()).map(Ground::Vendor);
    let provider = table.whole("provider_id", 1, u32::MAX).map(Ground::Provider);
    let processor = table.flag("processor").filter(|on| *on).map(|_| Ground::Processor);
    let said: Vec<Ground> = [vendor, provider, processor].into_iter().flatten().collect();
    let ground = match (said.as_slice(), kind) {
        ([one], _) => *one,
        ([], Kind::Google) => Ground::Vendor(GOOGLE_VENDOR),
        ([], Kind::Xandr) => Ground::Vendor(XANDR_VENDOR),
        ([one, ..], _) => {
            let last = ["processor", "provider_id", "vendor_id"];
            let place = last.iter().find(|key| table.has(key)).map_or("key", |key| key);
            table.fault(fault(PartnerFault::Grounds), table.place(place));
            *one
        }
        // One of the wrong form was told already.
        ([], Kind::Plain) if GROUNDS.iter().any(|key| table.has(key)) => Ground::Processor,
        ([], Kind::Plain) => {
            table.fault(fault(PartnerFault::Ground), table.place("key"));
            Ground::Processor
        }
    };
    let purposes = table.wholes("purposes", 1, 11).unwrap_or_default();
    let purposes: Vec<u8> = purposes.into_iter().filter_map(|p| u8::try_from(p).ok()).collect();
    if table.has("purposes") && purposes.is_empty() {
        table.fault(fault(PartnerFault::Purposes), table.place("purposes"));
    }
    let usual = || Receiver::PURPOSES.to_vec();
    Receiver { ground, purposes: if purposes.is_empty() { usual() } else { purposes } }
}

/// The URL at which a partner of this kind is asked, when the file does not say one.
pub(super) fn usual_sync(kind: &PartnerKind) -> Option<SyncUrl> {
    let text = match kind {
        PartnerKind::Plain => return None,
        PartnerKind::Google { network } => google(network),
        PartnerKind::Xandr => XANDR.to_owned(),
    };
    SyncUrl::parse(&text).ok()
}

fn sync(table: &mut Table<'_, '_>, kind: &PartnerKind) -> Option<SyncUrl> {
    let Some(PlacedText { value, span }) = table.text("sync") else { return usual_sync(kind) };
    let url = match SyncUrl::parse(&value) {
        Ok(url) if value.len() <= limits::URL_BYTES => url,
        Ok(_) => {
            let what = "bytes in `sync`";
            table.fault(ProblemKind::TooMany { what, limit: limits::URL_BYTES }, span);
            return None;
        }
        Err(source) => {
            table.fault(fault(PartnerFault::SyncUrl { source }), span);
            return None;
        }
    };
    // Without either the partner learns nothing, and neither do we.
    if !url.has(SyncMacro::RedirectUrl) && !url.has(SyncMacro::OurUid) {
        table.fault(fault(PartnerFault::IdleSyncUrl), span);
    }
    Some(url)
}
