#![doc = include_str!("conflicting-rules.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity, remark::listed};
use crate::profile::calls::Clash;

/// libseccomp: `EEXIST` for a rule with the conditions of an earlier one, or the first
/// of them, and another action.
pub(super) const LINT: Lint = Lint {
    id: "conflicting-rules",
    severity: Severity::Error,
    page: include_str!("conflicting-rules.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let clashes = reading.calls.clashes(Clash::Conflicting);
    clashes
        .map(|(rule, first, names)| {
            let message = format!(
                "has the conditions of {}, or some of them, and another action for {}: the runtime refuses the \
                 profile and no container starts",
                reading.json.path(first),
                listed(names.iter().copied(), 4),
            );
            Remark::new(Anchor::Value(rule), message).also([Anchor::Value(first)])
        })
        .collect()
}
