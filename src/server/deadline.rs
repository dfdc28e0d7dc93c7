//! The deadline of a request.

use std::time::Duration;

use super::limits::Limits;
use crate::duration;

/// The longest timeout of a webhook that the API server allows (`timeoutSeconds`). A client that
/// asks for more is not an API server, or wants to hold memory.
const LONGEST: Duration = Duration::from_secs(30);

/// How long a request with this query may take, from its first byte to its answer.
///
/// T1: the API server sends its timeout as `?timeout=`. A value that cannot be read is ignored: no
/// review may fail because of it.
pub(super) fn allowed(query: Option<&str>, limits: &Limits) -> Duration {
    let asked = query
        .into_iter()
        .flat_map(|it| it.split('&'))
        .find_map(|it| it.strip_prefix("timeout="))
        .and_then(|it| duration::parse(it).ok())
        .filter(|it| !it.is_zero());
    let deadline = asked.unwrap_or(limits.default_deadline).min(LONGEST);
    // If the deadline is shorter than two margins, the margin is half of it.
    deadline.saturating_sub(limits.deadline_margin.min(deadline / 2))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::server::limits::tests::limits;

    #[rstest]
    #[case::nothing_asked(None, 9_750)]
    #[case::seconds(Some("timeout=5s"), 4_750)]
    #[case::minutes(Some("timeout=0m7s"), 6_750)]
    #[case::among_others(Some("a=b&timeout=3s&c"), 2_750)]
    #[case::the_first_counts(Some("timeout=3s&timeout=4s"), 2_750)]
    #[case::no_unit(Some("timeout=5"), 9_750)]
    #[case::no_value(Some("timeout="), 9_750)]
    #[case::negative(Some("timeout=-5s"), 9_750)]
    #[case::zero(Some("timeout=0s"), 9_750)]
    #[case::another_name(Some("xtimeout=5s"), 9_750)]
    #[case::longer_than_a_webhook_may(Some("timeout=1000h"), 29_750)]
    #[case::shorter_than_the_margin(Some("timeout=100ms"), 50)]
    fn leaves_a_margin(#[case] query: Option<&str>, #[case] milliseconds: u64) {
        assert_eq!(allowed(query, &limits(&[])), Duration::from_millis(milliseconds));
    }
}
