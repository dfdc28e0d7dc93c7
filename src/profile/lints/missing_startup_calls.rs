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
pub const NEEDED: &[&str] = &[
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
    let calls = &reading.calls;
    let denied = |name: &str| calls.outcome(name).is_some_and(|it| !it.0.lets_through());
    let all_denied = NEEDED.iter().all(|it| denied(it));
    let needed = NEEDED.iter().copied().chain(["execve"]);
    let missing = needed.filter_map(|name| match calls.outcome(name) {
        // Without any argument that passes it is another lint.
        Some(_) if name == "execve" => None,
        Some((effect, _)) => (!effect.lets_through()).then(|| name.to_owned()),
        // With which arguments the runtime makes the call depends on its version.
        None => calls.may_stop(name).then(|| format!("{name} (with some arguments)")),
    });
    let missing: Vec<_> = missing.collect();
    // A profile that denies all of them, and execve, is meant to.
    if calls.default().is_none() || missing.is_empty() || all_denied && !calls.may_pass("execve") {
        return Vec::new();
    }
    let message = format!(
        "denies calls that some versions of runc need to start a container: {}",
        missing.join(", ")
    );
    vec![Remark::new(Anchor::Value(reading.document.default_action.node), message)]
}
