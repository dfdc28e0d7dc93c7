//! Serves a router over TLS within limits, and stops without losing a request.

mod accept;
mod admin;
mod body;
mod budget;
mod connection;
mod connection_state;
mod connections;
mod deadline;
mod descriptors;
mod drain;
mod event;
mod exchange;
mod limits;
mod memory;
mod peer;
mod readiness;

use std::{io, net::SocketAddr, sync::Arc};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    select,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use self::{
    accept::Intake,
    connection_state::ConnectionState,
    connections::Connections,
    drain::{Stage, ordered},
    exchange::Exchange,
};
pub use self::{
    admin::Admin,
    descriptors::room_for_clients,
    drain::{Order, signals},
    event::{Event, Observer},
    limits::{Drain, Limits},
    readiness::{Condition, Readiness},
};

/// How many connections the kernel queues until they are accepted.
const BACKLOG: u32 = 1024;

/// The size of a socket's buffer in the kernel, for each direction, in bytes. The default is many
/// times as large, and counts as memory of the container.
const SOCKET_BYTES: u32 = 32 * 1024;

/// Opens the listener of a server or of its admin port.
///
/// # Errors
/// The address is in use, or does not belong to this machine.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit both sizes.
    socket.set_recv_buffer_size(SOCKET_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A server, ready to run.
pub struct Server {
    pub listener: TcpListener,
    pub tls: rustls::ServerConfig,
    pub router: Router,
    pub limits: Limits,
    pub readiness: Readiness,
    pub observer: Observer,
}

impl Server {
    /// Serves until ordered to stop, and returns when the last answer is written.
    ///
    /// The order of the steps keeps requests from being lost: first the server is no longer ready,
    /// then its answers make clients reconnect, and then connections close.
    pub async fn run(self, orders: watch::Receiver<Order>) {
        let Self { listener, tls, router, limits, readiness, observer } = self;
        let Drain { drain_delay, drain_timeout } = limits.drain.clone();
        let most = limits.max_connections;
        let (stage, stages) = watch::channel(Stage::Serving);
        let connections = Arc::<Connections>::default();
        let exchange = Exchange::new(router, limits, &connections, Arc::clone(&observer), stages);
        let exchange = Arc::new(exchange);
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let open = move |stream, state| {
            shake_hands(stream, acceptor.clone(), Arc::clone(&exchange), state)
        };
        let mut intake = Intake::new(listener, most, connections, observer, open);

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
            tracing::warn!("second signal: stopped without draining");
            return;
        }

        let mut tasks = intake.close().await;
        stage.send_replace(Stage::Stopping);
        let finished = async { while tasks.join_next().await.is_some() {} };
        select! {
            () = finished => {}
            () = sleep(drain_timeout) => {}
            () = ordered(&orders, Order::Quit) => {}
        }
        match tasks.len() {
            0 => tracing::info!("drained"),
            left => tracing::warn!(connections = left, "stopped before all answers were written"),
        }
    }
}

async fn shake_hands(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    exchange: Arc<Exchange>,
    state: Arc<ConnectionState>,
) {
    let shaken = select! {
        shaken = timeout(exchange.limits.handshake_timeout, acceptor.accept(stream)) => shaken,
        () = state.close_requested() => return tracing::debug!("handshake cut to make room for others"),
    };
    match shaken {
        Ok(Ok(stream)) => connection::serve(stream, exchange, state).await,
        Ok(Err(error)) => tracing::debug!(%error, "handshake failed"),
        Err(_) => tracing::debug!("handshake too slow"),
    }
}
