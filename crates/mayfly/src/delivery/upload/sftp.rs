//! SFTP over SSH. The host's key is the one that the definitions name, or nothing is sent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mayfly_segments::destination::way::SftpSettings;
use russh::client::{self, AuthResult, Handle};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh_sftp::client::SftpSession;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::connect::{Connector, Unreached};
use super::super::secrets::{Secrets, used_for};
use super::NotTaken;

/// Read and sent at a time.
const PIECE: usize = 256 * 1024;
/// How long each step may take.
const STEP: Duration = Duration::from_secs(30);

/// Believes one key.
struct Pinned {
    key: PublicKey,
}

/// What ends a connection.
#[derive(Debug, thiserror::Error)]
enum SshError {
    /// Another key than the named one.
    #[error("the host has another key")]
    HostKey,
    /// The library's.
    #[error(transparent)]
    Ssh(#[from] russh::Error),
}

impl client::Handler for Pinned {
    type Error = SshError;

    async fn check_server_key(&mut self, own: &PublicKeyOrCertificate) -> Result<bool, SshError> {
        let is_it = match own {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.key_data() == self.key.key_data(),
            PublicKeyOrCertificate::Certificate(_) => false,
        };
        if is_it { Ok(true) } else { Err(SshError::HostKey) }
    }
}

/// A connection.
pub(super) struct Session {
    files: SftpSession,
    ssh: Handle<Pinned>,
}

/// Waits for a step, not for ever.
async fn in_time<T>(step: impl Future<Output = T>) -> Result<T, NotTaken> {
    tokio::time::timeout(STEP, step).await.map_err(|_| Unreached::Timeout.into())
}

/// Connects and logs in.
pub(super) async fn open(
    connector: &Connector,
    to: &SftpSettings,
    secrets: &Secrets,
) -> Result<Session, NotTaken> {
    let key = PublicKey::from_openssh(&to.host_key).map_err(|_| NotTaken::HostKey)?;
    let addresses = connector.addresses(&to.host, to.port).await?;
    let stream = in_time(tokio::net::TcpStream::connect(&*addresses)).await?;
    let stream = stream.map_err(|_| NotTaken::Unreached(Unreached::Refused))?;
    // The key that is known, not another one of the host's.
    let mut config = client::Config::default();
    config.preferred.key = vec![key.algorithm()].into();
    let config = Arc::new(config);
    let connected = in_time(client::connect_stream(config, stream, Pinned { key })).await?;
    let mut ssh = connected.map_err(|error| match error {
        SshError::HostKey => NotTaken::HostKey,
        SshError::Ssh(error) => broken(&error),
    })?;
    log_in(&mut ssh, &to.user, secrets).await?;
    let channel = in_time(ssh.channel_open_session()).await?.map_err(|error| broken(&error))?;
    let asked = in_time(channel.request_subsystem(true, "sftp")).await?;
    asked.map_err(|error| broken(&error))?;
    let files = in_time(SftpSession::new(channel.into_stream())).await?;
    let files = files.map_err(|error| refused(&error))?;
    Ok(Session { files, ssh })
}

async fn log_in(ssh: &mut Handle<Pinned>, user: &str, secrets: &Secrets) -> Result<(), NotTaken> {
    let answer = match (used_for(secrets, "private_key"), used_for(secrets, "password")) {
        (Some(text), _) => {
            let key = russh::keys::decode_secret_key(text, None).map_err(|_| NotTaken::Secret)?;
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), Some(HashAlg::Sha256));
            in_time(ssh.authenticate_publickey(user, key)).await?
        }
        (None, Some(password)) => in_time(ssh.authenticate_password(user, password)).await?,
        (None, None) => return Err(NotTaken::Secret),
    };
    match answer.map_err(|error| broken(&error))? {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { .. } => Err(NotTaken::Denied),
    }
}

impl Session {
    /// Puts a file there: written under another name, then renamed.
    pub(super) async fn put(&self, to: &str, folder: &Path, name: &str) -> Result<(), NotTaken> {
        let place = |name: &str| match to.trim_end_matches('/') {
            "" => name.to_owned(),
            to => format!("{to}/{name}"),
        };
        let (aside, whole) = (place(&format!("{name}.part")), place(name));
        let mut file =
            tokio::fs::File::open(folder.join(name)).await.map_err(|_| NotTaken::File)?;
        let created = in_time(self.files.create(&aside)).await?;
        let mut out = created.map_err(|error| refused(&error))?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece).await.map_err(|_| NotTaken::File)?;
            let Some(some) = piece.get(..read).filter(|some| !some.is_empty()) else { break };
            let written = in_time(out.write_all(some)).await?;
            written.map_err(|_| NotTaken::Failed)?;
        }
        in_time(out.shutdown()).await?.map_err(|_| NotTaken::Failed)?;
        // Many servers do not rename onto what is there: that of an attempt before.
        in_time(self.files.remove_file(&whole)).await?.ok();
        in_time(self.files.rename(&aside, &whole)).await?.map_err(|error| refused(&error))
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        in_time(self.files.close()).await.ok();
        let goodbye = self.ssh.disconnect(russh::Disconnect::ByApplication, "", "");
        in_time(goodbye).await.ok();
    }
}

fn broken(error: &russh::Error) -> NotTaken {
    tracing::warn!(%error, "an SFTP server did not take files");
    NotTaken::Unreached(Unreached::Broken)
}

fn refused(error: &russh_sftp::client::error::Error) -> NotTaken {
    use russh_sftp::client::error::Error;
    use russh_sftp::protocol::StatusCode;
    tracing::warn!(%error, "an SFTP server did not take a file");
    match error {
        Error::Status(status) => match status.status_code {
            StatusCode::NoSuchFile => NotTaken::NoPlace,
            StatusCode::PermissionDenied => NotTaken::Denied,
            StatusCode::Ok
            | StatusCode::Eof
            | StatusCode::Failure
            | StatusCode::BadMessage
            | StatusCode::NoConnection
            | StatusCode::ConnectionLost
            | StatusCode::OpUnsupported => NotTaken::Failed,
        },
        Error::Timeout => NotTaken::Unreached(Unreached::Timeout),
        Error::IO(_)
        | Error::Limited(_)
        | Error::UnexpectedPacket
        | Error::UnexpectedBehavior(_) => NotTaken::Unreached(Unreached::Broken),
    }
}
