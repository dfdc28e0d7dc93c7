//! Findings as a Code Quality report of GitLab.

use serde::Serialize;

use super::{Report, Severity, json::printed};

#[derive(Serialize)]
struct Issue<'a> {
    description: String,
    check_name: &'a str,
    fingerprint: String,
    severity: &'a str,
    location: Location<'a>,
}

#[derive(Serialize)]
struct Location<'a> {
    path: &'a str,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: usize,
    end: usize,
}

pub(super) fn text(report: &Report<'_>) -> String {
    let counted = report.fingerprinted().into_iter().filter(|(_, it, _)| it.suppressed.is_none());
    let issues = counted.map(|(_, it, fingerprint)| Issue {
        description: [it.message.as_str()]
            .into_iter()
            .chain(it.help.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("; "),
        check_name: it.topic.id,
        fingerprint,
        severity: match it.severity {
            Severity::Error => "critical",
            Severity::Warning => "minor",
            Severity::Note => "info",
        },
        location: Location {
            path: it.place.file().strip_prefix("./").unwrap_or(it.place.file()),
            lines: Lines { begin: it.place.start().line, end: it.place.end().line },
        },
    });
    printed(&issues.collect::<Vec<_>>())
}
