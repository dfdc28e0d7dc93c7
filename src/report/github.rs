//! Findings as workflow commands of GitHub Actions, which show them beside the change.

use std::fmt::Write;

use super::{Report, Severity};

pub(super) fn text(report: &Report<'_>) -> String {
    let mut text = String::new();
    for (_, it) in report.found().filter(|(_, it)| it.suppressed.is_none()) {
        let command = match it.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let (start, end) = (it.place.start(), it.place.end());
        let mut message = it.message.clone();
        for help in &it.help {
            message.push_str("\nhelp: ");
            message.push_str(help);
        }
        writeln!(
            text,
            "::{command} file={},line={},endLine={},col={},endColumn={},title={}::{}",
            property(it.place.file()),
            start.line,
            end.line,
            start.column,
            end.column,
            property(it.topic.id),
            data(&message),
        )
        .expect("a string takes everything");
    }
    text
}

/// What a command ends with. A line break in it would begin another command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
