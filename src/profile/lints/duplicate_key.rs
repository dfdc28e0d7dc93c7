#![doc = include_str!("duplicate-key.md")]

use std::collections::HashMap;

use super::{Anchor, Check, Lint, Reading, Remark, Severity, remark::quoted};
use crate::profile::decode::field;

/// L4: Go takes the last, other readers the first or none.
pub(super) const LINT: Lint = Lint {
    id: "duplicate-key",
    severity: Severity::Error,
    page: include_str!("duplicate-key.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for object in reading.objects() {
        let mut seen = HashMap::new();
        for (key, value) in object.value.members() {
            let name = field(key, object.shape.fields());
            let Some(first) = seen.insert(name.unwrap_or(key), value.node) else {
                continue;
            };
            let becomes = match name {
                Some("syscalls" | "names" | "args" | "architectures" | "flags") => {
                    "the runtime lays this list over the one before, element by element"
                }
                Some(_) => "the runtime takes this one, other readers the first or neither",
                None => "readers differ in which they take",
            };
            let message = format!("{} is there again: {becomes}", quoted(key));
            remarks.push(Remark::new(Anchor::Key(value.node), message).also([Anchor::Key(first)]));
        }
    }
    remarks
}
