//! Compiles a policy into a `MutatingAdmissionPolicy`, by which the API server itself sets the
//! profile that `/mutate` would set.
//!
//! A pod gets exactly what `/mutate` gives it, or is left as it is for `/mutate`: a pod with legacy
//! annotations, one that an exemption may apply to, one that is pinned. An expression that fails or
//! costs too much leaves the pod as it is too, by `failurePolicy: Ignore`.

mod backstop;
mod cel;
mod data;
mod expressions;
mod objects;

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::{
    compile::expressions::{Choice, TooLong},
    policy::{Exemption, Level, Mode, Placement, Policy, Profile, RULES},
};

pub use backstop::backstop;
pub use data::{Data, data, left, source, source_of, why_left, with_source};
pub use expressions::MUTATION;
pub use objects::as_static;

/// What the objects depend on besides the policy.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The policy of namespaces without a label.
    pub default_policy: Option<String>,
    /// The mode of namespaces without a label.
    pub default_mode: Mode,
    /// The namespaces that are left out by name, as in the webhook configurations.
    pub excluded_namespaces: Vec<String>,
}

/// The objects, and what is left to the webhook.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compiled {
    /// None: the policy sets no profile, or nothing of it is compiled.
    pub objects: Vec<Value>,
    /// What the policy sets by `/mutate` alone, and why.
    pub left: Vec<String>,
}

/// The largest object in bytes: etcd takes 1.5 MiB, with the metadata that the API server adds.
const LARGEST_OBJECT: usize = 1024 * 1024;

/// Whether a policy sets profiles at all.
pub fn sets_profiles(policy: &Policy) -> bool {
    let unset = RULES.iter().find(|it| it.id == UNSET);
    let is_fixed = unset.is_some_and(|it| policy.level(it) >= Level::Warn);
    is_fixed && (policy.default_profile().is_some() || !policy.bindings().is_empty())
}

/// The rule whose findings are fixed by a profile.
const UNSET: &str = "unset";

/// Compiles a policy for a cluster.
pub fn compile(policy: &Policy, cluster: &Cluster) -> Compiled {
    if !sets_profiles(policy) {
        return Compiled::default();
    }
    let (choices, mut left) = choices(policy);
    let (exemptions, exempt) = unset_exemptions(policy);
    left.extend(exempt);
    if choices.iter().all(|it| it.profile.is_none()) {
        return Compiled { objects: Vec::new(), left };
    }
    let nothing = |why: String| Compiled { objects: Vec::new(), left: vec![why] };
    let variables = match expressions::variables(&choices, &exemptions) {
        Ok(variables) => variables,
        Err(TooLong { what, length, limit }) => {
            return nothing(format!(
                "all pods: {what} is {length} characters long as CEL, more than {limit}"
            ));
        }
    };
    let pins = policy.placement() == Placement::Pin;
    let objects = objects::objects(policy.name(), &variables, pins, cluster);
    match objects.iter().map(|it| it.to_string().len()).max() {
        Some(length) if length > LARGEST_OBJECT => {
            nothing(format!("all pods: the object has {length} bytes, more than {LARGEST_OBJECT}"))
        }
        _ => Compiled { objects, left },
    }
}

/// The profiles that the policy sets, in the order in which they are chosen, and those that are
/// left to `/mutate`.
fn choices(policy: &Policy) -> (Vec<Choice<'_>>, Vec<String>) {
    let bindings = policy
        .bindings()
        .iter()
        .enumerate()
        .map(|(at, it)| (Some(&it.pod_selector), &it.profile, format!("spec.bindings[{at}]")));
    let default =
        policy.default_profile().map(|it| (None, it, "spec.default".to_owned())).into_iter();
    let mut left = Vec::new();
    let mut choices = Vec::new();
    for (selector, profile, field) in bindings.chain(default) {
        let is_pinned = is_pinned(policy, profile);
        if is_pinned {
            left.push(format!(
                "{field}, {profile}: under placement Pin its pods also get a node affinity"
            ));
        }
        choices.push(Choice { selector, profile: (!is_pinned).then_some(profile), field });
    }
    (choices, left)
}

/// The exemptions from setting a profile, and what is left to `/mutate` on their account.
fn unset_exemptions(policy: &Policy) -> (Vec<&Exemption>, Vec<String>) {
    let all: Vec<_> = policy.exemptions().iter().filter(|it| it.is_from(UNSET)).collect();
    let left = all.iter().map(|it| {
        format!("exemption {:?} from {UNSET}: pods that it may apply to", it.name.as_str())
    });
    let left = left.collect();
    (all, left)
}

/// Whether `/mutate` may pin a pod to which it gives this profile: only the catalog tells.
fn is_pinned(policy: &Policy, profile: &Profile) -> bool {
    match profile {
        Profile::Localhost(path) => {
            policy.placement() == Placement::Pin && path.node_label().is_some()
        }
        Profile::RuntimeDefault => false,
    }
}
