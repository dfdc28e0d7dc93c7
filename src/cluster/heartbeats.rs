//! Which agents no longer report. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

/// A watch is confirmed every ten seconds. Of a longer pause nothing is known,
/// and an agent that could not be heard meanwhile is not silent.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// When something of each agent was seen last.
///
/// Only the clock of this replica counts, and only while its watch of the nodes
/// is up to date: what a node says of the time is never compared with it.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    /// For how long the watch has been up to date, all in all.
    observed: Duration,
    confirmed: Option<Instant>,
    last: BTreeMap<String, Sign>,
    silent: BTreeSet<String>,
}

/// What was seen of an agent, and when.
#[derive(Debug)]
struct Sign {
    heartbeat: Option<String>,
    at: Duration,
}

impl Heartbeats {
    /// Notes that everything is known up to that instant.
    pub(super) fn confirmed(&mut self, at: Instant) {
        let before = *self.confirmed.get_or_insert(at);
        self.observed += at.saturating_duration_since(before).min(LONGEST_PAUSE);
        self.confirmed = Some(before.max(at));
    }

    /// Notes what stands on a node as the heartbeat of its agent; says whether
    /// the agent was silent and is no more.
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

    /// Notes that the agent of a node reported something new.
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

    /// The agents that have become silent: of which nothing was seen for longer
    /// than that.
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

    /// Confirmations every ten seconds, for so long.
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
        // What the heartbeat says is no matter, only that it is another one.
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

    /// While the API server is away no agent can be heard.
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
