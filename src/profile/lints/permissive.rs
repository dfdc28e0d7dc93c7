#![doc = include_str!("permissive.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};

/// L3: to whoever looks at the pod alone it seems confined.
pub(super) const LINT: Lint = Lint {
    id: "permissive",
    severity: Severity::Warning,
    page: include_str!("permissive.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let hollow = reading.default().and_then(|it| reading.document.permissive(it));
    let says = |it| format!("filters nothing, as if the container were Unconfined: {it}");
    let anchor = Anchor::Value(reading.document.default_action.spot);
    hollow.into_iter().map(|it| Remark::new(anchor, says(it))).collect()
}
