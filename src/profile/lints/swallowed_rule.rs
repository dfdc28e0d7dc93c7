#![doc = include_str!("swallowed-rule.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity, remark::listed};
use crate::profile::calls::Clash;

/// 1.10.1: a rule without conditions replaces those with conditions before and
/// after it, and one with fewer conditions replaces later ones with more.
pub(super) const LINT: Lint = Lint {
    id: "swallowed-rule",
    severity: Severity::Warning,
    page: include_str!("swallowed-rule.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let clashes = reading.calls.clashes(Clash::Swallowed);
    clashes
        .map(|(rule, general, names)| {
            let message = format!(
                "has no effect for {}: {} applies with fewer conditions",
                listed(names.iter().copied(), 4),
                reading.json.path(general),
            );
            Remark::new(Anchor::Value(rule), message).also([Anchor::Value(general)])
        })
        .collect()
}
