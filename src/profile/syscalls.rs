//! The names of all system calls, on any architecture that Linux runs on.

use std::sync::LazyLock;

/// Sorted, one name a line. `cargo test` compares it with the tables that the
/// kernel's headers were made into (crate `syscalls`), and with what
/// libseccomp resolves besides.
const NAMES: &str = include_str!("syscalls.txt");

static SORTED: LazyLock<Vec<&str>> = LazyLock::new(|| NAMES.lines().collect());

/// Whether any architecture has a system call of this name.
///
/// libseccomp resolves a name on every architecture it knows; what resolves
/// on none is skipped by runc without an error (1.10.1 of the semantics).
pub(super) fn exists(name: &str) -> bool {
    SORTED.binary_search(&name).is_ok()
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SORTED.iter().copied()
}
