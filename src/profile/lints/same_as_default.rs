#![doc = include_str!("same-as-default.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::profile::{action::Action, action::Effect};

/// 1.10.1: runc and crun skip a rule whose action is the default action.
pub(super) const LINT: Lint = Lint {
    id: "same-as-default",
    severity: Severity::Warning,
    page: include_str!("same-as-default.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let Some(default) = reading.calls.default() else {
        return Vec::new();
    };
    let same = reading.rules().filter(|it| {
        let errno = it.errno.as_ref().map(|it| it.it);
        let effect = Action::parse(&it.action).map(|it| Effect::of(it, errno));
        !it.names.is_empty() && effect == Some(default)
    });
    let message = "is the default action, so the runtime skips the rule";
    same.map(|it| Remark::new(Anchor::Value(it.action.node), message)).collect()
}
