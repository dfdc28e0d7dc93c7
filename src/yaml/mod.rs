//! Reads YAML and JSON as kubectl does, and knows where each field is.
//!
//! kubectl splits a stream at lines that begin with `---`, reads each part by go-yaml 2, which
//! takes YAML 1.1's word for what a boolean or a number is, and makes JSON of it
//! (k8s.io/apimachinery/pkg/util/yaml, sigs.k8s.io/yaml); e2e/oracle compares with both. Unlike
//! there, a part that cannot be read does not keep the others from being read, and only the tags of
//! JSON's types are known: a file is data.

mod build;
mod entries;
mod json;
mod refuse;
mod scalar;
mod split;

use std::{borrow::Cow, ops::Range};

pub use entries::Entry;
pub use split::{cuts, documents, documents_within};

use scalar::Scalar;

/// What makes a document unreadable, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub span: Range<usize>,
    pub message: String,
}

/// One document; spans are those of the whole text.
#[derive(Debug)]
pub struct Document<'a> {
    nodes: Vec<Node<'a>>,
    root: NodeId,
    pub comments: Vec<Comment<'a>>,
    /// The part of the text that it is.
    pub range: Range<usize>,
}

/// A comment without its `#`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment<'a> {
    pub span: Range<usize>,
    pub text: Cow<'a, str>,
}

/// A value in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

#[derive(Debug)]
struct Node<'a> {
    kind: Kind<'a>,
    span: Range<usize>,
    /// How many values it is with its aliases written out, and how deep.
    size: usize,
    depth: usize,
    /// Whether it is a map of a few words, each once, without merges: as most are.
    is_plain: bool,
}

#[derive(Debug)]
enum Kind<'a> {
    Scalar(Scalar<'a>),
    List(Vec<NodeId>),
    Map(Vec<(NodeId, NodeId)>),
    Alias(NodeId),
}

/// What a value is, aliases followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Null,
    Bool,
    Number,
    Text,
    List,
    Map,
}

impl<'a> Document<'a> {
    pub fn root(&self) -> NodeId {
        self.root
    }

    fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id.0 as usize]
    }

    /// The value itself, where an alias stands for it.
    pub fn target(&self, id: NodeId) -> NodeId {
        match self.node(id).kind {
            Kind::Alias(target) => self.target(target),
            Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) => id,
        }
    }

    /// The bytes where the value is written; of an alias those of the alias.
    pub fn span(&self, id: NodeId) -> Range<usize> {
        self.node(id).span.clone()
    }

    pub fn type_of(&self, id: NodeId) -> Type {
        match &self.node(self.target(id)).kind {
            Kind::Scalar(it) => it.type_of(),
            Kind::List(_) => Type::List,
            Kind::Map(_) | Kind::Alias(_) => Type::Map,
        }
    }

    /// The text of a string.
    pub fn text(&self, id: NodeId) -> Option<&str> {
        match &self.node(self.target(id)).kind {
            Kind::Scalar(it) => it.as_text(),
            Kind::List(_) | Kind::Map(_) | Kind::Alias(_) => None,
        }
    }

    /// The values of a list.
    pub fn items(&self, id: NodeId) -> &[NodeId] {
        match &self.node(self.target(id)).kind {
            Kind::List(items) => items,
            Kind::Scalar(_) | Kind::Map(_) | Kind::Alias(_) => &[],
        }
    }

    /// A field of a map, as it is with merge keys and with the last of equal keys.
    pub fn field(&self, id: NodeId, key: &str) -> Option<Entry<'_>> {
        if let Some(mut plain) = self.plain_entries(id) {
            return plain.find(|it| it.key == key);
        }
        self.entries(id).into_iter().find(|it| it.key == key)
    }

    /// The field at a path of keys.
    pub fn at(&self, id: NodeId, path: &[&str]) -> Option<NodeId> {
        path.iter().try_fold(id, |at, key| self.field(at, key).map(|it| it.value))
    }
}

#[cfg(test)]
mod tests;
