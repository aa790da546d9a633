//! A partner's server on the loopback: it keeps who it was told is in which segment, refuses what
//! the real one would refuse, and fails as a test wants it to.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A request, as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Option<Instant>,
}

impl Asked {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What the next request meets, instead of a good answer.
#[derive(Clone, Debug)]
pub(crate) enum Fails {
    /// Another status, with more headers and a body.
    Status(u16, &'static str, &'static str),
    /// No answer, as long as the client waits.
    Hangs,
    /// Half of the answer, then nothing.
    Half,
    /// The request is taken, and its answer lost.
    TakesAndHangsUp,
    /// The connection is cut before anything is read.
    Cuts,
    /// A good answer: it is the next one that fails.
    Not,
}

/// What the server knows.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Who is in which segment, with what was said of how long.
    pub(crate) members: BTreeMap<(String, String), String>,
    /// Every request.
    pub(crate) asked: Vec<Asked>,
    /// What the next ones meet.
    pub(crate) fails: VecDeque<Fails>,
    /// What the real partner would have refused.
    pub(crate) faults: Vec<String>,
    /// What a protocol remembers.
    pub(crate) notes: BTreeMap<String, String>,
}

impl Known {
    /// Somebody comes, or stays for so long.
    pub(crate) fn add(&mut self, uid: &str, segment: &str, ttl: impl ToString) {
        self.members.insert((uid.to_owned(), segment.to_owned()), ttl.to_string());
    }

    /// Somebody goes.
    pub(crate) fn remove(&mut self, uid: &str, segment: &str) {
        self.members.remove(&(uid.to_owned(), segment.to_owned()));
    }
}

/// How a partner's server answers a request: status and body.
pub(crate) type Protocol = fn(&Asked, &mut Known) -> (u16, Vec<u8>);

/// The server; its threads end with the test's process.
#[derive(Clone)]
pub(crate) struct Receiver {
    port: u16,
    known: Arc<Mutex<Known>>,
}

impl Receiver {
    /// One that speaks so.
    pub(crate) fn speaking(protocol: Protocol) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let known: Arc<Mutex<Known>> = Arc::default();
        known.lock().unwrap().notes.insert("base".to_owned(), format!("http://localhost:{port}"));
        let own = Arc::clone(&known);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let known = Arc::clone(&own);
                thread::spawn(move || serve(stream.unwrap(), &known, protocol));
            }
        });
        Self { port, known }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Looks at what it knows.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known.lock().unwrap())
    }

    /// The next requests fail so.
    pub(crate) fn fails(&self, with: impl IntoIterator<Item = Fails>) {
        self.look(|known| known.fails.extend(with));
    }

    /// Who is in which segment.
    pub(crate) fn members(&self) -> Vec<(String, String)> {
        self.look(|known| known.members.keys().cloned().collect())
    }

    /// Fails the test if the real partner would have refused anything.
    pub(crate) fn check(&self) {
        let faults = self.look(|known| known.faults.clone());
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

fn serve(stream: TcpStream, known: &Mutex<Known>, protocol: Protocol) {
    stream.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(asked) = read(&mut reader) {
        let fails = known.lock().unwrap().fails.pop_front();
        known.lock().unwrap().asked.push(asked.clone());
        let good = |known: &Mutex<Known>| protocol(&asked, &mut known.lock().unwrap());
        let written = match fails {
            None | Some(Fails::Not) => answer(&mut stream, &good(known), ""),
            Some(Fails::Status(status, headers, body)) => {
                answer(&mut stream, &(status, body.into()), headers)
            }
            Some(Fails::Hangs) => {
                thread::sleep(Duration::from_secs(80));
                return;
            }
            Some(Fails::Half) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"ok\":").ok();
                return;
            }
            Some(Fails::TakesAndHangsUp) => {
                good(known);
                return;
            }
            Some(Fails::Cuts) => return,
        };
        if written.is_err() {
            return;
        }
    }
}

fn answer(
    stream: &mut TcpStream,
    (status, body): &(u16, Vec<u8>),
    headers: &str,
) -> std::io::Result<()> {
    let length = body.len();
    // Stores of objects name what they took.
    let headers = format!("etag: \"{length}\"\r\n{headers}");
    write!(stream, "HTTP/1.1 {status} So\r\ncontent-length: {length}\r\n{headers}\r\n")?;
    stream.write_all(body)?;
    stream.flush()
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, path, headers, body, at: Some(Instant::now()) })
}
