//! A document from a part of YAML, with the source locations of the YAML.

use super::{Builder, Content, Json, NodeId, Span, Step};
use crate::yaml::{Document, NodeId as YamlNode, Type};

impl Json {
    /// The value as kubectl sends it: aliases written out, maps merged.
    pub(crate) fn of_yaml(document: &Document<'_>, value: YamlNode) -> Self {
        let mut builder = Builder::default();
        builder.push_yaml(Step::Root, document, value);
        builder.finish()
    }

    /// Makes a number of a string that is one, where the keys on the way to it are these; lists are
    /// no steps.
    pub(crate) fn read_numbers(&mut self, keys: &[&str]) {
        for at in 0..self.nodes.len() {
            if let Content::String(text) = &self.nodes[at].content
                && text.parse::<u64>().is_ok()
                && self.is_under(NodeId(at), keys)
            {
                self.nodes[at].content = Content::Number(text.clone());
            }
        }
    }

    fn is_under(&self, node: NodeId, keys: &[&str]) -> bool {
        let Some((last, before)) = keys.split_last() else { return node == NodeId::default() };
        let it = self.node(node);
        match &it.step {
            Step::Root => false,
            Step::Index(_) => self.is_under(it.parent, keys),
            Step::Key { name, .. } => name == last && self.is_under(it.parent, before),
        }
    }
}

impl Builder {
    /// Recursion is as deep as the YAML, whose depth is limited.
    fn push_yaml(&mut self, step: Step, document: &Document<'_>, value: YamlNode) {
        let span = Span::from(document.span(value));
        match document.type_of(value) {
            Type::List => {
                self.push(step, Content::Array, Some(span));
                for (index, item) in document.items(value).iter().enumerate() {
                    self.push_yaml(Step::Index(index), document, *item);
                }
                self.close(span.end);
            }
            Type::Map => {
                self.push(step, Content::Object, Some(span));
                for entry in document.entries(value) {
                    let key = Some(Span::from(document.span(entry.key_node)));
                    let step = Step::Key { name: entry.key.into_owned(), span: key };
                    self.push_yaml(step, document, entry.value);
                }
                self.close(span.end);
            }
            Type::Null => self.push(step, Content::Null, Some(span)),
            Type::Bool => self.push(step, Content::Bool, Some(span)),
            Type::Number => self.push(step, Content::Number(document.json(value)), Some(span)),
            Type::Text => {
                let text = document.text(value).unwrap_or_default().to_owned();
                self.push(step, Content::String(text), Some(span));
            }
        }
    }
}
