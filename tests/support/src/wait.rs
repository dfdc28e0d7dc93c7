//! Waiting for conditions.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

/// How long anything may take before the test gives up. It does not say how
/// fast anything has to be.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The time between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// Polls until there is an answer.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    poll(PATIENCE, PAUSE, what, ask).await
}

/// The same, where it may take minutes.
pub async fn patiently<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    poll(10 * PATIENCE, PAUSE, what, ask).await
}

/// The same, where the time depends on how much there is to do, and each question costs as much as
/// that: it asks once a second.
pub async fn at_length<T>(
    patience: Duration,
    what: &str,
    ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    poll(patience, Duration::from_secs(1), what, ask).await
}

async fn poll<T>(
    patience: Duration,
    pause: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < patience, "waited in vain: {what}");
        sleep(pause).await;
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
