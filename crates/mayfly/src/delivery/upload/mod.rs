//! Files are taken to where their receiver wants them: object stores ([`bucket`]), SFTP ([`sftp`]).
//! The control file goes last, so that who sees it sees all parts.

mod bucket;
mod sftp;

use std::path::Path;

use mayfly_segments::destination::way::Upload;

use super::connect::{Connector, Unreached};
use super::secrets::Secrets;

/// Why files did not get there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NotTaken {
    /// There was no answer, or nobody may ask.
    Unreached(Unreached),
    /// The place does not let us in.
    Denied,
    /// There is no such bucket, container or folder.
    NoPlace,
    /// A secret is missing, or not of the form that is needed.
    Secret,
    /// The host has another key than the one that was named.
    HostKey,
    /// It refused or failed otherwise.
    Failed,
    /// Our own file cannot be read.
    File,
}

impl NotTaken {
    /// Its code in the ledger.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Unreached(why) => why.code(),
            Self::Denied => "denied",
            Self::NoPlace => "no_place",
            Self::Secret => "no_secret",
            Self::HostKey => "host_key",
            Self::Failed => "upload_failed",
            Self::File => "file",
        }
    }

    /// Whether a person has to look: waiting mends nothing.
    pub(super) const fn is_for_good(self) -> bool {
        match self {
            Self::Unreached(why) => why.is_for_good(),
            Self::Denied | Self::NoPlace | Self::Secret | Self::HostKey => true,
            Self::Failed | Self::File => false,
        }
    }
}

impl From<Unreached> for NotTaken {
    fn from(why: Unreached) -> Self {
        Self::Unreached(why)
    }
}

/// Takes files of a folder there, in their order.
pub(super) async fn upload(
    connector: &Connector,
    to: &Upload,
    secrets: &Secrets,
    (folder, names): (&Path, &[String]),
) -> Result<(), NotTaken> {
    match to {
        Upload::S3(_) | Upload::Gcs(_) | Upload::Azure(_) => {
            let bucket = bucket::open(connector, to, secrets)?;
            for name in names {
                bucket::put(&*bucket, to.folder(), folder, name).await?;
            }
        }
        Upload::Sftp(own) => {
            let session = sftp::open(connector, own, secrets).await?;
            for name in names {
                session.put(&own.folder, folder, name).await?;
            }
            session.close().await;
        }
    }
    Ok(())
}
