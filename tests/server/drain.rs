//! Stopping without losing a request.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::post};
use callgate::server::{Order, signals};
use support::{
    client::request,
    wait::{in_time, until},
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::rig::{Rig, echo};

/// Takes a moment to answer, as long as a large review.
fn working() -> Router {
    Router::new().route(
        "/",
        post(async |body: String| {
            sleep(Duration::from_millis(2)).await;
            body
        }),
    )
}

/// The results of the requests of all clients.
#[derive(Default)]
struct Outcomes {
    answered: AtomicUsize,
    told_to_close: AtomicUsize,
    /// Written to the last byte, and never answered.
    lost: AtomicUsize,
}

/// Posts on one connection after another, until none is accepted any more.
async fn post_all_the_while(rig: Arc<Rig>, outcomes: Arc<Outcomes>) {
    while let Ok(mut client) = rig.try_connect().await {
        while client.write(&request("/", "hello")).await.is_ok() {
            let Ok(answer) = client.answer().await else {
                outcomes.lost.fetch_add(1, Ordering::SeqCst);
                break;
            };
            assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
            outcomes.answered.fetch_add(1, Ordering::SeqCst);
            if answer.closes() {
                outcomes.told_to_close.fetch_add(1, Ordering::SeqCst);
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_by_clients_that_post_all_the_while() {
    let rig = Arc::new(Rig::start(working(), &["--drain-delay=1s"]).await);
    let outcomes = Arc::<Outcomes>::default();
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        clients.spawn(post_all_the_while(Arc::clone(&rig), Arc::clone(&outcomes)));
    }
    until(async || outcomes.answered.load(Ordering::SeqCst) > 100).await;
    rig.orders.send_replace(Order::Drain);
    while let Some(client) = in_time(clients.join_next()).await {
        client.unwrap();
    }
    assert_eq!(outcomes.lost.load(Ordering::SeqCst), 0);
    assert!(outcomes.told_to_close.load(Ordering::SeqCst) >= 8);
    Arc::into_inner(rig).unwrap().stopped().await;
}

#[tokio::test]
async fn while_draining_every_answer_closes_its_connection_and_new_ones_are_accepted() {
    let rig = Rig::start(echo(), &["--drain-delay=1000h"]).await;
    let mut old = rig.connect().await;
    assert!(!old.post("/", "before").await.closes());
    rig.orders.send_replace(Order::Drain);
    until(async || !rig.readiness.missing().is_empty()).await;
    let answer = old.post("/", "after").await;
    assert!(answer.closes()); // T2
    old.closed().await;
    let answer = rig.connect().await.post("/", "anew").await;
    assert_eq!((answer.status, answer.closes()), (200, true));
}

/// A router whose answer waits for the gate.
fn gated(gate: &Arc<Notify>, entered: &Arc<Notify>) -> Router {
    let (gate, entered) = (Arc::clone(gate), Arc::clone(entered));
    let handler = async move || {
        entered.notify_one();
        gate.notified().await;
        "done"
    };
    echo().route("/gated", post(handler))
}

#[tokio::test]
async fn requests_in_flight_are_answered_after_the_last_connection_was_taken() {
    let (gate, entered) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let rig = Rig::start(gated(&gate, &entered), &["--drain-delay=0"]).await;
    let mut idle = rig.connect().await;
    assert_eq!(idle.post("/", "hello").await.status, 200);
    let mut busy = rig.connect().await;
    busy.write(&request("/gated", "")).await.unwrap();
    in_time(entered.notified()).await;

    rig.drain_until_closed().await;
    idle.closed().await;
    assert!(!rig.running.is_finished());
    gate.notify_one();
    let answer = busy.answer().await.unwrap();
    assert_eq!((answer.body.as_str(), answer.closes()), ("done", true));
    rig.stopped().await;
}

#[tokio::test]
async fn a_request_whose_body_is_still_arriving_is_in_flight() {
    let rig = Rig::start(echo(), &["--drain-delay=0"]).await;
    let mut client = rig.connect().await;
    let request = request("/", "hello");
    let (half, rest) = request.split_at(request.len() - 2);
    client.write(half).await.unwrap();
    // Another connection's answer proves that the server has read that far.
    assert_eq!(rig.connect().await.post("/", "").await.status, 200);
    rig.drain_until_closed().await;
    client.write(rest).await.unwrap();
    assert_eq!(client.answer().await.unwrap().body, "hello");
    rig.stopped().await;
}

#[tokio::test]
async fn a_new_connection_can_still_send_a_request_during_the_drain() {
    let rig = Rig::start(echo(), &["--drain-delay=0"]).await;
    let mut client = rig.connect().await;
    rig.drain_until_closed().await;
    let answer = client.post("/", "hello").await;
    assert_eq!((answer.body.as_str(), answer.closes()), ("hello", true));
    rig.stopped().await;
}

#[tokio::test]
async fn a_connection_in_the_accept_queue_is_served_during_the_drain() {
    let rig = Rig::start(echo(), &["--drain-delay=0"]).await;
    // It blocks the test's only thread: the server cannot have accepted it.
    let waiting = std::net::TcpStream::connect(rig.address).unwrap();
    rig.orders.send_replace(Order::Drain);
    let answer = rig.connect_by(waiting).await.unwrap().post("/", "hello").await;
    assert_eq!((answer.body.as_str(), answer.closes()), ("hello", true));
    rig.stopped().await;
}

#[tokio::test]
async fn a_silent_connection_does_not_delay_the_stop() {
    let rig = Rig::start(echo(), &["--drain-delay=0", "--drain-timeout=1000h"]).await;
    let mut client = rig.connect().await;
    rig.drain_until_closed().await;
    client.closed().await;
    rig.stopped().await;
}

#[tokio::test]
async fn a_request_that_takes_longer_than_the_drain_timeout_is_dropped() {
    let (gate, entered) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let flags = ["--drain-delay=0", "--drain-timeout=50ms"];
    let rig = Rig::start(gated(&gate, &entered), &flags).await;
    let mut client = rig.connect().await;
    client.write(&request("/gated", "")).await.unwrap();
    in_time(entered.notified()).await;
    rig.orders.send_replace(Order::Drain);
    rig.stopped().await;
    client.closed().await;
}

#[tokio::test]
async fn a_second_signal_stops_the_server_at_once() {
    for flags in [["--drain-delay=1000h"], ["--drain-delay=0"]] {
        let (gate, entered) = (Arc::<Notify>::default(), Arc::<Notify>::default());
        let rig = Rig::start(gated(&gate, &entered), &flags).await;
        let mut client = rig.connect().await;
        client.write(&request("/gated", "")).await.unwrap();
        in_time(entered.notified()).await;
        rig.orders.send_replace(Order::Drain);
        until(async || !rig.readiness.missing().is_empty()).await;
        assert!(!rig.running.is_finished());
        rig.orders.send_replace(Order::Quit);
        rig.stopped().await;
        client.closed().await;
    }
}

#[tokio::test]
async fn the_server_does_not_stop_without_an_order() {
    let rig = Rig::start(echo(), &[]).await;
    let (dropped, _) = tokio::sync::watch::channel(Order::Serve);
    let Rig { orders, running, .. } = rig;
    drop((orders, dropped));
    assert!(timeout(Duration::from_millis(100), running).await.is_err());
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_quits() {
    let mut orders = signals().unwrap();
    for (signal, expected) in [("TERM", Order::Drain), ("INT", Order::Quit)] {
        assert!(*orders.borrow() < expected);
        let pid = std::process::id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -s $0 $1", signal, &pid]).status().unwrap();
        assert!(sent.success());
        in_time(orders.wait_for(|it| *it == expected)).await.unwrap();
    }
}
