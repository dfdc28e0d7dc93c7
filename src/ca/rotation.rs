//! When the certificate authority changes hands.
//!
//! An authority that signs is always one that the API server has known for a
//! while: a successor is introduced (the bundle holds both), seen in the
//! webhook configurations for the introduction time, and only then promoted
//! (design, section 6). What it replaced stays in the bundle until it ends, and
//! with it all that it signed.

use std::time::{Duration, SystemTime};

use super::{clock::Span, lifetimes::Lifetimes};
use crate::tls::Validity;

/// The authorities in the Secret, by their dates, and the one in memory.
///
/// What cannot be read, or cannot sign, is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CaDates {
    /// It signs.
    pub(super) current: Option<Validity>,
    /// It will sign.
    pub(super) next: Option<Successor>,
    /// They signed; kept to verify what they signed.
    pub(super) previous: Vec<Validity>,
    /// It signed what this replica serves.
    pub(super) serving: Option<Serving>,
}

/// An authority that is being introduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Successor {
    pub(super) validity: Validity,
    /// How long this replica has seen it in every webhook configuration.
    ///
    /// Each replica counts for itself, by a clock that nobody can set. A date
    /// in the Secret would be read by clocks that differ, and could be edited.
    pub(super) published: Option<Duration>,
}

/// The authority whose signature this replica serves, with its key in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Serving {
    pub(super) validity: Validity,
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
pub(super) fn next_step(authorities: &CaDates, now: SystemTime, lifetimes: &Lifetimes) -> Step {
    let CaDates { current, next, previous, serving } = authorities;
    let ended =
        next.iter().map(|it| &it.validity).chain(previous).any(|it| is_over(*it, now, lifetimes));
    let current = current.filter(|it| it.holds(now));
    let next = next.filter(|it| it.validity.holds(now));
    // Whoever has a faster clock has given up what is about to end.
    let serving =
        serving.filter(|it| it.validity.holds(now) && it.validity.holds(now + lifetimes.skew()));
    if serving.is_some_and(|it| !it.stored || current.is_none()) {
        return Step::Restore;
    }
    match (current, next) {
        (None, None) => Step::Create,
        // Nothing is lost by trusting it early: the other one is not trusted any more.
        (None, Some(_)) => Step::Promote,
        (Some(_), Some(next)) if next.published >= Some(lifetimes.ca_introduction) => Step::Promote,
        (Some(current), None) if is_late(current, now, lifetimes.ca_lifetime) => Step::Introduce,
        (Some(_), _) if ended => Step::Retire,
        (Some(_), _) => Step::Rest,
    }
}

/// Whether to sign a new leaf in place of one that `authority` signed.
///
/// Near the end of the authority a new leaf would end no later than the old:
/// then the successor is what helps.
pub(super) fn leaf_is_due(
    leaf: Validity,
    authority: Validity,
    now: Span,
    lifetimes: &Lifetimes,
) -> bool {
    let end = leaf_end(authority, now.late, lifetimes);
    let is_late = is_late(leaf, now.late, lifetimes.leaf_lifetime);
    !leaf.holds(now.early) || (is_late && end > leaf.not_after)
}

/// When a leaf ends that is signed now: never after its authority.
pub(super) fn leaf_end(authority: Validity, now: SystemTime, lifetimes: &Lifetimes) -> SystemTime {
    authority.not_after.min(now + lifetimes.leaf_lifetime)
}

/// Whether a certificate has ended by the clock of every replica.
pub(super) fn is_over(validity: Validity, now: SystemTime, lifetimes: &Lifetimes) -> bool {
    validity.has_ended(now - lifetimes.skew())
}

