#![doc = include_str!("partial-profile.md")]

use crate::{
    pod::Seccomp,
    policy::{
        Check, Context, Finding, Fix, Level, Rule,
        pin::Pinning,
        rules::{localhost, missing_profile::missing},
    },
};

/// 1.9: the scheduler chooses the node after admission.
pub(super) const RULE: Rule = Rule {
    id: "partial-profile",
    level: Level::Warn,
    page: include_str!("partial-profile.md"),
    check: Check::Profile(check),
};

fn check(declared: Seccomp<'_>, context: &Context<'_>) -> Option<Finding> {
    let path = localhost(declared)?;
    match context.pinning(&path) {
        Some(Pinning::Done) => return None,
        // Also if all nodes have it now: nodes come and go.
        Some(Pinning::Wanted) => {
            let message =
                format!("the pod is not pinned to nodes that have profile {:?}", path.as_str());
            return Some(Finding::new(message).fix(Fix::Pin(path)));
        }
        Some(Pinning::Impossible) | None => {}
    }
    let landing = context.landing(&path)?;
    if missing(&path, context).is_some() {
        return None;
    }
    let (having, lacking, path_text) = (landing.having(), landing.lacking(), path.as_str());
    let details = landing.details();
    let message = if having == 0 {
        format!("profile {path_text:?} is known on {}: {details}", landing.of_nodes(0))
    } else if lacking > 0 {
        format!("profile {path_text:?} is on {}: {details}", landing.of_nodes(having))
    } else if let Some(on) = landing.outdated_on() {
        format!("profile {path_text:?} is not yet the current one on {on}")
    } else if landing.differs() {
        let having = landing.of_nodes(having);
        format!("profile {path_text:?} is not the same on {having}: {details}")
    } else {
        return None;
    };
    let finding = Finding::new(message);
    Some(if !context.facts.catalog.is_managed(&path) {
        finding.hint("deliver it by a SeccompProfile")
    } else if lacking > 0 && context.pinning_under_pin(&path) == Some(Pinning::Wanted) {
        finding.hint("under placement: Pin the scheduler waits for a node with it")
    } else {
        finding.hint("callgate delivers it, wait a moment")
    })
}
