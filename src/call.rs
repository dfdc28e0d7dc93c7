//! Calls of the API server with a deadline.

use std::time::Duration;

use tokio::time::timeout;

/// Why a call of the API server failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Answer(#[from] kube::Error),
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
}

/// Awaits an answer until the deadline. kube alone sends a request again after the answers 429,
/// 503 and 504, with pauses, for up to half an hour.
pub(crate) async fn within<T>(
    deadline: Duration,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<T, CallError> {
    timeout(deadline, answer).await.map_err(|_| CallError::Late(deadline))?.map_err(CallError::from)
}
