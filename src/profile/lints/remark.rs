//! What a lint says, and of which values.

use std::collections::BTreeSet;

use crate::profile::json::{Json, NodeId, SourceLocation};

/// What a lint says of one place, or of several at once.
pub(super) struct Remark {
    pub(super) at: Anchor,
    /// Where else it holds, or what it has to do with.
    pub(super) also: Vec<Anchor>,
    pub(super) message: String,
    /// The way out, where there is a particular one.
    pub(super) hint: Option<String>,
}

/// A value, or the key it has.
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

/// Quotes what a profile says: all of it, unless it is absurdly long.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 64;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Enumerates words, each once, and no more than `most` of them.
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
