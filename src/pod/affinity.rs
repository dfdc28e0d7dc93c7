//! `spec.nodeName` and the required node affinity of a pod.

use crate::{
    json::{Bounded, Entry, objects},
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
        terms("nodeSelectorTerms"): Bounded<Term<'a>>,
    }

    /// A term of a node selector. A node matches it if it meets all requirements.
    pub struct Term<'a> {
        expressions("matchExpressions"): Bounded<Requirement<'a>>,
        fields("matchFields"): Bounded<Requirement<'a>>,
    }

    /// A requirement on a label or a field of the node.
    pub struct Requirement<'a> {
        key("key"): Str<'a>,
        operator("operator"): Str<'a>,
        values("values"): Bounded<Str<'a>>,
    }
}

/// How much of the path exists: `spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution`.
#[derive(Clone, Copy, Debug)]
pub enum Required<'a> {
    NoAffinity,
    NoNodeAffinity,
    NoTerms,
    /// A node must match one of these terms. Without terms, no node matches.
    OneOf(&'a [Term<'a>]),
}

impl<'a> Pod<'a> {
    /// `spec.nodeName`, which binds the pod without the scheduler.
    pub fn node_name(&self) -> Option<&str> {
        let name = self.spec.as_ref()?.node_name.as_deref();
        name.filter(|it| !it.is_empty())
    }

    /// The terms of the required node affinity: a node must match one of them, and
    /// without terms no node matches. `None` if the pod requires nothing.
    pub fn required_terms(&self) -> Option<&[Term<'a>]> {
        let affinity = self.spec.as_ref()?.affinity.as_ref()?;
        let selector = affinity.node_affinity.as_ref()?.required.as_ref()?;
        Some(selector.terms.as_deref().unwrap_or_default())
    }

    /// As [`required_terms`](Self::required_terms), with how much of the path exists
    /// if there are no terms, so that a patch can add the rest.
    pub fn required(&self) -> Required<'_> {
        let affinity = self.spec.as_ref().and_then(|it| it.affinity.as_ref());
        match (affinity, self.required_terms()) {
            (_, Some(terms)) => Required::OneOf(terms),
            (None, _) => Required::NoAffinity,
            (Some(it), _) if it.node_affinity.is_none() => Required::NoNodeAffinity,
            _ => Required::NoTerms,
        }
    }
}

impl Entry for Term<'_> {
    fn entries(&self) -> usize {
        let all = self.expressions().iter().chain(self.fields());
        1 + all.map(Entry::entries).sum::<usize>()
    }
}

impl Entry for Requirement<'_> {
    fn entries(&self) -> usize {
        1 + self.values().len()
    }
}

impl<'a> Term<'a> {
    /// Whether the term is empty; an empty term matches no node
    /// (`isEmptyNodeSelectorTerm` in component-helpers/scheduling/corev1/nodeaffinity).
    pub fn is_empty(&self) -> bool {
        self.expressions().is_empty() && self.fields().is_empty()
    }

    /// Whether `matchExpressions` is a list, so that a patch can add to it.
    pub fn has_expressions(&self) -> bool {
        self.expressions.is_some()
    }

