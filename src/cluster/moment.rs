//! An instant by two clocks.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// What is written carries a date, and pauses are measured by a clock that
/// nobody can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) wall: Timestamp,
    pub(super) steady: Instant,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { wall: Timestamp::now(), steady: tokio::time::Instant::now().into_std() }
    }

    pub(super) fn since(self, earlier: Self) -> Duration {
        self.steady.saturating_duration_since(earlier.steady)
    }
}
