//! Connections: one server or a cluster, small commands and big values apart, every round trip
//! under the deadline, every failure a [`StoreError`] by its kind.

use std::sync::Once;
use std::time::Duration;

use redis::{
    Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisError, RedisResult, ServerErrorKind,
    Value,
};

use super::cluster::{self, Cluster};
use super::link::Link;
use super::scripts::Script;
use crate::config::StoreUrl;
use crate::{Result, StoreError};

/// Above this, bytes go over the connection for big values, so that they block no small command.
const BIG_BYTES: usize = 64 * 1024;

/// The connections of a store, made at the first use.
pub(super) struct Conn {
    servers: Servers,
    deadline: Duration,
    place: Box<str>,
}

/// One server, or many.
enum Servers {
    One(Box<Link>),
    Cluster(Box<Cluster>),
}

/// One command, with the key that decides its slot.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) slot: u16,
    pub(super) cmd: Cmd,
    bytes: usize,
    /// Its script, when it is a call of one: called by its text where it is not known yet.
    pub(super) script: Option<&'static Script>,
}

impl Command {
    /// A command whose first argument is its key.
    pub(super) fn new(name: &str, key: &str) -> Self {
        Self::routed(name, key).text(key)
    }

    /// A command that goes where `key` is; arguments follow.
    pub(super) fn routed(name: &str, key: &str) -> Self {
        Self { slot: cluster::slot(key), cmd: redis::cmd(name), bytes: 0, script: None }
    }

    /// The call of a script with its text, for a server that does not know it yet, and does then.
    fn spelled_out(&self) -> Option<Self> {
        let mut cmd = redis::cmd("EVAL");
        cmd.arg(self.script?.text);
        for argument in self.cmd.args_iter().skip(2) {
            if let redis::Arg::Simple(bytes) = argument {
                cmd.arg(bytes);
            }
        }
        Some(Self { slot: self.slot, cmd, bytes: self.bytes, script: None })
    }

    /// Asks a node of a cluster who has which slots.
    pub(super) fn cluster_slots() -> Self {
        Self::routed("CLUSTER", "").text("SLOTS")
    }

    /// Has a node take the next command though the slot is only on its way there.
    pub(super) fn asking() -> Self {
        Self::routed("ASKING", "")
    }

    /// Adds a text.
    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Adds bytes.
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.bytes += bytes.len();
        self.cmd.arg(bytes);
        self
    }

    /// Adds a number.
    pub(super) fn number(self, number: impl Into<i128>) -> Self {
        self.text(&number.into().to_string())
    }
}

/// How big a request or its answer may be, which decides on the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Load {
    /// Small answers; a big request makes it big.
    Small,
    /// Big values are fetched.
    Big,
}

impl Servers {
    async fn send(&self, commands: &[Command], load: Load) -> RedisResult<Vec<RedisResult<Value>>> {
        let bytes: usize = commands.iter().map(|c| c.bytes).sum();
        let load = if bytes > BIG_BYTES { Load::Big } else { load };
        match self {
            Self::One(link) => link.send(commands.iter(), load).await,
            Self::Cluster(cluster) => cluster.send(commands, load).await,
        }
    }
}

impl Conn {
    /// Not connected yet.
    ///
    /// # Errors
    /// [`StoreError::BadUrl`].
    pub(super) fn new(url: &StoreUrl, deadline: Duration) -> Result<Self> {
        install_crypto();
        let place: Box<str> = url.place().into();
        let servers = match url {
            StoreUrl::Redis(url) => url
                .as_str()
                .into_connection_info()
                .and_then(|server| Link::new(&server, deadline))
                .map(|link| Servers::One(Box::new(link))),
            StoreUrl::Cluster(nodes) => {
                Cluster::new(nodes, deadline).map(|cluster| Servers::Cluster(Box::new(cluster)))
            }
            StoreUrl::File(_) => {
                Err((ErrorKind::InvalidClientConfig, "a folder is no redis server").into())
            }
        };
        let servers = servers.map_err(|_| StoreError::BadUrl { url: place.clone() })?;
        Ok(Self { servers, deadline, place })
    }

