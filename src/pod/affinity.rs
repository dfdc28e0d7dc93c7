//! The node that a pod is bound to, and the nodes that it requires.

use crate::{
    json::objects,
    pod::{Pod, Str},
};

objects! {
    pub(super) struct Affinity<'a> {
        node_affinity("nodeAffinity"): NodeAffinity<'a>,
    }

    pub(super) struct NodeAffinity<'a> {
        required("requiredDuringSchedulingIgnoredDuringExecution"): NodeSelector<'a>,
    }

    pub(super) struct NodeSelector<'a> {
        terms("nodeSelectorTerms"): Vec<Term<'a>>,
    }

    /// One of several terms, all requirements of which a node has to meet.
    pub struct Term<'a> {
        expressions("matchExpressions"): Vec<Requirement<'a>>,
        fields("matchFields"): Vec<Requirement<'a>>,
    }

    /// What is required of a label, or of a field of the node.
    pub struct Requirement<'a> {
        key("key"): Str<'a>,
        operator("operator"): Str<'a>,
        values("values"): Vec<Str<'a>>,
    }
}

impl<'a> Pod<'a> {
    /// The node that the pod is bound to, without the scheduler's doing.
    pub fn node_name(&self) -> Option<&str> {
        let name = self.spec.as_ref()?.node_name.as_deref();
        name.filter(|it| !it.is_empty())
    }

    /// The terms of the required node affinity, of which a node has to meet one:
    /// of none, no node meets any. `None` where the pod requires nothing.
    pub fn required_terms(&self) -> Option<&[Term<'a>]> {
        let affinity = self.spec.as_ref()?.affinity.as_ref()?;
        let selector = affinity.node_affinity.as_ref()?.required.as_ref()?;
        Some(selector.terms.as_deref().unwrap_or_default())
    }
}

impl<'a> Term<'a> {
    /// About labels.
    pub fn expressions(&self) -> &[Requirement<'a>] {
        self.expressions.as_deref().unwrap_or_default()
    }

    /// About fields of the node, of which Kubernetes knows `metadata.name` alone.
    pub fn fields(&self) -> &[Requirement<'a>] {
        self.fields.as_deref().unwrap_or_default()
    }
}

impl<'a> Requirement<'a> {
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    pub fn operator(&self) -> &str {
        self.operator.as_deref().unwrap_or_default()
    }

    pub fn values(&self) -> &[Str<'a>] {
        self.values.as_deref().unwrap_or_default()
    }
}
