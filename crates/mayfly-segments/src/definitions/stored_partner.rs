//! A partner in the catalog document.

use mayfly_core::consent::{Ground, Receiver};
use mayfly_core::{Partner, PartnerId, PartnerKind, SyncType, SyncUrl};
use serde::{Deserialize, Serialize};

use super::DefinitionsError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartnerRow {
    id: u32,
    key: Box<str>,
    bidder: Box<str>,
    kind: KindRow,
    ground: GroundRow,
    purposes: Vec<u8>,
    sync: Option<Box<str>>,
    uid_macro: Box<str>,
    iframe: bool,
    hosts: Vec<Box<str>>,
    sync_days: u16,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindRow {
    Plain,
    Google { network: Box<str> },
    Xandr,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GroundRow {
    Vendor(u16),
    Provider(u32),
    Processor,
}

impl From<&Partner> for PartnerRow {
    fn from(partner: &Partner) -> Self {
        let Partner { key, bidder, uid_macro, hosts, .. } = partner.clone();
        Self {
            id: partner.id.0,
            key,
            bidder,
            kind: match &partner.kind {
                PartnerKind::Plain => KindRow::Plain,
                PartnerKind::Google { network } => KindRow::Google { network: network.clone() },
                PartnerKind::Xandr => KindRow::Xandr,
            },
            ground: match partner.receiver.ground {
                Ground::Vendor(id) => GroundRow::Vendor(id),
                Ground::Provider(id) => GroundRow::Provider(id),
                Ground::Processor => GroundRow::Processor,
            },
            purposes: partner.receiver.purposes.clone(),
            sync: partner.sync.as_ref().map(|url| url.text().into()),
            uid_macro,
            iframe: partner.sync_type == SyncType::Iframe,
            hosts,
            sync_days: partner.sync_days,
        }
    }
}

impl TryFrom<PartnerRow> for Partner {
    type Error = DefinitionsError;

    fn try_from(row: PartnerRow) -> Result<Self, DefinitionsError> {
        let sync = row.sync.map(|text| SyncUrl::parse(&text)).transpose();
        let ground = match row.ground {
            GroundRow::Vendor(id) => Ground::Vendor(id),
            GroundRow::Provider(id) => Ground::Provider(id),
            GroundRow::Processor => Ground::Processor,
        };
        Ok(Self {
            id: PartnerId(row.id),
            bidder: row.bidder,
            kind: match row.kind {
                KindRow::Plain => PartnerKind::Plain,
                KindRow::Google { network } => PartnerKind::Google { network },
                KindRow::Xandr => PartnerKind::Xandr,
            },
            receiver: Receiver { ground, purposes: row.purposes },
            sync: sync.map_err(|_| DefinitionsError::SyncUrl { partner: row.key.clone() })?,
            uid_macro: row.uid_macro,
            sync_type: if row.iframe { SyncType::Iframe } else { SyncType::Redirect },
            hosts: row.hosts,
            sync_days: row.sync_days,
            key: row.key,
        })
    }
}
