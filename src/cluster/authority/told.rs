//! Says a failure once, however often it is met.

use std::error::Error;

use crate::causes::chain;

/// What was logged last.
#[derive(Debug, Default)]
pub(super) struct Told(Option<String>);

impl Told {
    /// Logs the failure with its causes, which kube's own texts leave out.
    pub(super) fn failure(&mut self, error: &dyn Error) {
        if self.is_news(error) {
            let error = self.0.as_deref();
            tracing::warn!(error, "cannot keep the authority, trying on");
        }
    }

    pub(super) fn well(&mut self) {
        if self.0.take().is_some() {
            tracing::info!("the authority is kept again");
        }
    }

    fn is_news(&mut self, error: &dyn Error) -> bool {
        let text = chain(error);
        let news = self.0.as_ref() != Some(&text);
        self.0 = Some(text);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::authority::CallError;

    fn undecided(why: &str) -> CallError {
        CallError::Undecided(why.into())
    }

    #[test]
    fn a_failure_is_said_once_until_it_is_another() {
        let mut told = Told::default();
        assert!(told.is_news(&undecided("no entropy")));
        assert!(!told.is_news(&undecided("no entropy")));
        assert!(told.is_news(&undecided("no idea")));
        told.well();
        assert!(told.is_news(&undecided("no idea")));
        assert_eq!(told.0.as_deref(), Some("cannot decide what to keep: no idea"));
    }
}
