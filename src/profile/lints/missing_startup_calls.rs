#![doc = include_str!("missing-startup-calls.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};

/// L7: the runtime still makes system calls after it has loaded the filter.
pub(super) const LINT: Lint = Lint {
    id: "missing-startup-calls",
    severity: Severity::Warning,
    page: include_str!("missing-startup-calls.md"),
    check: Check::Profile(check),
};

/// What runc 1.4.2 needs besides `execve`, as the security profiles operator
/// has recorded it (1.10.2). Other versions need some more or some less.
pub(crate) const NEEDED: &[&str] = &[
    "arch_prctl",
    "brk",
    "capget",
    "capset",
    "chdir",
    "close",
    "close_range",
    "epoll_ctl",
    "epoll_pwait",
    "exit_group",
    "faccessat2",
    "fcntl",
    "fstat",
    "fstatfs",
    "futex",
    "getcwd",
    "getdents64",
    "getpid",
    "getppid",
    "getuid",
    "mmap",
    "mprotect",
    "nanosleep",
    "newfstatat",
    "openat",
    "openat2",
    "prctl",
    "read",
    "recvfrom",
    "rt_sigreturn",
    "sched_yield",
    "set_tid_address",
    "setgid",
    "setgroups",
    "setuid",
    "sigaltstack",
    "statx",
    "tgkill",
    "write",
];

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let denied = |name: &&&str| {
        let outcome = reading.calls.outcome(name);
        outcome.is_some_and(|(effect, _)| !effect.lets_through())
    };
    let missing: Vec<_> = NEEDED.iter().filter(denied).copied().collect();
    // A profile that denies all of them is meant to, or lacks execve, which is another lint.
    if missing.is_empty() || missing.len() == NEEDED.len() {
        return Vec::new();
    }
    let message = format!(
        "denies calls that some versions of runc need to start a container: {}",
        missing.join(", ")
    );
    vec![Remark::new(Anchor::Value(reading.document.default_action.node), message)]
}