    /// Whether only nodes with this label match, and with this value, if one is given.
    pub fn requires_label(&self, key: &str, value: Option<&str>) -> bool {
        let is_among = |it: &Requirement<'_>| {
            let mut values = it.values().iter().peekable();
            values.peek().is_some() && values.all(|it| Some(&**it) == value)
        };
        let requires = |it: &Requirement<'_>| match it.operator() {
            "In" => value.is_none() || is_among(it),
            "Exists" => value.is_none(),
            _ => false,
        };
        self.expressions().iter().any(|it| it.key() == key && requires(it))
    }

    /// The requirements on labels.
    pub fn expressions(&self) -> &[Requirement<'a>] {
        self.expressions.as_deref().unwrap_or_default()
    }

    /// The requirements on fields of the node; Kubernetes knows only `metadata.name`.
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("{}", "NoAffinity")]
    #[case::null(r#"{"affinity": null}"#, "NoAffinity")]
    #[case::empty(r#"{"affinity": {}}"#, "NoNodeAffinity")]
    #[case::of_pods(r#"{"affinity": {"podAffinity": {}}}"#, "NoNodeAffinity")]
    #[case::null_inside(r#"{"affinity": {"nodeAffinity": null}}"#, "NoNodeAffinity")]
    #[case::preferred(
        r#"{"affinity": {"nodeAffinity":
            {"preferredDuringSchedulingIgnoredDuringExecution": []}}}"#,
        "NoTerms"
    )]
    #[case::null_required(
        r#"{"affinity": {"nodeAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": null}}}"#,
        "NoTerms"
    )]
    #[case::no_terms(
        r#"{"affinity": {"nodeAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": {}}}}"#,
        "OneOf 0"
    )]
    #[case::terms(
        r#"{"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [{}, {"matchFields": []}]}}}}"#,
        "OneOf 2"
    )]
    fn required(#[case] spec: &str, #[case] expected: &str) {
        let text = format!(r#"{{"spec": {spec}}}"#);
        let pod: Pod<'_> = serde_json::from_str(&text).unwrap();
        let actual = match pod.required() {
            Required::OneOf(terms) => format!("OneOf {}", terms.len()),
            other => format!("{other:?}"),
        };
        assert_eq!(actual, expected);
    }

    #[rstest]
    #[case::empty("{}", true, false)]
    #[case::empty_lists(r#"{"matchExpressions": [], "matchFields": []}"#, true, false)]
    #[case::a_field(
        r#"{"matchFields": [{"key": "metadata.name", "operator": "In"}]}"#,
        false,
        false
    )]
    #[case::it(r#"{"matchExpressions": [{"key": "a/b", "operator": "Exists"}]}"#, false, true)]
    #[case::a_value(r#"{"matchExpressions": [{"key": "a/b", "operator": "In"}]}"#, false, true)]
    #[case::not_it(r#"{"matchExpressions": [{"key": "a/b", "operator": "NotIn"}]}"#, false, false)]
    #[case::another(
        r#"{"matchExpressions": [{"key": "a/c", "operator": "Exists"}]}"#,
        false,
        false
    )]
    #[case::a_field_of_that_name(
        r#"{"matchFields": [{"key": "a/b", "operator": "Exists"}]}"#,
        false,
        false
    )]
    fn a_term(#[case] term: &str, #[case] is_empty: bool, #[case] requires: bool) {
        let term: Term<'_> = serde_json::from_str(term).unwrap();
        assert_eq!((term.is_empty(), term.requires_label("a/b", None)), (is_empty, requires));
    }

    #[rstest]
    #[case::it(r#"{"operator": "In", "values": ["7"]}"#, true)]
    #[case::it_twice(r#"{"operator": "In", "values": ["7", "7"]}"#, true)]
    #[case::it_or_another(r#"{"operator": "In", "values": ["7", "8"]}"#, false)]
    #[case::another(r#"{"operator": "In", "values": ["70"]}"#, false)]
    #[case::none(r#"{"operator": "In", "values": []}"#, false)]
    #[case::any(r#"{"operator": "Exists"}"#, false)]
    #[case::not_it(r#"{"operator": "NotIn", "values": ["7"]}"#, false)]
    fn a_value(#[case] requirement: &str, #[case] requires: bool) {
        let requirement = requirement.replace('{', r#"{"key": "a/b", "#);
        let term = format!(r#"{{"matchExpressions": [{requirement}]}}"#);
        let term: Term<'_> = serde_json::from_str(&term).unwrap();
        assert_eq!(term.requires_label("a/b", Some("7")), requires);
        assert!(!term.requires_label("a/c", Some("7")));
    }
}
