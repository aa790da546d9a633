//! The catalog document: definitions as JSON rows, a format number first.

use std::collections::BTreeMap;

use jiff::civil::Date;
use mayfly_core::consent::{Audience, ConsentRole};
use mayfly_core::{
    CategoryId, ConsentPolicy, ConsentRules, DataPlan, Origin, Partner, PartnerId, SegmentId, Site,
    SiteId,
};
use serde::{Deserialize, Serialize};

use super::import::ImportRow;
use super::stored_destination::DestinationRow;
use super::stored_partner::PartnerRow;
use crate::destination::Destination;

use super::{
    Category, Definitions, Import, OnPage, Period, RuleText, Segment, Sensitivity, SiteEntry,
};

/// The format that this program writes, and the newest that it reads; 1 had fewer keys of sites,
/// 2 at most one standard id of a category, 3 fewer keys of segments, 4 fewer of categories and no
/// word lists, 5 no partners, 6 no destinations, 7 no imports.
const FORMAT: u32 = 8;

/// A stored document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionsError {
    /// It is not the JSON that this program wrote.
    #[error("stored definitions cannot be read: {source}")]
    Json {
        /// What the parser said.
        #[from]
        source: serde_json::Error,
    },
    /// Written by a newer program.
    #[error("stored definitions have format {found}; this program reads {FORMAT}")]
    Format {
        /// The format found.
        found: u32,
    },
    /// A partner's URL that is none.
    #[error("stored definitions have no URL that can be used for partner {partner:?}")]
    SyncUrl {
        /// The partner's key.
        partner: Box<str>,
    },
    /// A schedule that is none.
    #[error("stored definitions have no schedule that can be read for destination {destination:?}")]
    Schedule {
        /// The destination's name.
        destination: Box<str>,
    },
    /// An origin that is none.
    #[error("stored definitions name {origin:?} as an origin")]
    Origin {
        /// As stored.
        origin: Box<str>,
    },
}

