//! Keeps a pod to the nodes that have a profile, by the node affinity that it requires.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    pod::{Pod, Required, Term},
    policy::operation::{Added, Operation},
    profile::{Catalog, Digest, ProfilePath},
};

/// What is to be said of a pod and a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pinning {
    /// The pod lands only on nodes that have the current version of the profile.
    Done,
    /// A patch can see to it.
    Wanted,
    /// No patch could: the scheduler is not asked about this pod, or could
    /// place it nowhere as it is, or it has too many terms.
    Impossible,
}

/// More steps than these no patch has. A pod has room for tens of thousands of
/// terms, each of which would get a requirement for every profile.
const MOST_STEPS: usize = 10_000;

/// The label that agents give to nodes which have a profile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeLabel {
    key: String,
    /// The beginning of the digest, by which a node that still has another
    /// version is told apart; `None`: not known, and any value will do.
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

/// Whether the steps for all profiles that the pod can name are few enough.
pub(super) fn within_patch_limit(pod: &Pod<'_>) -> bool {
    // The pod itself can name one, too.
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
    // Terms that no node meets must stay so: a requirement more, and one might.
    if terms.peek().is_none() {
        return Pinning::Impossible;
    }
    if terms.all(|it| label.is_required_by(it)) { Pinning::Done } else { Pinning::Wanted }
}

/// The steps that make a pod require all these labels of its node.
///
/// One term of several is enough for a node, so each of them gets every
/// requirement. What is added to is seen to be there (R1).
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
