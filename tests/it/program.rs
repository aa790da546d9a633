//! The program under test: one data folder, on which servers are started and commands run.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mayfly_store::contract::servers::{RedisCluster, RedisServer};
use serde_json::Value;
use tempfile::TempDir;

use crate::http::Http;

/// How long a server may take to be ready, or to stop.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that is awaited.
const GLANCE: Duration = Duration::from_millis(10);

/// The program's file: `MAYFLY_BIN`, else what cargo builds under the profile `ci`.
pub(crate) fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("MAYFLY_BIN").map_or_else(build, PathBuf::from)).clone()
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // What cargo told this test of its own package would make it build the program's crates anew.
    let of_package = ["CARGO_MANIFEST", "CARGO_PKG"];
    for (name, _) in std::env::vars() {
        if of_package.iter().any(|start| name.starts_with(start)) {
            build.env_remove(name);
        }
    }
    let output = build
        .args(["build", "--package", "mayfly", "--profile", "ci"])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "the program does not build");
    let messages = String::from_utf8(output.stdout).unwrap();
    let messages = messages.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let executable =
        messages.filter_map(|m| m["executable"].as_str().map(PathBuf::from)).next_back();
    executable.expect("cargo names the executable it built")
}

/// A folder with everything of one installation, and the environment its program runs in.
pub(crate) struct Setup {
    folder: TempDir,
    /// Where its servers listen, each time.
    port: u16,
    environment: Vec<(String, String)>,
    /// What is mounted before the program runs, for it alone.
    mounts: Option<String>,
    /// The store that `MAYFLY_TEST_STORE` asks for.
    store: OnceLock<Option<Server>>,
}

/// A store of a test that names none itself.
enum Server {
    Redis(RedisServer),
    Cluster(RedisCluster),
}

impl Server {
    /// As `MAYFLY_TEST_STORE` says: `redis`, `cluster`, or nothing for the embedded store.
    fn asked_for() -> Option<Self> {
        let name = std::env::var("MAYFLY_TEST_STORE").ok()?;
        Some(match name.as_str() {
            "redis" => Self::Redis(RedisServer::start(&["--appendonly", "yes"]).unwrap()),
            "cluster" => Self::Cluster(RedisCluster::start(&["--appendonly", "yes"]).unwrap()),
            other => panic!("MAYFLY_TEST_STORE is `redis` or `cluster`, not `{other}`"),
        })
    }

    fn url(&self) -> String {
        match self {
            Self::Redis(own) => own.url(),
            Self::Cluster(own) => own.url(),
        }
    }
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its exit code: 0 done, 1 failed, 2 wrong use.
    pub(crate) code: i32,
    /// Its answer.
    pub(crate) stdout: String,
    /// Its notes and errors.
    pub(crate) stderr: String,
}

