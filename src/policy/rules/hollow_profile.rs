#![doc = include_str!("hollow-profile.md")]

use crate::{
    pod::Seccomp,
    policy::{Check, Context, Finding, Level, Rule},
    profile::Defect,
};

/// L1, L3: to whoever looks at the pod alone it seems confined.
pub(super) const RULE: Rule = Rule {
    id: "hollow-profile",
    level: Level::Deny,
    page: include_str!("hollow-profile.md"),
    check: Check::Profile(check),
};

fn check(declared: Seccomp<'_>, context: &Context<'_>) -> Option<Finding> {
    let Seccomp::Localhost(Some(path)) = declared else {
        return None;
    };
    let Some(Some(Defect::Hollow(hollow))) = context.facts.catalog.get(&path.parse().ok()?) else {
        return None;
    };
    Some(Finding::new(format!("profile {path:?} filters nothing: {hollow}")))
}
