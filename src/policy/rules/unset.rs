#![doc = include_str!("unset.md")]

use crate::{
    pod::{Container, Effective},
    policy::{Check, Context, Finding, Fix, Hint, Level, Rule},
};

/// S5, S6: without a profile in the pod, a flag of the kubelet decides.
pub(super) const RULE: Rule = Rule {
    id: "unset",
    level: Level::Deny,
    page: include_str!("unset.md"),
    check: Check::Container(check),
};

fn check(container: &Container<'_>, context: &Context<'_>) -> Option<Finding> {
    if container.effective != Effective::Unset {
        return None;
    }
    let finding = Finding::new("no seccomp profile is set").way_out(Hint::SetProfile);
    Some(if context.injected.is_some() { finding.fix(Fix::Inject) } else { finding })
}
