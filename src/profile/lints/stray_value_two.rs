#![doc = include_str!("stray-value-two.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::profile::action::Operator;

/// 1.10.1: only `SCMP_CMP_MASKED_EQ` has two operands.
pub(super) const LINT: Lint = Lint {
    id: "stray-value-two",
    severity: Severity::Warning,
    page: include_str!("stray-value-two.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let ignored = reading.conditions().filter(|it| {
        let op = it.op.as_str();
        *it.value_two != 0 && op != "SCMP_CMP_MASKED_EQ" && Operator::parse(op).is_some()
    });
    ignored
        .map(|it| {
            let message = format!(
                "is {}, which {} ignores: only SCMP_CMP_MASKED_EQ has two operands",
                it.value_two.it, it.op.it
            );
            Remark::new(Anchor::Value(it.value_two.node), message)
        })
        .collect()
}
