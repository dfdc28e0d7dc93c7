//! Clients that take connections and memory without using them, beside one that sends reviews.

use std::{
    net::Ipv4Addr,
    sync::{Arc, atomic::Ordering},
};

use axum::{Router, routing::post};
use support::{
    client::{Client, Encrypted, request},
    wait::{in_time, until},
};
use tokio::{net::TcpStream, sync::Notify};

use crate::rig::{Rig, echo, plain_from};

/// Long enough that no time-out of the server ends an attack.
const PATIENT: [&str; 5] = [
    "--handshake-timeout=1000h",
    "--header-timeout=1000h",
    "--body-timeout=1000h",
    "--default-deadline=30s",
    "--idle-timeout=1000h",
];

const API_SERVER: Ipv4Addr = Ipv4Addr::LOCALHOST;
const POD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

async fn patient(flags: &[&str]) -> Rig {
    Rig::start(echo(), &[&PATIENT, flags].concat()).await
}

/// Three times as many connections as the server accepts.
const TOO_MANY: usize = 12;
const FEW: &str = "--max-connections=4";

/// Two reviews, on a connection from before the attack and on a new one.
async fn is_served(rig: &Rig, mut old: Encrypted) {
    assert_eq!(old.post("/", "on the old connection").await.body, "on the old connection");
    let mut new = rig.connect_from(API_SERVER).await;
    assert_eq!(new.post("/", "on a new one").await.body, "on a new one");
    assert_eq!(rig.events.refused.load(Ordering::SeqCst), 0);
    assert_eq!(rig.events.shed.load(Ordering::SeqCst), 0);
}

async fn served_before(rig: &Rig) -> Encrypted {
    let mut client = rig.connect_from(API_SERVER).await;
    assert_eq!(client.post("/", "before").await.status, 200);
    client
}

#[tokio::test]
async fn silent_connections_block_no_other_client() {
    let rig = patient(&[FEW]).await;
    let old = served_before(&rig).await;
    let mut hoard = Vec::new();
    for _ in 0..TOO_MANY {
        hoard.push(plain_from(POD, rig.address).await);
    }
    is_served(&rig, old).await;
}

#[tokio::test]
async fn unfinished_handshakes_block_no_other_client() {
    let rig = patient(&[FEW]).await;
    let old = served_before(&rig).await;
    let mut hoard = Vec::new();
    for _ in 0..TOO_MANY {
        let mut client = Client::plain(rig.address).await;
        client.write("\u{16}\u{3}\u{1}\u{2}").await.unwrap(); // A long greeting begins.
        hoard.push(client);
    }
    is_served(&rig, old).await;
}

/// Opens many connections that write only this.
async fn written_by_many(rig: &Rig, text: &str) -> Vec<Encrypted> {
    let mut hoard = Vec::new();
    for _ in 0..TOO_MANY {
        let mut client = rig.connect_from(POD).await;
        client.write(text).await.expect("the server reads");
        hoard.push(client);
    }
    hoard
}

#[tokio::test]
async fn connections_without_a_request_block_no_other_client() {
    let rig = patient(&[FEW]).await;
    let old = served_before(&rig).await;
    let _hoard = written_by_many(&rig, "").await;
    is_served(&rig, old).await;
}

#[tokio::test]
async fn heads_that_never_end_block_no_other_client() {
    let rig = patient(&[FEW]).await;
    let old = served_before(&rig).await;
    let _hoard = written_by_many(&rig, "POST / HTTP/1.1\r\nX: ").await;
    is_served(&rig, old).await;
}

#[tokio::test]
async fn bodies_that_are_announced_and_never_sent_do_not_count_as_requests_in_flight() {
    let rig = patient(&["--max-in-flight=1"]).await;
    let old = served_before(&rig).await;
    let announced = "POST /?timeout=30s HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n";
    let _hoard = written_by_many(&rig, announced).await;
    is_served(&rig, old).await;
}

