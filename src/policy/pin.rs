//! Pins a pod to the nodes that have a profile, by a required node affinity.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    pod::{Pod, Required, Term},
    policy::operation::{Added, Operation},
    profile::{Catalog, Digest, ProfilePath},
};

/// Whether a pod is pinned for a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pinning {
    /// The pod lands only on nodes that have the current version of the profile.
    Done,
    /// A patch can pin it.
    Wanted,
    /// No patch can pin it: the pod does not pass the scheduler, no node meets its affinity as it
    /// is, or it has too many terms.
    Impossible,
}

/// The largest number of steps in a patch. A pod has room for tens of thousands of terms, each of
/// which would get a requirement for every profile.
const MOST_STEPS: usize = 10_000;

/// The label that agents set on nodes that have a profile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeLabel {
    key: String,
    /// The beginning of the digest, which differs on a node with another version; `None` if it is
    /// not known, and then any value counts.
    value: Option<String>,
}

impl NodeLabel {
    /// `None` for a profile that no agent installs.
    pub(super) fn of(path: &ProfilePath, catalog: &Catalog) -> Option<Self> {
        let value = catalog.current(path).as_ref().map(Digest::short);
        Some(Self { key: path.node_label()?, value })
    }

    fn is_required_by(&self, term: &Term<'_>) -> bool {
        term.requires_label(&self.key, self.value.as_deref())
    }

    fn expression(&self) -> Value {
        let Self { key, value } = self;
        match value {
            Some(value) => json!({ "key": key, "operator": "In", "values": [value] }),
            None => json!({ "key": key, "operator": "Exists" }),
        }
    }
}

/// Whether a patch has few enough steps for all profiles that the pod can name.
pub(super) fn within_patch_limit(pod: &Pod<'_>) -> bool {
    // One for the pod's own profile.
    let profiles = 1 + pod.containers().count();
    pod.required_terms().is_none_or(|it| it.len().saturating_mul(profiles) <= MOST_STEPS)
}

pub(super) fn pinning(pod: &Pod<'_>, label: &NodeLabel) -> Pinning {
    if pod.node_name().is_some() {
        return Pinning::Impossible;
    }
    let Required::OneOf(terms) = pod.required() else {
        return Pinning::Wanted;
    };
    let mut terms = terms.iter().filter(|it| !it.is_empty()).peekable();
    // Empty terms match no node; with a further requirement they might match one.
    if terms.peek().is_none() {
        return Pinning::Impossible;
    }
    if terms.all(|it| label.is_required_by(it)) { Pinning::Done } else { Pinning::Wanted }
}

/// The steps that make a pod require all these labels of its node.
///
/// A node needs to meet only one of several terms, so each term gets every requirement. Each step
/// adds only to what is known to exist (R1).
pub(super) fn steps(pod: &Pod<'_>, labels: &BTreeSet<NodeLabel>) -> Vec<Operation> {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    if labels.is_empty() {
        return Vec::new();
    }
    let one = json!({ "nodeSelectorTerms": [{ "matchExpressions": expressions(labels) }] });
    let step = |path: &str, value| vec![add(format!("/spec/affinity{path}"), value)];
    match pod.required() {
        Required::NoAffinity => step("", json!({ "nodeAffinity": { REQUIRED: one } })),
        Required::NoNodeAffinity => step("/nodeAffinity", json!({ REQUIRED: one })),
        Required::NoTerms => step(&format!("/nodeAffinity/{REQUIRED}"), one),
        Required::OneOf(terms) => {
            let path = format!("/spec/affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms");
            let terms = terms.iter().enumerate().filter(|(_, it)| !it.is_empty());
            terms.flat_map(|(at, it)| narrow(&format!("{path}/{at}"), it, labels)).collect()
        }
    }
}

fn narrow(path: &str, term: &Term<'_>, labels: &BTreeSet<NodeLabel>) -> Vec<Operation> {
    let lacking: BTreeSet<_> =
        labels.iter().filter(|it| !it.is_required_by(term)).cloned().collect();
    let all = expressions(&lacking);
    if all.is_empty() {
        Vec::new()
    } else if term.has_expressions() {
        let path = format!("{path}/matchExpressions/-");
        all.into_iter().map(|it| add(path.clone(), it)).collect()
    } else {
        vec![add(format!("{path}/matchExpressions"), Value::Array(all))]
    }
}

fn expressions(labels: &BTreeSet<NodeLabel>) -> Vec<Value> {
    labels.iter().map(NodeLabel::expression).collect()
}

fn add(path: String, value: Value) -> Operation {
    Operation::Add { path, value: Added::Affinity(value) }
}
