#![doc = include_str!("socketcall.md")]

use std::collections::BTreeMap;

use super::{Anchor, Check, Lint, Reading, Remark, Severity, remark::listed};
use crate::profile::{
    architecture::Architecture,
    calls::{Calls, shared},
};

/// L10: the arguments of `socketcall` are in memory, which no filter reads.
pub(super) const LINT: Lint = Lint {
    id: "socketcall",
    severity: Severity::Warning,
    page: include_str!("socketcall.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let named = reading.document.architectures.iter().filter_map(|it| Architecture::named(it));
    let multiplexing = named.filter(|it| it.multiplexes());
    multiplexing.filter_map(|it| on(reading, it)).collect()
}

fn on(reading: &Reading<'_>, architecture: Architecture) -> Option<Remark> {
    let calls = Calls::on(reading.document, architecture);
    // Whether a call that passes with some arguments alone passes through socketcall with all.
    let is_void = |call: &str| {
        let Some((socketcall @ "socketcall", selector)) = shared(call) else { return false };
        let outcome = calls.decide(socketcall, &[selector, 0, 0, 0, 0, 0]);
        reading.calls.outcome(call).is_none()
            && outcome.is_some_and(|it| it.0.effects().all(|it| !it.stops()))
    };
    // There may be many rules for few calls.
    let mut known = BTreeMap::new();
    let (mut void, mut rules) = (Vec::new(), Vec::new());
    for rule in reading.rules().filter(|it| !it.args.is_empty()) {
        let names = rule.names.iter().map(|it| it.as_str());
        let before = void.len();
        void.extend(names.filter(|it| *known.entry(*it).or_insert_with(|| is_void(it))));
        if void.len() > before {
            rules.push(rule);
        }
    }
    let (first, others) = rules.split_first()?;
    let message = format!(
        "means nothing to programs of {}: they can make {} through socketcall, which is allowed and has its \
         arguments in memory",
        architecture.seccomp(),
        listed(void, 4)
    );
    let also = others.iter().map(|it| Anchor::Value(it.node));
    let hint = "deny socketcall by a rule without conditions, with ENOSYS";
    Some(Remark::new(Anchor::Value(first.node), message).also(also).hint(hint))
}
