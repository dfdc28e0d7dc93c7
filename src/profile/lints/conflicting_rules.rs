#![doc = include_str!("conflicting-rules.md")]

use std::collections::BTreeSet;

use super::{Anchor, Check, Lint, Reading, Remark, Severity, remark::listed};
use crate::profile::{
    architecture::Architecture,
    calls::{Calls, Clash},
    json::NodeId,
};

/// libseccomp: `EEXIST` for a rule with the conditions of an earlier one, or the first
/// of them, and another action.
pub(super) const LINT: Lint = Lint {
    id: "conflicting-rules",
    severity: Severity::Error,
    page: include_str!("conflicting-rules.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let mut found: Vec<_> = conflicts(&reading.calls, "").collect();
    // Some architectures have shorter arguments, and multiplexed calls.
    let named = reading.document.architectures.iter().filter_map(|it| Architecture::named(it));
    let mut seen = BTreeSet::new();
    for architecture in named.filter(|it| seen.insert(*it)) {
        let calls = Calls::on(reading.document, architecture);
        let on = format!(" on {}", architecture.seccomp());
        for conflict in conflicts(&calls, &on) {
            let is_new = |it: &Conflict<'_>| (it.rule, it.first) != (conflict.rule, conflict.first);
            if found.iter().all(is_new) {
                found.push(conflict);
            }
        }
    }
    found.into_iter().map(|it| it.remark(reading)).collect()
}

struct Conflict<'a> {
    rule: NodeId,
    first: NodeId,
    calls: Vec<&'a str>,
    on: String,
}

fn conflicts<'a>(calls: &Calls<'a>, on: &str) -> impl Iterator<Item = Conflict<'a>> {
    let clashes = calls.clashes(Clash::Conflicting);
    clashes.map(move |(rule, first, calls)| Conflict {
        rule,
        first,
        calls: calls.to_vec(),
        on: on.to_owned(),
    })
}

impl Conflict<'_> {
    fn remark(&self, reading: &Reading<'_>) -> Remark {
        let message = format!(
            "has the conditions of {}, or some of them, and another action for {}{}: the runtime refuses the \
             profile and no container starts",
            reading.json.path(self.first),
            listed(self.calls.iter().copied(), 4),
            self.on,
        );
        Remark::new(Anchor::Value(self.rule), message).also([Anchor::Value(self.first)])
    }
}
