#![doc = include_str!("unknown-action.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity, constants::Constants};
use crate::profile::action::ACTIONS;

/// 1.10.1: runc compares exactly, with case and prefix.
pub(super) const LINT: Lint = Lint {
    id: "unknown-action",
    severity: Severity::Error,
    page: include_str!("unknown-action.md"),
    check: Check::Profile(check),
};

const CONSTANTS: Constants = Constants { what: "action", prefix: "SCMP_ACT_" };

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let known = ACTIONS.iter().map(|it| it.0);
    let default = &reading.document.default_action;
    let mut remarks = Vec::new();
    // A missing default action is a finding of no-default-action.
    if !default.is_empty() {
        remarks.extend(CONSTANTS.check(default, known.clone()));
    }
    for rule in reading.rules() {
        if rule.action.is_empty() {
            if reading.mismatches.is_empty() {
                let at = Anchor::Value(rule.action.node_in(rule));
                remarks.push(Remark::new(at, "the rule has no action, so no container starts"));
            }
        } else {
            remarks.extend(CONSTANTS.check(&rule.action, known.clone()));
        }
    }
    remarks
}