#[tokio::test]
async fn answers_that_are_never_read_block_no_other_client() {
    // More than the kernel takes of one, so that each of them is in our memory.
    let answer = request("/", &"y".repeat(16 << 20));
    let router = Router::new().route("/", post(async |body: String| body));
    let flags = ["--max-body-bytes=33554432", "--max-buffered-bytes=50331648", FEW];
    let rig = Rig::start(router, &[&PATIENT[..], &flags].concat()).await;
    let old = served_before(&rig).await;
    let mut hoard = Vec::new();
    for _ in 0..TOO_MANY {
        let mut client = rig.connect_from(POD).await;
        // The server may cut it while it still writes.
        let _ = client.write(&answer).await;
        hoard.push(client);
    }
    is_served(&rig, old).await;
}

/// A connection that was answered once is treated like one of an API server.
#[tokio::test]
async fn idle_connections_of_one_client_make_room_before_those_of_another() {
    let rig = patient(&[FEW]).await;
    let old = served_before(&rig).await;
    let mut hoard = Vec::new();
    for _ in 0..TOO_MANY {
        let mut client = rig.connect_from(POD).await;
        assert_eq!(client.post("/", "hello").await.status, 200);
        hoard.push(client);
    }
    is_served(&rig, old).await;
}

/// The first byte of each is here, so that memory is promised to it.
#[tokio::test]
async fn bodies_that_fill_the_memory_and_stop_are_cut_for_others() {
    let rig = patient(&["--max-buffered-bytes=3000000"]).await;
    let mut old = served_before(&rig).await;
    let begun = "POST /?timeout=30s HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n.";
    let mut hoard = written_by_many(&rig, begun).await;
    let large = "y".repeat(1_000_000);
    assert_eq!(old.post("/?timeout=30s", &large).await.status, 200);
    let mut new = rig.connect_from(API_SERVER).await;
    assert_eq!(new.post("/?timeout=30s", &large).await.status, 200);
    assert!(rig.events.replaced.load(Ordering::SeqCst) > 0);
    let mut end = Vec::new();
    for client in &mut hoard {
        end.push(client.write(&large[1..]).await.is_ok());
    }
    assert!(end.contains(&false), "no connection has made room");
}

/// As many as the memory allows are answered at once, and the others after them.
#[tokio::test]
async fn bodies_that_arrive_in_full_are_all_answered_even_with_little_memory() {
    let rig = Arc::new(Rig::start(echo(), &["--max-buffered-bytes=3000000"]).await);
    let large = Arc::new("y".repeat(1_000_000));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (rig, large) = (Arc::clone(&rig), Arc::clone(&large));
        clients.spawn(async move {
            let mut client = rig.connect().await;
            client.post("/?timeout=30s", &large).await.status
        });
    }
    while let Some(status) = in_time(clients.join_next()).await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(rig.events.replaced.load(Ordering::SeqCst), 0);
}

/// A request that was read in full is answered, even if others need its place.
#[tokio::test]
async fn a_request_at_work_is_not_cut_for_a_new_connection() {
    let (gate, entered) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let (at_work, goes_on) = (Arc::clone(&entered), Arc::clone(&gate));
    let handler = async move || {
        at_work.notify_one();
        goes_on.notified().await;
        "done"
    };
    let router = echo().route("/slow", post(handler));
    let rig = Rig::start(router, &[&PATIENT[..], &["--max-connections=2"]].concat()).await;
    let mut busy = rig.connect().await;
    busy.write(&request("/slow?timeout=30s", "")).await.unwrap();
    in_time(entered.notified()).await;
    let mut hoard = Vec::new();
    for _ in 0..TOO_MANY {
        hoard.push(TcpStream::connect(rig.address).await.unwrap());
    }
    until(async || rig.events.replaced.load(Ordering::SeqCst) >= TOO_MANY - 1).await;
    gate.notify_one();
    assert_eq!(busy.answer().await.unwrap().body, "done");
}
