//! What became of a condition or an Event.

/// The outcome of a condition or an Event that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    Written,
    /// The API server rejected it or did not answer.
    Failed,
    /// The queue was full, or the object cannot exist.
    Dropped,
}

impl Report {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// The first `most` bytes of a text at most, cut at the boundary of a character.
pub(super) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
