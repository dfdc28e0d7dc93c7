//! Positions in texts, as editors show them.

/// A line and a column, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    /// The position of a byte of `text`.
    pub fn of(offset: usize, text: &[u8]) -> Self {
        let before = &text[..offset.min(text.len())];
        let lines = before.split(|it| *it == b'\n');
        let last = lines.clone().next_back().unwrap_or_default();
        Self { line: lines.count(), column: String::from_utf8_lossy(last).chars().count() + 1 }
    }
}
