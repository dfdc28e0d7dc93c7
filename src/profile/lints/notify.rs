#![doc = include_str!("notify.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::profile::{action::Action, document::Spanned};

/// L6: the container would depend on a program on its node.
pub(super) const LINT: Lint = Lint {
    id: "notify",
    severity: Severity::Error,
    page: include_str!("notify.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let notifies = |it: &Spanned<String>| Action::parse(it) == Some(Action::Notify);
    let forbidden = "SCMP_ACT_NOTIFY lets a program on the node decide, which callgate forbids";
    let mut remarks = Vec::new();
    let default = &reading.document.default_action;
    if notifies(default) {
        let message = format!("{forbidden}; the runtime refuses it as a default anyway");
        remarks.push(Remark::new(Anchor::Value(default.node), message));
    }
    for rule in reading.rules().filter(|it| notifies(&it.action)) {
        let message = if rule.names.iter().any(|it| it.as_str() == "write") {
            format!("{forbidden}; the runtime refuses it for write anyway")
        } else if reading.document.listener_path.is_empty() {
            format!("{forbidden}; without a listenerPath no container starts anyway")
        } else {
            forbidden.to_owned()
        };
        remarks.push(Remark::new(Anchor::Value(rule.action.node), message));
    }
    remarks
}
