//! Calls of the API server, and why a round failed.

use std::{error::Error, time::Duration};

use crate::call;

/// The deadline of one call, with kube's retries, which alone can go on for half an hour.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("cannot {what}")]
    Call { what: String, source: call::CallError },
    #[error("cannot publish the CA: there is no {what}")]
    Missing { what: String },
    #[error("cannot publish the CA: no webhook of {what} is called *{domain}", domain = crate::group::WEBHOOK_SUFFIX)]
    Empty { what: String },
    #[error("cannot change {what}, which is immutable and being deleted: a finalizer keeps it")]
    Stuck { what: String },
    #[error("cannot tell the API server's clock: there is no date in its answers")]
    NoClock,
    #[error("cannot write: {0} conflicts in a row")]
    Conflicts(u32),
    #[error("cannot decide what to write")]
    Undecided(#[source] Box<dyn Error + Send + Sync>),
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteOutcome {
    Done,
    /// The object was changed, created or deleted after it was read.
    Conflict,
}

/// Awaits an answer until the deadline. `what` completes the sentence "cannot …" in errors.
pub(super) async fn call<T>(
    what: impl FnOnce() -> String,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<T, CallError> {
    let answer = call::within(DEADLINE, answer).await;
    answer.map_err(|source| CallError::Call { what: what(), source })
}

/// The same for a write; a conflict is not an error.
pub(super) async fn write<T>(
    what: impl FnOnce() -> String,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<WriteOutcome, CallError> {
    let is_conflict = |status: &kube::core::Status| {
        // Not found: deleted after it was read, alone or with its namespace. The next read shows
        // which.
        status.is_conflict() || status.is_already_exists() || status.is_not_found()
    };
    match call(what, answer).await {
        Ok(_) => Ok(WriteOutcome::Done),
        Err(CallError::Call {
            source: call::CallError::Answer(kube::Error::Api(status)), ..
        }) if is_conflict(&status) => Ok(WriteOutcome::Conflict),
        Err(error) => Err(error),
    }
}
