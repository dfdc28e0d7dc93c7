//! Constants of which the runtime knows a list: what is wrong with one.

use super::{Anchor, Remark, remark::quoted};
use crate::profile::{document::Spanned, spelling};

/// A list of words that have a prefix in common.
pub(super) struct Constants {
    /// What one of them is called.
    pub(super) what: &'static str,
    pub(super) prefix: &'static str,
}

impl Constants {
    /// Finds a word that is not on the list. runc: "string … is not a valid …".
    pub(super) fn check<'a>(
        &self,
        word: &Spanned<String>,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Option<Remark> {
        if known.clone().into_iter().any(|it| it == word.it) {
            return None;
        }
        let message = format!(
            "{} is no {} that the runtime knows, so no container starts",
            quoted(word),
            self.what
        );
        let nearest = spelling::nearest_of(self.prefix, word, known);
        Some(Remark::new(Anchor::Value(word.node), message).did_you_mean(nearest))
    }
}
