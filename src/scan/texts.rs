//! Texts of which one copy is kept: thousands of findings have the same message.

use std::{borrow::Borrow, collections::BTreeSet, fmt, ops::Deref, sync::Arc};

use serde::{Serialize, Serializer};

/// A text that others share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(Arc<str>);

#[derive(Debug, Default)]
pub(super) struct Texts(BTreeSet<Text>);

impl Texts {
    pub(super) fn of(&mut self, text: &str) -> Text {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new = Text(Arc::from(text));
        self.0.insert(new.clone());
        new
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}
