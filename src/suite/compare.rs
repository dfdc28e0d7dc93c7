//! Compares the answer to an object with what is expected, and says what differs.

use std::ops::Range;

use serde_json::Value;

use super::{Answer, Case, Suite, WRONG_EXPECTATION, answer::changed};
use crate::{
    policy::RULES,
    report::{Checked, Diagnostic, Severity, Source},
};

/// What differs in one field of a case.
pub(super) struct Difference {
    key: &'static str,
    message: &'static str,
    lines: Vec<String>,
    /// What to write.
    actual: Vec<Value>,
}

pub(super) fn checked(suite: &Suite, case: &Case, source: &Source<'_>, is_told: bool) -> Checked {
    let differences = suite.answer(case).and_then(|it| differences(case, it));
    let name = format!("case {:?}", case.name);
    let new = |message: String, span: Range<usize>| Diagnostic {
        identity: vec![case.name.clone()],
        ..Diagnostic::new(Severity::Error, WRONG_EXPECTATION, message, source.place(span))
    };
    let found = match differences {
        Err(why) => {
            vec![new(format!("{name}: the object cannot be read: {why}"), case.at.case.clone())]
        }
        Ok(all) => {
            let told = |Difference { key, message, lines, actual }| {
                let mut found = new(format!("{name}: {message}"), place(case, key));
                found.field = String::from(key);
                found.notes = lines;
                if is_told {
                    found.help = vec![what_to_write(key, &actual)];
                }
                found
            };
            all.into_iter().map(told).collect()
        }
    };
    Checked { file: source.name().clone(), name: case.name.clone(), found }
}

fn place(case: &Case, key: &str) -> Range<usize> {
    let place = match key {
        "denied" => &case.at.denied,
        "warned" => &case.at.warned,
        "patch" => &case.at.patch,
        _ => &case.at.mutated,
    };
    place.clone().unwrap_or_else(|| case.at.case.clone())
}

pub(super) fn differences(case: &Case, answer: Answer) -> Result<Vec<Difference>, String> {
    let Answer { denied, warned, patch } = answer;
    let mut all = Vec::new();
    let of_denial = ["it is denied", "it is not denied", "the denial is another one"];
    let of_warnings = ["there are warnings", "there is no warning", "the warnings are others"];
    let lines = [
        ("denied", of_denial, &case.denied, denied),
        ("warned", of_warnings, &case.warned, warned),
    ];
    for (key, words, expected, actual) in lines {
        if !are_as_expected(expected, &actual) {
            let message = message(words, expected.len(), actual.len());
            let lines = diff(expected, &actual);
            let actual = actual.into_iter().map(Value::from).collect();
            all.push(Difference { key, message, lines, actual });
        }
    }
    if let Some(expected) = &case.mutated {
        let object = changed(&case.object(), &patch)?;
        let mut lines = Vec::new();
        missing("", expected, &object, &mut lines);
        if !lines.is_empty() {
            let message = "the changed object is another one";
            all.push(Difference { key: "mutated", message, lines, actual: patch });
        }
    } else if case.patch != patch {
        let text = |all: &[Value]| all.iter().map(Value::to_string).collect::<Vec<_>>();
        let lines = diff(&text(&case.patch), &text(&patch));
        let words = ["it is changed", "it is not changed", "the patch is another one"];
        let message = message(words, case.patch.len(), patch.len());
        all.push(Difference { key: "patch", message, lines, actual: patch });
    }
    Ok(all)
}

/// The words for something unexpected, for what is missing, and for something else.
fn message(words: [&'static str; 3], expected: usize, actual: usize) -> &'static str {
    words[if expected == 0 {
        0
    } else if actual == 0 {
        1
    } else {
        2
    }]
}

/// Whether the lines are those that are expected; an expectation that is the id of a rule takes all
/// lines of the rule, and at least one.
fn are_as_expected(expected: &[String], actual: &[String]) -> bool {
    if !expected.iter().any(|it| is_rule(it)) {
        return expected == actual;
    }
    let (rules, lines): (Vec<_>, Vec<_>) = expected.iter().partition(|it| is_rule(it));
    let is_of = |line: &String, rule: &String| line.ends_with(&format!("[{rule}]"));
    // Written lines are not those for which a rule stands.
    let rest: Vec<_> = actual.iter().filter(|it| !lines.contains(it)).collect();
    let written: Vec<_> = actual.iter().filter(|it| lines.contains(it)).collect();
    written == lines
        && rest.iter().all(|line| rules.iter().any(|rule| is_of(line, rule)))
        && rules.iter().all(|rule| rest.iter().any(|line| is_of(line, rule)))
}

fn is_rule(text: &str) -> bool {
    RULES.iter().any(|it| it.id == text)
}

/// The lines of both: `-` is expected and not there, `+` is there and not expected.
fn diff(expected: &[String], actual: &[String]) -> Vec<String> {
    let (expected, actual): (Vec<_>, Vec<_>) = (
        expected.iter().map(String::as_str).collect(),
        actual.iter().map(String::as_str).collect(),
    );
    let changes = similar::TextDiff::from_slices(&expected, &actual);
    let line = |it: similar::Change<&str>| format!("{} {}", it.tag(), it.value());
    changes.iter_all_changes().map(line).collect()
}

/// The fields that are expected and not there.
fn missing(path: &str, expected: &Value, actual: &Value, lines: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(fields), Value::Object(others)) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                missing(&path, value, others.get(key).unwrap_or(&Value::Null), lines);
            }
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            for (at, (item, other)) in items.iter().zip(others).enumerate() {
                missing(&format!("{path}[{at}]"), item, other, lines);
            }
        }
        _ if expected == actual => {}
        _ => lines.extend([format!("- {path}: {expected}"), format!("+ {path}: {actual}")]),
    }
}

/// The field as it would hold, for a person to judge.
fn what_to_write(key: &str, actual: &[Value]) -> String {
    let key = if key == "mutated" { "patch" } else { key };
    if actual.is_empty() {
        return format!("if that is right, leave {key:?} out");
    }
    let items: Vec<_> = actual
        .iter()
        .map(|it| match it {
            Value::String(text) => format!("'{}'", text.replace('\'', "''")),
            other => other.to_string(),
        })
        .collect();
    format!("if that is right, write {key}: [{}]", items.join(", "))
}
