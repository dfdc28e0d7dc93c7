#![doc = include_str!("wrong-type.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};

/// L4: Go refuses the whole file for one value of the wrong type.
pub(super) const LINT: Lint = Lint {
    id: "wrong-type",
    severity: Severity::Error,
    page: include_str!("wrong-type.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let mismatches = reading.mismatches.iter();
    mismatches
        .map(|it| {
            let what = if reading.json.path(it.node).is_empty() { "the profile " } else { "" };
            let message =
                format!("{what}is {}, expected {}, so no container starts", it.found, it.expected);
            Remark::new(Anchor::Value(it.node), message)
        })
        .collect()
}
