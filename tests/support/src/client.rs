//! A client that writes its bytes by hand, and can violate the protocol.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, SupportedProtocolVersion,
    client::WantsClientCert,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::wait::in_time;

pub type Encrypted = Client<TlsStream<TcpStream>>;

/// A client that trusts the CA in a file.
pub fn trusting(
    ca: &Path,
    versions: &[&'static SupportedProtocolVersion],
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(ca).expect("a CA is PEM");
    roots.add(certificate).expect("a CA can be trusted");
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("the provider knows the versions")
        .with_root_certificates(roots)
}

pub async fn handshake(address: SocketAddr, client: ClientConfig) -> io::Result<Encrypted> {
    handshake_by(TcpStream::connect(address).await?, client).await
}

pub async fn handshake_by(stream: TcpStream, client: ClientConfig) -> io::Result<Encrypted> {
    let name = "callgate.callgate-system.svc".try_into().expect("a service has a host name");
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream);
    Ok(Client::of(in_time(stream).await?))
}

/// One connection.
pub struct Client<S> {
    pub stream: S,
    read: Vec<u8>,
}

/// The response, its head in lower case.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Sends one request on a connection of its own and reads until the server closes it: so HTTP/1.0,
/// or `Connection: close`. Returns the status and the body, or `None` if there is no response.
pub async fn exchange(address: SocketAddr, request: &str) -> Option<(String, String)> {
    let mut answer = String::new();
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.to_owned(), body.to_owned()))
}

impl Answer {
    pub fn has_header(&self, name: &str) -> bool {
        self.head.contains(&format!("\r\n{name}:"))
    }

    pub fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close\r\n")
    }
}

impl<S> Client<S> {
    pub fn of(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }
}

impl Client<TcpStream> {
    pub async fn plain(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).await.expect("the server listens"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub async fn post(&mut self, target: &str, body: &str) -> Answer {
        self.write(&request(target, body)).await.expect("the server reads");
        self.answer().await.expect("the server answers")
    }

    pub async fn get(&mut self, target: &str) -> Answer {
        let request = format!("GET {target} HTTP/1.1\r\nHost: callgate\r\n\r\n");
        self.write(&request).await.expect("the server reads");
        self.answer().await.expect("the server answers")
    }

    pub async fn write(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await
    }

    /// Writes the same again and again, until the server closes the connection.
    pub async fn trickle(&mut self, text: &str) {
        in_time(async {
            while self.write(text).await.is_ok() {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    pub async fn answer(&mut self) -> io::Result<Answer> {
        in_time(async {
            let head = loop {
                if let Some(end) = self.read.windows(4).position(|it| it == b"\r\n\r\n") {
                    break self.take(end + 4);
                }
                self.fill().await?;
            };
            let head = head.to_lowercase();
            let (_, length) = head.split_once("\r\ncontent-length: ").unwrap_or(("", "0\r\n"));
            let length = length.lines().next().and_then(|it| it.parse().ok());
            let length: usize = length.expect("a length is a number");
            while self.read.len() < length {
                self.fill().await?;
            }
            let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
            let status = status.expect("a status is a number");
            Ok(Answer { status, head, body: self.take(length) })
        })
        .await
    }

    /// Waits until the server closes the connection; it must not say anything more.
    pub async fn closed(&mut self) {
        let mut rest = [0_u8];
        let end = in_time(self.stream.read(&mut rest)).await;
        assert!(matches!(end, Ok(0) | Err(_)), "more came: {rest:?}");
    }

    async fn fill(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> String {
        let rest = self.read.split_off(length);
        let taken = std::mem::replace(&mut self.read, rest);
        String::from_utf8(taken).expect("the server speaks in text")
    }
}

/// The bytes of one post.
pub fn request(target: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: callgate\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
