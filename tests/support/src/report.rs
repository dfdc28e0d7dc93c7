//! What a suite with a runner of its own prints.

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
