//! Findings as one JSON document of callgate's own; docs/check.md describes its fields.

use serde::Serialize;

use super::{Count, Report};

/// The number goes up when a field changes its meaning or is removed.
const VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    version: u32,
    command: &'a str,
    summary: Summary,
    findings: Vec<Finding<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    checked: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
    suppressed: usize,
    failed: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding<'a> {
    level: &'a str,
    rule: &'a str,
    message: &'a str,
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    object: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    help: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [String],
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed: Option<&'a str>,
}

pub(super) fn text(report: &Report<'_>) -> String {
    let Count { errors, warnings, notes, suppressed } = report.count();
    let failed = report.is_failure();
    let checked = report.checked.len();
    let findings = report.fingerprinted().into_iter().map(|(checked, it, fingerprint)| Finding {
        level: it.severity.as_str(),
        rule: it.topic.id,
        message: &it.message,
        file: it.place.file(),
        line: it.place.start().line,
        column: it.place.start().column,
        end_line: it.place.end().line,
        end_column: it.place.end().column,
        object: &checked.name,
        field: &it.field,
        help: &it.help,
        notes: &it.notes,
        fingerprint,
        suppressed: it.suppressed.as_ref().map(|it| it.reason.as_str()),
    });
    let document = Document {
        version: VERSION,
        command: report.command,
        summary: Summary { checked, errors, warnings, notes, suppressed, failed },
        findings: findings.collect(),
    };
    printed(&document)
}

/// A document with indentation, and a line break at its end.
pub(super) fn printed(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).expect("it holds strings and numbers") + "\n"
}
