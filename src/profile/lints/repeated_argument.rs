#![doc = include_str!("repeated-argument.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::profile::document::{Arg, Spanned};

/// 1.10.1: runc and crun make a separate rule of each condition ("revert to old
/// behavior"), though the specification requires that all hold.
pub(super) const LINT: Lint = Lint {
    id: "repeated-argument",
    severity: Severity::Warning,
    page: include_str!("repeated-argument.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let rules = reading.rules().filter(|it| !it.names.is_empty());
    rules.filter_map(|rule| repeated(&rule.args)).collect()
}

fn repeated(args: &[Spanned<Arg>]) -> Option<Remark> {
    let again = |at: &usize| args[..*at].iter().any(|it| *it.index == *args[*at].index);
    // There are six arguments, so a repetition is among the first seven.
    let at = (1..args.len().min(7)).find(again)?;
    let arg = &args[at];
    let first = args.iter().find(|it| *it.index == *arg.index)?;
    let index = arg.index.it;
    let becomes = if never_all_false(first, arg) {
        "any one of its conditions is enough, and one always holds"
    } else {
        "any one of its conditions is enough"
    };
    let message = format!("is the second condition for argument {index} in this rule: {becomes}");
    let anchor = Anchor::Value(arg.node);
    Some(
        Remark::new(anchor, message)
            .also([Anchor::Value(first.node)])
            .hint("write a rule for each"),
    )
}

/// Whether one of the two always holds, as in `NE a` or `NE b`.
fn never_all_false(one: &Arg, other: &Arg) -> bool {
    let differs = |it: &Arg| it.op.as_str() == "SCMP_CMP_NE";
    differs(one) && differs(other) && *one.value != *other.value
}
