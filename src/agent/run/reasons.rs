//! Decides why and when to report. Pure.

use std::{sync::Arc, time::Duration};

use super::pace::{Pace, REFRESH, phase, spread_of, stagger};
use crate::agent::pass_result::{PassResult, Source};

/// The shortest and the longest time between two reports of our own files.
const CHANGES: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(10));

/// The same for the files of others and for containers: a log that grows for ever is new at every
/// pass, and so are containers that come and go.
const FOREIGN: (Duration, Duration) = (Duration::from_secs(15), Duration::from_mins(5));

/// The same for repairs, against a client that undoes them for ever.
const FIGHT: (Duration, Duration) = (Duration::from_millis(300), Duration::from_mins(5));

/// The shortest and the longest pause after a failed report.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The last report, and when the next one is due.
pub(super) struct Reasons {
    phase: f64,
    stagger: f64,
    /// Whether another client may have undone the last report.
    pub(super) is_touched: bool,
    /// Whether the last pass ended long ago, because a file access hangs. Then no heartbeat is
    /// sent, since the last findings may be outdated.
    pub(super) is_late: bool,
    last: Option<Arc<PassResult>>,
    refreshed: Option<Duration>,
    changes: Pace,
    foreign: Pace,
    fight: Pace,
    pause: Duration,
    /// The earliest time for the next attempt, after a failure.
    again: Duration,
}

/// How two results of passes differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    Nothing,
    OfOthers,
    OfOurs,
    /// Pods wait for the report.
    Urgent,
}

impl Reasons {
    pub(super) fn new(node: &str) -> Self {
        let pace = |(least, most)| Pace::new(least, most);
        Self {
            phase: phase(node),
            stagger: stagger(node),
            is_touched: false,
            is_late: false,
            last: None,
            refreshed: None,
            changes: pace(CHANGES),
            foreign: pace(FOREIGN),
            fight: pace(FIGHT),
            pause: PATIENCE.0,
            again: Duration::ZERO,
        }
    }

    pub(super) fn last(&self) -> Option<&Arc<PassResult>> {
        self.last.as_ref()
    }

    /// When to report, if nothing else changes.
    pub(super) fn due(&mut self, found: &PassResult, now: Duration) -> Duration {
        let news = self.news(found);
        let mut due = self.refreshed.map_or(now, |it| it + REFRESH);
        if self.is_late {
            due = now + REFRESH;
        }
        match news {
            Difference::Nothing => {}
            Difference::OfOthers => due = due.min(self.foreign.due(now)),
            Difference::OfOurs => due = due.min(self.changes.due(now)),
            Difference::Urgent => due = now,
        }
        if self.is_touched {
            due = due.min(self.fight.due(now));
        }
        due.max(self.again)
    }

    /// Whether to report what was found now, rather than the last report again.
    pub(super) fn is_new(&mut self, found: &PassResult, now: Duration) -> bool {
        match self.news(found) {
            Difference::Nothing => false,
            Difference::OfOthers => self.is_stale(now) || self.foreign.due(now) <= now,
            Difference::OfOurs => self.is_stale(now) || self.changes.due(now) <= now,
            Difference::Urgent => true,
        }
    }

    /// Whether a heartbeat is due.
    pub(super) fn is_stale(&self, now: Duration) -> bool {
        !self.is_late && self.refreshed.is_none_or(|it| now >= it + REFRESH)
    }

    /// `nodes` is the number of nodes, if it was read.
    pub(super) fn success(
        &mut self,
        last: Arc<PassResult>,
        calls: usize,
        is_refresh: bool,
        nodes: Option<usize>,
        now: Duration,
    ) {
        let news = self.news(&last);
        match news {
            Difference::Nothing if self.is_touched && calls > 0 => self.fight.reported(now),
            Difference::Nothing => {}
            Difference::OfOthers => self.foreign.reported(now),
            Difference::OfOurs | Difference::Urgent => self.changes.reported(now),
        }
        self.fight.calm();
        if is_refresh {
            self.refreshed = Some(now);
        }
        if let Some(nodes) = nodes {
            let over = spread_of(nodes);
            for pace in [&mut self.changes, &mut self.foreign] {
                pace.spread(over, self.phase);
            }
        }
        self.is_touched = false;
        (self.last, self.pause, self.again) = (Some(last), PATIENCE.0, Duration::ZERO);
    }

    pub(super) fn failure(&mut self, now: Duration) {
        self.again = now + self.pause.mul_f64(self.stagger);
        self.pause = (self.pause * 2).min(PATIENCE.1);
    }

