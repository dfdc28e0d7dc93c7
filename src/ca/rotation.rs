//! Rotates the CA: decides the next step from validity dates alone.
//!
//! A CA signs only after the API server could learn of it: its successor is added to the bundle,
//! stays there in every webhook configuration for `--ca-introduction`, and is then promoted. The
//! replaced CA stays in the bundle until it ends, and all that it signed ends with it.

use std::time::{Duration, SystemTime};

use super::lifetimes::Lifetimes;
use crate::{clock::TimeRange, tls::Validity};

/// The validity of the CAs in the Secret, and of the one in memory. CAs that cannot be read, or
/// cannot sign, are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CaDates {
    /// The CA that signs.
    pub(super) current: Option<Validity>,
    /// The CA that will sign.
    pub(super) next: Option<Successor>,
    /// CAs that signed before: their certificates stay, to verify what they signed.
    pub(super) previous: Vec<Validity>,
    /// The CA that signed this replica's serving certificate.
    pub(super) serving: Option<Serving>,
}

/// A CA that is published, and does not sign yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Successor {
    pub(super) validity: Validity,
    /// How long this replica has seen it in every webhook configuration.
    ///
    /// Each replica measures this by its monotonic clock. A date in the Secret would be compared
    /// with clocks that differ, and could be edited.
    pub(super) published: Option<Duration>,
}

/// The CA that signed this replica's serving certificate; its key is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Serving {
    pub(super) validity: Validity,
    /// Whether the Secret holds its certificate, under any of its keys.
    pub(super) stored: bool,
}

/// A change of the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Create a CA that signs at once, because there is none that could sign meanwhile.
    Create,
    /// Store the CA again that signed the serving certificate, because it was removed. A CA found in
    /// its place becomes its successor.
    Restore,
    /// Create a successor and add it to the bundle; the old CA still signs.
    Introduce,
    /// Let the successor sign; the bundle keeps both.
    Promote,
    /// Remove expired certificates from the bundle.
    Retire,
    /// No change.
    Rest,
}

/// The next step at the time `now`.
pub(super) fn next_step(dates: &CaDates, now: SystemTime, lifetimes: &Lifetimes) -> Step {
    let CaDates { current, next, previous, serving } = dates;
    let ended =
        next.iter().map(|it| &it.validity).chain(previous).any(|it| is_over(*it, now, lifetimes));
    let current = current.filter(|it| it.holds(now));
    let next = next.filter(|it| it.validity.holds(now));
    // A replica with a faster clock no longer restores a CA that is about to end.
    let serving =
        serving.filter(|it| it.validity.holds(now) && it.validity.holds(now + lifetimes.skew()));
    if serving.is_some_and(|it| !it.stored || current.is_none()) {
        return Step::Restore;
    }
    match (current, next) {
        (None, None) => Step::Create,
        // It need not be published any longer: no certificate of the ended CA is valid.
        (None, Some(_)) => Step::Promote,
        (Some(_), Some(next)) if next.published >= Some(lifetimes.ca_introduction) => Step::Promote,
        (Some(current), None) if is_late(current, now, lifetimes.ca_lifetime) => Step::Introduce,
        (Some(_), _) if ended => Step::Retire,
        (Some(_), _) => Step::Rest,
    }
}

/// Whether to replace a leaf that `ca` signed: it is not valid by one of the clocks, or two thirds
/// of its lifetime are over.
///
/// Near the end of the CA a new leaf would end when the old one does, so it stays until the
/// successor signs.
pub(super) fn leaf_is_due(
    leaf: Validity,
    ca: Validity,
    now: TimeRange,
    lifetimes: &Lifetimes,
) -> bool {
    let end = leaf_end(ca, now.late, lifetimes);
    let is_late = is_late(leaf, now.late, lifetimes.leaf_lifetime);
    !leaf.holds(now.early) || (is_late && end > leaf.not_after)
}

/// When a leaf ends that is signed now: after `--leaf-lifetime`, or with its CA.
pub(super) fn leaf_end(ca: Validity, now: SystemTime, lifetimes: &Lifetimes) -> SystemTime {
    ca.not_after.min(now + lifetimes.leaf_lifetime)
}

/// Whether a certificate has expired by the clock of every replica.
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

    const LIFETIMES: Lifetimes = Lifetimes {
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

    fn serving(dates: CaDates, validity: Validity, stored: bool) -> CaDates {
        CaDates { serving: Some(Serving { validity, stored }), ..dates }
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
    fn one_ca(#[case] stored: CaDates, #[case] now: u64, #[case] expected: Step) {
        assert_eq!(next_step(&stored, at(now), &LIFETIMES), expected);
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
    fn two_cas(
        #[case] current: (u64, u64),
        #[case] next: (u64, u64),
        #[case] published: Option<u64>,
        #[case] now: u64,
        #[case] expected: Step,
    ) {
        let stored =
            introduced(validity(current.0, current.1), validity(next.0, next.1), published);
        assert_eq!(next_step(&stored, at(now), &LIFETIMES), expected);
    }

    #[rstest]
    #[case::still_verifies(29 * DAY, Step::Rest)]
    #[case::has_just_ended(30 * DAY + 599, Step::Rest)]
    #[case::has_ended_by_every_clock(30 * DAY + 600, Step::Retire)]
    fn an_old_ca_is_removed_when_it_ends(#[case] now: u64, #[case] expected: Step) {
        let stored = CaDates { previous: vec![validity(0, 30)], ..only(validity(20, 50)) };
        assert_eq!(next_step(&stored, at(now), &LIFETIMES), expected);
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
        assert_eq!(next_step(&stored, at(day * DAY), &LIFETIMES), expected);
    }

    #[rstest]
    #[case::young(validity(0, 3), DAY, false)]
    #[case::two_thirds_through(validity(0, 3), 2 * DAY, true)]
    #[case::ended(validity(0, 3), 3 * DAY, true)]
    #[case::clock_set_back(validity(5, 8), DAY, true)]
    #[case::ends_with_its_ca(validity(27, 30), 29 * DAY, false)]
    fn a_leaf_is_signed_anew_at_two_thirds(
        #[case] leaf: Validity,
        #[case] now: u64,
        #[case] expected: bool,
    ) {
        let now = TimeRange { early: at(now), late: at(now) };
        assert_eq!(leaf_is_due(leaf, validity(0, 30), now, &LIFETIMES), expected);
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
        let now = TimeRange { early: at(early * DAY), late: at(late * DAY) };
        assert_eq!(leaf_is_due(leaf, validity(0, 30), now, &LIFETIMES), expected);
    }

    #[rstest]
    #[case(0, 3)]
    #[case(26, 29)]
    #[case(28, 30)]
    fn a_leaf_never_outlives_its_ca(#[case] now: u64, #[case] end: u64) {
        assert_eq!(leaf_end(validity(0, 30), at(now * DAY), &LIFETIMES), at(end * DAY));
    }
}
