//! A thousand connections at once, in the memory of the Deployment.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{StreamExt, stream};
use support::{client::Encrypted, wait::in_time};

use super::{Target, bodies, ordinary, posted};

const CONNECTIONS: usize = 1000;

/// So many of them shake hands at the same time.
const HANDSHAKES: usize = 50;

/// A body of usual size, and how much of it comes.
const ANNOUNCED: usize = 32 << 10;
const SENT: usize = 24 << 10;

/// `-- --nocapture` prints the memory that it takes, which docs/performance.md quotes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "a figure, with --nocapture")]
async fn a_thousand_connections_at_once_have_room_beside_the_largest_facts() {
    let _ = callgate::server::room_for_clients();
    let target = Arc::new(Target::start());
    let mut clients: Vec<Encrypted> = stream::iter(0..CONNECTIONS)
        .map(|at| {
            let target = Arc::clone(&target);
            let peer = Ipv4Addr::new(127, 0, 1, u8::try_from(at % 4 + 1).expect("it is small"));
            async move { target.connect(peer).await.expect("there is room for one more") }
        })
        .buffer_unordered(HANDSHAKES)
        .collect()
        .await;

    // All send a request before any reads an answer. Connections that made room for others are cut.
    let review = posted("/validate?timeout=30s", &ordinary());
    for client in &mut clients {
        let _ = client.write(&review).await;
    }
    let mut answered = 0;
    for client in &mut clients {
        let Ok(answer) = client.answer().await else { continue };
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        answered += usize::from(answer.status == 200);
    }
    assert!(answered >= 256, "{answered} of {CONNECTIONS} found a place");

    // All hold a body that stops coming, while others send the largest ones.
    let part = posted("/validate?timeout=30s", &"x".repeat(ANNOUNCED));
    let part = &part[..part.len() - (ANNOUNCED - SENT)];
    for client in &mut clients {
        let _ = client.write(part).await;
    }
    let stop = Arc::<AtomicBool>::default();
    let legitimate = [false, true].map(|anew| {
        let (target, stop) = (Arc::clone(&target), Arc::clone(&stop));
        tokio::spawn(async move { target.reviews(&stop, anew).await })
    });
    for body in bodies::all().values() {
        // Whether there is room for it is the server's to decide.
        let _ = target.post(&posted("/validate?timeout=30s", body)).await;
    }
    // The kernel does not report it after the process has ended.
    let peak = target.running.peak();
    stop.store(true, Ordering::SeqCst);
    for task in legitimate {
        assert!(in_time(task).await.expect("no review fails") > 0);
    }
    drop(clients);
    let mut target = Arc::into_inner(target).expect("nobody else has it");
    assert!(target.running.is_alive(), "the replica has ended");
    println!("{CONNECTIONS} connections at once: {peak} KiB at most");
}
