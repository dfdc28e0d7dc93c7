#![doc = include_str!("privileged.md")]

use crate::{
    pod::Container,
    policy::{Check, Context, Finding, Hint, Level, Rule},
};

/// S10: containerd and CRI-O drop the filter of a privileged container.
pub(super) const RULE: Rule = Rule {
    id: "privileged",
    level: Level::Deny,
    page: include_str!("privileged.md"),
    check: Check::Container(check),
};

fn check(container: &Container<'_>, _: &Context<'_>) -> Option<Finding> {
    container.privileged.then(|| {
        Finding::new("privileged turns seccomp off").way_out(Hint::OrExemption("remove it"))
    })
}
