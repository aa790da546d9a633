//! Connections: one server or a cluster, small commands and big values apart, every round trip
//! under the deadline, every failure a [`StoreError`] by its kind.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Once;
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo, Slot};
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::OnceCell;

use super::scripts::Script;
use crate::config::StoreUrl;
use crate::{Result, StoreError};

/// Above this, bytes go over the connection for big values, so that they block no small command.
const BIG_BYTES: usize = 64 * 1024;
/// How often a lost connection is tried anew in the background of one command.
const RETRIES: usize = 2;
/// The longest wait between two such tries.
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// A connection that many tasks share; cheap to clone.
#[derive(Clone)]
enum RedisConn {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

/// The connections of a store, made at the first use.
pub(super) struct Conn {
    url: StoreUrl,
    links: OnceCell<Links>,
    deadline: Duration,
    place: Box<str>,
}

/// One connection for small commands and answers, one for big ones.
struct Links {
    small: RedisConn,
    big: RedisConn,
}

/// One command, with the key that decides its slot.
#[derive(Debug)]
pub(super) struct Command {
    slot: Slot,
    cmd: Cmd,
    bytes: usize,
    /// Its script, when it is a call of one: loaded and called again where it is not known yet.
    pub(super) script: Option<&'static Script>,
}

impl Command {
    /// A command whose first argument is its key.
    pub(super) fn new(name: &str, key: &str) -> Self {
        Self::routed(name, key).text(key)
    }

    /// A command that goes where `key` is; arguments follow.
    pub(super) fn routed(name: &str, key: &str) -> Self {
        Self { slot: Slot::for_key(key), cmd: redis::cmd(name), bytes: 0, script: None }
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

/// How big the answers may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answers {
    /// Small ones; the request decides which connection is used.
    Small,
    /// Big values are fetched.
    Big,
}

impl Links {
    async fn send(
        &self,
        commands: &[Command],
        answers: Answers,
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        let bytes: usize = commands.iter().map(|c| c.bytes).sum();
        let big = answers == Answers::Big || bytes > BIG_BYTES;
        match if big { self.big.clone() } else { self.small.clone() } {
            RedisConn::Single(mut con) => {
                let mut pipe = redis::Pipeline::with_capacity(commands.len());
                commands.iter().for_each(|c| _ = pipe.add_command(c.cmd.clone()));
                pipe.ignore_errors().query_async(&mut con).await
            }
            RedisConn::Cluster(con) => send_by_slot(con, commands).await,
        }
    }
}

impl Conn {
    /// Not connected yet.
    pub(super) fn new(url: &StoreUrl, deadline: Duration) -> Self {
        install_crypto();
        let (url, place) = (url.clone(), url.place().into());
        Self { url, links: OnceCell::new(), deadline, place }
    }

    /// The connections; the first call makes them.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`], [`StoreError::Login`], [`StoreError::Deadline`].
    async fn links(&self) -> Result<&Links> {
        let connect = async {
            let one = || connect(&self.url, self.deadline);
            let both = async { tokio::try_join!(one(), one()) };
            let (small, big) = self.within(both).await?;
            Ok(Links { small, big })
        };
        self.links.get_or_try_init(|| connect).await
    }

    /// Where, without password.
    pub(super) fn place(&self) -> Box<str> {
        self.place.clone()
    }

    /// Sends commands and answers in their order: on one server as one pipeline, on a cluster as
    /// one pipeline a slot, all at once. Every command is carried out, whatever becomes of the
    /// others; the first refusal is the error of all.
    pub(super) async fn run(&self, commands: Vec<Command>, answers: Answers) -> Result<Vec<Value>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let links = self.links().await?;
        let mut values = self.within(links.send(&commands, answers)).await?;
        let unknown: Vec<_> =
            (0..values.len()).filter(|&i| is_unknown_script(&values[i])).collect();
        if !unknown.is_empty() {
            self.load(&commands, &unknown).await?;
            let mut commands: Vec<_> = commands.into_iter().map(Some).collect();
            let again = unknown.iter().filter_map(|&i| commands[i].take()).collect::<Vec<_>>();
            let anew = self.within(links.send(&again, answers)).await?;
            for (i, value) in unknown.into_iter().zip(anew) {
                values[i] = value;
            }
        }
        values.into_iter().map(|v| v.map_err(|source| failure(source, &self.place))).collect()
    }

    /// Sends one command and reads its answer.
    pub(super) async fn one<T: FromRedisValue>(&self, command: Command) -> Result<T> {
        let value = self.run(vec![command], Answers::Small).await?.pop().unwrap_or(Value::Nil);
        self.read(value)
    }

    /// Reads an answer.
    pub(super) fn read<T: FromRedisValue>(&self, value: Value) -> Result<T> {
        T::from_redis_value(value).map_err(|e| failure(e.into(), &self.place))
    }