#[derive(Deserialize)]
struct FormatRow {
    format: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DefinitionsRow {
    format: u32,
    version: u32,
    /// Absent up to format 2.
    #[serde(default)]
    why: Box<str>,
    next_site: u32,
    next_category: u32,
    next_segment: u32,
    sites: Vec<SiteRow>,
    categories: Vec<CategoryRow>,
    segments: Vec<SegmentRow>,
    #[serde(default)]
    word_lists: BTreeMap<Box<str>, Vec<Box<str>>>,
    #[serde(default = "first")]
    next_partner: u32,
    #[serde(default)]
    partners: Vec<PartnerRow>,
    #[serde(default = "first")]
    next_destination: u32,
    #[serde(default)]
    destinations: Vec<DestinationRow>,
}

const fn first() -> u32 {
    1
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteRow {
    id: u32,
    key: Box<str>,
    origins: Vec<Box<str>>,
    consent: ConsentRow,
    removed: bool,
    #[serde(default)]
    role: Option<RoleRow>,
    /// Absent = the key.
    #[serde(default)]
    scope: Option<Box<str>>,
    #[serde(default)]
    audience: AudienceRow,
    /// Absent = UTC.
    #[serde(default)]
    time_zone: Option<Box<str>>,
    #[serde(default)]
    query: Vec<Box<str>>,
    #[serde(default)]
    attributes: Vec<Box<str>>,
    #[serde(default)]
    events: Vec<Box<str>>,
    #[serde(default)]
    sensitive: Vec<Box<str>>,
    #[serde(default)]
    pages_per_day: Option<u32>,
    #[serde(default)]
    declared: Option<Box<str>>,
    #[serde(default)]
    keeps_bots: bool,
    #[serde(default)]
    redirect_hosts: Vec<Box<str>>,
    #[serde(default)]
    sync: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ConsentRow {
    None,
    Tcf,
    Gpp,
    Any,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RoleRow {
    Vendor(u16),
    Publisher,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum AudienceRow {
    #[default]
    General,
    Mixed,
    Children,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CategoryRow {
    id: u32,
    parent: u32,
    name: Box<str>,
    iab: IabRow,
    rules: Vec<RuleRow>,
    #[serde(default)]
    except: Vec<Box<str>>,
    #[serde(default)]
    implies: Vec<u32>,
    #[serde(default)]
    retired: Option<Date>,
    #[serde(default)]
    sensitivity: SensitivityRow,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    import: Option<ImportRow>,
    was: Vec<Box<str>>,
    since: u32,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum SensitivityRow {
    #[default]
    Plain,
    Sensitive,
    Enabled(Box<str>),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum IabRow {
    All(Vec<Box<str>>),
    /// Up to format 2.
    One(Option<Box<str>>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleRow {
    rule: Box<str>,
    sites: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SegmentRow {
    id: u32,
    name: Box<str>,
    rule: Box<str>,
    on_page: OnPageRow,
    paused: bool,
    notes: Box<str>,
    #[serde(default)]
    owner: Box<str>,
    #[serde(default)]
    labels: Vec<Box<str>>,
    #[serde(default)]
    iab: Vec<Box<str>>,
    #[serde(default)]
    starts: Option<Date>,
    #[serde(default)]
    ends: Option<Date>,
    /// Absent = UTC.
    #[serde(default)]
    time_zone: Option<Box<str>>,
    was: Vec<Box<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnPageRow {
    Nowhere,
    Everywhere,
    Sites(Vec<u32>),
}

impl Definitions {
    /// The document for the catalog. Equal definitions have equal bytes.
    ///
    /// # Errors
    /// None that is known: every field can be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DefinitionsError> {
        let row = DefinitionsRow {
            format: FORMAT,
            version: self.version,
            why: self.why.clone(),
            next_site: self.next_site,
            next_category: self.next_category,
            next_segment: self.next_segment,
            sites: self.sites.values().map(site_row).collect(),
            categories: self.categories.values().map(category_row).collect(),
            segments: self.segments.values().map(segment_row).collect(),
            word_lists: self.word_lists.clone(),
            next_partner: self.next_partner,
            partners: self.partners().map(PartnerRow::from).collect(),
            next_destination: self.next_destination,
            destinations: self.destinations().map(DestinationRow::from).collect(),
        };
        Ok(serde_json::to_vec(&row)?)
    }

    /// Reads what [`Definitions::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`DefinitionsError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DefinitionsError> {
        let FormatRow { format } = serde_json::from_slice(bytes)?;
        if format > FORMAT {
            return Err(DefinitionsError::Format { found: format });
        }
        let row: DefinitionsRow = serde_json::from_slice(bytes)?;
        let sites: Result<BTreeMap<_, _>, _> = row
            .sites
            .into_iter()
            .map(|row| site(row).map(|entry| (entry.site.id, entry)))
            .collect();
        let partners = row.partners.into_iter().map(|row| {
            let partner = Partner::try_from(row)?;
            Ok::<_, DefinitionsError>((partner.id, partner))
        });
        let destinations = row.destinations.into_iter().map(|row| {
            let own = Destination::try_from(row)?;
            Ok::<_, DefinitionsError>((own.id, own))
        });
        Ok(Self {
            version: row.version,
            why: row.why,
            next_site: row.next_site,
            next_category: row.next_category,
            next_segment: row.next_segment,
            sites: sites?,
            categories: row.categories.into_iter().map(category).collect(),
            segments: row.segments.into_iter().map(|s| (SegmentId(s.id), segment(s))).collect(),
            word_lists: row.word_lists,
            next_partner: row.next_partner,
            partners: partners.collect::<Result<_, _>>()?,
            next_destination: row.next_destination,
            destinations: destinations.collect::<Result<_, _>>()?,
        })
    }
}

fn site_row(SiteEntry { site, removed }: &SiteEntry) -> SiteRow {
    let origin = |origin: &Origin| match origin {
        Origin::Any => "*".into(),
        Origin::Exact(origin) => origin.clone(),
    };
    let ConsentRules { policy, role, scope, audience } = &site.consent;
    let DataPlan { query, attributes, events, sensitive, pages_per_day, declared } =
        site.plan.clone();
    SiteRow {
        id: site.id.0,
        key: site.key.clone(),
        origins: site.origins.iter().map(origin).collect(),
        consent: match policy {
            ConsentPolicy::None => ConsentRow::None,
            ConsentPolicy::Tcf => ConsentRow::Tcf,
            ConsentPolicy::Gpp => ConsentRow::Gpp,
            ConsentPolicy::Any => ConsentRow::Any,
        },
        removed: *removed,
        role: role.map(|role| match role {
            ConsentRole::Vendor(id) => RoleRow::Vendor(id),
            ConsentRole::Publisher => RoleRow::Publisher,
        }),
        scope: Some(scope.clone()),
        audience: match audience {
            Audience::General => AudienceRow::General,
            Audience::Mixed => AudienceRow::Mixed,
            Audience::Children => AudienceRow::Children,
        },
        time_zone: Some(site.time_zone.clone()),
        query,
        attributes,
        events,
        sensitive,
        pages_per_day: Some(pages_per_day),
        declared,
        keeps_bots: site.keeps_bots,
        redirect_hosts: site.redirect_hosts.clone(),
        sync: site.sync.iter().map(|id| id.0).collect(),
    }
}

fn site(row: SiteRow) -> Result<SiteEntry, DefinitionsError> {
    let origins: Result<Vec<_>, _> = row
        .origins
        .into_iter()
        .map(|o| Origin::parse(&o).ok_or(DefinitionsError::Origin { origin: o }))
        .collect();
    let mut site = Site::new(SiteId(row.id), &row.key, origins?);
    site.consent = ConsentRules {
        policy: match row.consent {
            ConsentRow::None => ConsentPolicy::None,
            ConsentRow::Tcf => ConsentPolicy::Tcf,
            ConsentRow::Gpp => ConsentPolicy::Gpp,
            ConsentRow::Any => ConsentPolicy::Any,
        },
        role: row.role.map(|role| match role {
            RoleRow::Vendor(id) => ConsentRole::Vendor(id),
            RoleRow::Publisher => ConsentRole::Publisher,
        }),
        scope: row.scope.unwrap_or(site.consent.scope),
        audience: match row.audience {
            AudienceRow::General => Audience::General,
            AudienceRow::Mixed => Audience::Mixed,
            AudienceRow::Children => Audience::Children,
        },
    };
    site.plan = DataPlan {
        query: row.query,
        attributes: row.attributes,
        events: row.events,
        sensitive: row.sensitive,
        pages_per_day: row.pages_per_day.unwrap_or(site.plan.pages_per_day),
        declared: row.declared,
    };
    site.time_zone = row.time_zone.unwrap_or(site.time_zone);
    site.keeps_bots = row.keeps_bots;
    site.redirect_hosts = row.redirect_hosts;
    site.sync = row.sync.into_iter().map(PartnerId).collect();
    Ok(SiteEntry { site, removed: row.removed })
}

fn category_row(category: &Category) -> CategoryRow {
    let rule = |RuleText { rule, sites }: &RuleText| RuleRow {
        rule: rule.clone(),
        sites: sites.iter().map(|id| id.0).collect(),
    };
    CategoryRow {
        id: category.id.0,
        parent: category.parent.0,
        name: category.name.clone(),
        iab: IabRow::All(category.iab.clone()),
        rules: category.rules.iter().map(rule).collect(),
        except: category.except.clone(),
        implies: category.implies.iter().map(|id| id.0).collect(),
        retired: category.retired,
        sensitivity: match &category.sensitivity {
            Sensitivity::Plain => SensitivityRow::Plain,
            Sensitivity::Sensitive => SensitivityRow::Sensitive,
            Sensitivity::Enabled { basis } => SensitivityRow::Enabled(basis.clone()),
        },
        import: category.import.clone().map(ImportRow::from),
        was: category.was.clone(),
        since: category.since,
    }
}

fn category(row: CategoryRow) -> Category {
    let rule =
        |RuleRow { rule, sites }| RuleText { rule, sites: sites.into_iter().map(SiteId).collect() };
    Category {
        id: CategoryId(row.id),
        parent: CategoryId(row.parent),
        name: row.name,
        iab: match row.iab {
            IabRow::All(all) => all,
            IabRow::One(one) => one.into_iter().collect(),
        },
        rules: row.rules.into_iter().map(rule).collect(),
        except: row.except,
        implies: row.implies.into_iter().map(CategoryId).collect(),
        retired: row.retired,
        sensitivity: match row.sensitivity {
            SensitivityRow::Plain => Sensitivity::Plain,
            SensitivityRow::Sensitive => Sensitivity::Sensitive,
            SensitivityRow::Enabled(basis) => Sensitivity::Enabled { basis },
        },
        import: row.import.map(Import::from),
        was: row.was,
        since: row.since,
    }
}

fn segment_row(segment: &Segment) -> SegmentRow {
    SegmentRow {
        id: segment.id.0,
        name: segment.name.clone(),
        rule: segment.rule.clone(),
        on_page: match &segment.on_page {
            OnPage::Nowhere => OnPageRow::Nowhere,
            OnPage::Everywhere => OnPageRow::Everywhere,
            OnPage::Sites(sites) => OnPageRow::Sites(sites.iter().map(|id| id.0).collect()),
        },
        paused: segment.paused,
        notes: segment.notes.clone(),
        owner: segment.owner.clone(),
        labels: segment.labels.clone(),
        iab: segment.iab.clone(),
        starts: segment.period.starts,
        ends: segment.period.ends,
        time_zone: Some(segment.period.time_zone.clone()),
        was: segment.was.clone(),
    }
}

fn segment(row: SegmentRow) -> Segment {
    Segment {
        id: SegmentId(row.id),
        name: row.name,
        rule: row.rule,
        on_page: match row.on_page {
            OnPageRow::Nowhere => OnPage::Nowhere,
            OnPageRow::Everywhere => OnPage::Everywhere,
            OnPageRow::Sites(sites) => OnPage::Sites(sites.into_iter().map(SiteId).collect()),
        },
        paused: row.paused,
        notes: row.notes,
        owner: row.owner,
        labels: row.labels,
        iab: row.iab,
        period: Period {
            starts: row.starts,
            ends: row.ends,
            time_zone: row.time_zone.unwrap_or(Period::default().time_zone),
        },
        was: row.was,
    }
}
