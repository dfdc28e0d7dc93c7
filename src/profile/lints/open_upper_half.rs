#![doc = include_str!("open-upper-half.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity, remark::listed};
use crate::profile::{action::Action, arguments::is_narrow, calls::Search, number};

/// L8: a filter compares 64 bits of an argument, and the kernel reads 32 of many.
pub(super) const LINT: Lint = Lint {
    id: "open-upper-half",
    severity: Severity::Warning,
    page: include_str!("open-upper-half.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let (mut search, mut remarks) = (Search::default(), Vec::new());
    for rule in reading.rules() {
        for arg in &rule.args {
            if search.spend(rule.names.len()).is_none() {
                return remarks;
            }
            let narrow = rule.names.iter().filter(|it| is_narrow(it, *arg.index));
            let mut low = None;
            let open: Vec<_> = narrow
                .map(|it| it.as_str())
                .filter(|it| {
                    let found = search.find(&reading.calls, it, rule, arg);
                    low = low.or(found);
                    found.is_some()
                })
                .collect();
            let Some(low) = low else { continue };
            let message = format!(
                "the kernel reads 32 bits of argument {} of {}: {}, which is denied, passes as {:#x}",
                *arg.index,
                listed(open, 4),
                number(low),
                low | 1 << 32
            );
            remarks.push(Remark::new(Anchor::Value(arg.node), message).hint(hint(
                &rule.action,
                &arg.op,
                *arg.value,
            )));
        }
    }
    remarks
}

fn hint(action: &str, op: &str, value: u64) -> String {
    if Action::parse(action).is_some_and(Action::lets_through) {
        "allow single values by SCMP_CMP_EQ".to_owned()
    } else if op == "SCMP_CMP_EQ" {
        format!(
            "compare by SCMP_CMP_MASKED_EQ, with {} as value and {} as valueTwo",
            u32::MAX,
            value & u64::from(u32::MAX)
        )
    } else {
        "deny by default, and allow single values by SCMP_CMP_EQ".to_owned()
    }
}
