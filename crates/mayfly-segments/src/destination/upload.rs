//! Where files are taken to, when nobody comes for them: what is written in their part of a
//! definitions file, with the same names.

use serde::{Deserialize, Serialize};

/// Where files are taken to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upload {
    /// Amazon S3, and what speaks like it.
    S3(S3Settings),
    /// Google Cloud Storage.
    Gcs(GcsSettings),
    /// Azure Blob Storage.
    Azure(AzureSettings),
    /// SFTP: SSH with a key or a password.
    Sftp(SftpSettings),
}

impl Upload {
    /// What secrets are used for.
    #[must_use]
    pub const fn secrets(&self) -> &'static [&'static str] {
        match self {
            Self::S3(_) => &["key_id", "key"],
            Self::Gcs(_) => &["service_account"],
            Self::Azure(_) => &["key"],
            Self::Sftp(_) => &["password", "private_key"],
        }
    }

    /// Those without which nothing can be sent. SFTP needs one of its two.
    #[must_use]
    pub const fn needed_secrets(&self) -> &'static [&'static str] {
        match self {
            Self::S3(_) | Self::Gcs(_) | Self::Azure(_) => self.secrets(),
            Self::Sftp(_) => &[],
        }
    }

    /// The URL that is asked, where it is said.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        match self {
            Self::S3(own) => own.endpoint.as_deref(),
            Self::Azure(own) => own.endpoint.as_deref(),
            Self::Gcs(_) | Self::Sftp(_) => None,
        }
    }

    /// What would make another host, path or key of it than is meant.
    #[must_use]
    pub fn unfit(&self) -> Option<&str> {
        let plain = |text: &&str| !is_plain(text);
        match self {
            Self::S3(own) => [&*own.bucket, &own.region].into_iter().find(plain),
            Self::Gcs(own) => Some(&*own.bucket).filter(plain),
            Self::Azure(own) => [&*own.account, &own.container].into_iter().find(plain),
            Self::Sftp(own) => {
                let kind = own.host_key.split(' ').next().unwrap_or_default();
                let is_known = kind == "ssh-ed25519" || kind.starts_with("ecdsa-sha2-nistp");
                let host = Some(&*own.host).filter(plain);
                host.or((!is_known).then_some(&*own.host_key))
            }
        }
    }

    /// The folder there; empty = the top.
    #[must_use]
    pub fn folder(&self) -> &str {
        match self {
            Self::S3(own) => &own.prefix,
            Self::Gcs(own) => &own.prefix,
            Self::Azure(own) => &own.prefix,
            Self::Sftp(own) => &own.folder,
        }
    }
}

/// A name of letters, digits, points, dashes and underscores.
fn is_plain(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !text.is_empty() && text.bytes().all(is_plain)
}

impl std::fmt::Display for Upload {
    /// As a URL that people read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = match self {
            Self::S3(own) => format!("s3://{}", own.bucket),
            Self::Gcs(own) => format!("gs://{}", own.bucket),
            Self::Azure(own) => format!("az://{}/{}", own.account, own.container),
            Self::Sftp(own) => format!("sftp://{}@{}:{}", own.user, own.host, own.port),
        };
        write!(f, "{place}/{}", self.folder().trim_matches('/'))
    }
}

/// A bucket of S3.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Settings {
    /// The bucket.
    pub bucket: Box<str>,
    /// Its region.
    #[serde(default = "first_region")]
    pub region: Box<str>,
    /// Scheme and host of what speaks like S3; none = Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Box<str>>,
    /// The folder in the bucket.
    #[serde(default)]
    pub prefix: Box<str>,
}

fn first_region() -> Box<str> {
    "us-east-1".into()
}

/// A bucket of Google Cloud Storage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GcsSettings {
    /// The bucket.
    pub bucket: Box<str>,
    /// The folder in the bucket.
    #[serde(default)]
    pub prefix: Box<str>,
}

/// A container of Azure Blob Storage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AzureSettings {
    /// The storage account.
    pub account: Box<str>,
    /// The container.
    pub container: Box<str>,
    /// Scheme, host and path up to the container; none = Azure's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Box<str>>,
    /// The folder in the container.
    #[serde(default)]
    pub prefix: Box<str>,
}

/// A folder behind SSH.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftpSettings {
    /// The host.
    pub host: Box<str>,
    /// Its port.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// The user.
    pub user: Box<str>,
    /// The folder there.
    #[serde(default)]
    pub folder: Box<str>,
    /// The host's public key, as `ssh-keyscan` prints it: `ssh-ed25519 AAAA…`. Another one is
    /// refused.
    pub host_key: Box<str>,
}

const fn ssh_port() -> u16 {
    22
}
