//! What a replica reports about the CA and its serving certificate.

use std::time::SystemTime;

/// A change, for metrics and readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaEvent {
    /// A new serving certificate is presented, which expires then. The first one means that there
    /// is one.
    Leaf { not_after: SystemTime },
    /// The CA that signs expires then.
    Ca { not_after: SystemTime },
    /// Whether all our webhooks trust the presented certificate.
    ///
    /// Once they did, a replica stays ready: an overwritten bundle is no reason to take all
    /// replicas away.
    Trusted(bool),
    /// By how many seconds our clock is ahead of the API server's, and whether the difference is
    /// small enough for a replica to be ready.
    Clock { ahead: i64, is_near: bool },
    /// The Secret was written, by the step of this name.
    Stored(&'static str),
    /// A configuration got the bundle.
    Published,
    /// A configuration of this kind got the bundle back that another field manager had
    /// overwritten.
    PutBack(&'static str),
    /// A read or write failed; it is logged and retried.
    Failed,
}
