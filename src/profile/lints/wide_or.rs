#![doc = include_str!("wide-or.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity, remark::listed};

/// L9: libseccomp before 2.6.1 joins comparisons of 64 bits wrongly (GHSA-4q85-33p6-j5g6).
pub(super) const LINT: Lint = Lint {
    id: "wide-or",
    severity: Severity::Warning,
    page: include_str!("wide-or.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if !reading.target.may_precede([2, 6, 1]) {
        return remarks;
    }
    for rule in reading.rules() {
        let several = rule.names.iter().filter(|it| reading.calls.sets(it) > 1);
        let several: Vec<_> = several.map(|it| it.as_str()).collect();
        if several.is_empty() {
            continue;
        }
        let inequality =
            ["SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GE", "SCMP_CMP_GT"];
        let wide = rule
            .args
            .iter()
            .filter(|it| u32::try_from(*it.value).is_err() && inequality.contains(&it.op.as_str()));
        for arg in wide {
            let message = format!(
                "is 2^32 or more, and one of several conditions for {}: libseccomp before 2.6.1 compiles \
                 some of them otherwise than they are written",
                listed(several.iter().copied(), 4)
            );
            remarks.push(
                Remark::new(Anchor::Value(arg.value.node), message)
                    .hint("use smaller values, or SCMP_CMP_EQ"),
            );
        }
    }
    remarks
}
