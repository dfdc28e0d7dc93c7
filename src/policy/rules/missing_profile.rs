#![doc = include_str!("missing-profile.md")]

use crate::{
    pod::Seccomp,
    policy::{Check, Context, Finding, Level, Rule},
    profile::{Defect, ProfilePath},
};

/// 1.9: the runtime opens the file only when it creates the container.
pub(super) const RULE: Rule = Rule {
    id: "missing-profile",
    level: Level::Deny,
    page: include_str!("missing-profile.md"),
    check: Check::Profile(check),
};

fn check(declared: Seccomp<'_>, context: &Context<'_>) -> Option<Finding> {
    let Seccomp::Localhost(Some(path)) = declared else {
        return None;
    };
    // A path that is none is for `invalid-path`.
    let path: ProfilePath = path.parse().ok()?;
    let catalog = context.facts.catalog;
    let finding = match catalog.get(&path) {
        Some(Some(Defect::Broken(broken))) => Finding::new(format!(
            "no container runtime can load profile {:?}: {broken}",
            path.as_str()
        )),
        Some(_) => return None,
        None => Finding::new(format!("profile {:?} is not in the catalog", path.as_str())),
    };
    Some(match catalog.closest(&path) {
        Some(near) if *near != path => finding.hint(format!("did you mean {:?}?", near.as_str())),
        _ if catalog.is_empty() => finding.hint("the catalog is empty"),
        _ => finding,
    })
}