/// Whether two thirds of its lifetime are over.
fn is_late(validity: Validity, now: SystemTime, lifetime: Duration) -> bool {
    now + lifetime / 3 >= validity.not_after
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    const TIMES: Lifetimes = Lifetimes {
        ca_lifetime: Duration::from_secs(30 * DAY),
        leaf_lifetime: Duration::from_secs(3 * DAY),
        ca_introduction: Duration::from_mins(10),
    };

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// From one day until another.
    fn validity(from: u64, to: u64) -> Validity {
        Validity { not_before: at(from * DAY), not_after: at(to * DAY) }
    }

    fn only(current: Validity) -> CaDates {
        CaDates { current: Some(current), ..CaDates::default() }
    }

    fn introduced(current: Validity, next: Validity, published: Option<u64>) -> CaDates {
        let published = published.map(Duration::from_secs);
        CaDates { next: Some(Successor { validity: next, published }), ..only(current) }
    }

    fn serving(authorities: CaDates, validity: Validity, stored: bool) -> CaDates {
        CaDates { serving: Some(Serving { validity, stored }), ..authorities }
    }

    fn nothing() -> CaDates {
        CaDates::default()
    }

    const OLD: (u64, u64) = (0, 30);
    const NEW: (u64, u64) = (20, 50);

    #[rstest]
    #[case::nothing_stored(nothing(), 0, Step::Create)]
    #[case::young(only(validity(0, 30)), 10 * DAY, Step::Rest)]
    #[case::just_before_two_thirds(only(validity(0, 30)), 20 * DAY - 1, Step::Rest)]
    #[case::two_thirds_through(only(validity(0, 30)), 20 * DAY, Step::Introduce)]
    #[case::about_to_end(only(validity(0, 30)), 30 * DAY - 1, Step::Introduce)]
    #[case::ended(only(validity(0, 30)), 30 * DAY, Step::Create)]
    #[case::ended_long_ago(only(validity(0, 30)), 300 * DAY, Step::Create)]
    #[case::from_the_future(only(validity(5, 35)), 4 * DAY, Step::Create)]
    #[case::not_long_for_this_world(only(validity(0, 5)), DAY, Step::Introduce)]
    #[case::longer_than_ours(only(validity(0, 3000)), 100 * DAY, Step::Rest)]
    fn one_authority(#[case] stored: CaDates, #[case] now: u64, #[case] expected: Step) {
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
        let stored =
            introduced(validity(current.0, current.1), validity(next.0, next.1), published);
        assert_eq!(next_step(&stored, at(now), &TIMES), expected);
    }

    #[rstest]
    #[case::still_verifies(29 * DAY, Step::Rest)]
    #[case::has_just_ended(30 * DAY + 599, Step::Rest)]
    #[case::has_ended_by_every_clock(30 * DAY + 600, Step::Retire)]
    fn an_old_authority_drops_out_when_it_ends(#[case] now: u64, #[case] expected: Step) {
        let stored = CaDates { previous: vec![validity(0, 30)], ..only(validity(20, 50)) };
        assert_eq!(next_step(&stored, at(now), &TIMES), expected);
    }

    #[rstest]
    #[case::secret_deleted(nothing(), false, 10, Step::Restore)]
    #[case::stranger_in_its_place(only(validity(0, 99)), false, 10, Step::Restore)]
    #[case::key_lost(nothing(), true, 10, Step::Restore)]
    #[case::current_ended(only(validity(0, 5)), true, 10, Step::Restore)]
    #[case::as_it_should_be(only(validity(0, 30)), true, 10, Step::Rest)]
    #[case::deleted_too_late(nothing(), false, 30, Step::Create)]
    #[case::replaced_too_late(only(validity(0, 99)), false, 30, Step::Rest)]
    fn what_is_served_is_not_forgotten(
        #[case] stored: CaDates,
        #[case] is_stored: bool,
        #[case] day: u64,
        #[case] expected: Step,
    ) {
        let stored = serving(stored, validity(0, 30), is_stored);
        assert_eq!(next_step(&stored, at(day * DAY), &TIMES), expected);
    }

    #[rstest]
    #[case::young(validity(0, 3), DAY, false)]
    #[case::two_thirds_through(validity(0, 3), 2 * DAY, true)]
    #[case::ended(validity(0, 3), 3 * DAY, true)]
    #[case::clock_set_back(validity(5, 8), DAY, true)]
    #[case::ends_with_its_authority(validity(27, 30), 29 * DAY, false)]
    fn a_leaf_is_signed_anew_at_two_thirds(
        #[case] leaf: Validity,
        #[case] now: u64,
        #[case] expected: bool,
    ) {
        let now = Span { early: at(now), late: at(now) };
        assert_eq!(leaf_is_due(leaf, validity(0, 30), now, &TIMES), expected);
    }

    #[rstest]
    #[case::covers_both(validity(0, 3), 1, 1, false)]
    #[case::not_yet_valid_by_one_clock(validity(5, 8), 4, 5, true)]
    #[case::late_by_one_clock(validity(0, 3), 1, 2, true)]
    #[case::over_by_one_clock(validity(0, 3), 1, 20, true)]
    #[case::one_clock_is_years_ahead(validity(0, 30), 1, 4000, false)]
    fn a_leaf_is_to_last_by_both_clocks(
        #[case] leaf: Validity,
        #[case] early: u64,
        #[case] late: u64,
        #[case] expected: bool,
    ) {
        let now = Span { early: at(early * DAY), late: at(late * DAY) };
        assert_eq!(leaf_is_due(leaf, validity(0, 30), now, &TIMES), expected);
    }

    #[rstest]
    #[case(0, 3)]
    #[case(26, 29)]
    #[case(28, 30)]
    fn a_leaf_never_outlives_its_authority(#[case] now: u64, #[case] end: u64) {
        assert_eq!(leaf_end(validity(0, 30), at(now * DAY), &TIMES), at(end * DAY));
    }
}
