//! The output of a suite with its own runner.

use std::env;

/// Prints to standard error.
#[expect(clippy::print_stderr, reason = "a test reports")]
pub fn report(text: &str) {
    eprintln!("{text}");
}

/// Prints only with `--nocapture`.
pub fn report_details(text: &str) {
    if env::args().any(|it| it == "--nocapture") {
        report(text);
    }
}
