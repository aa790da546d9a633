//! HTTP as a server asks ([`Http`]) and as a browser does ([`Browser`]): no cookies but those that
//! a test means, no redirect followed but where it says so.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// What the requests say that they are: an automaton's are refused.
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
/// Bytes of an answer that are read.
const BODY_MAX: u64 = 64 * 1024 * 1024;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Its status; 0 when the connection failed.
    pub(crate) status: u16,
    /// Its headers, names in lower case, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first header of a name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text()))
    }

    /// What became of the hit, as the pixel says it, without its reason.
    pub(crate) fn outcome(&self) -> &str {
        let said = self.header("x-mayfly-outcome").unwrap_or("");
        said.split(';').next().unwrap_or("")
    }
}

/// A way to a server, with headers that go with every request.
#[derive(Clone)]
pub(crate) struct Http {
    agent: ureq::Agent,
    base: String,
    headers: Vec<(String, String)>,
}

impl Http {
    /// To the server at `base` (`http://address:port`).
    pub(crate) fn new(base: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .user_agent(BROWSER)
            .build()
            .new_agent();
        Self { agent, base: base.to_owned(), headers: Vec::new() }
    }

    /// With a header on every request.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The server's address: `http://address:port`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// `GET`.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    /// `DELETE`.
    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"")
    }

    /// `POST` of JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let kind = ("content-type".to_owned(), "application/json".to_owned());
        self.send("POST", path, &[kind], &serde_json::to_vec(body).unwrap())
    }

    /// Any request. A connection that fails answers status 0.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Answer {
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in self.headers.iter().chain(headers) {
            request = request.header(name, value);
        }
        let answer = if body.is_empty() {
            self.agent.run(request.body(()).unwrap())
        } else {
            self.agent.run(request.body(body).unwrap())
        };
        let Ok(mut answer) = answer else {
            return Answer { status: 0, headers: Vec::new(), body: Vec::new() };
        };
        let text = |v: &ureq::http::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().iter().map(|(n, v)| (n.to_string(), text(v))).collect(),
            body: answer.body_mut().with_config().limit(BODY_MAX).read_to_vec().unwrap_or_default(),
        }
    }
}

/// A browser: keeps cookies by name, and follows a redirect of the pixel once.
#[derive(Clone)]
pub(crate) struct Browser {
    http: Http,
    /// Its cookies.
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A browser that was never here.
    pub(crate) fn new(http: &Http) -> Self {
        Self { http: http.clone(), cookies: BTreeMap::new() }
    }

    /// The same browser at another process.
    pub(crate) fn through(self, http: &Http) -> Self {
        Self { http: http.clone(), ..self }
    }

    /// One request with the cookies it has; keeps those that come. Follows nothing.
    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all: Vec<(String, String)> =
            headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        all.extend(self.cookie());
        self.told(method, path, &all, b"")
    }

    /// The same with a body.
    pub(crate) fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut all: Vec<(String, String)> =
            headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        all.extend(self.cookie());
        self.told("POST", path, &all, body)
    }

    fn cookie(&self) -> Option<(String, String)> {
        let pairs: Vec<_> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        (!pairs.is_empty()).then(|| ("cookie".to_owned(), pairs.join("; ")))
    }

    fn told(&mut self, method: &str, path: &str, all: &[(String, String)], body: &[u8]) -> Answer {
        let answer = self.http.send(method, path, all, body);
        for (_, value) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            self.keep(value);
        }
        answer
    }

    /// Keeps a cookie, or lets it go (`Max-Age=0`).
    pub(crate) fn keep(&mut self, set_cookie: &str) {
        let (pair, attributes) = set_cookie.split_once(';').unwrap_or((set_cookie, ""));
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if attributes.to_ascii_lowercase().contains("max-age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    /// `GET` that follows one redirect, as `<img>` does.
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        let answer = self.send("GET", path, &[]);
        let own = path.split('?').next().unwrap_or("");
        match answer.header("location").filter(|_| answer.status == 302) {
            Some(query) if query.starts_with('?') => {
                self.send("GET", &format!("{own}{query}"), &[])
            }
            Some(next) => self.send("GET", next, &[]),
            None => answer,
        }
    }

    /// The pixel of a page.
    pub(crate) fn hit(&mut self, site: &str, url: &str) -> Answer {
        self.get(&format!("/p.gif?s={site}&u={}", encoded(url)))
    }
}

/// Text as one part of a query.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}
