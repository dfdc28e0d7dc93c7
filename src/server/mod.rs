//! Serves a router over TLS within limits, and stops without losing a request.

mod accept;
mod admin;
mod body;
mod connection;
mod deadline;
mod drain;
mod exchange;
mod limits;
mod pulse;
mod readiness;

use std::sync::Arc;

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use self::{
    accept::Intake,
    drain::{Stage, ordered},
    exchange::Exchange,
};
pub use self::{
    admin::Admin,
    drain::{Order, signals},
    limits::{Drain, Limits},
    readiness::{Condition, Readiness},
};

/// What happened, for whoever counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection was accepted.
    Opened,
    /// A connection that was accepted has ended.
    Closed,
    /// A connection was one too many and closed at once.
    Refused,
    /// A request was one too many and answered 503.
    Shed,
}

/// Is told of every event, from any thread; it must not block.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;

/// All that a server needs to run.
pub struct Server {
    pub listener: TcpListener,
    pub tls: rustls::ServerConfig,
    pub router: Router,
    pub limits: Limits,
    pub readiness: Readiness,
    pub observer: Observer,
}

impl Server {
    /// Serves until ordered to stop, and returns when the last answer is out.
    ///
    /// The order of the steps keeps requests from being lost: first it becomes
    /// known that we go, then every client is asked to connect anew, and only
    /// then does anything close.
    pub async fn run(self, orders: watch::Receiver<Order>) {
        let Self { listener, tls, router, limits, readiness, observer } = self;
        let Drain { drain_delay, drain_timeout } = limits.drain.clone();
        let most = limits.max_connections;
        let (stage, stages) = watch::channel(Stage::Serving);
        let exchange = Arc::new(Exchange::new(router, limits, Arc::clone(&observer), stages));
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let open = move |stream| shake_hands(stream, acceptor.clone(), Arc::clone(&exchange));
        let mut intake = Intake::new(listener, most, observer, open);

        intake.accept_until(ordered(&orders, Order::Drain)).await;

        readiness.drain();
        stage.send_replace(Stage::Draining);
        tracing::info!(delay = ?drain_delay, "draining");
        let quit = async {
            select! {
                () = sleep(drain_delay) => false,
                () = ordered(&orders, Order::Quit) => true,
            }
        };
        if intake.accept_until(quit).await {
            tracing::warn!("told twice to stop: stopped without draining");
            return;
        }

        let mut connections = intake.close().await;
        stage.send_replace(Stage::Stopping);
        let finished = async { while connections.join_next().await.is_some() {} };
        select! {
            () = finished => {}
            () = sleep(drain_timeout) => {}
            () = ordered(&orders, Order::Quit) => {}
        }
        match connections.len() {
            0 => tracing::info!("drained"),
            left => tracing::warn!(connections = left, "stopped before all answers were out"),
        }
    }
}

async fn shake_hands(stream: TcpStream, acceptor: TlsAcceptor, exchange: Arc<Exchange>) {
    match timeout(exchange.limits.handshake_timeout, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => connection::serve(stream, exchange).await,
        Ok(Err(error)) => tracing::debug!(%error, "handshake failed"),
        Err(_) => tracing::debug!("handshake too slow"),
    }
}
