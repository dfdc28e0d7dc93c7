//! Findings as `JUnit` writes them in XML: a suite for each file, a case for each object.

use std::fmt::Write;

use super::{Checked, Diagnostic, Look, Report};

const INFALLIBLE: &str = "a string takes everything";

pub(super) fn text(report: &Report<'_>) -> String {
    let mut suites = String::new();
    let (mut tests, mut failures) = (0, 0);
    for suite in report.checked.chunk_by(|a, b| a.file == b.file) {
        let failed = suite.iter().filter(|it| it.found.iter().any(|it| report.fails(it))).count();
        tests += suite.len();
        failures += failed;
        let file = suite.first().map_or("", |it| &it.file);
        let (file, count) = (attribute(file), suite.len());
        let counts = format!("tests=\"{count}\" failures=\"{failed}\" errors=\"0\"");
        writeln!(suites, "  <testsuite name={file} {counts}>").expect(INFALLIBLE);
        for it in suite {
            suites += &case(report, it);
        }
        suites += "  </testsuite>\n";
    }
    let name = attribute(report.command);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name={name} tests=\"{tests}\" \
         failures=\"{failures}\" errors=\"0\">\n{suites}</testsuites>\n"
    )
}

/// Several programs read only the first failure of a case: all are in one.
fn case(report: &Report<'_>, checked: &Checked) -> String {
    let (name, class) = (attribute(&checked.name), attribute(&checked.file));
    let open = format!("    <testcase name={name} classname={class}");
    let counted = checked.found.iter().filter(|it| it.suppressed.is_none());
    let (failing, others): (Vec<_>, Vec<_>) = counted.partition(|it| report.fails(it));
    let rendered = |all: &[&Diagnostic]| {
        let all = all.iter().map(|it| it.render(Look::default()));
        content(&all.collect::<Vec<_>>().join("\n"))
    };
    let mut inner = String::new();
    if let [first, rest @ ..] = &failing[..] {
        let more =
            if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        let message = attribute(&format!("{}{more}", first.message));
        let (kind, text) = (attribute(first.topic.id), rendered(&failing));
        writeln!(inner, "      <failure message={message} type={kind}>{text}</failure>")
            .expect(INFALLIBLE);
    }
    if !others.is_empty() {
        writeln!(inner, "      <system-out>{}</system-out>", rendered(&others)).expect(INFALLIBLE);
    }
    if inner.is_empty() { open + "/>\n" } else { format!("{open}>\n{inner}    </testcase>\n") }
}

/// The value of an attribute with its quotes.
fn attribute(text: &str) -> String {
    format!("\"{}\"", content(text).replace('"', "&quot;").replace('\n', "&#10;"))
}

/// Text without markup, and without the characters that XML 1.0 has no way to write.
fn content(text: &str) -> String {
    let is_character = |it: &char| matches!(it, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let text: String =
        text.chars().map(|it| if is_character(&it) { it } else { '\u{fffd}' }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
