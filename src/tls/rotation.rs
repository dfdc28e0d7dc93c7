//! When the certificate authority changes hands.
//!
//! An authority that signs is always one that the API server has known for a
//! while: a successor is introduced (the bundle holds both), seen in the
//! webhook configurations for the introduction time, and only then promoted
//! (design, section 6). What it replaced stays in the bundle until it ends, and
//! with it all that it signed.

use std::time::{Duration, SystemTime};

use super::{clock::Span, times::Times};

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

/// The authorities in the Secret, by their dates, and the one in memory.
///
/// What cannot be read, or cannot sign, is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Authorities {
    /// It signs.
    pub(super) current: Option<Term>,
    /// It will sign.
    pub(super) next: Option<Successor>,
    /// They signed; kept to verify what they signed.
    pub(super) previous: Vec<Term>,
    /// It signed what this replica serves.
    pub(super) serving: Option<Serving>,
}

/// An authority that is being introduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Successor {
    pub(super) term: Term,
    /// How long this replica has seen it in every webhook configuration.
    ///
    /// Each replica counts for itself, by a clock that nobody can set. A date
    /// in the Secret would be read by clocks that differ, and could be edited.
    pub(super) published: Option<Duration>,
}

/// The authority whose signature this replica serves, with its key in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Serving {
    pub(super) term: Term,
    /// Whether the Secret holds its certificate, in whatever place.
    pub(super) stored: bool,
}

/// What to do next about the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Make an authority that signs at once: there is none to wait with.
    Create,
    /// Put back the authority that signed what is served, because somebody
    /// took it away; a stranger in its place becomes its successor.
    Restore,
    /// Make a successor and add it to the bundle; keep signing with the old one.
    Introduce,
    /// Sign with the successor; the bundle keeps both.
    Promote,
    /// Drop from the bundle what has ended.
    Retire,
    Rest,
}

/// Decides from the dates alone. The caller brings the clock.
pub(super) fn next_step(authorities: &Authorities, now: SystemTime, times: &Times) -> Step {
    let Authorities { current, next, previous, serving } = authorities;
    let ended = next.iter().map(|it| &it.term).chain(previous).any(|it| is_over(*it, now, times));
    let current = current.filter(|it| it.holds(now));
    let next = next.filter(|it| it.term.holds(now));
    // Whoever has a faster clock has given up what is about to end.
    let serving = serving.filter(|it| it.term.holds(now) && it.term.holds(now + times.skew()));
    if serving.is_some_and(|it| !it.stored || current.is_none()) {
        return Step::Restore;
    }
    match (current, next) {
        (None, None) => Step::Create,
        // Nothing is lost by trusting it early: the other one is not trusted any more.
        (None, Some(_)) => Step::Promote,
        (Some(_), Some(next)) if next.published >= Some(times.ca_introduction) => Step::Promote,
        (Some(current), None) if is_late(current, now, times.ca_lifetime) => Step::Introduce,
        (Some(_), _) if ended => Step::Retire,
        (Some(_), _) => Step::Rest,
    }
}

/// Whether to sign a new leaf in place of one that `authority` signed.
///
/// Near the end of the authority a new leaf would end no later than the old:
/// then the successor is what helps.
pub(super) fn leaf_is_due(leaf: Term, authority: Term, now: Span, times: &Times) -> bool {
    let end = leaf_end(authority, now.late, times);
    let is_late = is_late(leaf, now.late, times.leaf_lifetime);
    !leaf.holds(now.early) || (is_late && end > leaf.not_after)
}

/// When a leaf ends that is signed now: never after its authority.
pub(super) fn leaf_end(authority: Term, now: SystemTime, times: &Times) -> SystemTime {
    authority.not_after.min(now + times.leaf_lifetime)
}

/// Whether a certificate has ended by the clock of every replica.
pub(super) fn is_over(term: Term, now: SystemTime, times: &Times) -> bool {
    term.has_ended(now - times.skew())
}

/// Whether two thirds of its lifetime are over.
fn is_late(term: Term, now: SystemTime, lifetime: Duration) -> bool {
    now + lifetime / 3 >= term.not_after
}

impl Term {
    pub(super) fn holds(self, now: SystemTime) -> bool {
        self.not_before <= now && !self.has_ended(now)
    }

