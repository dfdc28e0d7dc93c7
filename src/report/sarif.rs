//! Findings as SARIF 2.1.0, which code scanning platforms read.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Value, json};

use super::{Checked, Diagnostic, Report, Topic, digest, json::printed};

pub(super) fn text(report: &Report<'_>) -> String {
    let topics: BTreeMap<&str, Topic> =
        report.found().map(|(_, it)| (it.topic.id, it.topic)).collect();
    let found = report.fingerprinted();
    let results = found.iter().map(|(checked, it, fingerprint)| {
        let index = topics.keys().position(|id| *id == it.topic.id);
        result(checked, it, fingerprint, index)
    });
    printed(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": report.command,
                "version": env!("CARGO_PKG_VERSION"),
                "rules": topics.values().map(rule).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    }))
}

fn rule(topic: &Topic) -> Value {
    let Topic { id, page } = topic;
    // The first paragraph that is no heading.
    let paragraphs = page.split("\n\n").filter(|it| !it.starts_with(['#', '-']));
    let summary = paragraphs.map(str::trim).find(|it| !it.is_empty()).unwrap_or(id);
    json!({
        "id": id,
        "shortDescription": { "text": summary },
        "help": { "text": page, "markdown": page },
    })
}

fn result(checked: &Checked, it: &Diagnostic, fingerprint: &str, index: Option<usize>) -> Value {
    let (start, end) = (it.place.start(), it.place.end());
    let mut message = it.message.clone();
    for help in &it.help {
        message.push_str("; ");
        message.push_str(help);
    }
    let name = match it.field.as_str() {
        "" => checked.name.clone(),
        field => format!("{}: {field}", checked.name),
    };
    let mut result = json!({
        "ruleId": it.topic.id,
        "ruleIndex": index,
        "level": it.severity.as_str(),
        "message": { "text": message },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(it.place.file()) },
                "region": {
                    "startLine": start.line, "startColumn": start.column,
                    "endLine": end.line, "endColumn": end.column,
                },
            },
            "logicalLocations": [{ "fullyQualifiedName": name }],
        }],
        "partialFingerprints": { digest::NAME: fingerprint },
    });
    if let Some(why) = &it.suppressed {
        let kind = if why.is_inline { "inSource" } else { "external" };
        result["suppressions"] = json!([{ "kind": kind, "justification": why.reason }]);
    }
    result
}

/// A path as a URI reference: relative to the folder of the command, or absolute.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                uri.push(char::from(byte));
            }
            _ => write!(uri, "%{byte:02X}").expect("a string takes everything"),
        }
    }
    uri
}
