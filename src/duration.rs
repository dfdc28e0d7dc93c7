//! Durations as Go writes them: in our flags and in the API server's `?timeout=`.
//!
//! The friendly format of jiff is another: it has no `.5s`, `5.s`, `1s1h` nor a
//! bare `0`, which Go reads, and it has days, which Go does not.

use std::time::Duration;

/// Why a text is not a valid duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotADuration {
    #[error("expected a duration such as 500ms, 5s or 1m30s")]
    Unreadable,
    #[error("expected a duration longer than 0")]
    Zero,
}

/// Reads what Go's `time.ParseDuration` reads, but for negative ones.
///
/// Every number needs a unit, `0` alone excepted: a bare `30` is a mistake here
/// as it is there.
pub(crate) fn parse(text: &str) -> Result<Duration, NotADuration> {
    nanoseconds(text).map(Duration::from_nanos).ok_or(NotADuration::Unreadable)
}

/// Reads a duration for which there is no meaning in none at all.
pub(crate) fn positive(text: &str) -> Result<Duration, NotADuration> {
    parse(text).and_then(|it| if it.is_zero() { Err(NotADuration::Zero) } else { Ok(it) })
}

/// Keeps the digits of a fraction exact until they are summed.
const SCALE: u128 = 1_000_000_000_000;

fn nanoseconds(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (part, after) = leading_part(rest)?;
        total = total.checked_add(part)?;
        rest = after;
    }
    // Go counts in signed nanoseconds; what it cannot hold it never sends.
    (total <= i64::MAX.unsigned_abs()).then_some(total)
}

/// One number with its unit, in nanoseconds, and what follows it.
fn leading_part(text: &str) -> Option<(u64, &str)> {
    let (whole, after) = digits(text);
    let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = after.find(|it: char| it == '.' || it.is_ascii_digit()).unwrap_or(after.len());
    let (unit, after) = after.split_at(end);
    let unit = unit_in_nanoseconds(unit)?;
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let part = whole.checked_mul(unit)?.checked_add(fraction_of(unit, fraction))?;
    Some((part, after))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len()))
}

/// Rounds down to the nanosecond, and reads no more digits than could matter.
fn fraction_of(unit: u64, digits: &str) -> u64 {
    let mut part = 0;
    let mut scale = u128::from(unit) * SCALE;
    for digit in digits.bytes() {
        scale /= 10;
        part += u128::from(digit - b'0') * scale;
    }
    u64::try_from(part / SCALE).unwrap_or(unit)
}

fn unit_in_nanoseconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // The micro sign, and the Greek letter that looks like it.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::zero_needs_no_unit("0", 0)]
    #[case::seconds("5s", 5_000_000_000)]
    #[case::plus("+5s", 5_000_000_000)]
    #[case::two_units("1m30s", 90_000_000_000)]
    #[case::any_order("1s1h", 3_601_000_000_000)]
    #[case::milliseconds("500ms", 500_000_000)]
    #[case::microseconds("7us", 7_000)]
    #[case::micro_sign("7\u{b5}s", 7_000)]
    #[case::greek_mu("7\u{3bc}s", 7_000)]
    #[case::nanoseconds("3ns", 3)]
    #[case::fraction("1.5h", 5_400_000_000_000)]
    #[case::fraction_alone(".5s", 500_000_000)]
    #[case::whole_with_point("5.s", 5_000_000_000)]
    #[case::a_third_rounds_down("0.3333333333333333333333333s", 333_333_333)]
    #[case::nines_stay_below_the_next("0.9999999999999999999999999s", 999_999_999)]
    #[case::the_longest_go_holds("9223372036854775807ns", 9_223_372_036_854_775_807)]
    fn reads(#[case] text: &str, #[case] nanoseconds: u64) {
        assert_eq!(parse(text), Ok(Duration::from_nanos(nanoseconds)));
    }

    #[rstest]
    #[case::nothing("")]
    #[case::a_sign_alone("+")]
    #[case::negative("-5s")]
    #[case::no_unit("30")]
    #[case::no_number("s")]
    #[case::point_alone(".s")]
    #[case::unknown_unit("1d")]
    #[case::upper_case("5S")]
    #[case::blank("5 s")]
    #[case::trailing("5s ")]
    #[case::unfinished("1m30")]
    #[case::longer_than_go_holds("9223372036854775808ns")]
    #[case::too_long_in_hours("9999999999999999999h")]
    #[case::no_number_fits("99999999999999999999999s")]
    #[case::not_ascii("\u{665}s")]
    fn refuses(#[case] text: &str) {
        assert_eq!(parse(text), Err(NotADuration::Unreadable));
    }
    #[test]
    fn some_durations_have_to_last() {
        assert_eq!(positive("1ns"), Ok(Duration::from_nanos(1)));
        assert_eq!(positive("0s"), Err(NotADuration::Zero));
        assert_eq!(positive("1"), Err(NotADuration::Unreadable));
    }
}
