//! Days that are named by their distance from the day of the test.

use jiff::{ToSpan, civil::Date};
use serde_json::Value;

/// Replaces the names of days in all strings.
pub(super) fn name(value: &mut Value, today: Date) {
    let days = [
        ("<today>", today),
        ("<yesterday>", today.saturating_sub(1.day())),
        ("<a year ago>", today.saturating_sub(1.year())),
        ("<in a year>", today.saturating_add(1.year())),
    ];
    replace(value, &days);
}

fn replace(value: &mut Value, days: &[(&str, Date)]) {
    match value {
        Value::String(text) => {
            for (name, day) in days {
                if text.contains(name) {
                    *text = text.replace(name, &day.to_string());
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|it| replace(it, days)),
        Value::Object(fields) => fields.values_mut().for_each(|it| replace(it, days)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
