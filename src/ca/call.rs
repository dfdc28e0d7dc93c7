//! A call of the API server that ends.

use std::{error::Error, time::Duration};

use tokio::time::timeout;

/// How long one call may take, kube's own retries included: those alone would
/// go on for half an hour.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("cannot {what}")]
    Refused { what: String, source: kube::Error },
    #[error("cannot {what}: no answer within {} s", DEADLINE.as_secs())]
    Late { what: String },
    #[error("cannot publish the CA: there is no {what}")]
    Missing { what: String },
    #[error("cannot publish the CA: no webhook of {what} is called *{domain}", domain = super::DOMAIN)]
    Empty { what: String },
    #[error("cannot change {what}, which is immutable and being deleted: a finalizer keeps it")]
    Stuck { what: String },
    #[error("cannot tell the API server's clock: there is no date in its answers")]
    NoClock,
    #[error("cannot write: {0} conflicts in a row")]
    Lost(u32),
    #[error("cannot decide what to write")]
    Undecided(#[source] Box<dyn Error + Send + Sync>),
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Done,
    /// Somebody else wrote since we read: read again.
    Conflict,
}

/// The answer of one call.
pub(super) async fn call<T>(
    what: impl FnOnce() -> String,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<T, CallError> {
    match timeout(DEADLINE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(CallError::Refused { what: what(), source }),
        Err(_) => Err(CallError::Late { what: what() }),
    }
}

/// The outcome of one write, of which losing a race is one.
pub(super) async fn write<T>(
    what: impl FnOnce() -> String,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<Written, CallError> {
    let lost = |status: &kube::core::Status| {
        // Deleted since we read it, with the namespace still there or not: the
        // next look tells.
        status.is_conflict() || status.is_already_exists() || status.is_not_found()
    };
    match call(what, answer).await {
        Ok(_) => Ok(Written::Done),
        Err(CallError::Refused { source: kube::Error::Api(status), .. }) if lost(&status) => {
            Ok(Written::Conflict)
        }
        Err(error) => Err(error),
    }
}