impl Setup {
    /// An empty data folder with the embedded store, unless the whole run asks for another.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (environment, mounts, store) = (Vec::new(), None, OnceLock::new());
        Self { folder, port: free_port(), environment, mounts, store }
    }

    /// Where the run's store is, for a test that names none itself.
    fn store_url(&self) -> Option<String> {
        let is_named = self.environment.iter().any(|(name, _)| name == "MAYFLY_STORE__URL");
        let asked_for = || if is_named { None } else { Server::asked_for() };
        self.store.get_or_init(asked_for).as_ref().map(Server::url)
    }

    /// With a setting: `("MAYFLY_STORE__URL", "redis://…")`.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a shell line that mounts something over `$DATA` (the data folder, made before), which
    /// the program alone sees. Each run mounts anew.
    pub(crate) fn mounts(mut self, line: &str) -> Self {
        fs::create_dir_all(self.data()).unwrap();
        self.mounts = Some(line.to_owned());
        self
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes a file beside the data folder; answers its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The port on which its servers listen.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.mounts {
            None => Command::new(binary()),
            Some(line) => {
                let mut command = Command::new("unshare");
                command.args(["--map-root-user", "--mount", "sh", "-ec"]);
                command.arg(format!("{line}\nexec \"$0\" \"$@\"")).arg(binary());
                command.env("DATA", self.data());
                command
            }
        };
        command
            .args(arguments)
            .arg("--data")
            .arg(self.data())
            .current_dir(self.folder.path())
            .env_remove("MAYFLY_ADMIN_TOKEN")
            .envs(self.environment.iter().map(|(n, v)| (n, v)))
            .envs(self.store_url().map(|url| ("MAYFLY_STORE__URL", url)))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        let output = self.command(arguments).output().unwrap();
        Done {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a command that must succeed; answers what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "mayfly {arguments:?}\n{}{}", done.stdout, done.stderr);
        done.stdout
    }

    /// Runs a command that must succeed with `--json`; answers its JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("mayfly {arguments:?}: {e}\n{text}"))
    }

    /// Starts a server and waits until it is ready.
    pub(crate) fn start(self) -> Program {
        let program = self.spawn(&[]);
        program.wait_until_ready();
        program
    }

    /// Starts a server with more arguments; waits for no more than its socket.
    pub(crate) fn spawn(self, arguments: &[&str]) -> Program {
        let program = self.spawn_with(arguments);
        program.until("open its socket", |program| {
            program.check_alive();
            (program.http.get("/health").status == 200).then_some(())
        });
        program
    }

    /// Starts a server that does not speak HTTP in clear: nothing is waited for.
    pub(crate) fn spawn_without_waiting(self) -> Program {
        self.spawn_with(&[])
    }

    fn spawn_with(self, arguments: &[&str]) -> Program {
        let address = format!("127.0.0.1:{}", self.port);
        let log = self.folder.path().join("server.log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let child = self
            .command(&[&["serve", "--bind", &address], arguments].concat())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let http = Http::new(&format!("http://{address}"));
        Program { setup: Some(self), child, http }
    }
}

/// A port that nobody has now. From a range that the system gives to nobody by itself, so that it
/// is still free when the server starts, and when it starts again.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 100) as u16 * 100;
    let ports = (0..100).map(|_| first + NEXT.fetch_add(1, Ordering::Relaxed) % 100);
    ports
        .into_iter()
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("one of a hundred ports is free")
}

/// A running server. Killed when dropped; its log is printed when the test fails.
pub(crate) struct Program {
    setup: Option<Setup>,
    child: Child,
    /// The way to it, without a token.
    pub(crate) http: Http,
}

impl Program {
    /// The installation it runs on.
    pub(crate) fn setup(&self) -> &Setup {
        self.setup.as_ref().expect("is there until the server ends")
    }

    /// The way to it with the admin's token.
    pub(crate) fn admin(&self) -> Http {
        let token = fs::read_to_string(self.setup().data().join("admin.token")).unwrap();
        self.http.clone().with("authorization", &format!("Bearer {}", token.trim()))
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `/ready` says 200.
    pub(crate) fn wait_until_ready(&self) {
        self.until("be ready", |program| (program.http.get("/ready").status == 200).then_some(()));
    }

    /// Asks again and again until there is an answer; fails when the server is out of patience.
    pub(crate) fn until<T>(&self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(answer) = ask(self) {
                return answer;
            }
            thread::sleep(GLANCE);
        }
        panic!("the server did not {what} within {PATIENCE:?}\n{}", self.log());
    }

    /// What the server logged so far.
    pub(crate) fn log(&self) -> String {
        let log = self.setup().folder.path().join("server.log");
        fs::read_to_string(log).unwrap_or_default()
    }

    fn check_alive(&self) {
        let state = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        let is_alive = state.rsplit(')').next().is_some_and(|s| !s.trim().starts_with(['Z', 'X']));
        assert!(is_alive && !state.is_empty(), "the server ended:\n{}", self.log());
    }

    /// Asks the server to stop (SIGTERM) and waits; it must end well.
    pub(crate) fn stop(mut self) -> Setup {
        self.signal("TERM");
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}\n{}", self.log());
                return self.setup.take().expect("not yet taken");
            }
            thread::sleep(GLANCE);
        }
        panic!("the server did not stop within {PATIENCE:?}\n{}", self.log());
    }

    /// Ends the server at once (SIGKILL), as a crash does.
    pub(crate) fn kill(mut self) -> Setup {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.setup.take().expect("not yet taken")
    }

    /// Sends the server a signal: `TERM`, `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.setup.is_none() {
            return;
        }
        self.child.kill().ok();
        self.child.wait().ok();
        if thread::panicking() {
            eprintln!("--- the server's log ---\n{}", self.log());
        }
    }
}