    pub(super) fn has_ended(self, now: SystemTime) -> bool {
        now >= self.not_after
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    const TIMES: Times = Times {
        ca_lifetime: Duration::from_secs(30 * DAY),
        leaf_lifetime: Duration::from_secs(3 * DAY),
        ca_introduction: Duration::from_mins(10),
    };

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// From one day until another.
    fn term(from: u64, to: u64) -> Term {
        Term { not_before: at(from * DAY), not_after: at(to * DAY) }
    }

    fn only(current: Term) -> Authorities {
        Authorities { current: Some(current), ..Authorities::default() }
    }

    fn introduced(current: Term, next: Term, published: Option<u64>) -> Authorities {
        let published = published.map(Duration::from_secs);
        Authorities { next: Some(Successor { term: next, published }), ..only(current) }
    }

    fn serving(authorities: Authorities, term: Term, stored: bool) -> Authorities {
        Authorities { serving: Some(Serving { term, stored }), ..authorities }
    }

    fn nothing() -> Authorities {
        Authorities::default()
    }

    const OLD: (u64, u64) = (0, 30);
    const NEW: (u64, u64) = (20, 50);

    #[rstest]
    #[case::nothing_stored(nothing(), 0, Step::Create)]
    #[case::young(only(term(0, 30)), 10 * DAY, Step::Rest)]
    #[case::just_before_two_thirds(only(term(0, 30)), 20 * DAY - 1, Step::Rest)]
    #[case::two_thirds_through(only(term(0, 30)), 20 * DAY, Step::Introduce)]
    #[case::about_to_end(only(term(0, 30)), 30 * DAY - 1, Step::Introduce)]
    #[case::ended(only(term(0, 30)), 30 * DAY, Step::Create)]
    #[case::ended_long_ago(only(term(0, 30)), 300 * DAY, Step::Create)]
    #[case::from_the_future(only(term(5, 35)), 4 * DAY, Step::Create)]
    #[case::not_long_for_this_world(only(term(0, 5)), DAY, Step::Introduce)]
    #[case::longer_than_ours(only(term(0, 3000)), 100 * DAY, Step::Rest)]
    fn one_authority(#[case] stored: Authorities, #[case] now: u64, #[case] expected: Step) {
        assert_eq!(next_step(&stored, at(now), &TIMES), expected);
    }

    #[rstest]
    #[case::not_published(OLD, NEW, None, 20 * DAY, Step::Rest)]
    #[case::just_published(OLD, NEW, Some(0), 20 * DAY, Step::Rest)]
    #[case::almost_known(OLD, NEW, Some(599), 20 * DAY, Step::Rest)]
    #[case::known_everywhere(OLD, NEW, Some(600), 20 * DAY, Step::Promote)]
    #[case::never_published(OLD, NEW, None, 30 * DAY, Step::Promote)]
    #[case::successor_ended((0, 60), (0, 5), Some(600), 39 * DAY, Step::Retire)]
    #[case::successor_ended_and_late((0, 60), (0, 5), Some(600), 50 * DAY, Step::Introduce)]
    #[case::successor_from_the_future(OLD, (25, 55), Some(600), 21 * DAY, Step::Introduce)]
    #[case::put_there_by_hand(OLD, (0, 60), Some(600), DAY, Step::Promote)]
    #[case::both_ended(OLD, (0, 20), Some(600), 40 * DAY, Step::Create)]
    fn two_authorities(
        #[case] current: (u64, u64),
        #[case] next: (u64, u64),
        #[case] published: Option<u64>,
        #[case] now: u64,
        #[case] expected: Step,
    ) {
        let stored = introduced(term(current.0, current.1), term(next.0, next.1), published);
        assert_eq!(next_step(&stored, at(now), &TIMES), expected);
    }

    #[rstest]
    #[case::still_verifies(29 * DAY, Step::Rest)]
    #[case::has_just_ended(30 * DAY + 599, Step::Rest)]
    #[case::has_ended_by_every_clock(30 * DAY + 600, Step::Retire)]
    fn an_old_authority_drops_out_when_it_ends(#[case] now: u64, #[case] expected: Step) {
        let stored = Authorities { previous: vec![term(0, 30)], ..only(term(20, 50)) };
        assert_eq!(next_step(&stored, at(now), &TIMES), expected);
    }

    #[rstest]
    #[case::secret_deleted(nothing(), false, 10, Step::Restore)]
    #[case::stranger_in_its_place(only(term(0, 99)), false, 10, Step::Restore)]
    #[case::key_lost(nothing(), true, 10, Step::Restore)]
    #[case::current_ended(only(term(0, 5)), true, 10, Step::Restore)]
    #[case::as_it_should_be(only(term(0, 30)), true, 10, Step::Rest)]
    #[case::deleted_too_late(nothing(), false, 30, Step::Create)]
    #[case::replaced_too_late(only(term(0, 99)), false, 30, Step::Rest)]
    fn what_is_served_is_not_forgotten(
        #[case] stored: Authorities,
        #[case] is_stored: bool,
        #[case] day: u64,
        #[case] expected: Step,
    ) {
        let stored = serving(stored, term(0, 30), is_stored);
        assert_eq!(next_step(&stored, at(day * DAY), &TIMES), expected);
    }

    #[rstest]
    #[case::young(term(0, 3), DAY, false)]
    #[case::two_thirds_through(term(0, 3), 2 * DAY, true)]
    #[case::ended(term(0, 3), 3 * DAY, true)]
    #[case::clock_set_back(term(5, 8), DAY, true)]
    #[case::ends_with_its_authority(term(27, 30), 29 * DAY, false)]
    fn a_leaf_is_signed_anew_at_two_thirds(
        #[case] leaf: Term,
        #[case] now: u64,
        #[case] expected: bool,
    ) {
        let now = Span { early: at(now), late: at(now) };
        assert_eq!(leaf_is_due(leaf, term(0, 30), now, &TIMES), expected);
    }

    #[rstest]
    #[case::covers_both(term(0, 3), 1, 1, false)]
    #[case::not_yet_valid_by_one_clock(term(5, 8), 4, 5, true)]
    #[case::late_by_one_clock(term(0, 3), 1, 2, true)]
    #[case::over_by_one_clock(term(0, 3), 1, 20, true)]
    #[case::one_clock_is_years_ahead(term(0, 30), 1, 4000, false)]
    fn a_leaf_is_to_last_by_both_clocks(
        #[case] leaf: Term,
        #[case] early: u64,
        #[case] late: u64,
        #[case] expected: bool,
    ) {
        let now = Span { early: at(early * DAY), late: at(late * DAY) };
        assert_eq!(leaf_is_due(leaf, term(0, 30), now, &TIMES), expected);
    }

    #[rstest]
    #[case(0, 3)]
    #[case(26, 29)]
    #[case(28, 30)]
    fn a_leaf_never_outlives_its_authority(#[case] now: u64, #[case] end: u64) {
        assert_eq!(leaf_end(term(0, 30), at(now * DAY), &TIMES), at(end * DAY));
    }
}