    fn news(&self, found: &PassResult) -> Difference {
        let Some(last) = &self.last else { return Difference::Urgent };
        if found.is_replaced || found.is_decided != last.is_decided {
            return Difference::Urgent;
        }
        let ours = |it: &PassResult| {
            let ours = it.entries.iter().filter(|it| it.source != Source::Node);
            ours.cloned().collect::<Vec<_>>()
        };
        let is_same = (found.wanted, &found.usable, &found.failures)
            == (last.wanted, &last.usable, &last.failures);
        if !is_same || ours(found) != ours(last) {
            return Difference::OfOurs;
        }
        let is_same = (&found.entries, found.unlisted, &found.containers)
            == (&last.entries, last.unlisted, &last.containers);
        if is_same { Difference::Nothing } else { Difference::OfOthers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::pass_result::Entry, witness::Containers};

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn found(wanted: usize, log: u64) -> Arc<PassResult> {
        let entry = Entry {
            path: "app.log".to_owned(),
            digest: None,
            size: log,
            source: Source::Node,
            doubt: None,
            problem: None,
        };
        Arc::new(PassResult {
            is_decided: true,
            wanted,
            entries: vec![entry],
            ..PassResult::default()
        })
    }

    /// The state after everything was reported.
    fn quiet() -> Reasons {
        let mut reasons = Reasons::new("node-a");
        assert_eq!(reasons.due(&found(1, 0), at(0)), at(0), "the first report waits for nothing");
        reasons.success(found(1, 0), 4, true, Some(2), at(0));
        reasons
    }

    /// Simulates an hour in which a pass finds `look` at each interval; returns the number of
    /// reports.
    fn reports(
        look: impl Fn(Duration) -> Arc<PassResult>,
        every: Duration,
        is_fought: bool,
    ) -> usize {
        let (mut reasons, mut count) = (quiet(), 0);
        let mut now = Duration::ZERO;
        while now < Duration::from_hours(1) {
            now += every;
            let found = look(now);
            reasons.is_touched |= is_fought;
            if reasons.due(&found, now) > now {
                continue;
            }
            let reported = if reasons.is_new(&found, now) { found } else { found_last(&reasons) };
            let refresh = reasons.is_stale(now);
            count += usize::from(!refresh);
            reasons.success(reported, 1, refresh, None, now);
        }
        count
    }

    fn found_last(reasons: &Reasons) -> Arc<PassResult> {
        Arc::clone(reasons.last().unwrap())
    }

    #[test]
    fn a_file_that_grows_forever_is_reported_every_few_minutes() {
        let count = reports(|now| found(1, now.as_secs()), Duration::from_secs(10), false);
        assert!(count < 25, "{count} in an hour, of 360 looks");
    }

    #[test]
    fn containers_that_come_and_go_are_reported_every_few_minutes() {
        let look = |now: Duration| {
            let filter = usize::try_from(now.as_secs()).unwrap();
            let containers = Some(Containers { filter, ..Containers::default() });
            Arc::new(PassResult { containers, ..(*found(1, 0)).clone() })
        };
        let count = reports(look, Duration::from_secs(10), false);
        assert!((1..25).contains(&count), "{count} in an hour, of 360 looks");
    }

    #[test]
    fn without_a_recent_pass_no_heartbeat_is_sent() {
        let mut reasons = quiet();
        let mut now = at(0);
        while now < Duration::from_hours(1) {
            now += Duration::from_mins(1);
            reasons.is_late = true;
            assert!(reasons.due(&found(1, 0), now) > now && !reasons.is_stale(now), "{now:?}");
        }
        reasons.is_late = false;
        assert!(reasons.due(&found(1, 0), now) <= now && reasons.is_stale(now));
    }

    #[test]
    fn two_reporters_of_one_node_give_way() {
        let count = reports(|_| found(1, 0), Duration::from_millis(100), true);
        assert!(count < 30, "{count} in an hour");
    }

    #[test]
    fn a_change_of_a_profile_is_reported_at_once_while_another_file_keeps_growing() {
        let mut reasons = quiet();
        for second in 1..1000 {
            let (now, found) = (Duration::from_secs(second), found(1, second));
            if reasons.due(&found, now) <= now {
                let refresh = reasons.is_stale(now);
                reasons.success(found, 1, refresh, None, now);
            }
        }
        let now = Duration::from_secs(1000);
        assert!(reasons.due(&found(2, 1000), now) <= now + at(1000));
        assert!(reasons.is_new(&found(2, 1000), now + at(1000)));
    }

    #[test]
    fn an_overwritten_report_is_repeated_at_once_at_first() {
        let mut reasons = quiet();
        let now = Duration::from_mins(1);
        reasons.is_touched = true;
        assert_eq!(reasons.due(&found(1, 0), now), now);
        // What is news of others waits for its own time all the same.
        reasons.success(found(1, 0), 1, false, None, now);
        assert_eq!(reasons.due(&found(1, 0), now + at(1)), REFRESH);
    }

    #[test]
    fn the_first_complete_report_is_written_at_once_even_with_a_thousand_nodes() {
        let mut reasons = Reasons::new("node-a");
        let undecided = Arc::new(PassResult { is_decided: false, ..(*found(0, 0)).clone() });
        reasons.success(undecided, 2, true, Some(1000), at(0));
        assert_eq!(reasons.due(&found(1, 0), at(100)), at(100));
        reasons.success(found(1, 0), 3, false, None, at(100));
        let due = reasons.due(&found(2, 0), at(200));
        assert!(due >= Duration::from_mins(1), "{due:?}");
    }

    #[test]
    fn after_a_failure_it_is_tried_again_later_and_later() {
        let mut reasons = quiet();
        let news = found(2, 0);
        let mut waits = Vec::new();
        for _ in 0..9 {
            let now = reasons.due(&news, Duration::from_secs(1));
            reasons.failure(now);
            waits.push(reasons.due(&news, now).saturating_sub(now));
        }
        assert!(waits.is_sorted() && waits[0] >= at(500), "{waits:?}");
        assert!(waits[8] >= at(30_000) && waits[8] <= at(45_000), "{waits:?}");
    }
}
