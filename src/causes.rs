//! Formats errors with their causes.

use std::error::Error;

/// An error with its causes, in one line. Omits a cause whose text the line already
/// holds, since some libraries repeat their causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Failed {
        words: &'static str,
        source: Option<Box<dyn Error>>,
    }

    fn failed(words: &'static str, cause: impl Into<Box<dyn Error>>) -> Failed {
        Failed { words, source: Some(cause.into()) }
    }

    #[test]
    fn every_cause_is_written_once() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = failed("cannot list", failed("client error (Connect)", refused()));
        assert_eq!(chain(&error), "cannot list: client error (Connect): connection refused");
        let error = failed("cannot connect: connection refused", refused());
        assert_eq!(chain(&error), "cannot connect: connection refused");
    }
}
