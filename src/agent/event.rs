//! What an agent reports to the program that it runs in.

use std::sync::Arc;

use super::{found::Found, report::ReportError};

/// What an agent has done, for logs and metrics.
pub enum AgentEvent<'a> {
    /// The files were looked at.
    Passed(&'a Found),
    /// The API server knows all that was found, which is that profiles are in
    /// place, if it was known which are wanted.
    Reported {
        found: &'a Found,
        /// How many calls that took which write.
        calls: usize,
    },
    ReportFailed(&'a ReportError),
    /// A watch failed and is tried again; what is known stands.
    WatchFailed {
        object: &'static str,
        why: &'a str,
    },
    /// There is an object of which not even the name can be read.
    Unreadable {
        object: &'static str,
        why: &'a str,
    },
}

/// Handles an event; it must not block.
pub type EventHandler = Arc<dyn Fn(AgentEvent<'_>) + Send + Sync>;
