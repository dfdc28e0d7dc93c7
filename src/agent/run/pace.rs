//! Decides when to report a change to the API server: soon after a quiet time, and less and less
//! often while changes go on. Pure.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

/// How often the agent reports although nothing has changed, so that a condition whose agent is
/// gone can be recognised.
pub(super) const REFRESH: Duration = Duration::from_mins(5);

/// How many calls per second all agents together may make, besides the heartbeats, of which each
/// agent sends one every five minutes.
const ALL_TOGETHER: u32 = 35;

/// The largest number of calls of a report, except the first.
const CALLS: u32 = 3;

/// All times are durations since one start, by a monotonic clock.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// The shortest and the longest time between two reports.
    least: Duration,
    most: Duration,
    /// The delay of the first report after a quiet time.
    delay: Duration,
    gap: Duration,
    last: Option<Duration>,
    /// When the waiting report is due.
    due: Option<Duration>,
}

impl Pace {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, delay: Duration::ZERO, gap: least, last: None, due: None }
    }

    /// Spreads reports that all agents would send at one moment over that time, so that they do not
    /// overload the API server. `phase` is from 0 to 1.
    pub(super) fn spread(&mut self, over: Duration, phase: f64) {
        let least = self.least.max(over);
        (self.most, self.delay) = (self.most.max(over), over.mul_f64(phase));
        if least != self.least {
            (self.least, self.gap) = (least, self.gap.max(least));
        }
    }

    /// There is something to report; returns when to.
    pub(super) fn due(&mut self, now: Duration) -> Duration {
        let due = match self.last {
            Some(last) if self.goes_on(last, now) => now.max(last + self.gap),
            _ => now + self.delay,
        };
        *self.due.get_or_insert(due)
    }

    /// A report was sent.
    pub(super) fn reported(&mut self, now: Duration) {
        let goes_on = self.last.is_some_and(|it| self.goes_on(it, now));
        self.gap = if goes_on { (self.gap * 2).min(self.most) } else { self.least };
        (self.last, self.due) = (Some(now), None);
    }

    /// There is nothing to report any more.
    pub(super) fn calm(&mut self) {
        self.due = None;
    }

    fn goes_on(&self, last: Duration, now: Duration) -> bool {
        now <= last + self.gap * 2 + self.delay
    }
}

/// Over how long to spread the reports of that many nodes.
pub(super) fn spread_of(nodes: usize) -> Duration {
    let calls = u32::try_from(nodes).unwrap_or(u32::MAX).saturating_mul(CALLS);
    Duration::from_secs(calls.into()) / ALL_TOGETHER
}

/// A number from 0 to 1 that differs between nodes.
pub(super) fn phase(node: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    node.hash(&mut hasher);
    // 32 bits are more than enough.
    f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

/// A factor from 1 to 1.5 that differs between nodes: thousands of agents that lost the API server
/// at one moment must not come back at one moment.
pub(super) fn stagger(node: &str) -> f64 {
    1.0 + phase(node) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_millis(300);
    const MOST: Duration = Duration::from_secs(10);

    /// When a node reports, if something changes at each of these times.
    fn reports(
        mut pace: Pace,
        news: impl Iterator<Item = Duration>,
        end: Duration,
    ) -> Vec<Duration> {
        let mut reports = Vec::new();
        let mut due = None;
        for now in news.chain([end]) {
            while let Some(at) = due.filter(|it| *it <= now) {
                reports.push(at);
                pace.reported(at);
                due = None;
            }
            due = due.or_else(|| Some(pace.due(now)));
        }
        reports
    }

    fn every(pause: u64, count: u64) -> impl Iterator<Item = Duration> {
        (0..count).map(move |it| Duration::from_millis(it * pause))
    }

    #[test]
    fn a_single_change_is_reported_at_once_and_repeated_ones_less_often() {
        let pace = || Pace::new(LEAST, MOST);
        let hour = Duration::from_hours(1);
        assert_eq!(reports(pace(), every(0, 1), hour), [Duration::ZERO]);
        // A thousand changes in a hundred seconds.
        let all = reports(pace(), every(100, 1000), hour);
        assert!(all.len() < 20, "{all:?}");
        assert!(all.windows(2).all(|it| it[1].saturating_sub(it[0]) <= MOST), "{all:?}");
        let last = all.last().copied().unwrap_or_default();
        assert!(last >= Duration::from_secs(99), "what is true in the end is reported: {all:?}");
        // Twice a minute is not at once.
        assert_eq!(reports(pace(), every(30_000, 10), hour).len(), 10);
    }

    #[test]
    fn after_a_quiet_time_it_begins_anew() {
        let mut pace = Pace::new(LEAST, MOST);
        for at in every(100, 100) {
            if pace.due(at) <= at {
                pace.reported(at);
            }
        }
        let later = Duration::from_mins(5);
        pace.calm();
        assert_eq!(pace.due(later), later);
    }

    /// Something changes on every node at the same times.
    #[test]
    fn a_thousand_nodes_write_fifty_times_a_second_at_most() {
        let (nodes, end) = (1000, Duration::from_mins(10));
        for storm in [1, 1000] {
            let mut seconds = vec![0; 700];
            for node in 0..nodes {
                let mut pace = Pace::new(LEAST, MOST);
                pace.spread(spread_of(nodes), phase(&format!("node-{node}")));
                // Its first report was long ago.
                pace.reported(Duration::ZERO);
                let begin = Duration::from_mins(5);
                let news = every(100, storm).map(|it| it + begin);
                for at in reports(pace, news, end) {
                    seconds[usize::try_from(at.as_secs()).unwrap()] += CALLS;
                }
            }
            // The phases are fixed but uneven, so the rate is taken over ten seconds.
            let worst = seconds.windows(10).map(|it| it.iter().sum::<u32>()).max().unwrap();
            let all: u32 = seconds.iter().sum();
            assert!(worst <= 10 * 50, "{worst} in ten seconds, {all} in all");
            assert!(all >= 3000, "all report it");
        }
    }

    #[test]
    fn two_nodes_report_without_a_delay() {
        assert!(spread_of(2) < LEAST);
        assert_ne!(phase("node-a").to_bits(), phase("node-b").to_bits());
    }
}
