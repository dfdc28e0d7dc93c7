//! What time it is: by the API server's clock, and by ours.
//!
//! Certificates are verified by API servers, so it is their clock that counts.
//! But a single clock can be wrong, ours as well as theirs: nothing that all
//! replicas share is changed unless the two agree.

use std::time::{Instant, SystemTime};

use jiff::SignedDuration;

use super::lifetimes::{APART, WORTH_A_WARNING};

/// The time, by the clock on the wall and by one that nobody can set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) wall: SystemTime,
    pub(super) steady: Instant,
}

/// The API server's clock in one answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerTime {
    /// In whole seconds: up to one more had passed.
    pub(super) date: SystemTime,
    /// When the request was sent.
    pub(super) sent: Instant,
    /// When the answer began to come.
    pub(super) received: Instant,
}

/// Our clock beside the API server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    /// By how many seconds ours is ahead at least; negative if it is behind.
    pub(super) ahead: i64,
    pub(super) verdict: Agreement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// Within a minute.
    Agrees,
    /// Within five.
    Apart,
    /// One of the two is wrong.
    Differs,
}

/// A time that is early enough for whoever may look, and one that is late enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) early: SystemTime,
    pub(super) late: SystemTime,
}

impl Moment {
    /// What our clock showed at that time, unless it was set since.
    fn wall_at(self, then: Instant) -> SystemTime {
        self.wall - self.steady.saturating_duration_since(then)
    }
}

impl ServerTime {
    /// What the API server's clock shows now, or showed a second ago.
    ///
    /// The steady clock goes on from the date of the answer: ours may be set
    /// meanwhile.
    pub(super) fn now(self, now: Moment) -> SystemTime {
        self.date + now.steady.saturating_duration_since(self.received)
    }

    /// From the clock that is behind to the one that is ahead.
    pub(super) fn span(self, now: Moment) -> Span {
        let theirs = self.now(now);
        Span { early: theirs.min(now.wall), late: theirs.max(now.wall) }
    }

    /// How far the clocks are apart at least: for all we know, the date was
    /// written when the request was sent, or a second before the answer came.
    pub(super) fn compare(self, now: Moment) -> Comparison {
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
        Comparison { ahead: ahead.as_secs(), verdict }
    }
}

impl Agreement {
    /// Whether what all replicas share may be changed by these clocks.
    pub(super) fn is_enough(self) -> bool {
        self != Self::Differs
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;

    const TEN_YEARS: i64 = 10 * 365 * 24 * 3600;

    fn date() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(20_000 * 24)
    }

    /// A reading whose answer took that long, when our clock was off by `ahead`.
    fn read(ahead: i64, took: u64) -> (ServerTime, Moment) {
        let sent = Instant::now();
        let received = sent + Duration::from_secs(took);
        let off = Duration::from_secs(ahead.unsigned_abs());
        let wall = if ahead < 0 { date() - off } else { date() + off };
        (ServerTime { date: date(), sent, received }, Moment { wall, steady: received })
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
        assert_eq!(reading.compare(now), Comparison { ahead: expected, verdict });
    }

    #[test]
    fn a_clock_that_is_set_does_not_set_the_api_servers() {
        let (reading, now) = read(0, 0);
        let hour = Duration::from_hours(1);
        let later = Moment { wall: now.wall + 365 * 24 * hour, steady: now.steady + hour };
        assert_eq!(reading.now(later), date() + hour);
        assert_eq!(reading.span(later), Span { early: date() + hour, late: later.wall });
    }
}
