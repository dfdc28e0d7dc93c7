//! Suggestions for unknown names ("did you mean").

/// Longer names, in bytes, get no suggestion: the comparison takes quadratic time.
const LONGEST: usize = 256;

/// The known name nearest to `word`, without regard to case, if at most a third
/// of the letters and at most three differ.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.trim().to_lowercase();
    let tolerated = (word.len() / 3).min(3);
    known
        .into_iter()
        .filter(|it| it.len().abs_diff(word.len()) <= tolerated)
        .map(|it| (strsim::osa_distance(&it.to_lowercase(), &word), it))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, it)| it)
}

/// As [`nearest`], for names that all begin with `prefix`; `word` may lack it.
pub(crate) fn nearest_of<'a>(
    prefix: &str,
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let word = word.trim();
    let bare = match word.get(..prefix.len()) {
        Some(it) if it.eq_ignore_ascii_case(prefix) => &word[prefix.len()..],
        _ => word,
    };
    let known = known.into_iter().filter_map(|it| it.strip_prefix(prefix));
    nearest(bare, known).map(|it| format!("{prefix}{it}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::swapped("raed", Some("read"))]
    #[case::another_case("READ", Some("read"))]
    #[case::a_letter_missing("opn", Some("open"))]
    #[case::exact_is_nearer("openat", Some("openat"))]
    #[case::too_short("xy", None)]
    #[case::something_else("frobnicate", None)]
    fn words(#[case] word: &str, #[case] expected: Option<&str>) {
        assert_eq!(nearest(word, ["read", "open", "openat", "openat2"]), expected);
    }

    #[rstest]
    #[case("EQ", Some("SCMP_CMP_EQ"))]
    #[case("scmp_cmp_ne", Some("SCMP_CMP_NE"))]
    #[case("SCMP_CMP_MASKEDEQ", Some("SCMP_CMP_MASKED_EQ"))]
    #[case("==", None)]
    fn constants(#[case] word: &str, #[case] expected: Option<&str>) {
        let known = ["SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_MASKED_EQ"];
        assert_eq!(nearest_of("SCMP_CMP_", word, known).as_deref(), expected);
    }
}
