#![doc = include_str!("stray-errno.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::profile::{action::Action, document::Spanned};

/// 1.10.1: the specification requires an error; crun returns one, runc does not.
pub(super) const LINT: Lint = Lint {
    id: "stray-errno",
    severity: Severity::Error,
    page: include_str!("stray-errno.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let document = reading.document;
    let default = (&document.default_action, &document.default_errno);
    let rules = reading.rules().map(|it| (&it.action, &it.errno));
    let all = std::iter::once(default).chain(rules);
    all.filter_map(|(action, errno)| stray(action, errno.as_ref()?)).collect()
}

fn stray(action: &str, errno: &Spanned<u64>) -> Option<Remark> {
    if Action::parse(action)?.takes_errno() {
        return None;
    }
    let message = format!("means nothing to {action}: runc ignores it, crun refuses the profile");
    Some(Remark::new(Anchor::Value(errno.node), message).hint("remove it"))
}
