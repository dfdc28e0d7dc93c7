//! A server to test.

use std::{
    io,
    net::{self, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use axum::{Router, routing::post};
use callgate::{
    server::{Event, Limits, Order, Readiness, Server},
    tls::{Follow, FollowClients, Identity, Tls},
};
use clap::Parser;
use rustls::{
    ClientConfig,
    version::{TLS12, TLS13},
};
use support::{
    client::{Encrypted, handshake_by, trusting},
    wait::{in_time, until},
};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinHandle,
};

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    tls: Tls,
}

fn parse(flags: &[&str]) -> Flags {
    Flags::try_parse_from(["callgate"].iter().chain(flags)).expect("the flags of a test are right")
}

pub(crate) fn limits(flags: &[&str]) -> Limits {
    parse(flags).limits
}

/// Answers a post with its own body.
pub(crate) fn echo() -> Router {
    Router::new().route("/", post(async |body: String| body))
}

/// A connection from that address of this machine.
pub(crate) async fn plain_from(peer: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((peer, 0).into()).expect("every address of 127.0.0.0/8 is this machine's");
    socket.connect(to).await.expect("the server listens")
}

/// How often each event was reported.
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) opened: AtomicUsize,
    pub(crate) closed: AtomicUsize,
    pub(crate) refused: AtomicUsize,
    pub(crate) replaced: AtomicUsize,
    pub(crate) shed: AtomicUsize,
    pub(crate) no_room: AtomicUsize,
}

impl Events {
    fn count(&self, event: Event) {
        let counter = match event {
            Event::Opened => &self.opened,
            Event::Closed => &self.closed,
            Event::Refused => &self.refused,
            Event::Replaced => &self.replaced,
            Event::Shed => &self.shed,
            Event::NoRoom => &self.no_room,
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

/// A server that runs.
pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) orders: watch::Sender<Order>,
    pub(crate) readiness: Readiness,
    pub(crate) events: Arc<Events>,
    pub(crate) follow: Option<Follow>,
    pub(crate) clients: Option<FollowClients>,
    pub(crate) running: JoinHandle<()>,
    /// The CA that its clients trust.
    pub(crate) ca: PathBuf,
    _directory: TempDir,
}

impl Rig {
    /// Serves with a generated certificate, or with the files in the flags.
    pub(crate) async fn start(router: Router, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let ca = directory.path().join("ca.crt");
        let Flags { limits, mut tls } = parse(flags);
        if tls.tls_cert.is_none() {
            tls.ca_out = Some(ca.clone());
        }
        let opened = tls.open(SystemTime::now()).expect("the certificate can be served");
        let follow = match opened.identity {
            Identity::Here { follow, .. } => follow,
            Identity::ToCome { .. } => None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (orders, ordered) = watch::channel(Order::Serve);
        let readiness = Readiness::new();
        let events = Arc::<Events>::default();
        let counted = Arc::clone(&events);
        let server = Server {
            listener,
            tls: opened.config,
            router,
            limits,
            readiness: readiness.clone(),
            observer: Arc::new(move |event| counted.count(event)),
        };
        Self {
            address,
            orders,
            readiness,
            events,
            follow,
            clients: opened.clients,
            running: tokio::spawn(server.run(ordered)),
            ca,
            _directory: directory,
        }
    }

    /// A connection whose handshake is done.
    pub(crate) async fn connect(&self) -> Encrypted {
        self.try_connect().await.expect("the server takes the connection")
    }

    pub(crate) async fn try_connect(&self) -> io::Result<Encrypted> {
        handshake_by(TcpStream::connect(self.address).await?, self.client()).await
    }

    /// A connection from another address of this machine.
    pub(crate) async fn connect_from(&self, peer: Ipv4Addr) -> Encrypted {
        let stream = plain_from(peer, self.address).await;
        handshake_by(stream, self.client()).await.expect("the server takes the connection")
    }

    /// Shakes hands on a connection that the kernel has made.
    pub(crate) async fn connect_by(&self, stream: net::TcpStream) -> io::Result<Encrypted> {
        stream.set_nonblocking(true)?;
        handshake_by(TcpStream::from_std(stream)?, self.client()).await
    }

    fn client(&self) -> ClientConfig {
        trusting(&self.ca, &[&TLS13, &TLS12]).with_no_client_auth()
    }

    /// Orders the drain and waits until no client can connect any more.
    pub(crate) async fn drain_until_closed(&self) {
        self.orders.send_replace(Order::Drain);
        until(async || TcpStream::connect(self.address).await.is_err()).await;
    }

    pub(crate) async fn stopped(self) {
        in_time(self.running).await.expect("the server does not panic");
    }
}
