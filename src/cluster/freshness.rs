//! How old is what is known, and whether that is this replica's fault alone.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::kind::Kind;

/// A watch is confirmed every ten seconds: nothing that is older is up to date.
const BEHIND: Duration = Duration::from_secs(15);

/// For how long an answer of the API server shows that it answers.
const CONTACT: Duration = Duration::from_secs(10);

/// What is known of the watches, and of the API server besides them.
#[derive(Debug, Default)]
pub struct Freshness {
    watches: BTreeMap<Kind, Watch>,
    contact: Option<Contact>,
}

/// Answers of the API server to questions that have nothing to do with watches.
#[derive(Clone, Copy, Debug)]
struct Contact {
    /// Since when each has followed the one before within [`CONTACT`].
    since: Instant,
    last: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    /// Up to then everything has been told.
    confirmed: Instant,
    /// Whether the API server has refused it since.
    is_refused: bool,
}

impl Freshness {
    pub fn confirmed(&mut self, kind: Kind, at: Instant) {
        self.watches.insert(kind, Watch { confirmed: at, is_refused: false });
    }

    /// A watch failed: by an answer of the API server, or by silence.
    pub fn failed(&mut self, kind: Kind, is_answer: bool) {
        if let Some(watch) = self.watches.get_mut(&kind) {
            watch.is_refused = is_answer;
        }
    }

    pub fn answered(&mut self, now: Instant) {
        let before = self.contact.filter(|it| now.saturating_duration_since(it.last) <= CONTACT);
        let since = before.map_or(now, |it| it.since);
        self.contact = Some(Contact { since, last: now });
    }

    /// Whether a watch stays silent while the API server answers: then other replicas know more
    /// than this one.
    ///
    /// While the API server is away, and where it refuses a watch to everybody, they know no more,
    /// and to take all of them away would refuse every pod. When it comes back, watches have as
    /// long to begin anew as they have to be confirmed.
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

    /// Everything was confirmed at the beginning; then one watch stayed behind for so many seconds,
    /// while the API server answered every five seconds in some of them.
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
        for kind in Kind::ALL {
            freshness.confirmed(kind, start);
        }
        let now = start + Duration::from_secs(silent_for);
        for kind in Kind::ALL.into_iter().filter(|it| *it != Kind::Node) {
            freshness.confirmed(kind, now);
        }
        if let Some(is_answer) = failed {
            freshness.failed(Kind::Node, is_answer);
        }
        for second in answers.step_by(5) {
            freshness.answered(start + Duration::from_secs(second));
        }
        assert_eq!(freshness.is_behind(now), is_behind);
        freshness.confirmed(Kind::Node, now);
        assert!(!freshness.is_behind(now), "it has caught up");
    }
}
