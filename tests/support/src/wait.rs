//! Waiting for conditions.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

/// How long anything may take before the test gives up. It does not say how
/// fast anything has to be.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Polls until there is an answer.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    poll(PATIENCE, what, ask).await
}

/// The same, where it may take minutes.
pub async fn patiently<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    poll(10 * PATIENCE, what, ask).await
}

async fn poll<T>(patience: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < patience, "waited in vain: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for a future that has to end.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("what the test waits for has to happen")
}

/// Polls for a condition without a notification.
pub async fn until(mut condition: impl AsyncFnMut() -> bool) {
    in_time(async {
        while !condition().await {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
