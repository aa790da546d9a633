//! The connection to one server: made at first use, shared by many tasks, made anew after it broke.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2};
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, Pipeline, RedisResult, Value};
use tokio::sync::Mutex;

use super::conn::{Command, Load};

/// Requests that may wait on a connection to be written.
const QUEUE: usize = 1024;
/// After so many deadlines without a word a connection is given up.
const SILENT_DEADLINES: u32 = 3;
/// The finest that the system counts here.
const SECOND: Duration = Duration::from_secs(1);

/// One server: a connection for small commands and answers, one for big ones, which would make the
/// small ones wait.
pub(super) struct Link {
    small: Line,
    big: Line,
}

/// One connection; empty before the first use and after it broke.
struct Line {
    client: Client,
    config: AsyncConnectionConfig,
    current: Mutex<Option<MultiplexedConnection>>,
}

impl Link {
    /// Not connected yet.
    pub(super) fn new(server: &ConnectionInfo, deadline: Duration) -> RedisResult<Self> {
        Ok(Self { small: Line::new(server, deadline)?, big: Line::new(server, deadline)? })
    }

    /// Sends commands as one pipeline, and answers each one's.
    ///
    /// # Errors
    /// What befell the connection; whether the server carried them out is not known then.
    pub(super) async fn send<'a>(
        &self,
        commands: impl ExactSizeIterator<Item = &'a Command>,
        load: Load,
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        let mut pipe = Pipeline::with_capacity(commands.len());
        commands.for_each(|c| _ = pipe.add_command(c.cmd.clone()));
        let line = match load {
            Load::Small => &self.small,
            Load::Big => &self.big,
        };
        line.send(pipe.ignore_errors()).await
    }

    /// Sends one small command.
    ///
    /// # Errors
    /// As [`Self::send`], and the server's refusal.
    pub(super) async fn one(&self, command: &Command) -> RedisResult<Value> {
        let answers = self.send([command].into_iter(), Load::Small).await?;
        answers.into_iter().next().unwrap_or(Ok(Value::Nil))
    }
}

impl Line {
    fn new(server: &ConnectionInfo, deadline: Duration) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(deadline))
            .set_response_timeout(Some(deadline))
            .set_pipeline_buffer_size(QUEUE);
        // A server that went without a word is noticed in seconds; the system takes a quarter of
        // an hour. Small commands are sent at once.
        let (deadline, silence) = (deadline.max(SECOND), deadline.max(SECOND) * SILENT_DEADLINES);
        let alive = socket2::TcpKeepalive::new().with_time(silence).with_interval(deadline);
        let tcp =
            TcpSettings::default().set_nodelay(true).set_keepalive(alive).set_user_timeout(silence);
        let client = Client::open(server.clone().set_tcp_settings(tcp))?;
        Ok(Self { client, config, current: Mutex::new(None) })
    }

    async fn send(&self, pipe: &Pipeline) -> RedisResult<Vec<RedisResult<Value>>> {
        let mut connection = self.connection().await?;
        let answers = pipe.query_async(&mut connection).await;
        // Two that see it break may break a newer one, too: that costs a connection, no answer.
        if answers.as_ref().is_err_and(redis::RedisError::is_unrecoverable_error) {
            *self.current.lock().await = None;
        }
        answers
    }

    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let mut current = self.current.lock().await;
        if let Some(known) = &*current {
            return Ok(known.clone());
        }
        let new = self.client.get_multiplexed_async_connection_with_config(&self.config).await?;
        Ok(current.insert(new).clone())
    }
}
