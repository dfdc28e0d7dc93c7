#![doc = include_str!("overruled-rule.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity, remark::listed};
use crate::profile::calls::Clash;

/// 1.10.1: of two rules without conditions, libseccomp keeps the first.
pub(super) const LINT: Lint = Lint {
    id: "overruled-rule",
    severity: Severity::Warning,
    page: include_str!("overruled-rule.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let clashes = reading.calls.clashes(Clash::Overruled);
    clashes
        .map(|(rule, first, names)| {
            let message = format!(
                "has no effect for {}: {} has another action and comes first",
                listed(names.iter().copied(), 4),
                reading.json.path(first),
            );
            Remark::new(Anchor::Value(rule), message).also([Anchor::Value(first)])
        })
        .collect()
}
