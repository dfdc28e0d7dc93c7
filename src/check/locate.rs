//! Where the field is that a finding is about.

use std::ops::Range;

use crate::{
    policy::FieldPath,
    yaml::{Document, NodeId},
};

/// A step from a value to one within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// The bytes of the field at a path, key and value; of the nearest one around it that is there, if
/// it is not.
pub(crate) fn span(document: &Document<'_>, from: NodeId, path: &[Step]) -> Range<usize> {
    let (mut node, mut span) = (from, document.span(from));
    for step in path {
        match step {
            Step::Key(key) => {
                let Some(entry) = document.field(node, key) else { break };
                let (key, value) = (document.span(entry.key_node), document.span(entry.value));
                span = key.start..if value.start >= key.end { value.end } else { key.end };
                node = entry.value;
            }
            Step::Index(index) => {
                let Some(item) = document.items(node).get(*index) else { break };
                span = document.span(*item);
                node = *item;
            }
        }
    }
    span
}

/// The container of a finding.
pub(super) fn container(
    document: &Document<'_>,
    pod: NodeId,
    field: FieldPath<'_>,
) -> Option<NodeId> {
    let FieldPath::Container { list, index, .. } = field else { return None };
    document.items(document.at(pod, &["spec", list.field()])?).get(index).copied()
}

/// The path within a pod of what a rule finds at a field.
pub(super) fn path(rule: &str, field: FieldPath<'_>) -> Vec<Step> {
    let mut path = match field {
        FieldPath::Annotation { key } => return keys(&["metadata", "annotations", key]),
        FieldPath::RuntimeClass => return keys(&["spec", "runtimeClassName"]),
        FieldPath::Pod => keys(&["spec"]),
        FieldPath::Container { list, index, .. } => {
            let mut path = keys(&["spec", list.field()]);
            path.push(Step::Index(index));
            path
        }
    };
    path.extend(match rule {
        "privileged" => keys(&["securityContext", "privileged"]),
        "unset" => keys(&["name"]),
        "unconfined" | "unknown-type" => keys(&["securityContext", "seccompProfile", "type"]),
        _ => keys(&["securityContext", "seccompProfile", "localhostProfile"]),
    });
    path
}

pub(crate) fn keys(path: &[&str]) -> Vec<Step> {
    path.iter().map(|it| Step::Key((*it).to_owned())).collect()
}

/// The path as text.
pub(super) fn text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key]),
            Step::Index(index) => text.extend(["[", &index.to_string(), "]"]),
        }
    }
    text
}

/// The steps of a path as errors have it, such as `spec.containers[0].name`.
pub(super) fn steps(path: &str) -> Vec<Step> {
    let parts = path.split(['.', '[']).filter(|it| !it.is_empty());
    let step = |it: &str| match it.strip_suffix(']').and_then(|it| it.parse().ok()) {
        Some(index) => Step::Index(index),
        None => Step::Key(it.to_owned()),
    };
    parts.map(step).collect()
}
