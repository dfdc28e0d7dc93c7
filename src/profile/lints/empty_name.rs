#![doc = include_str!("empty-name.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};

/// 1.10.1: runc says "empty string is not a valid syscall".
pub(super) const LINT: Lint = Lint {
    id: "empty-name",
    severity: Severity::Error,
    page: include_str!("empty-name.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let message = "is empty, a system call needs a name, so no container starts";
    let names = reading.rules().flat_map(|rule| rule.names.iter().map(move |it| (rule, it)));
    let empty = names.filter(|(_, it)| it.is_empty() && reading.mismatches.is_empty());
    empty.map(|(rule, it)| Remark::new(Anchor::Value(it.node_in(rule)), message)).collect()
}
