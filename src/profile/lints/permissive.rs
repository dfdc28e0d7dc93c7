#![doc = include_str!("permissive.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::profile::{Defect, Hollow};

/// L3: the spec of the pod looks confined, and the container is not.
pub(super) const LINT: Lint = Lint {
    id: "permissive",
    severity: Severity::Warning,
    page: include_str!("permissive.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let defect = match reading.target.architecture {
        Some(native) => reading.document.defect_on(native),
        None => reading.document.defect(),
    };
    let Some(Defect::Hollow(it @ Hollow::Permissive { .. })) = defect else {
        return Vec::new();
    };
    let message = format!("filters nothing, as if the container were Unconfined: {it}");
    vec![Remark::new(Anchor::Value(reading.document.default_action.node), message)]
}
