#![doc = include_str!("unknown-type.md")]

use crate::{
    pod::Seccomp,
    policy::{Check, Context, Finding, Level, Rule},
};

/// S1, S4: the API server rejects types that it does not know. A type that it learns first (`OCI`)
/// runs unconfined on kubelets before 1.38.
pub(super) const RULE: Rule = Rule {
    id: "unknown-type",
    level: Level::Deny,
    page: include_str!("unknown-type.md"),
    check: Check::Profile(check),
};

const VALID: &str = "valid types are RuntimeDefault and Localhost";

fn check(declared: Seccomp<'_>, _: &Context<'_>) -> Option<Finding> {
    let Seccomp::Unrecognised(kind) = declared else {
        return None;
    };
    if kind.is_empty() {
        return Some(Finding::new("the seccompProfile has no type").hint(VALID));
    }
    let finding = Finding::new(format!("kubelets may run type {kind:?} unconfined"));
    // The type `Unconfined` is not offered.
    let meant =
        ["RuntimeDefault", "Localhost"].into_iter().find(|it| it.eq_ignore_ascii_case(kind));
    Some(match meant {
        Some(it) => finding.hint(format!("did you mean {it:?}?")),
        None => finding.hint(VALID),
    })
}
