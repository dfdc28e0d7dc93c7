//! The limits on each client.

use std::{
    process::Command,
    sync::{Arc, atomic::Ordering},
};

use axum::{
    Router,
    http::{StatusCode, header::RETRY_AFTER},
    routing::{get, post},
};
use support::{
    client::{Client, request},
    wait::{in_time, until},
};
use tokio::{net::TcpStream, sync::Notify};

use crate::rig::{Rig, echo};

#[tokio::test]
async fn a_connection_carries_one_request_after_another() {
    let rig = Rig::start(echo(), &[]).await;
    let mut client = rig.connect().await;
    for body in ["one", "two", "three"] {
        let answer = client.post("/", body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body));
        assert!(!answer.closes());
    }
    assert_eq!(rig.events.opened.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn too_many_headers_are_rejected() {
    let rig = Rig::start(echo(), &["--max-headers=8"]).await;
    let headers = "X: y\r\n".repeat(9);
    let mut client = rig.connect().await;
    client.write(&format!("POST / HTTP/1.1\r\n{headers}\r\n")).await.unwrap();
    assert_eq!(client.answer().await.unwrap().status, 431);
    client.closed().await;
}

#[tokio::test]
async fn too_long_headers_are_rejected_while_they_still_arrive() {
    let rig = Rig::start(echo(), &["--max-header-bytes=1000"]).await;
    let mut client = rig.connect().await;
    client.write(&format!("POST / HTTP/1.1\r\nX: {}", "y".repeat(1000))).await.unwrap();
    assert_eq!(client.answer().await.unwrap().status, 431);
    client.closed().await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once_if_all_others_are_in_use() {
    let (gate, entered) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let rig = Rig::start(slow(&gate, &entered), &["--max-connections=2"]).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = rig.connect().await;
        client.write(&request("/slow", "")).await.unwrap();
        in_time(entered.notified()).await;
        busy.push(client);
    }
    assert!(rig.try_connect().await.is_err());
    assert_eq!(rig.events.refused.load(Ordering::SeqCst), 1);
    for client in &mut busy {
        gate.notify_one();
        assert_eq!(client.answer().await.unwrap().body, "done");
    }
    // Both are idle now, and one of them makes room.
    assert_eq!(rig.connect().await.post("/", "hello").await.status, 200);
    assert_eq!(rig.events.replaced.load(Ordering::SeqCst), 1);
}

/// A router whose `/slow` answers on a signal of the test.
fn slow(gate: &Arc<Notify>, entered: &Arc<Notify>) -> Router {
    let (gate, entered) = (Arc::clone(gate), Arc::clone(entered));
    let slow = async move || {
        entered.notify_one();
        gate.notified().await;
        "done"
    };
    echo().route("/slow", post(slow))
}

#[tokio::test]
async fn one_request_too_many_gets_503_and_no_hint_to_retry() {
    let (gate, entered) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let rig = Rig::start(slow(&gate, &entered), &["--max-in-flight=1"]).await;
    let mut first = rig.connect().await;
    first.write(&request("/slow", "")).await.unwrap();
    in_time(entered.notified()).await;

    let mut second = rig.connect().await;
    // Longer than what is read at once, so that the rest has to be discarded.
    let shed = second.post("/", &"y".repeat(1 << 20)).await;
    assert_eq!((shed.status, shed.body.as_str()), (503, "too many requests in flight\n"));
    assert!(!shed.has_header("retry-after"), "{shed:?}"); // R4
    assert_eq!(rig.events.shed.load(Ordering::SeqCst), 1);

    gate.notify_one();
    assert_eq!(first.answer().await.unwrap().body, "done");
    assert_eq!(second.post("/", "on the same connection").await.status, 200);
}

#[tokio::test]
async fn no_handler_can_ask_for_a_retry() {
    let handler = async || (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "1")]);
    let rig = Rig::start(Router::new().route("/", get(handler)), &[]).await;
    let answer = rig.connect().await.get("/").await;
    assert_eq!(answer.status, 429);
    assert!(!answer.has_header("retry-after"), "{answer:?}"); // R4
}

#[tokio::test]
async fn an_answer_before_the_body_is_read_leaves_the_connection_usable() {
    let rig = Rig::start(echo(), &["--max-buffered-bytes=1000000"]).await;
    let mut client = rig.connect().await;
    let answer = client.post("/", &"y".repeat(1 << 20)).await;
    assert_eq!((answer.status, &*answer.body), (503, "no memory left for the body\n"));
    assert_eq!(rig.events.no_room.load(Ordering::SeqCst), 1);
    assert!(!answer.closes());
    assert_eq!(client.post("/", "next").await.body, "next");
}

#[tokio::test]
async fn a_body_too_long_to_discard_is_answered_and_the_connection_closed() {
    let rig = Rig::start(echo(), &["--max-body-bytes=1000"]).await;
    let mut client = rig.connect().await;
    let answer = client.post("/", &"y".repeat(100_000)).await;
    assert_eq!((answer.status, &*answer.body), (413, "the body is larger than 1000 bytes\n"));
    assert!(answer.closes());
    client.closed().await;
}

#[tokio::test]
async fn a_panic_fails_one_request_and_nothing_else() {
    let router = echo().route("/panic", post(async || -> String { panic!("as the test wants") }));
    let rig = Rig::start(router, &["--max-in-flight=1"]).await;
    let mut client = rig.connect().await;
    for _ in 0..3 {
        let answer = client.post("/panic", "with a body").await;
        assert_eq!((answer.status, answer.body.as_str()), (500, "internal error\n"));
    }
    assert_eq!(client.post("/", "still here").await.status, 200);
}

#[tokio::test]
async fn clients_without_tls_are_rejected() {
    let rig = Rig::start(echo(), &[]).await;
    let mut client = Client::plain(rig.address).await;
    client.write("GET / HTTP/1.1\r\nHost: callgate\r\n\r\n").await.unwrap();
    until(async || rig.events.closed.load(Ordering::SeqCst) == 1).await;
    assert_eq!(rig.connect().await.post("/", "hello").await.status, 200);
}

/// Runs one test of this binary again, alone, where a process may open few files.
fn with_few_files(test: &str) {
    let binary = std::env::current_exe().expect("a test has a binary");
    let status = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" --exact \"$1\""])
        .arg(binary)
        .arg(test)
        .env(FEW_FILES, "")
        .status()
        .expect("there is a shell");
    assert!(status.success());
}

const FEW_FILES: &str = "CALLGATE_TEST_FEW_FILES";

#[tokio::test]
async fn the_server_survives_running_out_of_file_descriptors() {
    if std::env::var_os(FEW_FILES).is_none() {
        return with_few_files("limits::the_server_survives_running_out_of_file_descriptors");
    }
    let rig = Rig::start(echo(), &[]).await;
    let mut client = rig.connect().await;
    assert_eq!(client.post("/", "hello").await.status, 200);
    let mut hoard = Vec::new();
    while let Ok(stream) = TcpStream::connect(rig.address).await {
        hoard.push(stream);
    }
    assert_eq!(client.post("/", "those who are in go on").await.status, 200);
    drop(hoard);
    until(async || rig.try_connect().await.is_ok()).await;
}
