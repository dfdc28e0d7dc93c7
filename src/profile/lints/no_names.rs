#![doc = include_str!("no-names.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::profile::{
    action::Action,
    document::{Spanned, Syscall},
};

/// 1.10.1: the specification requires a name, runc does not.
pub(super) const LINT: Lint = Lint {
    id: "no-names",
    severity: Severity::Warning,
    page: include_str!("no-names.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    // A rule with the key "name" is a finding of docker-key.
    let nameless = |rule: &&Spanned<Syscall>| {
        let mut keys = reading.json.value(rule.node).members();
        rule.names.is_empty() && !keys.any(|it| it.0 == "name")
    };
    if !reading.mismatches.is_empty() {
        return Vec::new();
    }
    reading.rules().filter(nameless).map(|rule| says(reading, rule)).collect()
}

fn says(reading: &Reading<'_>, rule: &Spanned<Syscall>) -> Remark {
    let lets_through = |it: Option<Action>| it.is_some_and(Action::lets_through);
    let denies = !lets_through(Action::parse(&rule.action));
    let message = match (lets_through(reading.default()), denies) {
        (true, true) => "the rule names no system call, so it denies nothing",
        (false, false) => "the rule names no system call, so it allows nothing",
        _ => "the rule names no system call, so it does nothing",
    };
    Remark::new(Anchor::Value(rule.node), message)
}
