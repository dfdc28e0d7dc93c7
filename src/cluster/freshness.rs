//! How fresh the watches are, and whether only this replica is behind.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::object_type::ObjectType;

/// A watch is confirmed every ten seconds: one that is older than this is not up to date.
const BEHIND: Duration = Duration::from_secs(15);

/// How long an answer of the API server counts as a sign that it answers.
const CONTACT: Duration = Duration::from_secs(10);

/// The state of the watches, and whether the API server answers other requests.
#[derive(Debug, Default)]
pub struct Freshness {
    watches: BTreeMap<ObjectType, Watch>,
    contact: Option<Contact>,
}

/// The answers of the API server to requests other than watches.
#[derive(Clone, Copy, Debug)]
struct Contact {
    /// Since when each answer has followed the one before within [`CONTACT`].
    since: Instant,
    last: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    /// Every change until then has been reported.
    confirmed: Instant,
    /// Whether the API server has rejected the watch since.
    is_refused: bool,
}

impl Freshness {
    pub fn confirmed(&mut self, kind: ObjectType, at: Instant) {
        self.watches.insert(kind, Watch { confirmed: at, is_refused: false });
    }

    /// A watch failed: the API server rejected it (`is_answer`) or did not answer.
    pub fn failed(&mut self, kind: ObjectType, is_answer: bool) {
        if let Some(watch) = self.watches.get_mut(&kind) {
            watch.is_refused = is_answer;
        }
    }

    pub fn answered(&mut self, now: Instant) {
        let before = self.contact.filter(|it| now.saturating_duration_since(it.last) <= CONTACT);
        let since = before.map_or(now, |it| it.since);
        self.contact = Some(Contact { since, last: now });
    }

    /// Whether a watch is silent while the API server answers other requests: then other replicas
    /// are more up to date than this one.
    ///
    /// While the API server is away, or rejects a watch for every replica, the other replicas are
    /// no better, and if all of them became unready, every pod would be denied. When the API server
    /// comes back, a watch has as long to start again as it has to be confirmed.
    pub fn is_behind(&self, now: Instant) -> bool {
        let age = |since: Instant| now.saturating_duration_since(since);
        let answers =
            self.contact.is_some_and(|it| age(it.last) <= CONTACT && age(it.since) > BEHIND);
        answers && self.watches.values().any(|it| !it.is_refused && age(it.confirmed) > BEHIND)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use rstest::rstest;

    use super::*;

    /// At first every watch is confirmed. Then one watch stays behind for `silent_for` seconds, and
    /// the API server answers every five seconds during `answers`.
    #[rstest]
    #[case::all_is_well(14, None, 0..=14, false)]
    #[case::one_is_silent_while_the_api_server_answers(16, None, 0..=16, true)]
    #[case::one_breaks_again_and_again_while_the_api_server_answers(16, Some(false), 0..=16, true)]
    #[case::the_api_server_refuses_it_to_everybody(600, Some(true), 0..=600, false)]
    #[case::the_api_server_is_away(600, Some(false), 0..=589, false)]
    #[case::the_api_server_has_just_come_back(600, Some(false), 585..=600, false)]
    #[case::the_api_server_is_back_and_the_watch_is_not(600, Some(false), 584..=600, true)]
    fn a_replica_is_behind_where_others_can_know_more(
        #[case] silent_for: u64,
        #[case] failed: Option<bool>,
        #[case] answers: RangeInclusive<u64>,
        #[case] is_behind: bool,
    ) {
        let start = Instant::now();
        let mut freshness = Freshness::default();
        for kind in ObjectType::ALL {
            freshness.confirmed(kind, start);
        }
        let now = start + Duration::from_secs(silent_for);
        for kind in ObjectType::ALL.into_iter().filter(|it| *it != ObjectType::Node) {
            freshness.confirmed(kind, now);
        }
        if let Some(is_answer) = failed {
            freshness.failed(ObjectType::Node, is_answer);
        }
        for second in answers.step_by(5) {
            freshness.answered(start + Duration::from_secs(second));
        }
        assert_eq!(freshness.is_behind(now), is_behind);
        freshness.confirmed(ObjectType::Node, now);
        assert!(!freshness.is_behind(now), "it has caught up");
    }
}
