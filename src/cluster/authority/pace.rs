//! How often to write, and how long to wait after a failure.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Writes that follow each other without a pause, as healing and rotating take.
const FREE: usize = 10;
/// In which time.
const WINDOW: Duration = Duration::from_mins(1);

const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Keeps us from fighting at full speed with somebody who overwrites what we
/// wrote, and from knocking at a door that does not open.
#[derive(Debug, Default)]
pub(super) struct Pace {
    writes: VecDeque<Instant>,
    failures: u32,
}

impl Pace {
    /// How long to wait after a write.
    pub(super) fn after_write(&mut self, now: Instant) -> Duration {
        self.failures = 0;
        self.writes.push_back(now);
        if self.writes.len() <= FREE {
            return Duration::ZERO;
        }
        let oldest = self.writes.pop_front().unwrap_or(now);
        (oldest + WINDOW).saturating_duration_since(now)
    }

    pub(super) fn after_rest(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after a failure: twice as long as after the last.
    pub(super) fn after_failure(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = (self.failures + 1).min(16);
        SHORTEST.saturating_mul(factor).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_takes_no_pause_and_a_fight_does() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for _ in 0..FREE {
            assert_eq!(pace.after_write(now), Duration::ZERO);
        }
        let start = now;
        for _ in 0..6 * FREE {
            now += pace.after_write(now);
        }
        assert_eq!(now.duration_since(start), 6 * WINDOW);
    }

    #[test]
    fn a_pause_makes_up_for_many_writes() {
        let mut pace = Pace::default();
        let now = Instant::now();
        for _ in 0..FREE {
            pace.after_write(now);
        }
        assert_eq!(pace.after_write(now + WINDOW), Duration::ZERO);
    }

    #[test]
    fn failures_wait_longer_and_longer_up_to_a_bound() {
        let mut pace = Pace::default();
        let waits: Vec<_> = (0..9).map(|_| pace.after_failure().as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        for _ in 0..100 {
            assert_eq!(pace.after_failure(), LONGEST);
        }
        pace.after_rest();
        assert_eq!(pace.after_failure(), SHORTEST);
    }
}
