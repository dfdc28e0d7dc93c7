//! Limits how often we write, and backs off after failures.

use std::time::{Duration, Instant};

/// Writes to one object without a pause between them: repair and rotation need several.
const BURST: u32 = 10;

/// Time until the bucket has one more token.
const REFILL: Duration = Duration::from_millis(250);

/// A token bucket for the writes to one object.
///
/// It bounds the writes of a fight with another client that overwrites the object, and still
/// restores the object more often than a client overwrites it that writes once a second.
#[derive(Debug)]
pub(super) struct TokenBucket {
    refill: Duration,
    full_at: Instant,
}

/// Exponential backoff: each pause is twice as long as the one before, from `shortest` to
/// `longest`.
///
/// `backon` adds a random time to each pause instead of scaling all pauses of a replica, and counts
/// no failures.
#[derive(Debug)]
pub(super) struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
}

impl TokenBucket {
    /// A full bucket. `jitter`, between 0 and 1, differs between replicas, so that they do not
    /// write in step.
    pub(super) fn new(now: Instant, jitter: f64) -> Self {
        Self { refill: REFILL.mul_f64(spread(jitter)), full_at: now }
    }

    /// The time until there is a token; zero if there is one.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.after(now).saturating_duration_since(now + self.refill * BURST)
    }

    /// Takes a token, for a write that succeeded.
    pub(super) fn spend(&mut self, now: Instant) {
        self.full_at = self.after(now);
    }

    /// When the bucket is full again after one more token is taken.
    fn after(&self, now: Instant) -> Instant {
        self.full_at.max(now) + self.refill
    }
}

impl Backoff {
    /// The `jitter` is that of [`TokenBucket::new`].
    pub(super) fn new(shortest: Duration, longest: Duration, jitter: f64) -> Self {
        let spread = spread(jitter);
        Self { shortest: shortest.mul_f64(spread), longest: longest.mul_f64(spread), failures: 0 }
    }

    pub(super) fn next(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        self.shortest.saturating_mul(factor).min(self.longest)
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The number of failures since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

/// The clock of tokio's timers, which tests can pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A factor from 0.8 to 1.2.
fn spread(jitter: f64) -> f64 {
    0.8 + 0.4 * jitter.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// The writes of a while, if there is always something to write.
    fn writes(bucket: &mut TokenBucket, start: Instant, end: Instant) -> u32 {
        let (mut now, mut writes) = (start, 0);
        while now < end {
            match bucket.wait(now) {
                Duration::ZERO => {
                    bucket.spend(now);
                    writes += 1;
                }
                wait => now += wait,
            }
        }
        writes
    }

    #[test]
    fn a_rotation_takes_no_pause_and_a_fight_does() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(start, 0.5);
        for _ in 0..BURST {
            assert_eq!(bucket.wait(start), Duration::ZERO);
            bucket.spend(start);
        }
        assert_eq!(bucket.wait(start), REFILL);
        assert_eq!(writes(&mut bucket, start, start + Duration::from_mins(1)), 4 * 60 - 1);
    }

    #[rstest]
    #[case::the_fastest_replica(0_f64)]
    #[case::the_slowest_replica(1_f64)]
    fn two_writes_a_second_never_wait(#[case] jitter: f64) {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(start, jitter);
        for write in 0..1000 {
            let now = start + write * Duration::from_millis(500);
            assert_eq!(bucket.wait(now), Duration::ZERO);
            bucket.spend(now);
        }
    }

    #[test]
    fn an_empty_bucket_is_full_again_after_a_few_seconds() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(start, 1.0);
        writes(&mut bucket, start, start + Duration::from_secs(10));
        let later = start + Duration::from_secs(13);
        assert_eq!(writes(&mut bucket, later, later + Duration::from_nanos(1)), BURST);
    }

    #[test]
    fn replicas_do_not_run_dry_together() {
        let start = Instant::now();
        let waits = [0.0, 0.5, 1.0].map(|jitter| {
            let mut bucket = TokenBucket::new(start, jitter);
            (0..BURST).for_each(|_| bucket.spend(start));
            bucket.wait(start).as_millis()
        });
        assert_eq!(waits, [200, 250, 300]);
    }

    #[test]
    fn failures_wait_longer_and_longer_up_to_a_bound() {
        let (shortest, longest) = (Duration::from_millis(500), Duration::from_secs(30));
        let mut backoff = Backoff::new(shortest, longest, 0.5);
        let waits: Vec<_> = (0..9).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        for _ in 0..100 {
            assert_eq!(backoff.next(), longest);
        }
        backoff.reset();
        assert_eq!(backoff.next(), shortest);
    }
}
