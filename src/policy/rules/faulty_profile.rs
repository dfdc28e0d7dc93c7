#![doc = include_str!("faulty-profile.md")]

use crate::{
    pod::Seccomp,
    policy::{Check, Context, Finding, Level, Rule, rules::localhost},
    profile::{Defect, Doubt},
};

/// L2, L7: the runtime loads the profile, but it does something else than its author wrote.
pub(super) const RULE: Rule = Rule {
    id: "faulty-profile",
    level: Level::Warn,
    page: include_str!("faulty-profile.md"),
    check: Check::Profile(check),
};

fn check(declared: Seccomp<'_>, context: &Context<'_>) -> Option<Finding> {
    let parsed = localhost(declared)?;
    let path = parsed.as_str();
    if let Some(Some(Defect::Doubtful(doubt))) = context.facts.catalog.get(&parsed) {
        return Some(found(*doubt, path, ""));
    }
    let landing = context.landing(&parsed)?;
    [Doubt::NoStart, Doubt::DockerKeys].into_iter().find_map(|doubt| {
        let nodes = landing.doubtful(doubt);
        let on = || format!(" on {}", landing.of_nodes(nodes));
        (nodes > 0).then(|| found(doubt, path, &on()))
    })
}

fn found(doubt: Doubt, path: &str, on: &str) -> Finding {
    match doubt {
        Doubt::NoStart => {
            let message = format!("no container starts under profile {path:?}{on}");
            Finding::new(format!("{message}: it denies execve"))
        }
        Doubt::DockerKeys => {
            let message = format!("containerd ignores keys of Docker in profile {path:?}{on}");
            Finding::new(message).hint("callgate profile wrap resolves them")
        }
    }
}
