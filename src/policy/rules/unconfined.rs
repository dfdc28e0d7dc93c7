#![doc = include_str!("unconfined.md")]

use crate::{
    pod::Seccomp,
    policy::{Check, Context, Finding, Hint, Level, Rule},
};

/// S7, S8: it wins over every default. At the pod it counts even where every container overrides
/// it: ephemeral containers inherit it later.
pub(super) const RULE: Rule = Rule {
    id: "unconfined",
    level: Level::Deny,
    page: include_str!("unconfined.md"),
    check: Check::Profile(check),
};

fn check(declared: Seccomp<'_>, _: &Context<'_>) -> Option<Finding> {
    (declared.kind() == "Unconfined").then(|| {
        Finding::new("Unconfined turns seccomp off")
            .way_out(Hint::OrExemption("set type: RuntimeDefault"))
    })
}
