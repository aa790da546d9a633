//! One way to the data for every command: the HTTP API. Where no server runs on the data folder,
//! the command serves the store to itself on a loopback port for as long as it needs it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use super::{Asks, output};
use crate::serve;

/// A connection to a server: another process's, or our own.
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
    /// Our own server, stopped (and its store written out) when the client goes.
    own: Option<serve::Running>,
}

/// Whether a command may make a store where there is none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    /// It writes: a first store is made.
    IfMissing,
    /// It only reads.
    Never,
}

impl Client {
    /// Finds the server that runs on this data folder, or becomes one.
    pub(crate) fn open(asks: &Asks, create: Create) -> anyhow::Result<Self> {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(2)))
            // The server is on this machine, and the token for nobody else.
            .proxy(None)
            .build()
            .new_agent();
        let file = asks.settings.address_file();
        if let Some(address) = fs::read_to_string(&file).ok().map(|a| a.trim().to_owned())
            && is_alive(&agent, &address)
        {
            let token = token(asks)?;
            output::note(&format!("server: http://{address} (store {})", place(asks)));
            return Ok(Self { agent, base: format!("http://{address}"), token, own: None });
        }
        output::note(&format!("store: {} (no server is running on it)", place(asks)));
        let mut settings = asks.settings.clone();
        settings.public = "127.0.0.1:0".to_owned();
        settings.private = None;
        settings.workers = 1;
        settings.store.create = create == Create::IfMissing;
        let own = serve::start_private(settings)?;
        let (base, token) = (format!("http://{}", own.address()), own.token().to_owned());
        Ok(Self { agent, base, token, own: Some(own) })
    }

    /// Whether the data is served by another process.
    pub(crate) fn is_remote(&self) -> bool {
        self.own.is_none()
    }

    /// `GET` of a JSON answer.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        read_json(self.with_token(self.agent.get(format!("{}{path}", self.base))).call()?)
    }

    /// `GET` of bytes.
    pub(crate) fn bytes(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let mut answer = self.with_token(self.agent.get(format!("{}{path}", self.base))).call()?;
        if !answer.status().is_success() {
            return read_json(answer).map(|_| Vec::new());
        }
        let mut bytes = Vec::new();
        answer.body_mut().as_reader().read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// `GET` of JSON lines; `each` is given one after the other.
    pub(crate) fn lines(
        &self,
        path: &str,
        mut each: impl FnMut(Value) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut answer = self.with_token(self.agent.get(format!("{}{path}", self.base))).call()?;
        if !answer.status().is_success() {
            return read_json(answer).map(drop);
        }
        for line in BufReader::new(answer.body_mut().as_reader()).lines() {
            each(serde_json::from_str(&line?)?)?;
        }
        Ok(())
    }

    /// `PUT` of JSON.
    pub(crate) fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.with_token(self.agent.put(format!("{}{path}", self.base)));
        read_json(request.content_type("application/json").send(&serde_json::to_vec(body)?)?)
    }

    /// `DELETE`.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<Value> {
        read_json(self.with_token(self.agent.delete(format!("{}{path}", self.base))).call()?)
    }

    /// `POST` of a body.
    pub(crate) fn post(&self, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<Value> {
        let request = self.agent.post(format!("{}{path}", self.base));
        read_json(self.with_token(request).content_type(kind).send(body)?)
    }

    /// `POST` of what a reader gives.
    pub(crate) fn post_reader(&self, path: &str, body: &mut dyn Read) -> anyhow::Result<Value> {
        let request = self.with_token(self.agent.post(format!("{}{path}", self.base)));
        let body = ureq::SendBody::from_reader(body);
        read_json(request.content_type("application/octet-stream").send(body)?)
    }

    /// `POST` of JSON.
    pub(crate) fn post_json(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.post(path, "application/json", &serde_json::to_vec(body)?)
    }

    fn with_token<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        request.header("authorization", format!("Bearer {}", self.token))
    }

    /// Ends the client; our own server writes everything out first.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        self.own.map_or(Ok(()), serve::Running::stop)
    }
}

/// A segment's or visitor's name as one part of a path.
pub(crate) fn part(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

fn place(asks: &Asks) -> String {
    asks.settings.store.url.place()
}

fn is_alive(agent: &ureq::Agent, address: &str) -> bool {
    agent.get(format!("http://{address}/health")).call().is_ok_and(|a| a.status().is_success())
}

/// `MAYFLY_ADMIN_TOKEN`, else the file that the server wrote.
fn token(asks: &Asks) -> anyhow::Result<String> {
    if let Ok(token) = std::env::var("MAYFLY_ADMIN_TOKEN") {
        return Ok(token);
    }
    let file = asks.settings.token_file();
    let text = fs::read_to_string(&file)
        .with_context(|| format!("a server is running, but {} cannot be read", file.display()))?;
    Ok(text.trim().to_owned())
}

/// The answer's JSON; an error answer becomes an error with the server's own words.
fn read_json(mut answer: ureq::http::Response<ureq::Body>) -> anyhow::Result<Value> {
    let status = answer.status();
    let mut text = String::new();
    answer.body_mut().as_reader().read_to_string(&mut text)?;
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    if status.is_success() {
        return Ok(value);
    }
    match value.pointer("/error/message").and_then(Value::as_str) {
        Some(message) => bail!("{message}"),
        None => bail!("the server answered {status}"),
    }
}
