//! Logs a failure once, however often it repeats.

use std::error::Error;

use crate::causes::chain;

/// The failure that was logged last.
#[derive(Debug, Default)]
pub(super) struct LogOnce(Option<String>);

impl LogOnce {
    /// Logs the failure with its causes, which kube's own texts leave out.
    pub(super) fn failure(&mut self, error: &dyn Error) {
        if self.is_new(error) {
            let error = self.0.as_deref();
            tracing::warn!(error, "cannot reconcile the CA, retrying");
        }
    }

    pub(super) fn success(&mut self) {
        if self.0.take().is_some() {
            tracing::info!("the CA is reconciled again");
        }
    }

    fn is_new(&mut self, error: &dyn Error) -> bool {
        let text = chain(error);
        let is_new = self.0.as_ref() != Some(&text);
        self.0 = Some(text);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::call::CallError;

    fn undecided(why: &str) -> CallError {
        CallError::Undecided(why.into())
    }

    #[test]
    fn a_failure_is_logged_once_until_another_one_follows() {
        let mut log = LogOnce::default();
        assert!(log.is_new(&undecided("no entropy")));
        assert!(!log.is_new(&undecided("no entropy")));
        assert!(log.is_new(&undecided("no idea")));
        log.success();
        assert!(log.is_new(&undecided("no idea")));
        assert_eq!(log.0.as_deref(), Some("cannot decide what to write: no idea"));
    }
}
