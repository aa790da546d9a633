//! The listeners: public for browsers, private for operators, or one for both.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_web::dev::{ServerHandle, Service};
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpServer};
use anyhow::Context;

use super::Shared;
use super::reaper::{Connections, Watched};
use super::tls::Certificate;
use crate::config::Settings;
use crate::http::{browsers, operators};

/// How long a client may take for the head of its request.
const HEAD: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Bound listeners, not yet serving.
pub(super) struct Listeners {
    /// The public address.
    pub(super) public: SocketAddr,
    /// The private address, when there is one.
    pub(super) private: Option<SocketAddr>,
    servers: Vec<actix_web::dev::Server>,
}

/// Servers under way.
pub(super) struct Servers(Vec<ServerHandle>);

/// Binds all listeners.
///
/// # Errors
/// An address that is taken or not ours.
pub(super) fn bind(
    settings: &Settings,
    shared: &Arc<Shared>,
    certificate: Option<&Arc<Certificate>>,
) -> anyhow::Result<Listeners> {
    let open = |address: &str| -> anyhow::Result<(TcpListener, SocketAddr)> {
        let cannot = || format!("cannot listen on {address}; choose another with --bind");
        let listener = TcpListener::bind(address).with_context(cannot)?;
        let own = listener.local_addr().with_context(cannot)?;
        Ok((listener, own))
    };
    let (listener, public) = open(&settings.public)?;
    // Commands of this machine need no certificate: they get a listener of their own.
    let own = certificate.map(|_| "127.0.0.1:0".to_owned());
    let Some(private) = settings.private.as_ref().or(own.as_ref()) else {
        let server = server(settings, shared, listener, true, None)?;
        return Ok(Listeners { public, private: None, servers: vec![server] });
    };
    let (second, private) = open(private)?;
    let servers = vec![
        server(settings, shared, listener, settings.private.is_none(), certificate)?,
        server(settings, shared, second, true, None)?,
    ];
    Ok(Listeners { public, private: Some(private), servers })
}

fn server(
    settings: &Settings,
    shared: &Arc<Shared>,
    listener: TcpListener,
    has_operators: bool,
    certificate: Option<&Arc<Certificate>>,
) -> anyhow::Result<actix_web::dev::Server> {
    let state = web::Data::from(Arc::clone(shared));
    let prefix = settings.prefix.clone();
    let connections = Connections::new(settings.stuck);
    tokio::spawn(reap(Arc::downgrade(&connections)));
    let server = HttpServer::new(move || {
        let routes = |config: &mut ServiceConfig| {
            browsers(config, &prefix);
            if has_operators {
                operators(config);
            }
        };
        App::new().app_data(state.clone()).configure(routes).wrap_fn(|request, routes| {
            let answering = request.conn_data::<Watched>().map(Watched::answering);
            let answer = routes.call(request);
            async move {
                let answer = answer.await;
                drop(answering);
                answer
            }
        })
    })
    .on_connect(move |stream, own| connections.watch(stream, own))
    .workers(settings.workers)
    .max_connections(settings.connections_max)
    .client_request_timeout(HEAD)
    .keep_alive(IDLE)
    .shutdown_timeout(settings.shutdown.as_secs())
    .disable_signals();
    let server = match certificate {
        Some(certificate) => server.listen_rustls_0_23(listener, certificate.config()?),
        None => server.listen(listener),
    };
    Ok(server.context("cannot listen")?.run())
}

/// Closes connections that get nowhere, as long as there is a server.
async fn reap(connections: Weak<Connections>) {
    while let Some(connections) = connections.upgrade() {
        connections.reap();
        let pause = connections.every();
        drop(connections);
        tokio::time::sleep(pause).await;
    }
}

impl Listeners {
    /// Serves from now on.
    pub(super) fn spawn(self) -> Servers {
        let handles = self.servers.iter().map(actix_web::dev::Server::handle).collect();
        for server in self.servers {
            tokio::spawn(server);
        }
        Servers(handles)
    }
}

impl Servers {
    /// Stops them; `graceful` lets requests under way finish first.
    pub(super) async fn stop(&self, graceful: bool) {
        for server in &self.0 {
            server.stop(graceful).await;
        }
    }
}
