#![doc = include_str!("unknown-syscall.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity, remark::quoted};
use crate::{
    profile::{action::Action, syscalls},
    spelling,
};

/// 1.10.1: runc skips the name with a line in its debug log, crun with a warning.
pub(super) const LINT: Lint = Lint {
    id: "unknown-syscall",
    severity: Severity::Warning,
    page: include_str!("unknown-syscall.md"),
    check: Check::Profile(check),
};

/// So many names get a hint; more of them are no slips of the finger.
const MOST_HINTS: usize = 20;

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let lets_through = |it: Option<Action>| it.is_some_and(Action::lets_through);
    let mut remarks = Vec::new();
    for rule in reading.rules() {
        let becomes =
            match (lets_through(reading.default()), lets_through(Action::parse(&rule.action))) {
                (true, false) => "and lets the call through that was to be denied",
                (false, true) => "and the call that was to be allowed stays denied",
                _ => "and the call that was meant gets the default action",
            };
        for name in rule.names.iter().filter(|it| !it.is_empty() && !syscalls::exists(it)) {
            let message =
                format!("the runtime skips {}, which is no system call, {becomes}", quoted(name));
            let remark = Remark::new(Anchor::Value(name.node), message);
            let nearest = if remarks.len() < MOST_HINTS { nearest(name) } else { None };
            remarks.push(remark.did_you_mean(nearest));
        }
    }
    remarks
}

/// The name without what belongs to the kernel's sources, or the nearest one.
fn nearest(name: &str) -> Option<&'static str> {
    let lower = name.trim().to_lowercase();
    let bare = ["sys_", "__nr_", "__x64_sys_"].iter().find_map(|it| lower.strip_prefix(it));
    let exact = syscalls::names().find(|it| Some(*it) == bare);
    exact.or_else(|| spelling::nearest(name, syscalls::names()))
}
