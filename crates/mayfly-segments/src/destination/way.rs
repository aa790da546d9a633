//! How and in what form a destination gets what changes: what is written in its part of a
//! definitions file, with the same names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::upload::{AzureSettings, GcsSettings, S3Settings, SftpSettings, Upload};

/// How and in what form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Files in a folder, for others to pull.
    Files(FilesSettings),
    /// Xandr's batch segment service.
    Xandr(XandrSettings),
    /// The Trade Desk's data API.
    TradeDesk(TradeDeskSettings),
    /// Google's bulk uploader.
    Google(GoogleSettings),
    /// Adobe's real-time form.
    Adobe(AdobeSettings),
    /// Requests from a template.
    Request(TemplateSettings),
}

impl Way {
    /// The names that a definitions file has for them.
    pub const NAMES: [&str; 6] = ["files", "xandr", "trade_desk", "google", "adobe", "request"];

    /// Its name.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Files(_) => "files",
            Self::Xandr(_) => "xandr",
            Self::TradeDesk(_) => "trade_desk",
            Self::Google(_) => "google",
            Self::Adobe(_) => "adobe",
            Self::Request(_) => "request",
        }
    }

    /// Visitors in one batch where the destination says nothing, and the most.
    #[must_use]
    pub const fn batch(&self) -> (u32, u32) {
        match self {
            Self::Files(_) => (10_000, 100_000),
            // One job a minute; files of 100 to 300 MB are recommended, 512 the most.
            Self::Xandr(_) => (500_000, 2_000_000),
            Self::TradeDesk(_) | Self::Request(_) => (1000, 100_000),
            // 100 KB a request.
            Self::Google(_) => (500, 1000),
            Self::Adobe(_) => (10, 10),
        }
    }

    /// Requests in one minute where the destination says nothing.
    #[must_use]
    pub const fn per_minute(&self) -> u32 {
        match self {
            Self::Xandr(_) => 60,
            Self::Files(_)
            | Self::TradeDesk(_)
            | Self::Google(_)
            | Self::Adobe(_)
            | Self::Request(_) => 600,
        }
    }

    /// What secrets are used for; a template's have names of their own.
    #[must_use]
    pub const fn secrets(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Files(FilesSettings { upload: Some(upload), .. }) => Some(upload.secrets()),
            Self::Files(_) | Self::Google(_) => Some(&[]),
            Self::Xandr(_) => Some(&["password"]),
            Self::TradeDesk(_) => Some(&["token", "signing"]),
            Self::Adobe(_) => Some(&["signing"]),
            Self::Request(_) => None,
        }
    }

    /// The secrets without which nothing can be sent.
    #[must_use]
    pub const fn needed_secrets(&self) -> &'static [&'static str] {
        match self {
            Self::Xandr(_) => &["password"],
            Self::TradeDesk(_) => &["token"],
            Self::Files(FilesSettings { upload: Some(upload), .. }) => upload.needed_secrets(),
            Self::Files(_) | Self::Google(_) | Self::Adobe(_) | Self::Request(_) => &[],
        }
    }

    /// The URL that is asked, or the beginning of it; of a template as it is written.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Files(own) => own.upload.as_ref()?.endpoint(),
            Self::Xandr(own) => Some(&own.host),
            Self::TradeDesk(own) => Some(&own.host),
            Self::Google(own) => Some(&own.url),
            Self::Adobe(own) => Some(&own.url),
            Self::Request(own) => Some(&own.url),
        }
    }

    /// Who receives: another account, host or place is another one, which was told of nobody. A
    /// partner who pulls files is the same whatever their folder is.
    #[must_use]
    pub fn receiver(&self) -> String {
        let whose = match self {
            Self::Files(own) => {
                let place = own.upload.as_ref().map(Upload::to_string).unwrap_or_default();
                let host = own.upload.as_ref().and_then(Upload::endpoint).map(host_of);
                [Some(place), host].into_iter().flatten().collect::<Vec<_>>().join(" at ")
            }
            Self::Xandr(own) => own.member.to_string(),
            Self::TradeDesk(own) => match &own.party {
                Party::Advertiser(id) => format!("advertiser {id}"),
                Party::Provider(id) => format!("provider {id}"),
            },
            Self::Google(own) => own.network.to_string(),
            Self::Adobe(own) => {
                let host = host_of(&own.url);
                format!("{} {} {} at {host}", own.client, own.data_source, own.destination)
            }
            Self::Request(own) => host_of(&own.url),
        };
        format!("{} {whose}", self.label()).trim_end().to_owned()
    }

    /// The files that are written, where it is files.
    #[must_use]
    pub const fn files(&self) -> Option<&FilesSettings> {
        match self {
            Self::Files(own) => Some(own),
            Self::Xandr(_)
            | Self::TradeDesk(_)
            | Self::Google(_)
            | Self::Adobe(_)
            | Self::Request(_) => None,
        }
    }
}

/// Scheme and host of a URL, as it is written.
fn host_of(url: &str) -> String {
    url.split('/').take(3).collect::<Vec<_>>().join("/")
}

/// How a file is laid out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedLayout {
    /// A header `uid,segment,op,expires`, then one pair of visitor and segment a line.
    #[default]
    Csv,
    /// The same between tabs.
    Tsv,
    /// One visitor a line: `{"uid", "add": [{"segment", "expires"}], "remove": [segment]}`.
    Jsonl,
    /// The columns of CSV, `expires` an instant in milliseconds.
    Parquet,
    /// Xandr's batch segment text.
    Xandr(XandrLayout),
    /// Adobe's inbound files: `d_sid` adds, `d_unsid` removes.
    Adobe {
        /// The data source (`DPID`).
        data_source: Box<str>,
    },
}

