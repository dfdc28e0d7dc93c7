//! Comments that say which finding is accepted, until when and why:
//! `# callgate: ignore privileged until 2027-03-01 — reads host counters`.

use std::sync::Arc;

use jiff::civil::Date;

use super::{topics, topics::TOPICS};
use crate::{
    policy::RULES,
    report::{Checked, Diagnostic, Severity, Source, Suppressed},
    spelling,
    yaml::{Comment, Document},
};

/// How such a comment begins.
const PREFIX: &str = "callgate:";
/// How it is written.
const FORM: &str = "ignore RULE until YYYY-MM-DD — REASON";

/// A comment that was understood.
#[derive(Debug, PartialEq, Eq)]
struct Ignore<'a> {
    rules: Vec<&'a str>,
    until: Date,
    reason: &'a str,
}

/// Applies the comments of a document to what was found in it; a comment with a mistake, or to
/// which nothing belongs, is a finding itself.
pub(super) fn apply(
    document: &Document<'_>,
    source: &Source<'_>,
    today: Date,
    found: &mut Vec<Checked>,
) {
    let mut about_comments = Vec::new();
    for comment in &document.comments {
        let Some(text) = comment.text.trim().strip_prefix(PREFIX) else { continue };
        let report = |severity, message: String| {
            let place = source.place(comment.span.clone());
            Diagnostic::new(severity, topics::IGNORE, message, place)
        };
        match parsed(text.trim()) {
            Err(why) => about_comments.push(report(Severity::Error, why)),
            Ok(ignore) => {
                let line = line_of(comment, source);
                if !ignore.apply(line, source.position(comment.span.start).line, today, found) {
                    let rules = ignore.rules.join(", ");
                    let message = format!("there is no finding of {rules} here to ignore");
                    about_comments.push(report(Severity::Warning, message));
                }
            }
        }
    }
    if !about_comments.is_empty() {
        let file = Arc::clone(source.name());
        found.push(Checked { file, name: "comments".to_owned(), found: about_comments });
    }
}

/// The line that a comment is about: its own, or the next one with content if it stands alone.
fn line_of(comment: &Comment<'_>, source: &Source<'_>) -> usize {
    let text = source.text();
    let start = comment.span.start;
    let own = source.position(start).line;
    let begin = text[..start].iter().rposition(|it| *it == b'\n').map_or(0, |it| it + 1);
    if !text[begin..start].trim_ascii().is_empty() {
        return own;
    }
    let behind = text[start..].split(|it| *it == b'\n').map(<[u8]>::trim_ascii);
    let skipped = behind.take_while(|it| it.is_empty() || it.starts_with(b"#")).count();
    own + skipped
}

fn parsed(text: &str) -> Result<Ignore<'_>, String> {
    let expected = || format!("expected \"# {PREFIX} {FORM}\"");
    let rest = text.strip_prefix("ignore ").ok_or_else(expected)?;
    let (rules, rest) = rest.split_once(" until ").ok_or_else(expected)?;
    let (date, reason) = rest.trim().split_once(' ').ok_or_else(expected)?;
    let until = date.parse().map_err(|_| format!("{date:?} is no date such as 2027-03-01"))?;
    let reason = reason.trim_start_matches(['—', '–', '-', ':', ' ']).trim();
    if reason.is_empty() {
        return Err(expected());
    }
    let rules: Vec<_> = rules.split([',', ' ']).filter(|it| !it.is_empty()).collect();
    let known = || RULES.iter().map(|it| it.id).chain(TOPICS.iter().map(|it| it.id));
    match rules.iter().find(|rule| known().all(|it| it != **rule)) {
        None => Ok(Ignore { rules, until, reason }),
        Some(rule) => {
            let near = spelling::nearest(rule, known());
            let hint = near.map(|it| format!(", did you mean {it:?}?")).unwrap_or_default();
            Err(format!("there is no rule {rule:?}{hint}"))
        }
    }
}

impl Ignore<'_> {
    /// Whether there is a finding on the line that it is about.
    fn apply(&self, line: usize, own: usize, today: Date, found: &mut [Checked]) -> bool {
        let Self { rules, until, reason } = self;
        let mut is_used = false;
        for it in found.iter_mut().flat_map(|it| &mut it.found) {
            if it.place.start().line != line || !rules.contains(&it.topic.id) {
                continue;
            }
            is_used = true;
            if today <= *until {
                let reason = format!("{reason} (until {until})");
                it.suppressed.get_or_insert(Suppressed { is_inline: true, reason });
            } else {
                it.notes.push(format!("the comment on line {own} ignored it until {until}"));
            }
        }
        is_used
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_comment_has_rules_a_date_and_a_reason() {
        let expected = Ignore {
            rules: vec!["privileged", "unset"],
            until: date(2027, 3, 1),
            reason: "reads counters - all",
        };
        for dash in ["—", "-", "--", ":", "–"] {
            let text =
                format!("ignore privileged, unset until 2027-03-01 {dash} reads counters - all");
            assert_eq!(parsed(&text).as_ref(), Ok(&expected));
        }
    }

    #[rstest]
    #[case("ignore privileged", "expected \"# callgate: ignore RULE until YYYY-MM-DD — REASON\"")]
    #[case(
        "ignore privileged until 2027-03-01 —",
        "expected \"# callgate: ignore RULE until YYYY-MM-DD — REASON\""
    )]
    #[case("ignore privileged until tomorrow - x", "\"tomorrow\" is no date such as 2027-03-01")]
    #[case(
        "ignore priviledged until 2027-03-01 x",
        "there is no rule \"priviledged\", did you mean \"privileged\"?"
    )]
    fn a_mistake_is_told(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(parsed(text).unwrap_err(), expected);
    }
}
