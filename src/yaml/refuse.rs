//! Refuses what JSON cannot hold, and tags other than those of its types.

use std::{borrow::Cow, ops::Range};

use super::{
    Document, Kind, Mistake, NodeId, Type,
    scalar::{Scalar, Tag},
};

type Result<T> = std::result::Result<T, Mistake>;

impl Document<'_> {
    /// A key must be one that JSON can have, and what is merged must be maps.
    pub(super) fn check_pair(&self, key: NodeId, value: NodeId) -> Result<()> {
        let mistake =
            |id, message: &str| Err(Mistake { span: self.span(id), message: message.to_owned() });
        match &self.node(self.target(key)).kind {
            Kind::Scalar(it) if it.key().is_none() => {
                return mistake(key, "null and numbers of more than 63 bits cannot be keys");
            }
            Kind::Scalar(_) => {}
            Kind::List(_) | Kind::Map(_) | Kind::Alias(_) => {
                return mistake(key, "a key must be one word, not a list or a map");
            }
        }
        if !self.is_merge(key) {
            return self.check_number(value);
        }
        let is_map = |id| self.type_of(id) == Type::Map;
        let are_maps = match &self.node(value).kind {
            Kind::List(items) => items.iter().all(|it| is_map(*it)),
            Kind::Scalar(_) | Kind::Map(_) | Kind::Alias(_) => is_map(value),
        };
        if are_maps { Ok(()) } else { mistake(value, "\"<<\" takes a map or a list of maps") }
    }

    pub(super) fn check_number(&self, id: NodeId) -> Result<()> {
        match &self.node(self.target(id)).kind {
            Kind::Scalar(Scalar::Float(it)) if !it.is_finite() => {
                let message = "infinity and .nan cannot be written as JSON".to_owned();
                Err(Mistake { span: self.span(id), message })
            }
            Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) | Kind::Alias(_) => Ok(()),
        }
    }

    /// Whether the key merges the maps behind it.
    pub(super) fn is_merge(&self, key: NodeId) -> bool {
        matches!(self.node(key).kind, Kind::Scalar(Scalar::Merge))
    }
}

impl Tag {
    fn of(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "null" => Self::Null,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "float" => Self::Float,
            "str" => Self::Text,
            _ => return None,
        })
    }
}

pub(super) fn scalar_of<'a>(
    text: Cow<'a, str>,
    tag: &granit_parser::Tag,
    span: Range<usize>,
) -> Result<Scalar<'a>> {
    let Some(known) = tag.core_suffix().and_then(Tag::of) else {
        return Err(unknown_tag(tag, span.start));
    };
    let message = format!("{text:?} does not fit the tag {}", tag.original());
    Scalar::tagged(text, known).ok_or(Mistake { span, message })
}

pub(super) fn known_collection(
    tag: Option<&granit_parser::Tag>,
    name: &str,
    start: usize,
) -> Result<()> {
    match tag {
        Some(it) if it.core_suffix() != Some(name) => Err(unknown_tag(it, start)),
        Some(_) | None => Ok(()),
    }
}

fn unknown_tag(tag: &granit_parser::Tag, start: usize) -> Mistake {
    let tag = tag.original();
    let message = format!("the tag {tag:?} is not read: only those of JSON's types are");
    Mistake { span: start..start + tag.len(), message }
}
