//! Replicas that may have few files open, and more clients than that.

use support::wait::until;
use tokio::net::TcpStream;

use crate::commands::Running;

/// More than both may have open at first.
const CLIENTS: usize = 600;

/// Clients that say nothing, of a replica that was started within a limit.
async fn held(limit: &str) -> (Running, Vec<TcpStream>) {
    let words = [
        "serve",
        "--standalone",
        "--listen=127.0.0.1:0",
        "--handshake-timeout=5m",
        "--max-connections=1024",
    ];
    let running = Running::limited(limit, &words, Vec::new());
    let mut held = Vec::new();
    for _ in 0..CLIENTS {
        let stream = TcpStream::connect(running.address.expect("it serves")).await;
        held.push(stream.expect("the server listens"));
    }
    (running, held)
}

#[tokio::test]
async fn the_limit_on_open_files_is_raised_to_the_maximum() {
    let (running, _held) = held("ulimit -Sn 256").await;
    until(async || running.metric("callgate_connections").await == Some(CLIENTS)).await;
}

#[tokio::test]
async fn connections_leave_file_descriptors_free_even_under_a_low_limit() {
    let (running, _held) = held("ulimit -n 256").await;
    let replaced = Some(CLIENTS - 128);
    until(async || running.metric("callgate_connections_replaced_total").await == replaced).await;
    assert_eq!(running.metric("callgate_connections").await, Some(128));
    assert!(running.open_files() < 256 - 64, "{}", running.open_files());
}
