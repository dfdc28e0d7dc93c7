//! A rate limit.

use std::time::{Duration, Instant};

/// The rate limit of all writes of one type: some at once, and further ones apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// How many writes may follow each other at once.
    burst: u32,
    /// The interval between further ones.
    every: Duration,
    /// When all writes so far would have ended, had they been that far apart.
    spent: Option<Instant>,
}

impl Budget {
    pub(super) const fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every, spent: None }
    }

    /// The earliest instant for one more write; `None` if there is no limit yet.
    pub(super) fn free(&self) -> Option<Instant> {
        self.spent?.checked_sub(self.every * (self.burst - 1))
    }

    /// Counts a write.
    pub(super) fn spend(&mut self, now: Instant) {
        let spent = self.spent.map_or(now, |it| it.max(now));
        self.spent = Some(spent + self.every);
    }
}
