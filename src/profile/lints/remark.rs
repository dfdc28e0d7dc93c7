//! A finding of a lint about nodes, before their locations are known.

use std::collections::BTreeSet;

use crate::profile::json::{Json, NodeId, SourceLocation};

/// A finding about one node or several.
pub(super) struct Remark {
    pub(super) at: Anchor,
    /// Further nodes with the same fault, or related ones.
    pub(super) also: Vec<Anchor>,
    pub(super) message: String,
    /// How to fix it, if there is a specific fix.
    pub(super) hint: Option<String>,
}

/// A value, or its key.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Key(NodeId),
    Value(NodeId),
}

impl Remark {
    pub(super) fn new(at: Anchor, message: impl Into<String>) -> Self {
        Self { at, also: Vec::new(), message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(super) fn did_you_mean(self, word: Option<impl AsRef<str>>) -> Self {
        match word {
            Some(word) => self.hint(format!("did you mean {:?}?", word.as_ref())),
            None => self,
        }
    }

    pub(super) fn also(self, also: impl IntoIterator<Item = Anchor>) -> Self {
        Self { also: also.into_iter().collect(), ..self }
    }
}

impl Anchor {
    /// The order of the document, in which a key comes before its value.
    pub(super) fn order(self) -> (NodeId, bool) {
        match self {
            Self::Key(node) => (node, false),
            Self::Value(node) => (node, true),
        }
    }

    pub(super) fn location(self, json: &Json) -> SourceLocation {
        match self {
            Self::Key(node) => json.key_location(node),
            Self::Value(node) => json.location(node),
        }
    }
}

/// Quotes a text of a profile, and truncates it after 64 characters.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 64;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Lists distinct words, at most `most` of them, and counts the rest.
pub(crate) fn listed<'a>(words: impl IntoIterator<Item = &'a str>, most: usize) -> String {
    let mut seen = BTreeSet::new();
    let words: Vec<_> = words.into_iter().filter(|it| seen.insert(*it)).collect();
    match words.split_at_checked(most) {
        Some((shown, rest)) if rest.len() > 1 => {
            format!("{} and {} more", shown.join(", "), rest.len())
        }
        _ => words.join(", "),
    }
}
