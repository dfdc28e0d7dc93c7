//! Finds constants that the runtime does not know.

use super::{Anchor, Remark, remark::quoted};
use crate::{profile::document::Spanned, spelling};

/// A set of constants with a common prefix.
pub(super) struct Constants {
    /// What messages call such a constant.
    pub(super) what: &'static str,
    pub(super) prefix: &'static str,
}

impl Constants {
    /// Checks that `word` is one of the known constants. runc: "string … is not a valid …".
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
