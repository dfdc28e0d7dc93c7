#![doc = include_str!("key-case.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity, remark::quoted};
use crate::profile::decode::field;

/// L4: only Go compares keys without case.
pub(super) const LINT: Lint = Lint {
    id: "key-case",
    severity: Severity::Error,
    page: include_str!("key-case.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for object in reading.objects() {
        for (key, value) in object.value.members() {
            let Some(name) = field(key, object.shape.fields()).filter(|it| *it != key) else {
                continue;
            };
            let message = format!(
                "{} is {name:?} for readers written in Go alone, all others drop it",
                quoted(key)
            );
            let remark = Remark::new(Anchor::Key(value.node), message);
            remarks.push(remark.hint(format!("write {name:?}")));
        }
    }
    remarks
}
