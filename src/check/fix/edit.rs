//! Changes of a text, at places that do not overlap.

use std::ops::Range;

/// Bytes, and what stands there afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) span: Range<usize>,
    pub(super) text: String,
}

impl Edit {
    pub(super) fn insert(at: usize, text: String) -> Self {
        Self { span: at..at, text }
    }
}

/// A part of a text with the edits; they keep their order where they insert at the same place.
pub(super) fn applied(text: &str, part: Range<usize>, edits: &[Edit]) -> String {
    let mut edits: Vec<_> = edits.iter().collect();
    edits.sort_by_key(|it| it.span.start);
    let (mut edited, mut at) = (String::new(), part.start);
    for Edit { span, text: new } in edits {
        edited.push_str(text.get(at..span.start).unwrap_or_default());
        edited.push_str(new);
        at = span.end.max(at);
    }
    edited.push_str(text.get(at..part.end).unwrap_or_default());
    edited
}