    /// Whether the URL names a cluster.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.servers, Servers::Cluster(_))
    }

    /// Where, without password.
    pub(super) fn place(&self) -> Box<str> {
        self.place.clone()
    }

    /// Sends commands and answers in their order: on one server as one pipeline, on a cluster as
    /// one pipeline a primary, all at once. Every command is carried out, whatever becomes of the
    /// others; the first refusal is the error of all.
    pub(super) async fn run(&self, commands: Vec<Command>, load: Load) -> Result<Vec<Value>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut values = self.within(self.servers.send(&commands, load)).await?;
        let unknown: Vec<_> =
            (0..values.len()).filter(|&i| is_unknown_script(&values[i])).collect();
        if !unknown.is_empty() {
            let again: Vec<_> = unknown.iter().filter_map(|&i| commands[i].spelled_out()).collect();
            let anew = self.within(self.servers.send(&again, load)).await?;
            for (i, value) in unknown.into_iter().zip(anew) {
                values[i] = value;
            }
        }
        values.into_iter().map(|v| v.map_err(|source| failure(source, &self.place))).collect()
    }

    /// Sends one command and reads its answer.
    pub(super) async fn one<T: FromRedisValue>(&self, command: Command) -> Result<T> {
        let value = self.run(vec![command], Load::Small).await?.pop().unwrap_or(Value::Nil);
        self.read(value)
    }

    /// Reads an answer.
    pub(super) fn read<T: FromRedisValue>(&self, value: Value) -> Result<T> {
        T::from_redis_value(value).map_err(|e| failure(e.into(), &self.place))
    }

    /// The same command to every primary: address and answer.
    pub(super) async fn primaries(&self, command: &Command) -> Result<Vec<(Box<str>, Value)>> {
        match &self.servers {
            Servers::One(_) => Ok(vec![(self.place.clone(), self.primary("", command).await?)]),
            Servers::Cluster(cluster) => self.within(cluster.primaries(command)).await,
        }
    }

    /// A command to one primary, by the address that [`Self::primaries`] gave.
    pub(super) async fn primary(&self, address: &str, command: &Command) -> Result<Value> {
        match &self.servers {
            Servers::One(link) => self.within(link.one(command)).await,
            Servers::Cluster(cluster) => self.within(cluster.primary(address, command)).await,
        }
    }

    async fn within<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> Result<T> {
        let Ok(answer) = tokio::time::timeout(self.deadline, answer).await else {
            // A node that is silent may have been replaced meanwhile.
            if let Servers::Cluster(cluster) = &self.servers {
                cluster.doubt();
            }
            return Err(StoreError::Deadline);
        };
        answer.map_err(|source| failure(source, &self.place))
    }
}

impl std::fmt::Debug for Conn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conn").field("place", &self.place).finish_non_exhaustive()
    }
}

/// `rediss://` needs a crypto provider in the process; another's is as good.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let installed = rustls::crypto::ring::default_provider().install_default();
        if installed.is_err() {
            tracing::debug!("a crypto provider was installed before");
        }
    });
}

fn is_unknown_script(answer: &RedisResult<Value>) -> bool {
    let no_script = ErrorKind::Server(ServerErrorKind::NoScript);
    answer.as_ref().err().is_some_and(|e| e.kind() == no_script)
}

/// The failure of a store that a failure of the client is.
pub(super) fn failure(source: RedisError, place: &str) -> StoreError {
    use ServerErrorKind as Server;
    if source.is_timeout() {
        return StoreError::Deadline;
    }
    let kind = source.kind();
    if kind == ErrorKind::AuthenticationFailed
        || matches!(source.code(), Some("NOAUTH" | "WRONGPASS"))
    {
        return StoreError::Login { place: place.into() };
    }
    if kind == ErrorKind::Server(Server::ReadOnly) {
        return StoreError::Replica { place: place.into() };
    }
    let away = [Server::BusyLoading, Server::ClusterDown, Server::MasterDown]
        .into_iter()
        .chain([Server::Moved, Server::Ask, Server::TryAgain])
        .map(ErrorKind::Server)
        .chain([ErrorKind::Io, ErrorKind::ClusterConnectionNotFound]);
    if away.into_iter().any(|away| away == kind) {
        return StoreError::Unreachable { source };
    }
    StoreError::Refused { source }
}
