//! A string out of a JSON document, borrowed where it needs no unescaping.

use std::{borrow::Cow, fmt, ops::Deref};

use serde::Deserialize;

use super::Entry;

/// Borrows from the document unless the text contains an escape.
///
/// A field of type `Option<Cow<str>>` always copies, because serde borrows
/// only into a field that is exactly a `Cow`; and a plain `&str` fails on the
/// first escape.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(transparent)]
pub struct Str<'a>(#[serde(borrow)] Cow<'a, str>);

impl Entry for Str<'_> {}

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borrows_unless_there_is_an_escape() {
        let Str(plain) = serde_json::from_str(r#""block-mkdir.json""#).unwrap();
        assert!(matches!(plain, Cow::Borrowed("block-mkdir.json")));
        let Str(escaped) = serde_json::from_str(r#""block\u002dmkdir.json""#).unwrap();
        assert_eq!(escaped, "block-mkdir.json");
    }
}
