//! Two servers over TLS on loopback, both alive, driven in turns.

use std::{
    env, future::poll_fn, path::Path, pin::Pin, process::Command, sync::Arc, time::Duration,
};

use bytes::Bytes;
use rustls::{
    ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName, version::TLS13,
};
use support::bench::{review::Review, server::Process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    runtime,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    constant,
    ratio::{Round, Rounds},
};

/// A `callgate`, and a server that answers a constant.
pub(crate) struct OverTls {
    runtime: runtime::Runtime,
    ours: Side,
    constant: Side,
    _directories: [TempDir; 2],
}

/// A server and the connections to it, which stay open.
struct Side {
    server: Process,
    connections: Vec<TlsStream<TcpStream>>,
    answered: usize,
}

/// A request, and what its answer must end with.
#[derive(Clone)]
struct Exchange {
    request: Bytes,
    answer: Bytes,
}

impl OverTls {
    pub(crate) fn start(callgate: &Path, connections: usize) -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let directories = [(); 2].map(|()| TempDir::new().expect("a directory"));
        let mut ours = Command::new(callgate);
        ours.args(["serve", "--standalone", "--log-format=json"]);
        ours.args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
        let mut constant = Command::new(env::current_exe().expect("a name"));
        constant.arg("constant");
        let [ours, constant] = [(&mut ours, &directories[0]), (&mut constant, &directories[1])]
            .map(|(it, at)| {
                let server = Process::start(it, at.path());
                runtime.block_on(Side::connect(server, connections))
            });
        Self { runtime, ours, constant, _directories: directories }
    }

    /// Microseconds of the server's CPU per review: each of the `rounds` has both
    /// servers answer as many `reviews`.
    pub(crate) fn measure(
        &mut self,
        review: &Review,
        answer: &Bytes,
        rounds: usize,
        reviews: usize,
    ) -> Rounds {
        let request = request(review);
        let ours = Exchange { request: request.clone(), answer: answer.clone() };
        let constant =
            Exchange { request, answer: Bytes::from_static(constant::ANSWER.as_bytes()) };
        let mut measured = Rounds::default();
        for round in 0..=rounds {
            let sides = (self.ours.drive(&ours, reviews), self.constant.drive(&constant, reviews));
            let (ours, constant) = self.runtime.block_on(async {
                // They also take turns at going first.
                if round % 2 == 0 {
                    (sides.0.await, sides.1.await)
                } else {
                    let constant = sides.1.await;
                    (sides.0.await, constant)
                }
            });
            if round > 0 {
                measured.push(Round { ours, constant });
            }
        }
        measured
    }

    /// How many reviews our server has answered, and what it then holds in
    /// memory, and has held at most, in KiB.
    pub(crate) fn memory(&self) -> (usize, u64, u64) {
        let Side { server, answered, .. } = &self.ours;
        (*answered, server.usage().status("VmRSS"), server.usage().status("VmHWM"))
    }

    /// Goes on until our server has answered as many as `reviews`.
    pub(crate) fn fill_up(&mut self, review: &Review, answer: &Bytes, reviews: usize) {
        let exchange = Exchange { request: request(review), answer: answer.clone() };
        let left = reviews.saturating_sub(self.ours.answered);
        self.runtime.block_on(self.ours.drive(&exchange, left));
    }
}

impl Side {
    async fn connect(server: Process, count: usize) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(server.ca.clone()).expect("a CA");
        let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&TLS13])
            .expect("the provider speaks TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost").expect("a name");
        let mut connections = Vec::new();
        for _ in 0..count {
            let stream = TcpStream::connect(server.address).await.expect("it listens");
            stream.set_nodelay(true).expect("a socket");
            let stream = connector.connect(name.clone(), stream).await.expect("a handshake");
            connections.push(stream);
        }
        Self { server, connections, answered: 0 }
    }

    /// Has `reviews` answered and returns what each cost in microseconds of CPU.
    async fn drive(&mut self, exchange: &Exchange, reviews: usize) -> f64 {
        let each = reviews.div_ceil(self.connections.len());
        let before = self.server.usage().cpu();
        let mut running = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let exchange = exchange.clone();
            running.spawn(async move {
                for _ in 0..each {
                    exchange.run(&mut connection).await;
                }
                connection
            });
        }
        self.connections = running.join_all().await;
        let reviews = each * self.connections.len();
        self.answered += reviews;
        // For its threads to come to rest: only then is their time up to date.
        sleep(Duration::from_millis(2)).await;
        let spent = self.server.usage().cpu().saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        {
            spent.as_secs_f64() * 1e6 / reviews as f64
        }
    }
}

impl Exchange {
    async fn run(&self, connection: &mut TlsStream<TcpStream>) {
        let mut connection = Pin::new(connection);
        let mut rest = &self.request[..];
        while !rest.is_empty() {
            let written = poll_fn(|it| connection.as_mut().poll_write(it, rest)).await;
            rest = &rest[written.expect("the server reads")..];
        }
        poll_fn(|it| connection.as_mut().poll_flush(it)).await.expect("the server reads");
        let mut buffer = [0; 4096];
        let mut response = ReadBuf::new(&mut buffer);
        while !response.filled().ends_with(&self.answer) {
            let before = response.filled().len();
            let read = poll_fn(|it| connection.as_mut().poll_read(it, &mut response));
            let read = timeout(Duration::from_secs(10), read).await;
            read.expect("the expected answer, in time").expect("the server writes");
            assert!(response.filled().len() > before, "closed before the answer was complete");
        }
    }
}

/// As the API server's client writes it.
fn request(Review { path, body, .. }: &Review) -> Bytes {
    let head = format!(
        "POST {path}?timeout=10s HTTP/1.1\r\n\
         Host: callgate.callgate-system.svc:443\r\n\
         User-Agent: kube-apiserver-admission\r\n\
         Content-Length: {}\r\n\
         Accept: application/json, */*\r\n\
         Content-Type: application/json\r\n\
         Accept-Encoding: gzip\r\n\r\n",
        body.len()
    );
    Bytes::from(head + body)
}
