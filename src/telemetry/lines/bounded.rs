//! Truncates long texts, and marks where.

use std::{
    borrow::Cow,
    fmt::{self, Debug, Write},
};

/// The maximum length of one field in a line, in bytes after escaping.
const FIELD: usize = 1024;

/// The maximum length of all fields of an event together. Names, time and target are not counted;
/// they are far shorter than the rest of the longest line.
const FIELDS: usize = super::LONGEST / 2;

/// The length that is left for further fields.
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

    /// The text; if it is too long, its beginning and its length.
    pub(super) fn text<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        self.head(Cow::Borrowed(text), text.len())
    }

    /// The same for a value that is formatted first. No more of it is kept in memory than fits into
    /// a line.
    pub(super) fn debug(&mut self, value: &dyn Debug) -> Cow<'static, str> {
        let mut head = Head { text: String::new(), length: 0 };
        // An implementation of `Debug` may fail; the text up to then is kept.
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

/// How many bytes of a text fit, and how many they are after escaping.
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

/// The longest escape of a character in the two formats.
fn size(character: char) -> usize {
    const UNICODE: usize = "\\u0000".len();
    if matches!(character, ' '..='~') && !matches!(character, '"' | '\\' | '\'') {
        return 1;
    }
    let escaped = character.escape_debug().map(char::len_utf8).sum();
    let in_json = if character.is_control() { UNICODE } else { character.len_utf8() };
    in_json.max(escaped)
}

/// The beginning of a formatted value, as long as a field can be.
struct Head {
    text: String,
    /// The length of the whole value.
    length: usize,
}

impl Write for Head {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        // Once a part was left out, later parts are left out as well, even if they would fit.
        let room = if self.text.len() == self.length { FIELD - self.text.len() } else { 0 };
        self.length += part.len();
        self.text.push_str(&part[..part.floor_char_boundary(room)]);
        Ok(())
    }
}
