//! Whether a namespace is safe, why not, and the next step.

use serde::Serialize;

use super::{Unread, World};
use crate::{
    group::{MODE_LABEL, POLICY_LABEL},
    policy::{Labels, Mode},
    report::counted,
};

/// Whether a policy can be enforced in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Safety {
    No,
    Unknown,
    Yes,
}

/// Why no namespace can be called safe.
pub(super) fn general_doubts(
    world: &World,
    stopped: Option<&str>,
    missing: &[Unread],
    nameless: usize,
) -> Vec<String> {
    let mut doubts: Vec<_> =
        stopped.iter().map(|why| format!("the scan is incomplete: {why}")).collect();
    doubts.extend(missing.iter().map(|it| format!("{} were not read", it.resource)));
    if world.policy.is_none() && world.is_unread("namespaces") {
        doubts.push("namespaces were not read, so the policy of this one is not known".to_owned());
    }
    if nameless > 0 {
        doubts.push(format!("{} cannot be read", counted(nameless, "object")));
    }
    if world.is_selected {
        doubts.push("only what the selector chooses was judged".to_owned());
    }
    doubts
}

/// Whether the webhook configurations leave a namespace out by its name.
pub(super) fn is_left_out(name: &str) -> bool {
    ["callgate-system", "kube-system"].contains(&name)
}

/// The mode of a namespace with these labels.
pub(super) fn mode(labels: &Labels) -> Mode {
    labels.mode.as_deref().map_or(Mode::Enforce, |it| Mode::parse(it).unwrap_or_default())
}

/// The command that labels the namespace: by a policy that is safe to enforce, or else by one that
/// is only recorded. `None` if it has those labels.
pub(super) fn next_step(name: &str, policy: &str, labels: &Labels, safe: Safety) -> Option<String> {
    if is_left_out(name) {
        return None;
    }
    let next = if safe == Safety::Yes { Mode::Enforce } else { Mode::Audit };
    if labels.policy.as_deref() == Some(policy) && (next == mode(labels) || next == Mode::Audit) {
        return None;
    }
    let overwrite =
        if labels.policy.is_some() || labels.mode.is_some() { " --overwrite" } else { "" };
    let mode = next.as_str();
    Some(format!(
        "kubectl label namespace {name} {POLICY_LABEL}={policy} {MODE_LABEL}={mode}{overwrite}"
    ))
}
