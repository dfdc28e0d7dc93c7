#![doc = include_str!("hollow-profile.md")]

use crate::{
    pod::Seccomp,
    policy::{Check, Context, Finding, Level, Rule, pin::Pinning, rules::localhost},
    profile::{Defect, ProfilePath},
};

/// L1, L3: the pod declares a profile, and runs without a filter.
pub(super) const RULE: Rule = Rule {
    id: "hollow-profile",
    level: Level::Deny,
    page: include_str!("hollow-profile.md"),
    check: Check::Profile(check),
};

fn check(declared: Seccomp<'_>, context: &Context<'_>) -> Option<Finding> {
    let parsed = localhost(declared)?;
    let path = parsed.as_str();
    if let Some(Some(Defect::Hollow(hollow))) = context.facts.catalog.get(&parsed) {
        return Some(Finding::new(format!("profile {path:?} filters nothing: {hollow}")));
    }
    on_nodes(&parsed, context).or_else(|| behind_taints(&parsed, context))
}

/// The pod can land on such a node. One such node is enough for a denial, since a pod may prefer
/// it.
fn on_nodes(path: &ProfilePath, context: &Context<'_>) -> Option<Finding> {
    let on = context.landing(path)?.hollow_on()?;
    let finding = Finding::new(format!("profile {:?} filters nothing on {on}", path.as_str()));
    // These nodes have the label of the profile, which agents set only if the file filters. One
    // node whose label and report contradict each other must not stop every pod.
    let is_pinned = context.pinning(path) == Some(Pinning::Done);
    Some(if is_pinned { finding.only_warns() } else { finding })
}

/// The pod could land on such a node only with more tolerations, which an update may add without a
/// call of our webhooks, or if the node was uncordoned. As it is, the pod cannot run there, so it
/// is not denied: a node that no pod may use must not stop pods everywhere.
fn behind_taints(path: &ProfilePath, context: &Context<'_>) -> Option<Finding> {
    let landing = context.hollow_on_reachable_nodes(path)?;
    let (hollow, names) = (landing.hollow(), landing.hollow_names());
    let on = match hollow {
        0 => return None,
        1 => format!("{names}, whose taints this pod does not tolerate"),
        all => format!("{all} nodes whose taints this pod does not tolerate: {names}"),
    };
    let message = format!("profile {:?} filters nothing on {on}", path.as_str());
    Some(Finding::new(message).only_warns())
}
