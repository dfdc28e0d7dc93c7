//! The time limits for clients.

use std::{future::pending, sync::atomic::Ordering, time::Duration};

use axum::{Router, http::HeaderMap, routing::post};
use rstest::rstest;
use support::{
    client::{Client, Encrypted, request},
    wait::until,
};
use tokio::{
    select,
    time::{sleep, timeout},
};

use crate::rig::{Rig, echo};

/// Long enough that in a test it cannot be what ends a connection.
const NEVER: &str = "1000h";

/// Answers never.
fn hanging() -> Router {
    echo().route("/hang", post(async |_: String| pending::<HeaderMap>().await))
}

/// Watches for several times what a short time-out allows.
async fn stays_open(client: &mut Encrypted) {
    let closed = timeout(Duration::from_millis(300), client.closed());
    assert!(closed.await.is_err(), "the connection was closed");
}

/// Waits for a body to be cut off, which has to come before the answer to a request that hangs
/// for ten seconds: a body that gets as long as its request asks for, 30 s, comes later.
async fn before_the_deadline<T>(rig: &Rig, cut_off: impl Future<Output = T>) -> T {
    let mut hanging = rig.connect().await;
    hanging.write(&request("/hang?timeout=10s", "")).await.expect("the server reads");
    select! {
        biased;
        it = cut_off => it,
        _ = hanging.answer() => panic!("the body had as long as its request"),
    }
}

// === Handshakes ===

#[tokio::test]
async fn a_silent_client_is_cut_off_before_the_handshake() {
    let rig = Rig::start(echo(), &["--handshake-timeout=50ms"]).await;
    Client::plain(rig.address).await.closed().await;
}

#[tokio::test]
async fn a_handshake_sent_byte_by_byte_is_cut_off() {
    let rig = Rig::start(echo(), &["--handshake-timeout=50ms"]).await;
    let mut client = Client::plain(rig.address).await;
    client.write("\u{16}\u{3}\u{1}\u{2}").await.unwrap(); // A long greeting begins.
    client.trickle("\u{0}").await;
}

// === Heads ===

#[tokio::test]
async fn a_head_that_stops_arriving_is_cut_off() {
    let rig = Rig::start(echo(), &["--header-timeout=50ms", "--idle-timeout", NEVER]).await;
    let mut client = rig.connect().await;
    client.write("POST / HT").await.unwrap();
    client.closed().await;
}

#[tokio::test]
async fn a_head_sent_byte_by_byte_is_cut_off() {
    let rig = Rig::start(echo(), &["--header-timeout=50ms", "--idle-timeout", NEVER]).await;
    let mut client = rig.connect().await;
    client.write("POST / HTTP/1.1\r\nX: ").await.unwrap();
    client.trickle("y").await;
}

#[tokio::test]
async fn the_second_head_of_a_connection_is_cut_off_as_the_first() {
    let rig = Rig::start(echo(), &["--header-timeout=50ms", "--idle-timeout", NEVER]).await;
    let mut client = rig.connect().await;
    assert_eq!(client.post("/", "first").await.status, 200);
    client.write("POST / HT").await.unwrap();
    client.closed().await;
}

// === Idle connections ===

#[tokio::test]
async fn an_idle_connection_outlives_the_time_for_a_head() {
    let rig = Rig::start(echo(), &["--header-timeout=50ms"]).await;
    let mut client = rig.connect().await;
    stays_open(&mut client).await;
    assert_eq!(client.post("/", "first").await.body, "first");
    stays_open(&mut client).await;
    assert_eq!(client.post("/", "second").await.body, "second");
}

#[tokio::test]
async fn a_connection_is_closed_that_is_idle_for_too_long() {
    let rig = Rig::start(echo(), &["--idle-timeout=50ms"]).await;
    let mut unused = rig.connect().await;
    let mut used = rig.connect().await;
    assert_eq!(used.post("/", "hello").await.status, 200);
    unused.closed().await;
    used.closed().await;
}

#[tokio::test]
async fn a_request_in_progress_is_not_idle() {
    let slow = async || sleep(Duration::from_millis(200)).await;
    let router = Router::new().route("/", post(slow));
    let rig = Rig::start(router, &["--idle-timeout=20ms", "--header-timeout=20ms"]).await;
    assert_eq!(rig.connect().await.post("/", "").await.status, 200);
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut_off() {
    const LONGER_THAN_ANY_SOCKET_HOLDS: usize = 64 << 20;
    let long = async || "y".repeat(LONGER_THAN_ANY_SOCKET_HOLDS);
    let router = Router::new().route("/", post(long));
    let rig = Rig::start(router, &["--body-timeout=50ms"]).await;
    let mut client = rig.connect().await;
    client.write(&request("/", "")).await.unwrap();
    until(async || rig.events.closed.load(Ordering::SeqCst) == 1).await;
}

// === Requests ===

#[rstest]
#[case::as_the_client_asks(&[], "/hang?timeout=200ms")]
#[case::by_default(&["--default-deadline=100ms"], "/hang")]
#[case::where_the_asking_is_no_duration(&["--default-deadline=100ms"], "/hang?timeout=soon")]
#[tokio::test]
async fn a_handler_that_hangs_is_answered_with_503(#[case] flags: &[&str], #[case] target: &str) {
    let rig = Rig::start(hanging(), flags).await;
    let mut client = rig.connect().await;
    let answer = client.post(target, "hello").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "no answer in time\n"));
    assert!(!answer.has_header("retry-after"), "{answer:?}"); // R4
    assert_eq!(client.post("/", "on the same connection").await.status, 200);
}

#[tokio::test]
async fn an_answer_in_time_is_sent_unchanged() {
    let rig = Rig::start(echo(), &[]).await;
    let mut client = rig.connect().await;
    for target in ["/?timeout=30s", "/?timeout=never", "/?timeout=", "/?timeout=-1s", "/?x"] {
        assert_eq!(client.post(target, "hello").await.body, "hello", "{target}");
    }
}

/// However long the client would wait.
#[rstest]
#[case::by_its_own_time("--body-timeout=100ms", "/?timeout=30s")]
#[case::by_the_requests_deadline("--body-timeout=1000h", "/?timeout=100ms")]
#[tokio::test]
async fn a_body_that_stops_arriving_is_answered_with_408(#[case] flag: &str, #[case] target: &str) {
    let rig = Rig::start(hanging(), &[flag]).await;
    let mut client = rig.connect().await;
    let request = request(target, "hello");
    client.write(&request[..request.len() - 1]).await.unwrap();
    let answer = before_the_deadline(&rig, client.answer()).await.unwrap();
    assert_eq!((answer.status, &*answer.body), (408, "the body did not arrive in time\n"));
    assert!(answer.closes());
    client.closed().await;
}

#[tokio::test]
async fn a_body_sent_byte_by_byte_is_cut_off() {
    let rig = Rig::start(hanging(), &["--body-timeout=100ms", "--idle-timeout", NEVER]).await;
    let mut client = rig.connect().await;
    client.write("POST /?timeout=30s HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n").await.unwrap();
    before_the_deadline(&rig, client.trickle("y")).await;
    assert_eq!(client.answer().await.unwrap().status, 408);
}
