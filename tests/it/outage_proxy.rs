//! A proxy between the program and a Redis that loses replies: the command is executed, its answer
//! is swallowed, the connection is cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Bytes moved at a time.
const CHUNK: usize = 64 * 1024;

/// The proxy; its threads end with the test's process.
pub(crate) struct Proxy {
    port: u16,
    /// Cuts asked for so far: a connection that is older than the last one loses its next reply.
    cuts: Arc<AtomicU64>,
}

impl Proxy {
    /// In front of the server at this port of the loopback.
    pub(crate) fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&cuts);
        thread::spawn(move || {
            for client in listener.incoming() {
                // A server that is away: the client is hung up on.
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                join(client.unwrap(), server, Arc::clone(&seen));
            }
        });
        Self { port, cuts }
    }

    /// Where the program finds it.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Swallows the next reply on every open connection, and cuts it.
    pub(crate) fn cut(&self) {
        self.cuts.fetch_add(1, Ordering::SeqCst);
    }
}

/// Moves bytes both ways until one side ends or a reply is swallowed.
fn join(client: TcpStream, server: TcpStream, cuts: Arc<AtomicU64>) {
    let born = cuts.load(Ordering::SeqCst);
    let (mut asks, mut takes) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (mut client, mut server) = (client, server);
    thread::spawn(move || {
        pump(&mut asks, &mut takes, || true);
        takes.shutdown(Shutdown::Write).ok();
    });
    thread::spawn(move || {
        pump(&mut server, &mut client, || cuts.load(Ordering::SeqCst) == born);
        client.shutdown(Shutdown::Both).ok();
        server.shutdown(Shutdown::Both).ok();
    });
}

fn pump(from: &mut TcpStream, to: &mut TcpStream, goes_on: impl Fn() -> bool) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(n) = from.read(&mut chunk) {
        if n == 0 || !goes_on() || to.write_all(&chunk[..n]).is_err() {
            return;
        }
    }
}
