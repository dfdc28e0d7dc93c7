//! Locations in a document: path and byte span.

use std::{fmt::Write, ops::Range};

use super::Step;

/// The location of a value or key in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLocation {
    /// The path from the root, such as `syscalls[3].args[0].op`; empty for the root.
    pub path: String,
    /// The bytes of the text, if the document has one.
    pub span: Option<Span>,
}

/// A range of bytes in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub start: usize,
    /// The first byte after the range.
    pub end: usize,
}

impl From<Range<usize>> for Span {
    fn from(Range { start, end }: Range<usize>) -> Self {
        Self { start, end }
    }
}

/// Appends one step to a path.
pub(super) fn extended(mut path: String, step: &Step) -> String {
    let plain = |it: char| it.is_alphanumeric() || matches!(it, '_' | '-' | '$');
    let written = match step {
        Step::Root => Ok(()),
        Step::Index(index) => write!(path, "[{index}]"),
        Step::Key { name, .. } if name.is_empty() || !name.chars().all(plain) => {
            write!(path, "[{name:?}]")
        }
        Step::Key { name, .. } if path.is_empty() => path.write_str(name),
        Step::Key { name, .. } => write!(path, ".{name}"),
    };
    written.expect("a string takes everything");
    path
}
