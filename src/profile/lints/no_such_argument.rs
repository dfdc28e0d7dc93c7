#![doc = include_str!("no-such-argument.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};

/// 1.10.1: libseccomp has six arguments, counted from 0.
pub(super) const LINT: Lint = Lint {
    id: "no-such-argument",
    severity: Severity::Error,
    page: include_str!("no-such-argument.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let wrong = reading.conditions().map(|it| &it.index).filter(|it| it.it > 5);
    wrong
        .map(|it| {
            let message =
                format!("is {}, system calls have arguments 0 to 5, so no container starts", it.it);
            Remark::new(Anchor::Value(it.node), message)
        })
        .collect()
}
