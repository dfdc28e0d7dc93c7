//! Locations in a document: path, byte span, line and column.

use std::fmt::Write;

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

/// A line and a column, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    /// The position of a byte of `text`, as an editor shows it.
    pub fn of(offset: usize, text: &[u8]) -> Self {
        let before = &text[..offset.min(text.len())];
        let lines = before.split(|it| *it == b'\n');
        let last = lines.clone().next_back().unwrap_or_default();
        Self { line: lines.count(), column: String::from_utf8_lossy(last).chars().count() + 1 }
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
