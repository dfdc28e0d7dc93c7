//! The time by the API server's clock and by ours.
//!
//! API servers verify certificates, so their clock decides whether one is valid. But either clock
//! can be wrong: a replica writes to shared objects only while the two agree.

mod server_clock;

use std::time::{Duration, Instant, SystemTime};

use jiff::SignedDuration;

pub(crate) use self::server_clock::ServerClock;

/// The largest difference between our clock and the API server's with which a replica writes. If it
/// is larger, one of the two clocks is wrong, and a replica cannot know which.
pub(crate) const APART: Duration = Duration::from_mins(5);

/// A larger difference is logged as a warning.
const WORTH_A_WARNING: Duration = Duration::from_mins(1);

/// Our wall clock, and the monotonic clock, which cannot be set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalTime {
    pub(crate) wall: SystemTime,
    pub(crate) monotonic: Instant,
}

/// The `Date` of one answer of the API server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerTime {
    /// In whole seconds: the API server's clock was up to one second ahead of it.
    pub(crate) date: SystemTime,
    /// When the request was sent.
    pub(crate) sent: Instant,
    /// When the head of the answer was received.
    pub(crate) received: Instant,
}

/// The difference between our clock and the API server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSkew {
    /// The least number of seconds by which ours is ahead; negative if it is behind.
    pub ahead: i64,
    pub verdict: Agreement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// The difference is a minute at most.
    Agrees,
    /// The difference is five minutes at most.
    Apart,
    /// The difference is larger: one of the two is wrong.
    Differs,
}

/// The earlier and the later of the two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeRange {
    pub(crate) early: SystemTime,
    pub(crate) late: SystemTime,
}

impl LocalTime {
    /// The current time, by the system's clocks.
    pub(crate) fn now() -> Self {
        Self { wall: SystemTime::now(), monotonic: Instant::now() }
    }

    /// What our wall clock showed at that instant, unless it was set since.
    fn wall_at(self, then: Instant) -> SystemTime {
        self.wall - self.monotonic.saturating_duration_since(then)
    }
}

impl ServerTime {
    /// The API server's time, up to one second behind: the `Date`, continued by the monotonic clock.
    /// Our wall clock may be set meanwhile.
    pub(crate) fn now(self, now: LocalTime) -> SystemTime {
        self.date + now.monotonic.saturating_duration_since(self.received)
    }

    /// The range between the two clocks.
    pub(crate) fn span(self, now: LocalTime) -> TimeRange {
        let theirs = self.now(now);
        TimeRange { early: theirs.min(now.wall), late: theirs.max(now.wall) }
    }

    /// The least difference that explains the `Date`, which the API server wrote between the request
    /// and the answer, and rounded down to a second.
    pub(crate) fn compare(self, now: LocalTime) -> ClockSkew {
        let ahead = |ours| SignedDuration::system_until(self.date, ours).unwrap_or_default();
        let most = ahead(now.wall_at(self.received));
        let least = ahead(now.wall_at(self.sent)) - SignedDuration::from_secs(1);
        let ahead = if least.is_positive() {
            least
        } else if most.is_negative() {
            most
        } else {
            SignedDuration::ZERO
        };
        let verdict = match ahead.unsigned_abs() {
            it if it <= WORTH_A_WARNING => Agreement::Agrees,
            it if it <= APART => Agreement::Apart,
            _ => Agreement::Differs,
        };
        ClockSkew { ahead: ahead.as_secs(), verdict }
    }
}

/// Logs when our clock and the API server's differ, and when they agree again: once for each change.
#[derive(Default)]
pub(crate) struct SkewLog(Option<Agreement>);

impl SkewLog {
    /// `log_difference` logs a difference of more than five minutes.
    pub(crate) fn log(&mut self, skew: ClockSkew, log_difference: impl FnOnce(i64)) {
        let ClockSkew { ahead, verdict } = skew;
        let before = self.0.replace(verdict);
        match verdict {
            it if before == Some(it) => {}
            Agreement::Agrees if before.is_none() => {}
            Agreement::Agrees => tracing::info!("the clock agrees with the API server's again"),
            Agreement::Apart => warn_of_skew(ahead),
            Agreement::Differs => log_difference(ahead),
        }
    }
}

/// Logs that our clock is ahead of the API server's by so many seconds.
pub(crate) fn warn_of_skew(ahead: i64) {
    tracing::warn!(ahead_s = ahead, "the clock is not the API server's");
}

impl Agreement {
    /// Whether a replica with these clocks may write to shared objects.
    pub(crate) fn is_enough(self) -> bool {
        self != Self::Differs
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TEN_YEARS: i64 = 10 * 365 * 24 * 3600;

    fn date() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(20_000 * 24)
    }

    /// A reading whose answer took that long, when our clock was off by `ahead`.
    fn read(ahead: i64, took: u64) -> (ServerTime, LocalTime) {
        let sent = Instant::now();
        let received = sent + Duration::from_secs(took);
        let off = Duration::from_secs(ahead.unsigned_abs());
        let wall = if ahead < 0 { date() - off } else { date() + off };
        (ServerTime { date: date(), sent, received }, LocalTime { wall, monotonic: received })
    }

    #[rstest]
    #[case::the_same(0, 0, 0, Agreement::Agrees)]
    #[case::within_a_second(1, 0, 0, Agreement::Agrees)]
    #[case::a_second_more(2, 0, 1, Agreement::Agrees)]
    #[case::a_minute_ahead(61, 0, 60, Agreement::Agrees)]
    #[case::more_than_a_minute_ahead(62, 0, 61, Agreement::Apart)]
    #[case::a_minute_behind(-60, 0, -60, Agreement::Agrees)]
    #[case::more_than_a_minute_behind(-61, 0, -61, Agreement::Apart)]
    #[case::five_minutes_ahead(301, 0, 300, Agreement::Apart)]
    #[case::more_than_five_ahead(302, 0, 301, Agreement::Differs)]
    #[case::five_minutes_behind(-300, 0, -300, Agreement::Apart)]
    #[case::more_than_five_behind(-301, 0, -301, Agreement::Differs)]
    #[case::ten_years_ahead(TEN_YEARS, 0, TEN_YEARS - 1, Agreement::Differs)]
    #[case::ten_years_behind(-TEN_YEARS, 0, -TEN_YEARS, Agreement::Differs)]
    #[case::an_answer_that_took_long_proves_nothing(9, 10, 0, Agreement::Agrees)]
    #[case::not_even_that(20, 10, 9, Agreement::Agrees)]
    fn clocks_are_compared(
        #[case] ahead: i64,
        #[case] took: u64,
        #[case] expected: i64,
        #[case] verdict: Agreement,
    ) {
        let (reading, now) = read(ahead, took);
        assert_eq!(reading.compare(now), ClockSkew { ahead: expected, verdict });
    }

    #[test]
    fn a_clock_that_is_set_does_not_set_the_api_servers() {
        let (reading, now) = read(0, 0);
        let hour = Duration::from_hours(1);
        let later = LocalTime { wall: now.wall + 365 * 24 * hour, monotonic: now.monotonic + hour };
        assert_eq!(reading.now(later), date() + hour);
        assert_eq!(reading.span(later), TimeRange { early: date() + hour, late: later.wall });
    }
}
