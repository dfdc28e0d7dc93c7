//! Finds the agents that no longer report. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

/// A watch is confirmed every ten seconds. A longer pause counts as this long only: heartbeats
/// could not be received in it, so it does not make an agent silent.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// When the last change of each agent's heartbeat was observed.
///
/// Only the clock of this replica counts, and only while its watch of the nodes is up to date. It
/// is never compared with a time that a node reports.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    /// The total time for which the watch has been up to date.
    observed: Duration,
    confirmed: Option<Instant>,
    last: BTreeMap<String, Sign>,
    silent: BTreeSet<String>,
}

/// The last heartbeat of an agent, and when it was first observed.
#[derive(Debug)]
struct Sign {
    heartbeat: Option<String>,
    at: Duration,
}

impl Heartbeats {
    /// Records that the watch is up to date as of that instant.
    pub(super) fn confirmed(&mut self, at: Instant) {
        let before = *self.confirmed.get_or_insert(at);
        self.observed += at.saturating_duration_since(before).min(LONGEST_PAUSE);
        self.confirmed = Some(before.max(at));
    }

    /// Records the heartbeat on a node. Returns whether the agent had been silent until now.
    pub(super) fn seen(&mut self, node: &str, heartbeat: Option<&str>) -> bool {
        match self.last.get_mut(node) {
            Some(it) if it.heartbeat.as_deref() == heartbeat => false,
            Some(it) => {
                *it = Sign { heartbeat: heartbeat.map(str::to_owned), at: self.observed };
                self.silent.remove(node)
            }
            None => {
                let heartbeat = heartbeat.map(str::to_owned);
                self.last.insert(node.to_owned(), Sign { heartbeat, at: self.observed });
                false
            }
        }
    }

    /// Records that the agent of a node has changed its report.
    pub(super) fn reported(&mut self, node: &str) {
        if let Some(it) = self.last.get_mut(node) {
            it.at = self.observed;
        }
        self.silent.remove(node);
    }

    pub(super) fn forget(&mut self, node: &str) {
        self.last.remove(node);
        self.silent.remove(node);
    }

    /// The agents that have become silent: no change was observed for longer than `after`.
    pub(super) fn newly_silent(&mut self, after: Duration) -> Vec<String> {
        let is_silent = |it: &Sign| self.observed.saturating_sub(it.at) > after;
        let silent = self.last.iter().filter(|it| is_silent(it.1)).map(|it| it.0);
        let new: Vec<_> = silent.filter(|it| !self.silent.contains(*it)).cloned().collect();
        self.silent.extend(new.iter().cloned());
        new
    }

    /// The nodes of silent agents.
    pub(super) fn silent(&self) -> impl Iterator<Item = &str> {
        self.silent.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_mins(16);

    /// Confirms the watch every ten seconds for that time; returns the agents that become silent.
    fn pass(heartbeats: &mut Heartbeats, start: &mut Instant, time: Duration) -> Vec<String> {
        let mut silent = Vec::new();
        for _ in 0..time.as_secs() / 10 {
            *start += Duration::from_secs(10);
            heartbeats.confirmed(*start);
            silent.extend(heartbeats.newly_silent(LIMIT));
        }
        silent
    }

    #[tokio::test]
    async fn an_agent_is_silent_once_its_heartbeat_has_not_changed_for_longer() {
        let (mut it, mut now) = (Heartbeats::default(), Instant::now());
        it.confirmed(now);
        it.seen("a", Some("10:00"));
        it.seen("b", Some("in a hundred years"));
        assert!(pass(&mut it, &mut now, LIMIT).is_empty());
        // Only the change of the heartbeat counts, not its time.
        it.seen("b", Some("a hundred years ago"));
        it.seen("a", Some("10:00"));
        assert_eq!(pass(&mut it, &mut now, Duration::from_secs(10)), ["a"]);
        assert!(pass(&mut it, &mut now, Duration::from_secs(10)).is_empty(), "told once");
        assert_eq!(it.silent().collect::<Vec<_>>(), ["a"]);
        assert!(it.seen("a", Some("10:17")));
        assert!(!it.seen("a", Some("10:18")));
        assert_eq!(it.silent().count(), 0);
        it.reported("a");
        assert_eq!(pass(&mut it, &mut now, LIMIT), ["b"]);
        assert_eq!(pass(&mut it, &mut now, Duration::from_secs(10)), ["a"]);
        it.forget("a");
        assert_eq!(it.silent().collect::<Vec<_>>(), ["b"]);
    }

    /// While the API server is away, no heartbeat can be received.
    #[tokio::test]
    async fn time_in_which_the_watch_was_not_up_to_date_does_not_count() {
        let (mut it, mut now) = (Heartbeats::default(), Instant::now());
        it.confirmed(now);
        it.seen("a", Some("10:00"));
        for _ in 0..60 {
            now += Duration::from_hours(1);
            it.confirmed(now);
            assert!(it.newly_silent(LIMIT).is_empty());
        }
        assert_eq!(pass(&mut it, &mut now, LIMIT), ["a"]);
    }
}
