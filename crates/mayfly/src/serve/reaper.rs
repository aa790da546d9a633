//! Connections that get nowhere are closed: the server's own limits watch the head of the first
//! request and the pause after an answer, not a second head that drips, nor a body that nobody
//! reads. A connection is kept while a request of it is being answered, and for `http.stuck_s`
//! after it came or was last answered.
//!
//! Each connection is watched by a second handle of its socket, as the server gives its own away.

use std::any::Any;
use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;

/// The open connections of this process.
#[derive(Debug)]
pub(super) struct Connections {
    begin: Instant,
    patience: Duration,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Connection>>,
}

#[derive(Debug)]
struct Connection {
    socket: TcpStream,
    progress: Arc<Progress>,
}

/// How far a connection has come.
#[derive(Debug, Default)]
struct Progress {
    /// Requests that are being answered.
    busy: AtomicU64,
    /// When it came or was last answered, milliseconds since the process began.
    last_ms: AtomicU64,
}

/// Lives as long as its connection.
pub(super) struct Watched {
    id: u64,
    progress: Arc<Progress>,
    all: Arc<Connections>,
}

/// Lives as long as a request is being answered.
pub(super) struct Answering {
    progress: Arc<Progress>,
    all: Arc<Connections>,
}

impl Connections {
    /// None yet; each may go so long without an answer.
    pub(super) fn new(patience: Duration) -> Arc<Self> {
        let (next, open) = (AtomicU64::default(), Mutex::default());
        Arc::new(Self { begin: Instant::now(), patience, next, open })
    }

    /// Between two looks at all connections.
    pub(super) fn every(&self) -> Duration {
        self.patience / 8
    }

    /// Watches a connection that was just opened. One whose socket has no second handle, because
    /// the process has no more of them, goes without.
    pub(super) fn watch(self: &Arc<Self>, stream: &dyn Any, own: &mut Extensions) {
        let plain = stream.downcast_ref::<tokio::net::TcpStream>();
        let tls = || Some(stream.downcast_ref::<TlsStream<tokio::net::TcpStream>>()?.get_ref().0);
        let Some(Ok(socket)) = plain.or_else(tls).map(|s| s.as_fd().try_clone_to_owned()) else {
            return;
        };
        let progress = Arc::new(Progress::default());
        progress.last_ms.store(self.now_ms(), Ordering::Relaxed);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Connection { socket: socket.into(), progress: Arc::clone(&progress) };
        self.open().insert(id, connection);
        own.insert(Watched { id, progress, all: Arc::clone(self) });
    }

    /// Closes the connections that have got nowhere for too long.
    pub(super) fn reap(&self) {
        let patience_ms = u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX);
        let now_ms = self.now_ms();
        let is_stuck = |connection: &&Connection| {
            let Progress { busy, last_ms } = &*connection.progress;
            busy.load(Ordering::Relaxed) == 0
                && now_ms.saturating_sub(last_ms.load(Ordering::Relaxed)) > patience_ms
        };
        for connection in self.open().values().filter(is_stuck) {
            // An error means that it is closed already.
            connection.socket.shutdown(Shutdown::Both).ok();
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Connection>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// A request of this connection is being answered until the result is dropped.
    pub(super) fn answering(&self) -> Answering {
        self.progress.busy.fetch_add(1, Ordering::Relaxed);
        Answering { progress: Arc::clone(&self.progress), all: Arc::clone(&self.all) }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.all.open().remove(&self.id);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.progress.last_ms.store(self.all.now_ms(), Ordering::Relaxed);
        self.progress.busy.fetch_sub(1, Ordering::Relaxed);
    }
}
