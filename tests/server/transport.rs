//! Protocols and versions.

use std::io;

use rustls::{
    ProtocolVersion,
    version::{TLS12, TLS13},
};
use support::{
    client::{Client, Encrypted, handshake, trusting},
    wait::in_time,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Rig, echo};

async fn offering(rig: &Rig, protocols: &[&str]) -> io::Result<Encrypted> {
    let mut client = trusting(&rig.ca, &[&TLS13]).with_no_client_auth();
    client.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    handshake(rig.address, client).await
}

#[tokio::test]
async fn http_1_1_is_chosen_where_more_is_offered() {
    let rig = Rig::start(echo(), &[]).await;
    let mut client = offering(&rig, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(client.stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(client.post("/", "hello").await.body, "hello");
}

#[tokio::test]
async fn http_2_alone_is_rejected_in_the_handshake() {
    let rig = Rig::start(echo(), &[]).await;
    let error = offering(&rig, &["h2"]).await.err().unwrap();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
}

#[tokio::test]
async fn a_client_that_negotiates_no_protocol_is_served() {
    let rig = Rig::start(echo(), &[]).await;
    assert_eq!(rig.connect().await.post("/", "hello").await.status, 200);
}

#[tokio::test]
async fn tls_1_3_is_used_and_tls_1_2_for_clients_without_it() {
    let rig = Rig::start(echo(), &[]).await;
    for (versions, expected) in [
        (&[&TLS13, &TLS12][..], ProtocolVersion::TLSv1_3),
        (&[&TLS12][..], ProtocolVersion::TLSv1_2),
    ] {
        let client = trusting(&rig.ca, versions).with_no_client_auth();
        let mut client = handshake(rig.address, client).await.unwrap();
        assert_eq!(client.stream.get_ref().1.protocol_version(), Some(expected));
        assert_eq!(client.post("/", "hello").await.status, 200);
    }
}

/// A greeting of a version below 1.3, written by hand: no library offers 1.1
/// any more.
#[rustfmt::skip]
fn hello(minor_version: u8) -> Vec<u8> {
    let mut hello = vec![3, minor_version];
    hello.extend([7; 32]);            // random
    hello.push(0);                    // no session
    hello.extend([0, 2, 0xc0, 0x2b]); // ECDHE-ECDSA-AES128-GCM-SHA256
    hello.extend([1, 0]);             // no compression
    hello.extend([
        0, 22,
        0, 10, 0, 4, 0, 2, 0, 23,     // groups: P-256
        0, 11, 0, 2, 1, 0,            // points: uncompressed
        0, 13, 0, 4, 0, 2, 4, 3,      // signatures: ECDSA of P-256 and SHA-256
    ]);
    let length = u8::try_from(hello.len()).expect("the greeting is short");
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    record
}

/// The first record that answers a greeting.
async fn first_record(rig: &Rig, hello: &[u8]) -> io::Result<Vec<u8>> {
    let mut client = Client::plain(rig.address).await;
    client.stream.write_all(hello).await?;
    let mut head = [0; 5];
    in_time(client.stream.read_exact(&mut head)).await?;
    let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    in_time(client.stream.read_exact(&mut record)).await?;
    record.insert(0, head[0]);
    Ok(record)
}

#[tokio::test]
async fn versions_below_tls_1_2_are_rejected() {
    const HANDSHAKE: u8 = 22;
    const ALERT: u8 = 21;
    const FATAL: u8 = 2;
    const PROTOCOL_VERSION: u8 = 70;
    let rig = Rig::start(echo(), &[]).await;
    assert_eq!(first_record(&rig, &hello(3)).await.unwrap()[0], HANDSHAKE); // TLS 1.2
    for minor_version in [2, 1, 0] {
        let record = first_record(&rig, &hello(minor_version)).await.unwrap();
        assert_eq!(record, [ALERT, FATAL, PROTOCOL_VERSION]);
    }
}