    /// The same command to every primary: address and answer.
    pub(super) async fn primaries(&self, cmd: &Cmd) -> Result<Vec<(Box<str>, Value)>> {
        let small = self.links().await?.small.clone();
        let answers = async {
            match small {
                RedisConn::Single(mut con) => {
                    Ok(vec![(self.place.clone(), cmd.query_async(&mut con).await?)])
                }
                RedisConn::Cluster(mut con) => {
                    let all = MultipleNodeRoutingInfo::AllMasters;
                    let route = RoutingInfo::MultiNode((all, None));
                    let by_address = con.route_command(cmd.clone(), route).await?;
                    Ok(Vec::<(String, Value)>::from_redis_value(by_address)?
                        .into_iter()
                        .map(|(address, value)| (address.into(), value))
                        .collect())
                }
            }
        };
        self.within(answers).await
    }

    /// A command to one primary, by the address that [`Self::primaries`] gave.
    pub(super) async fn primary(&self, address: &str, cmd: Cmd) -> Result<Value> {
        let small = self.links().await?.small.clone();
        let answer = async {
            match small {
                RedisConn::Single(mut con) => cmd.query_async(&mut con).await,
                RedisConn::Cluster(mut con) => {
                    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
                    let (host, port) = (host.to_owned(), port.parse().unwrap_or(0));
                    let node = SingleNodeRoutingInfo::ByAddress { host, port };
                    con.route_command(cmd, RoutingInfo::SingleNode(node)).await
                }
            }
        };
        self.within(answer).await
    }

    /// Makes the scripts of these commands known to every primary.
    async fn load(&self, commands: &[Command], unknown: &[usize]) -> Result<()> {
        let mut scripts: Vec<_> = unknown.iter().filter_map(|&i| commands[i].script).collect();
        scripts.dedup_by_key(|script| script.text.as_ptr());
        for script in scripts {
            self.primaries(redis::cmd("SCRIPT").arg("LOAD").arg(script.text)).await?;
        }
        Ok(())
    }

    async fn within<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> Result<T> {
        tokio::time::timeout(self.deadline, answer)
            .await
            .map_err(|_| StoreError::Deadline)?
            .map_err(|source| failure(source, &self.place))
    }
}

impl std::fmt::Debug for Conn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conn").field("place", &self.place).finish_non_exhaustive()
    }
}

/// One pipeline a slot, all at once: the client refuses a pipeline of two slots.
async fn send_by_slot(
    con: ClusterConnection,
    commands: &[Command],
) -> RedisResult<Vec<RedisResult<Value>>> {
    let mut places: HashMap<Slot, usize> = HashMap::new();
    let mut groups: Vec<(Vec<usize>, redis::Pipeline)> = Vec::new();
    for (i, command) in commands.iter().enumerate() {
        let at = match places.entry(command.slot) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                groups.push((Vec::new(), redis::pipe()));
                *new.insert(groups.len() - 1)
            }
        };
        groups[at].0.push(i);
        groups[at].1.add_command(command.cmd.clone());
    }
    let sent = groups.into_iter().map(|(indexes, mut pipe)| {
        let mut con = con.clone();
        async move {
            let answers: RedisResult<Vec<RedisResult<Value>>> =
                pipe.ignore_errors().query_async(&mut con).await;
            answers.map(|answers| (indexes, answers))
        }
    });
    // All are awaited even when one fails, so that none is cut off in the middle.
    let mut values: Vec<_> = commands.iter().map(|_| Ok(Value::Nil)).collect();
    for group in join_all(sent).await {
        let (indexes, answers) = group?;
        indexes.into_iter().zip(answers).for_each(|(i, answer)| values[i] = answer);
    }
    Ok(values)
}

async fn connect(url: &StoreUrl, deadline: Duration) -> RedisResult<RedisConn> {
    match url {
        StoreUrl::Redis(url) => {
            let config = ConnectionManagerConfig::new()
                .set_response_timeout(Some(deadline))
                .set_connection_timeout(Some(deadline))
                .set_number_of_retries(RETRIES)
                .set_max_delay(RETRY_WAIT)
                .set_pipeline_buffer_size(1024);
            let client = redis::Client::open(url.as_str())?;
            ConnectionManager::new_with_config(client, config).await.map(RedisConn::Single)
        }
        StoreUrl::Cluster(urls) => {
            let nodes: Vec<&str> = urls.iter().map(url::Url::as_str).collect();
            let client = ClusterClient::builder(nodes)
                .connection_timeout(deadline)
                .response_timeout(deadline)
                .overall_response_timeout(Some(deadline))
                .retries(u32::try_from(RETRIES).unwrap_or(1))
                .max_retry_wait(u64::try_from(RETRY_WAIT.as_millis()).unwrap_or(500))
                .build()?;
            client.get_async_connection().await.map(RedisConn::Cluster)
        }
        StoreUrl::File(_) => {
            Err((ErrorKind::InvalidClientConfig, "a folder is no redis server").into())
        }
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
