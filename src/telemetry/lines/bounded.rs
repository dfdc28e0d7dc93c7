//! Truncates long texts, and marks where.

use std::{
    borrow::Cow,
    fmt::{self, Debug, Write},
};

/// The most that one field takes in a line, in bytes, as it is escaped there.
const FIELD: usize = 1024;

/// The most that all fields of an event take. Names, time and target come on
/// top, and stay far below what is left of the longest line.
const FIELDS: usize = super::LONGEST / 2;

/// What is left of the length of a line.
pub(super) struct Budget {
    left: usize,
    most: usize,
}

impl Budget {
    pub(super) fn for_an_event() -> Self {
        Self { left: FIELDS, most: FIELD }
    }

    pub(super) fn for_one_text() -> Self {
        Self { left: FIELDS, most: FIELDS }
    }

    /// The text, or its beginning and how long it is.
    pub(super) fn text<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        self.head(Cow::Borrowed(text), text.len())
    }

    /// The same for what has to be formatted first; of that, no more is kept
    /// in memory than a line can take.
    pub(super) fn debug(&mut self, value: &dyn Debug) -> Cow<'static, str> {
        let mut head = Head { text: String::new(), length: 0 };
        // An implementation of `Debug` may fail; the text until then is kept.
        let _ = write!(head, "{value:?}");
        self.head(Cow::Owned(head.text), head.length)
    }

    fn head<'a>(&mut self, text: Cow<'a, str>, length: usize) -> Cow<'a, str> {
        let (end, taken) = fitting(&text, self.left.min(self.most));
        self.left -= taken;
        if end == length {
            return text;
        }
        Cow::Owned(format!("{}… ({length} bytes, cut)", &text[..end]))
    }
}

/// How many bytes of a text fit, and what they take once they are escaped.
fn fitting(text: &str, most: usize) -> (usize, usize) {
    let mut taken = 0;
    for (at, character) in text.char_indices() {
        let size = size(character);
        if taken + size > most {
            return (at, taken);
        }
        taken += size;
    }
    (text.len(), taken)
}

/// The most that a character takes in either format.
fn size(character: char) -> usize {
    const UNICODE: usize = "\\u0000".len();
    if matches!(character, ' '..='~') && !matches!(character, '"' | '\\' | '\'') {
        return 1;
    }
    let escaped = character.escape_debug().map(char::len_utf8).sum();
    let in_json = if character.is_control() { UNICODE } else { character.len_utf8() };
    in_json.max(escaped)
}

/// The beginning of what is written, as much as a field may need.
struct Head {
    text: String,
    /// Of all that was written.
    length: usize,
}

impl Write for Head {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        // Once something was left out, what follows must not close the gap.
        let room = if self.text.len() == self.length { FIELD - self.text.len() } else { 0 };
        self.length += part.len();
        self.text.push_str(&part[..part.floor_char_boundary(room)]);
        Ok(())
    }
}