/// How a file is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// As it is.
    #[default]
    Plain,
    /// gzip, level 6.
    Gzip,
    /// Zstandard, level 3.
    Zstd,
}

/// What files are made of changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesSettings {
    /// The folder below that of exports, and in `/exports/`.
    pub folder: Box<str>,
    /// How they are laid out.
    #[serde(default)]
    pub format: FeedLayout,
    /// How they are packed; Parquet packs its own pages with Zstandard.
    #[serde(default)]
    pub packing: Packing,
    /// A part is closed when so many bytes went into it, before packing.
    #[serde(default = "part_bytes")]
    pub part_bytes: u64,
    /// They are deleted after so many days.
    #[serde(default = "keep_days")]
    pub keep_days: u16,
    /// Each time everything, not what changed alone.
    #[serde(default)]
    pub full: bool,
    /// Where they are taken to as well; none = others come for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
}

const fn part_bytes() -> u64 {
    256 << 20
}

const fn keep_days() -> u16 {
    7
}

/// A field of a segment in Xandr's files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// `SEG_ID` or `SEG_CODE`: what the mapping says.
    Segment,
    /// `EXPIRATION`, minutes.
    Expiration,
    /// `TIMESTAMP`, seconds since 1970.
    Timestamp,
    /// `VALUE`: always 0.
    Value,
    /// `MEMBER_ID`.
    Member,
}

/// What was agreed with a member of Xandr about files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct XandrLayout {
    /// After the id.
    pub separator_1: char,
    /// Between segments.
    pub separator_2: char,
    /// Between fields.
    pub separator_3: char,
    /// Before the domain.
    pub separator_5: char,
    /// The fields of a segment in their order.
    pub fields: Vec<Field>,
    /// The member, for [`Field::Member`].
    pub member: u32,
    /// What kind of device ids are; none for Xandr's own ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<u8>,
}

impl Default for XandrLayout {
    /// As Xandr's own examples have it.
    fn default() -> Self {
        Self {
            separator_1: ';',
            separator_2: ',',
            separator_3: ':',
            separator_5: '^',
            fields: vec![Field::Segment, Field::Expiration, Field::Value],
            member: 0,
            domain: None,
        }
    }
}

impl XandrLayout {
    /// Whether removals can be told: a layout without [`Field::Expiration`] has no way to.
    #[must_use]
    pub fn can_remove(&self) -> bool {
        self.fields.contains(&Field::Expiration)
    }
}

/// How a destination talks to Xandr.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XandrSettings {
    /// Scheme and host.
    #[serde(default = "xandr_host")]
    pub host: Box<str>,
    /// The member.
    pub member: u32,
    /// The user's name.
    pub user: Box<str>,
    /// What was agreed about files.
    #[serde(default)]
    pub layout: XandrLayout,
}

fn xandr_host() -> Box<str> {
    "https://api.appnexus.com".into()
}

/// On whose behalf data comes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// First-party data of an advertiser (`/data/advertiser`).
    Advertiser(Box<str>),
    /// A provider's third-party data (`/data/thirdparty`).
    Provider(Box<str>),
}

/// How a destination talks to The Trade Desk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TradeDeskSettings {
    /// Scheme and host, `https://use-data.adsrvr.org`.
    pub host: Box<str>,
    /// Whose data it is.
    pub party: Party,
    /// The field of ids: `TDID`, `DAID`, `UID2`, `DataProviderUserId` …
    #[serde(default = "tdid")]
    pub id_field: Box<str>,
}

fn tdid() -> Box<str> {
    "TDID".into()
}

/// How a destination talks to Google.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoogleSettings {
    /// Scheme, host and path.
    #[serde(default = "google_url")]
    pub url: Box<str>,
    /// `google_nid`.
    pub network: Box<str>,
}

fn google_url() -> Box<str> {
    "https://cm.g.doubleclick.net/upload".into()
}

/// How a destination takes Adobe's form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdobeSettings {
    /// Where.
    pub url: Box<str>,
    /// The data source of the ids (`User_DPID`).
    pub data_source: Box<str>,
    /// The account (`Client_ID`).
    pub client: Box<str>,
    /// The destination's number there (`AAM_Destination_Id`).
    pub destination: Box<str>,
    /// The header of the signature, as agreed.
    #[serde(default = "signature_header")]
    pub signature_header: Box<str>,
}

fn signature_header() -> Box<str> {
    "X-Signature".into()
}

/// Methods that are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    #[default]
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

impl Method {
    /// As requests write it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What a destination's requests look like, as written.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateSettings {
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// The method of requests that remove; the same when none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove_method: Option<Method>,
    /// Where.
    pub url: Box<str>,
    /// The body that adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add: Option<Box<str>>,
    /// The body that removes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove: Option<Box<str>>,
    /// The body for all changes at once, instead of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Box<str>>,
    /// Headers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<Box<str>, Box<str>>,
    /// What an answer means.
    #[serde(default, skip_serializing_if = "Rule::is_usual")]
    pub answer: Rule,
}

/// What an answer means.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Statuses that take a request; 200 to 299 when none is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<u16>,
    /// A JSON pointer (RFC 6901) to the list of failed items; none = all are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Box<str>>,
    /// A JSON pointer to how many items failed, where it is not said which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_count: Option<Box<str>>,
    /// Within a failed item: the pointer to its place among the request's items, or to its id.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub failed_item: Box<str>,
    /// The place of the first item.
    pub first: usize,
    /// Within a failed item: the pointer to its code.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub failed_code: Box<str>,
    /// Codes that may go another time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<Box<str>>,
    /// What must stand in an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok: Option<Expected>,
}

impl Rule {
    /// Nothing is said: the status decides.
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What must stand where in an answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// A JSON pointer.
    pub at: Box<str>,
    /// The scalar there, as text.
    pub is: Box<str>,
}
