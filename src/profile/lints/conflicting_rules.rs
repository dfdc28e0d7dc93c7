#![doc = include_str!("conflicting-rules.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity, remark::listed};
use crate::profile::calls::Clash;

/// libseccomp: `EEXIST` for a rule with the same conditions and another action.
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
                "has the conditions of {} and another action for {}: the runtime refuses the \
                 profile and no container starts",
                reading.json.path(first),
                listed(names.iter().copied(), 4),
            );
            Remark::new(Anchor::Value(rule), message).also([Anchor::Value(first)])
        })
        .collect()
}
