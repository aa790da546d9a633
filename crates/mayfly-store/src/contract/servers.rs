//! Real servers for tests: a `redis-server`, and a Redis Cluster of three primaries with a replica
//! each, on free ports of the loopback, in folders of their own. Each ends its own processes, by
//! their handles, when it is dropped. Where `redis-server` is missing, starting fails.

use std::ffi::OsStr;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to answer, or a cluster to form.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(20);
/// How often another port is tried when one was taken meanwhile.
const PORTS_TRIED: usize = 5;

/// One `redis-server`.
#[derive(Debug)]
pub struct RedisServer {
    child: Option<Child>,
    port: u16,
    /// Of the cluster bus, when it is a node of a cluster.
    bus: Option<u16>,
    options: Vec<String>,
    dir: TempDir,
}

impl RedisServer {
    /// Starts a server that keeps nothing on disk, unless `options` (as on the command line of
    /// `redis-server`) say otherwise.
    ///
    /// # Errors
    /// When there is no `redis-server`, or it does not answer.
    pub fn start(options: &[&str]) -> io::Result<Self> {
        Self::start_as(options, false)
    }

    fn start_as(options: &[&str], node: bool) -> io::Result<Self> {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let dir = tempfile::Builder::new().prefix("mayfly-redis-").tempdir()?;
        let mut server = Self { child: None, port: 0, bus: None, options, dir };
        let mut tried = Err(io::Error::from(io::ErrorKind::AddrInUse));
        for _ in 0..PORTS_TRIED {
            (server.port, server.bus) = (free_port()?, node.then(free_port).transpose()?);
            tried = server.run();
            if tried.is_ok() {
                break;
            }
            server.kill()?;
        }
        tried.map(|()| server)
    }

    /// Starts a stopped or killed server again, on its port and with what it has on disk.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn run(&mut self) -> io::Result<()> {
        let mut command = Command::new("redis-server");
        let port = self.port.to_string();
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir"]);
        command.arg(self.dir.path()).args(["--logfile", "redis.log"]);
        if let Some(bus) = self.bus {
            command.args(["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]);
            command.args(["--repl-diskless-sync-delay", "0", "--cluster-port", &bus.to_string()]);
        }
        command.args(&self.options).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.spawn()?);
        let begin = Instant::now();
        loop {
            if self.cli(["PING"]).is_ok_and(|answer| answer == "PONG" || answer.contains("NOAUTH"))
            {
                return Ok(());
            }
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || begin.elapsed() > PATIENCE {
                return Err(io::ErrorKind::TimedOut.into());
            }
            sleep(PAUSE);
        }
    }

