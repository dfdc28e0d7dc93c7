#![doc = include_str!("unknown-operator.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity, constants::Constants};
use crate::profile::action::Operator;

/// 1.10.1: runc compares exactly, with case and prefix.
pub(super) const LINT: Lint = Lint {
    id: "unknown-operator",
    severity: Severity::Error,
    page: include_str!("unknown-operator.md"),
    check: Check::Profile(check),
};

const CONSTANTS: Constants = Constants { what: "operator", prefix: "SCMP_CMP_" };

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for condition in reading.conditions() {
        let op = &condition.op;
        if !op.is_empty() {
            remarks.extend(CONSTANTS.check(op, Operator::names()).map(|it| symbol(it, op)));
        } else if reading.mismatches.is_empty() {
            let at = Anchor::Value(op.node_in(condition));
            remarks.push(Remark::new(at, "the condition has no operator, so no container starts"));
        }
    }
    remarks
}

/// Suggests the constant for the operator of a programming language.
fn symbol(remark: Remark, op: &str) -> Remark {
    let meant = match op.trim() {
        "==" | "=" => "SCMP_CMP_EQ",
        "!=" => "SCMP_CMP_NE",
        "<" => "SCMP_CMP_LT",
        "<=" => "SCMP_CMP_LE",
        ">" => "SCMP_CMP_GT",
        ">=" => "SCMP_CMP_GE",
        "&" => "SCMP_CMP_MASKED_EQ",
        _ => return remark,
    };
    remark.did_you_mean(Some(meant))
}
