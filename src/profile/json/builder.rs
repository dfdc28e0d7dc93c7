//! Builds the nodes of a document in order.

use super::{Content, Json, Node, NodeId, Span, Step};

#[derive(Default)]
pub(super) struct Builder {
    pub(super) nodes: Vec<Node>,
    /// The lists and objects that are still open.
    pub(super) open: Vec<NodeId>,
}

impl Builder {
    pub(super) fn push(&mut self, step: Step, content: Content, span: Option<Span>) {
        let node = NodeId(self.nodes.len());
        let parent = self.open.last().copied().unwrap_or_default();
        let opens = matches!(content, Content::Array | Content::Object);
        self.nodes.push(Node { parent, step, content, span, end: NodeId(node.0 + 1) });
        if opens {
            self.open.push(node);
        }
    }

    /// Closes the innermost list or object, whose text ends before `end`.
    pub(super) fn close(&mut self, end: usize) {
        let Some(NodeId(at)) = self.open.pop() else {
            return;
        };
        self.nodes[at].end = NodeId(self.nodes.len());
        if let Some(span) = &mut self.nodes[at].span {
            span.end = end;
        }
    }

    pub(super) fn push_all(&mut self, step: Step, value: &serde_json::Value) {
        use serde_json::Value;
        match value {
            Value::Null => self.push(step, Content::Null, None),
            Value::Bool(_) => self.push(step, Content::Bool, None),
            Value::Number(number) => self.push(step, Content::Number(number.to_string()), None),
            Value::String(text) => self.push(step, Content::String(text.clone()), None),
            Value::Array(items) => {
                self.push(step, Content::Array, None);
                for (index, item) in items.iter().enumerate() {
                    self.push_all(Step::Index(index), item);
                }
                self.close(0);
            }
            Value::Object(entries) => {
                self.push(step, Content::Object, None);
                for (key, value) in entries {
                    self.push_all(Step::Key { name: key.clone(), span: None }, value);
                }
                self.close(0);
            }
        }
    }

    pub(super) fn finish(self) -> Json {
        Json { nodes: self.nodes }
    }
}
