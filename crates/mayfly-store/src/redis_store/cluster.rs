//! A Redis Cluster: which primary has which slot, a [`Link`] to each, and what to do when a slot
//! has moved (Redis Cluster Specification, "Redirection and resharding").
//!
//! The client library has a connection to a cluster, too. It is not used: one task of it polls all
//! requests, and stops polling them while it looks for the slots anew; a request which holds its
//! lock at that moment holds it for ever. After a primary's death every command timed out until
//! the process ended (redis 1.8.1 with tokio 1.54.1).

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::{join_all, select_ok};
use redis::{
    ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, RedisResult,
    ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use url::Url;

use super::conn::{Command, Load};
use super::keys::SLOTS;
use super::link::Link;

/// The port of a URL that names none.
const PORT: u16 = 6379;
/// How often one command follows a slot that moves.
const REDIRECTS_MAX: usize = 4;

/// `host:port` of a node, as the cluster announces it.
type Address = Arc<str>;

/// A cluster as last seen.
pub(super) struct Cluster {
    /// The nodes that the URL names.
    seeds: Vec<Address>,
    /// How to connect and log in, as the URL says.
    access: ConnectionInfo,
    deadline: Duration,
    view: RwLock<Arc<View>>,
    /// Something went wrong since: the next command looks first.
    is_doubtful: AtomicBool,
    /// One looks, the others wait for what he sees.
    looking: Mutex<()>,
}

/// Who has which slots.
#[derive(Default)]
struct View {
    /// By the last slot of a range: the first one, and its primary.
    ranges: BTreeMap<u16, (u16, Address)>,
    links: HashMap<Address, Arc<Link>>,
}

/// One of the commands, on its way to a node.
#[derive(Clone, Copy)]
struct Sent {
    index: usize,
    /// The slot is on its way to this node, which takes the command only when told so.
    is_asking: bool,
}

impl Cluster {
    /// Not connected yet.
    pub(super) fn new(nodes: &[Url], deadline: Duration) -> RedisResult<Self> {
        let access = nodes.first().ok_or_else(no_node)?.as_str().into_connection_info()?;
        let seeds = nodes.iter().map(|node| {
            let host = node.host_str().unwrap_or_default().trim_matches(['[', ']']);
            address(host, node.port().unwrap_or(PORT))
        });
        let (seeds, view, looking) = (seeds.collect(), RwLock::default(), Mutex::new(()));
        Ok(Self { seeds, access, deadline, view, is_doubtful: AtomicBool::new(true), looking })
    }

    /// Sends each command to the primary that has its slot, one pipeline a primary, all at once;
    /// follows slots that moved. Every command gets its own answer.
    pub(super) async fn send(
        &self,
        commands: &[Command],
        load: Load,
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        let view = self.view().await?;
        let mut answers: Vec<_> = commands.iter().map(|_| Err(no_node())).collect();
        let mut ways: HashMap<Address, Vec<Sent>> = HashMap::new();
        for (index, command) in commands.iter().enumerate() {
            match view.primary_of(command.slot) {
                Some(address) => {
                    ways.entry(address).or_default().push(Sent { index, is_asking: false });
                }
                None => self.doubt(),
            }
        }
        for _ in 0..=REDIRECTS_MAX {
            let sent = ways.drain().map(|(address, sent)| {
                let link = view.link(&address).map_or_else(|| self.link(&address), Ok);
                async move { (send_to(link, sent, commands, load).await, address) }
            });
            // All are awaited even when one fails, so that none is cut off in the middle.
            for (answered, by) in join_all(sent).await {
                for (sent, answer) in answered {
                    let redirected = answer.as_ref().err().and_then(|e| redirect(e, &by));
                    if let Some((address, is_asking)) = redirected {
                        ways.entry(address).or_default().push(Sent { is_asking, ..sent });
                    }
                    self.doubt_after(&answer);
                    answers[sent.index] = answer;
                }
            }
            if ways.is_empty() {
                break;
            }
        }
        Ok(answers)
    }

    /// The same command to every primary: address and answer.
    pub(super) async fn primaries(&self, command: &Command) -> RedisResult<Vec<(Box<str>, Value)>> {
        let view = self.view().await?;
        let ask = |(address, link): (&Address, &Arc<Link>)| {
            let (address, link) = (Box::from(&**address), link.clone());
            async move {
                let answer = link.one(command).await;
                (address, answer)
            }
        };
        let answers = join_all(view.links.iter().map(ask)).await;
        answers.iter().for_each(|(_, answer)| self.doubt_after(answer));
        answers.into_iter().map(|(address, answer)| Ok((address, answer?))).collect()
    }

    /// A command to one primary, by the address that [`Self::primaries`] gave.
    pub(super) async fn primary(&self, address: &str, command: &Command) -> RedisResult<Value> {
        let link = self.view().await?.link(address).ok_or_else(no_node)?;
        let answer = link.one(command).await;
        self.doubt_after(&answer);
        answer
    }

    /// The next command looks for the slots before it is sent.
    pub(super) fn doubt(&self) {
        self.is_doubtful.store(true, Ordering::Relaxed);
    }

    fn doubt_after(&self, answer: &RedisResult<Value>) {
        use ServerErrorKind::{ClusterDown, MasterDown, Moved, ReadOnly};
        let stale = [Moved, ClusterDown, MasterDown, ReadOnly].map(ErrorKind::Server);
        let kinds = stale.into_iter().chain([ErrorKind::Io, ErrorKind::ClusterConnectionNotFound]);
        if let Err(error) = answer
            && kinds.into_iter().any(|kind| kind == error.kind())
        {
            self.doubt();
        }
    }

    /// The cluster as it is known; looked at first where that is doubtful.
    async fn view(&self) -> RedisResult<Arc<View>> {
        if self.is_doubtful.load(Ordering::Relaxed) {
            let _one = self.looking.lock().await;
            if self.is_doubtful.load(Ordering::Relaxed) {
                self.look().await?;
                self.is_doubtful.store(false, Ordering::Relaxed);
            }
        }
        Ok(self.view.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Asks every node that is known for the slots; the first good answer counts. One from a node
    /// that has not heard the news yet leads to redirections, which are followed, and to doubt.
    async fn look(&self) -> RedisResult<()> {
        let old = self.view.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut asked = Vec::new();
        for address in self.seeds.iter().chain(old.links.keys()) {
            let link = old.link(address).map_or_else(|| self.link(address), Ok)?;
            asked.push(Box::pin(ranges(address, link)));
        }
        let (ranges, _) = select_ok(asked).await?;
        let mut links = HashMap::new();
        for (_, address) in ranges.values() {
            if !links.contains_key(address) {
                let link = old.link(address).map_or_else(|| self.link(address), Ok)?;
                links.insert(address.clone(), link);
            }
        }
        let new = Arc::new(View { ranges, links });
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// A link to a node, by the login and the kind of connection of the URL.
    fn link(&self, address: &str) -> RedisResult<Arc<Link>> {
        let (host, port) = address.rsplit_once(':').ok_or_else(no_node)?;
        let (host, port) = (host.to_owned(), port.parse().map_err(|_| no_node())?);
        let addr = if let ConnectionAddr::TcpTls { insecure, tls_params, .. } = self.access.addr() {
            let (insecure, tls_params) = (*insecure, tls_params.clone());
            ConnectionAddr::TcpTls { host, port, insecure, tls_params }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        Link::new(&self.access.clone().set_addr(addr), self.deadline).map(Arc::new)
    }
}

impl View {
    fn primary_of(&self, slot: u16) -> Option<Address> {
        let (_, (first, address)) = self.ranges.range(slot..).next()?;
        (*first <= slot).then(|| address.clone())
    }

    fn link(&self, address: &str) -> Option<Arc<Link>> {
        self.links.get(address).cloned()
    }
}

/// The slot of a key: of what is between its first braces, or of all of it (Redis Cluster
/// Specification, "Key distribution model" and "Hash tags").
pub(super) fn slot(key: &str) -> u16 {
    let tag =
        key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(tag, _)| tag);
    let hashed = if tag.is_empty() { key } else { tag };
    crc16::State::<crc16::XMODEM>::calculate(hashed.as_bytes()) % SLOTS
}

/// What a node says of the slots (`CLUSTER SLOTS`).
async fn ranges(asked: &str, link: Arc<Link>) -> RedisResult<BTreeMap<u16, (u16, Address)>> {
    let Value::Array(ranges) = link.one(&Command::cluster_slots()).await? else {
        return Err(no_node());
    };
    let host = host_of(asked);
    let ranges: Option<BTreeMap<_, _>> =
        ranges.iter().map(|range| read_range(range, host)).collect();
    // A node that was taken out of the cluster knows of none.
    ranges.filter(|ranges| !ranges.is_empty()).ok_or_else(no_node)
}

/// Last slot, first slot, and the primary; a node without a name of its own is at the host asked.
fn read_range(range: &Value, asked: &str) -> Option<(u16, (u16, Address))> {
    let Value::Array(parts) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = &parts[..] else {
        return None;
    };
    let [host, Value::Int(port), ..] = &primary[..] else { return None };
    let host: Option<String> = redis::from_redis_value(host.clone()).ok()?;
    let host = host.filter(|host| !host.is_empty() && host != "?");
    let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
    let port = u16::try_from(*port).ok()?;
    Some((last, (first, address(host.as_deref().unwrap_or(asked), port))))
}

/// Sends to one node; a broken connection is the answer of each.
async fn send_to(
    link: RedisResult<Arc<Link>>,
    sent: Vec<Sent>,
    commands: &[Command],
    load: Load,
) -> Vec<(Sent, RedisResult<Value>)> {
    let asking = Command::asking();
    let mut pipeline = Vec::with_capacity(sent.len());
    for one in &sent {
        pipeline.extend(one.is_asking.then_some(&asking));
        pipeline.push(&commands[one.index]);
    }
    let answers = match link {
        Ok(link) => link.send(pipeline.into_iter(), load).await,
        Err(error) => Err(error),
    };
    match answers {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            let mut of = |one: &Sent| answers.nth(usize::from(one.is_asking));
            sent.into_iter().map(|one| (one, of(&one).unwrap_or_else(|| Err(no_node())))).collect()
        }
        Err(error) => sent.into_iter().map(|one| (one, Err(error.clone()))).collect(),
    }
}

/// Where a refusal sends the command, and whether the slot is only on its way there. Without a
/// host it is another port of the node that refused.
fn redirect(error: &RedisError, by: &str) -> Option<(Address, bool)> {
    let is_asking = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
    let (to, _) = error.redirect_node()?;
    let (host, port) = to.rsplit_once(':')?;
    let host = if host.is_empty() { host_of(by) } else { host };
    Some((address(host, port.parse().ok()?), is_asking))
}

fn host_of(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

fn address(host: &str, port: u16) -> Address {
    format!("{host}:{port}").into()
}

fn no_node() -> RedisError {
    (ErrorKind::ClusterConnectionNotFound, "no node of the cluster has this slot").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the Redis Cluster Specification, and keys of known slots.
    #[test]
    fn a_key_has_the_slot_that_redis_says() {
        assert_eq!(crc16::State::<crc16::XMODEM>::calculate(b"123456789"), 0x31C3);
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot("{foo}.followers"), slot("foo"));
        assert_eq!(slot("bar{foo}{zap}"), slot("foo"));
        assert_eq!(slot("foo{{bar}}zap"), slot("{bar"));
        assert_ne!(slot("foo{}{bar}"), slot("bar"));
    }

    #[test]
    fn a_slot_belongs_to_the_range_around_it() {
        let range = |first, last, name: &str| (last, (first, Address::from(name)));
        let ranges = [range(0, 99, "a:1"), range(200, SLOTS - 1, "b:1")].into_iter().collect();
        let view = View { ranges, links: HashMap::new() };
        assert_eq!(view.primary_of(0).as_deref(), Some("a:1"));
        assert_eq!(view.primary_of(99).as_deref(), Some("a:1"));
        assert_eq!(view.primary_of(100), None);
        assert_eq!(view.primary_of(200).as_deref(), Some("b:1"));
        assert_eq!(view.primary_of(SLOTS - 1).as_deref(), Some("b:1"));
    }

    #[test]
    fn a_node_without_a_name_is_at_the_host_that_was_asked() {
        let range = |host: Value| {
            let primary = Value::Array(vec![host, Value::Int(7000), Value::Int(0)]);
            Value::Array(vec![Value::Int(5), Value::Int(7), primary])
        };
        let named = range(Value::BulkString(b"redis-1".to_vec()));
        assert_eq!(read_range(&named, "10.0.0.9").unwrap().1.1.as_ref(), "redis-1:7000");
        for host in [Value::Nil, Value::BulkString(vec![]), Value::BulkString(b"?".to_vec())] {
            let (last, (first, address)) = read_range(&range(host), "10.0.0.9").unwrap();
            assert_eq!((first, last, &*address), (5, 7, "10.0.0.9:7000"));
        }
        assert_eq!(read_range(&Value::Nil, ""), None);
    }
}
