//! One instant, read from two clocks.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Conditions and Events carry the time of the wall clock. Durations are measured by the monotonic
/// clock, which cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockReading {
    pub(super) wall: Timestamp,
    pub(super) monotonic: Instant,
}

impl ClockReading {
    pub(super) fn now() -> Self {
        Self { wall: Timestamp::now(), monotonic: tokio::time::Instant::now().into_std() }
    }

    pub(super) fn since(self, earlier: Self) -> Duration {
        self.monotonic.saturating_duration_since(earlier.monotonic)
    }
}
