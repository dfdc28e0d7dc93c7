#![doc = include_str!("no-execve.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};

/// L7: the runtime loads the filter before it starts the program.
pub(super) const LINT: Lint = Lint {
    id: "no-execve",
    severity: Severity::Error,
    page: include_str!("no-execve.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    if reading.calls.default().is_none() || reading.calls.may_pass("execve") {
        return Vec::new();
    }
    let rule = reading.calls.outcome("execve").and_then(|it| it.1);
    let message = "denies execve, by which the runtime starts the program, so no container starts";
    let node = rule.unwrap_or(reading.document.default_action.node);
    vec![Remark::new(Anchor::Value(node), message)]
}
