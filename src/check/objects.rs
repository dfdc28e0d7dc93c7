//! The objects of a document, those in lists included.

use crate::yaml::{Document, NodeId, Type};

/// An object of Kubernetes in a document.
#[derive(Clone, Debug)]
pub(super) struct Object<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) node: NodeId,
    /// Empty if it is missing.
    pub(super) kind: String,
    pub(super) api_version: String,
}

/// Passes each object of a document on; a list is not one itself.
pub(super) fn each<'a>(document: &'a Document<'a>, mut on_object: impl FnMut(Object<'a>)) {
    collect(document, document.root(), ("", ""), &mut on_object);
}

fn collect<'a>(
    document: &'a Document<'a>,
    node: NodeId,
    (default_version, default_kind): (&str, &str),
    on_object: &mut impl FnMut(Object<'a>),
) {
    let text = |key| document.field(node, key).and_then(|it| document.text(it.value));
    let kind = text("kind").unwrap_or(default_kind);
    let api_version = text("apiVersion").unwrap_or(default_version);
    let items = document.field(node, "items").map(|it| it.value);
    match (kind.strip_suffix("List"), items) {
        (Some(of), Some(items)) if document.type_of(items) == Type::List => {
            // The items of a `PodList` need not say what they are.
            for item in document.items(items) {
                collect(document, *item, (api_version, of), on_object);
            }
        }
        _ => on_object(Object {
            document,
            node,
            kind: kind.to_owned(),
            api_version: api_version.to_owned(),
        }),
    }
}

impl<'a> Object<'a> {
    /// The API group; empty for the core group.
    pub(super) fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    fn metadata(&self, key: &str) -> Option<&'a str> {
        let document = self.document;
        let node = document.at(self.node, &["metadata", key])?;
        document.text(node).filter(|it| !it.is_empty())
    }

    pub(super) fn name(&self) -> Option<&'a str> {
        self.metadata("name").or_else(|| self.metadata("generateName"))
    }

    pub(super) fn namespace(&self) -> Option<&'a str> {
        self.metadata("namespace")
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'a str> {
        let document = self.document;
        document.text(document.at(self.node, &["metadata", "annotations", key])?)
    }

    pub(super) fn label(&self, key: &str) -> Option<&'a str> {
        let document = self.document;
        document.text(document.at(self.node, &["metadata", "labels", key])?)
    }

    /// The kind and the name, for messages.
    pub(super) fn title(&self) -> String {
        let name = self.name().map(|it| format!(" {it:?}")).unwrap_or_default();
        let noun = self.noun();
        match self.namespace() {
            Some(namespace) => format!("{noun}{name} in namespace {namespace:?}"),
            None => format!("{noun}{name}"),
        }
    }

    /// The kind in messages.
    pub(super) fn noun(&self) -> String {
        if self.kind.is_empty() { "object".to_owned() } else { self.kind.to_lowercase() }
    }

    /// What identifies the object, whatever file it is in.
    pub(super) fn identity(&self, namespace: &str) -> String {
        let name = self.name().unwrap_or_default();
        format!("{}/{}/{namespace}/{name}", self.group(), self.kind)
    }
}