    /// `redis://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The folder with its dump, append-only files and log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs `redis-cli` with these arguments; answers what it prints, without the last newline.
    ///
    /// # Errors
    /// When it ends with an error, or the server cannot be reached.
    pub fn cli<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> io::Result<String> {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(args).output()?;
        if !output.status.success() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.trim_end_matches('\n').to_owned())
    }

    /// `CONFIG SET`.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn set(&self, name: &str, value: &str) -> io::Result<()> {
        match self.cli(["CONFIG", "SET", name, value])?.as_str() {
            "OK" => Ok(()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Ends the server in good order, with a last save where it keeps anything on disk.
    ///
    /// # Errors
    /// When it cannot be told to, or waited for.
    pub fn stop(&mut self) -> io::Result<()> {
        self.signal("TERM")?;
        self.reap()
    }

    /// Ends the server at once: `kill -9`.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(child) = &mut self.child {
            child.kill()?;
        }
        self.reap()
    }

    /// Stops the server in the middle of whatever it does, as a machine that hangs.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn pause(&self) -> io::Result<()> {
        self.signal("STOP")
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn resume(&self) -> io::Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> io::Result<()> {
        let Some(child) = &self.child else { return Ok(()) };
        let (name, id) = (format!("-{name}"), child.id().to_string());
        let status = Command::new("kill").args([name, id]).status()?;
        if status.success() { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn reap(&mut self) -> io::Result<()> {
        self.child.take().map_or(Ok(()), |mut child| child.wait().map(|_| ()))
    }

    fn waits_for(&self, args: &[&str], sign: &str) -> io::Result<()> {
        let begin = Instant::now();
        while !self.cli(args)?.contains(sign) {
            if begin.elapsed() > PATIENCE {
                return Err(io::ErrorKind::TimedOut.into());
            }
            sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::warn!(%error, port = self.port, "redis-server was not ended");
        }
    }
}

/// Three primaries with a replica each.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the six servers and makes them a cluster.
    ///
    /// # Errors
    /// When a server does not start, or the cluster does not form.
    pub fn start(options: &[&str]) -> io::Result<Self> {
        let nodes: io::Result<Vec<_>> =
            (0..6).map(|_| RedisServer::start_as(options, true)).collect();
        let cluster = Self { nodes: nodes? };
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(cluster.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)));
        create.args(["--cluster-replicas", "1", "--cluster-yes"]).stdout(Stdio::null());
        if !create.status()?.success() {
            return Err(io::ErrorKind::Other.into());
        }
        cluster.settled()?;
        Ok(cluster)
    }

    /// Waits until every node sees the cluster whole, and every replica follows its primary.
    fn settled(&self) -> io::Result<()> {
        for node in &self.nodes {
            node.waits_for(&["CLUSTER", "INFO"], "cluster_state:ok")?;
            node.waits_for(&["CLUSTER", "INFO"], "cluster_known_nodes:6")?;
            if node.cli(["ROLE"])?.starts_with("slave") {
                node.waits_for(&["INFO", "replication"], "master_link_status:up")?;
            }
        }
        Ok(())
    }

    /// `redis+cluster://127.0.0.1:<port>,…`
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// The servers; which of them are primaries changes with each failover.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The same, to stop and start them.
    pub fn nodes_mut(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }

    /// The indexes of the primaries.
    ///
    /// # Errors
    /// When a node does not answer.
    pub fn primaries(&self) -> io::Result<Vec<usize>> {
        let mut primaries = Vec::new();
        for (i, node) in self.nodes.iter().enumerate() {
            if node.cli(["ROLE"])?.starts_with("master") {
                primaries.push(i);
            }
        }
        Ok(primaries)
    }

    /// The index of the primary that has the slot of a key.
    ///
    /// # Errors
    /// When a node does not answer, or none has it.
    pub fn primary_of(&self, key: &str) -> io::Result<usize> {
        for i in self.primaries()? {
            // A node that has not the slot answers `MOVED`.
            if !self.nodes[i].cli(["TYPE", key])?.starts_with("MOVED") {
                return Ok(i);
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// The index of the replica of a primary.
    ///
    /// # Errors
    /// When there is none.
    pub fn replica_of(&self, primary: usize) -> io::Result<usize> {
        let port = self.nodes[primary].port.to_string();
        for (i, node) in self.nodes.iter().enumerate() {
            let role = node.cli(["ROLE"])?;
            if role.starts_with("slave") && role.lines().any(|line| line == port) {
                return Ok(i);
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Waits until the replica of a primary has all that the primary has.
    ///
    /// # Errors
    /// When it does not get there.
    pub fn catch_up(&self, primary: usize) -> io::Result<()> {
        let replica = &self.nodes[self.replica_of(primary)?];
        let offset = |node: &RedisServer, name: &str| -> io::Result<Option<String>> {
            let info = node.cli(["INFO", "replication"])?;
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            Ok(line.map(|offset| offset.trim_end().to_owned()))
        };
        let begin = Instant::now();
        while offset(&self.nodes[primary], "master_repl_offset:")?
            != offset(replica, "slave_repl_offset:")?
        {
            if begin.elapsed() > PATIENCE {
                return Err(io::ErrorKind::TimedOut.into());
            }
            sleep(PAUSE);
        }
        Ok(())
    }

    /// Makes the replica of a primary take over without asking it, with what the replica has:
    /// what it did not hear of is lost, as when the primary's machine is. Answers its index.
    ///
    /// # Errors
    /// When the replica does not take over.
    pub fn take_over(&self, primary: usize) -> io::Result<usize> {
        let replica = self.replica_of(primary)?;
        self.nodes[replica].cli(["CLUSTER", "FAILOVER", "TAKEOVER"])?;
        self.nodes[replica].waits_for(&["ROLE"], "master")?;
        Ok(replica)
    }
}

/// A port that is free now.
fn free_port() -> io::Result<u16> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr().map(|address| address.port())
}
