//! JSON as Go's `encoding/json` reads it: members in order, repeated keys kept,
//! numbers as written, and the source location of every value.

mod builder;
mod location;
mod object;
mod reader;

use builder::Builder;
pub use location::{SourceLocation, Span};
pub use reader::Malformed;

/// A JSON document. It has source locations if it was read from a text.
///
/// Unlike `serde_json::Value` it keeps repeated keys, since the runtime reads
/// both (L4), and the location of each value. The nodes form one vector in the
/// order of the document, so deep nesting cannot exhaust the stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Json {
    nodes: Vec<Node>,
}

/// The index of a value in the order of the document; the root is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(usize);

#[derive(Clone, Debug, PartialEq)]
struct Node {
    parent: NodeId,
    step: Step,
    content: Content,
    span: Option<Span>,
    /// The first node after this one and its descendants.
    end: NodeId,
}

/// The step of a path from a parent to a value.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Root,
    Index(usize),
    Key { name: String, span: Option<Span> },
}

/// The content of a value. The nodes of elements and members follow that of
/// their list or object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Null,
    Bool,
    /// The number as written, since no type holds every number.
    Number(String),
    String(String),
    Array,
    Object,
}

/// One value of a document.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    json: &'a Json,
    pub(crate) node: NodeId,
}

impl Json {
    /// Parses a file as Go does: a byte order mark and trailing text are errors,
    /// and bytes that are not UTF-8 are replaced.
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        reader::read(text)
    }

    pub(crate) fn root(&self) -> Value<'_> {
        self.value(NodeId::default())
    }

    pub(crate) fn value(&self, node: NodeId) -> Value<'_> {
        Value { json: self, node }
    }

    /// The location of a value.
    pub(crate) fn location(&self, node: NodeId) -> SourceLocation {
        SourceLocation { path: self.path(node), span: self.node(node).span }
    }

    /// The location of a value's key; for an element of a list, that of the value.
    pub(crate) fn key_location(&self, node: NodeId) -> SourceLocation {
        let Node { step, span, .. } = self.node(node);
        let span = if let Step::Key { span, .. } = step { span } else { span };
        SourceLocation { path: self.path(node), span: *span }
    }

    /// The path of a value, such as `syscalls[3].args[0].op`; empty for the root.
    pub(crate) fn path(&self, node: NodeId) -> String {
        let mut steps = Vec::new();
        let mut node = self.node(node);
        while node.step != Step::Root {
            steps.push(&node.step);
            node = self.node(node.parent);
        }
        let steps = steps.into_iter().rev();
        steps.fold(String::new(), location::extended)
    }

    fn node(&self, NodeId(at): NodeId) -> &Node {
        &self.nodes[at]
    }
}

impl<'a> Value<'a> {
    pub(crate) fn content(self) -> &'a Content {
        &self.json.node(self.node).content
    }

    /// The key, if the value is a member of an object.
    pub(crate) fn key(self) -> Option<&'a str> {
        match &self.json.node(self.node).step {
            Step::Key { name, .. } => Some(name),
            Step::Root | Step::Index(_) => None,
        }
    }

    /// The elements of a list or the member values of an object.
    fn children(self) -> impl Iterator<Item = Self> + use<'a> {
        let NodeId(at) = self.node;
        let end = self.json.node(self.node).end;
        let mut next = NodeId(at + 1);
        std::iter::from_fn(move || {
            let child = Self { node: next, ..self };
            (next < end).then(|| {
                next = self.json.node(next).end;
                child
            })
        })
    }

    /// The members of an object; none for other content.
    pub(crate) fn members(self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        self.children().filter_map(|it| Some((it.key()?, it)))
    }

    /// The elements of a list; none for other content.
    pub(crate) fn elements(self) -> impl Iterator<Item = Self> + use<'a> {
        self.children().filter(|it| it.key().is_none())
    }

    pub(crate) fn type_name(self) -> &'static str {
        match self.content() {
            Content::Null => "null",
            Content::Bool => "a boolean",
            Content::Number(_) => "a number",
            Content::String(_) => "a string",
            Content::Array => "a list",
            Content::Object => "an object",
        }
    }
}

/// Whether Go decodes `key` into the field `name`: it ignores case, and folds two
/// letters outside of ASCII into ASCII.
pub(crate) fn same_key(key: &str, name: &str) -> bool {
    let fold = |it: char| match it {
        'ſ' => 'S',
        '\u{212A}' => 'K', // the Kelvin sign
        it => it.to_ascii_uppercase(),
    };
    key.chars().map(fold).eq(name.chars().map(fold))
}

/// A document without source locations, such as an object of the API server.
impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        let mut builder = Builder::default();
        builder.push_all(Step::Root, value);
        builder.finish()
    }
}

#[cfg(test)]
mod tests;
