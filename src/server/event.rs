//! What a server reports while it runs.

use std::sync::Arc;

/// An event of a server, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection was accepted.
    Opened,
    /// A connection that was accepted has ended.
    Closed,
    /// A connection was closed at once: it was one too many, and all others were at work.
    Refused,
    /// A connection that waited for its client was closed, to make room for another connection or
    /// body.
    Replaced,
    /// A request was one too many and answered with 503.
    Shed,
    /// A request was answered with 503, because the memory limit had no room for its body.
    NoRoom,
}

/// Is called for every event, from any thread; it must not block.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;
