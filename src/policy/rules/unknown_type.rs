#![doc = include_str!("unknown-type.md")]

use crate::{
    pod::Seccomp,
    policy::{Check, Context, Finding, Level, Rule},
};

/// S1: the API server refuses types it does not know; what it will know one
/// day (`OCI`), the kubelets of today run unconfined.
pub(super) const RULE: Rule = Rule {
    id: "unknown-type",
    level: Level::Deny,
    page: include_str!("unknown-type.md"),
    check: Check::Profile(check),
};

const KNOWN: [&str; 3] = ["RuntimeDefault", "Localhost", "Unconfined"];

fn check(declared: Seccomp<'_>, _: &Context<'_>) -> Option<Finding> {
    let Seccomp::Unrecognised(kind) = declared else {
        return None;
    };
    if kind.is_empty() {
        return Some(Finding::new("the seccompProfile has no type"));
    }
    let finding = Finding::new(format!("type {kind:?} is one that kubelets may run unconfined"));
    // `Unconfined` is no advice.
    let meant = KNOWN.iter().take(2).find(|it| it.eq_ignore_ascii_case(kind));
    Some(match meant {
        Some(it) => finding.hint(format!("did you mean {it:?}?")),
        None => finding,
    })
}
