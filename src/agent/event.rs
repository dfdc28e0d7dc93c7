//! The events that an agent reports to its program.

use std::{sync::Arc, time::SystemTime};

use super::{pass_result::PassResult, report::ReportError};
pub use crate::clock::{Agreement, ClockSkew};

/// An event for metrics, readiness and logs.
pub enum AgentEvent<'a> {
    /// A pass over the files was made.
    Passed(&'a PassResult),
    /// A pass has not ended for so long that the condition of the node is no longer renewed.
    PassHangs,
    /// The API server has stored everything that the pass found. If the profiles of the cluster
    /// were known, this includes that they are installed.
    Reported {
        found: &'a PassResult,
        /// The number of calls that wrote something.
        calls: usize,
        /// The API server's time, or the system clock's if the API server sends none.
        at: SystemTime,
        /// How the clock of the node differs from the API server's, if that is known.
        skew: Option<ClockSkew>,
    },
    ReportFailed(&'a ReportError),
    /// A watch failed and is tried again; what it reported before still counts.
    WatchFailed {
        object: &'static str,
        why: &'a str,
    },
    /// An object has no readable name.
    Unreadable {
        object: &'static str,
        why: &'a str,
    },
}

/// Handles an event; it must not block.
pub type EventHandler = Arc<dyn Fn(AgentEvent<'_>) + Send + Sync>;
