//! The generated pages in docs, the limits of README, and the versions of Kubernetes.

#![expect(clippy::format_push_string, reason = "pages are short")]

mod api;
mod flags;
mod picture;
mod readme;
mod versions;

use support::page::{cell, row};

/// Compares a page that this suite writes.
fn assert_current(path: &str, generated: &str) {
    support::page::assert_current(path, generated, "cargo test --test docs");
}
